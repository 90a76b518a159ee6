use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// Stands between a client and a service, and counts the calls that are on their way at once.
pub(crate) struct Counting {
    pub(crate) url: String,
    counts: Arc<Counts>,
}

#[derive(Default)]
struct Counts {
    now: AtomicUsize,
    most: AtomicUsize,
    posts: AtomicUsize,
}

impl Counting {
    pub(crate) async fn before(service: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("its address"));
        let counts = Arc::new(Counts::default());
        let counted = Arc::clone(&counts);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (counts, service) = (Arc::clone(&counted), service.clone());
                tokio::spawn(async move { pass(stream, &service, &counts).await });
            }
        });
        Self { url, counts }
    }

    pub(crate) fn most_at_once(&self) -> usize {
        self.counts.most.load(Ordering::SeqCst)
    }

    /// How many snapshots were asked for.
    pub(crate) fn takes(&self) -> usize {
        self.counts.posts.load(Ordering::SeqCst)
    }
}

/// One call a connection, so that a connection is a call.
async fn pass(stream: TcpStream, service: &str, counts: &Counts) -> Option<()> {
    let mut client = BufReader::new(stream);
    let mut head = String::new();
    let mut length = 0;
    loop {
        let mut line = String::new();
        if client.read_line(&mut line).await.ok()? == 0 {
            return None;
        }
        let lower = line.to_ascii_lowercase();
        if let Some(value) = lower.strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
        if line == "\r\n" {
            break;
        }
        if !lower.starts_with("connection:") {
            head.push_str(&line);
        }
    }
    let mut body = vec![0; length];
    client.read_exact(&mut body).await.ok()?;
    let now = counts.now.fetch_add(1, Ordering::SeqCst) + 1;
    counts.most.fetch_max(now, Ordering::SeqCst);
    let first = head.lines().next().unwrap_or_default();
    if first.starts_with("POST") && first.contains("/snapshots ") {
        counts.posts.fetch_add(1, Ordering::SeqCst);
    }
    let reply = forward(service, &head, &body).await;
    // Before the reply: the next call may come as soon as the client has it.
    counts.now.fetch_sub(1, Ordering::SeqCst);
    client.get_mut().write_all(&reply?).await.ok()?;
    client.get_mut().shutdown().await.ok()
}

async fn forward(service: &str, head: &str, body: &[u8]) -> Option<Vec<u8>> {
    let mut server = TcpStream::connect(service).await.ok()?;
    let head = format!("{head}Connection: close\r\n\r\n");
    server.write_all(head.as_bytes()).await.ok()?;
    server.write_all(body).await.ok()?;
    let mut reply = Vec::new();
    server.read_to_end(&mut reply).await.ok()?;
    Some(reply)
}
