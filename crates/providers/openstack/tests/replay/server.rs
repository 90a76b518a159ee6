use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// A cloud that answers with what a real one was heard to say, and remembers what it was asked.
pub(crate) struct Replay {
    pub(crate) url: String,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    answers: Mutex<BTreeMap<(String, String), VecDeque<Answer>>>,
    asked: Mutex<Vec<Asked>>,
    now: AtomicUsize,
    most: AtomicUsize,
}

/// One answer.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u64,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Value,
    pub(crate) after: Duration,
    /// Between the head and the body.
    pub(crate) between: Duration,
}

/// One question.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) query: String,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Value,
}

impl Answer {
    pub(crate) fn new(status: u64, body: Value) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body,
            after: Duration::ZERO,
            between: Duration::ZERO,
        }
    }

    /// What was recorded under a note.
    pub(crate) fn noted(file: &str, note: &str) -> Self {
        let path = format!(
            "{}/testdata/recorded/{file}.jsonl",
            env!("CARGO_MANIFEST_DIR")
        );
        let text = std::fs::read_to_string(path).expect("a recording");
        let noted = |line: &str| {
            let exchange: Value = serde_json::from_str(line).expect("an exchange");
            exchange["note"] == note
        };
        let number = text.lines().position(noted);
        Self::recorded(file, number.expect("an exchange with that note"))
    }

    /// What was recorded as the so-many-th exchange of a file.
    pub(crate) fn recorded(file: &str, number: usize) -> Self {
        let path = format!(
            "{}/testdata/recorded/{file}.jsonl",
            env!("CARGO_MANIFEST_DIR")
        );
        let text = std::fs::read_to_string(path).expect("a recording");
        let line = text.lines().nth(number).expect("so many exchanges");
        let mut exchange: Value = serde_json::from_str(line).expect("an exchange");
        let response = &mut exchange["response"];
        let headers = response["headers"].as_object().into_iter().flatten();
        let headers = headers
            .map(|(name, value)| (name.clone(), value.as_str().unwrap_or_default().to_owned()));
        Self {
            status: response["status"].as_u64().expect("a status"),
            headers: headers.collect(),
            body: response["body"].take(),
            after: Duration::ZERO,
            between: Duration::ZERO,
        }
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }
}

impl Replay {
    /// One that knows how to log in and which versions are spoken, as recorded.
    pub(crate) async fn new() -> Self {
        let replay = Self::empty().await;
        let mut login = Answer::recorded("01-image-backed", 0);
        let catalogue = login.body.to_string();
        let catalogue =
            catalogue.replace("http://127.0.0.1:18702", &format!("{}/volume", replay.url));
        let catalogue =
            catalogue.replace("http://127.0.0.1:18703", &format!("{}/compute", replay.url));
        let catalogue =
            catalogue.replace("http://127.0.0.1:18701", &format!("{}/image", replay.url));
        let catalogue =
            catalogue.replace("http://127.0.0.1:18705", &format!("{}/network", replay.url));
        login.body = serde_json::from_str(&catalogue).expect("still JSON");
        replay.on("POST", "/v3/auth/tokens", login);
        replay.on("GET", "/volume/v3/", Answer::recorded("01-image-backed", 3));
        replay.on(
            "GET",
            "/compute/v2.1/",
            Answer::recorded("01-image-backed", 4),
        );
        replay
    }

    pub(crate) async fn empty() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("its address"));
        let shared = Arc::new(Shared::default());
        let serving = Arc::clone(&shared);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let serving = Arc::clone(&serving);
                tokio::spawn(async move { serve(&serving, stream).await });
            }
        });
        Self { url, shared }
    }

    /// Answers such a question; several answers come in turn, and the last stays.
    pub(crate) fn on(&self, method: &str, path: &str, answer: Answer) {
        let mut answers = self.shared.answers.lock().unwrap();
        let key = (method.to_owned(), path.to_owned());
        answers.entry(key).or_default().push_back(answer);
    }

    /// As [`on`](Self::on), instead of all answers so far.
    pub(crate) fn instead(&self, method: &str, path: &str, answer: Answer) {
        let key = (method.to_owned(), path.to_owned());
        self.shared.answers.lock().unwrap().remove(&key);
        self.on(method, path, answer);
    }

    pub(crate) fn asked(&self, method: &str, path: &str) -> Vec<Asked> {
        let asked = self.shared.asked.lock().unwrap();
        let same = |it: &&Asked| it.method == method && it.path == path;
        asked.iter().filter(same).cloned().collect()
    }

    pub(crate) fn most_at_once(&self) -> usize {
        self.shared.most.load(Ordering::SeqCst)
    }
}

async fn serve(shared: &Shared, stream: TcpStream) {
    let mut stream = BufReader::new(stream);
    let Some(asked) = read(&mut stream).await else {
        return;
    };
    let now = shared.now.fetch_add(1, Ordering::SeqCst) + 1;
    shared.most.fetch_max(now, Ordering::SeqCst);
    let key = (asked.method.clone(), asked.path.clone());
    let answer = {
        let mut answers = shared.answers.lock().unwrap();
        let queue = answers.get_mut(&key);
        queue.and_then(|queue| {
            if queue.len() > 1 {
                queue.pop_front()
            } else {
                queue.front().cloned()
            }
        })
    };
    let answer = answer.unwrap_or_else(|| {
        Answer::new(
            404,
            json!({"itemNotFound": {"message": format!("nothing recorded for {key:?}")}}),
        )
    });
    shared.asked.lock().unwrap().push(asked);
    tokio::time::sleep(answer.after).await;
    let body = if answer.body.is_null() {
        String::new()
    } else {
        answer.body.to_string()
    };
    let mut head = format!("HTTP/1.1 {} Said\r\n", answer.status);
    let ours = ["content-length", "connection", "transfer-encoding"];
    for (name, value) in &answer.headers {
        if !ours.contains(&name.to_ascii_lowercase().as_str()) {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
    }
    head.push_str(&format!(
        "Content-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    ));
    // Before the reply: the next call may come as soon as the client has it.
    shared.now.fetch_sub(1, Ordering::SeqCst);
    let _ = stream.write_all(head.as_bytes()).await;
    tokio::time::sleep(answer.between).await;
    let _ = stream.write_all(body.as_bytes()).await;
    let _ = stream.shutdown().await;
}

async fn read(stream: &mut BufReader<TcpStream>) -> Option<Asked> {
    let mut line = String::new();
    stream.read_line(&mut line).await.ok()?;
    let mut words = line.split_whitespace();
    let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await.ok()?;
        let Some((name, value)) = line.trim().split_once(':') else {
            break;
        };
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    let length = headers
        .get("content-length")
        .and_then(|it| it.parse().ok())
        .unwrap_or(0);
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    if headers.contains_key("transfer-encoding") {
        body = chunks(stream).await?;
    }
    Some(Asked {
        method,
        path: path.to_owned(),
        query: query.to_owned(),
        headers,
        body: serde_json::from_slice(&body).unwrap_or(Value::Null),
    })
}

/// A body of which nobody knew the length: each part after its own, in hexadecimal.
async fn chunks(stream: &mut BufReader<TcpStream>) -> Option<Vec<u8>> {
    let mut all = Vec::new();
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await.ok()?;
        let length = usize::from_str_radix(line.trim(), 16).ok()?;
        // The end of the line behind it, too.
        let mut part = vec![0; length + 2];
        stream.read_exact(&mut part).await.ok()?;
        all.extend_from_slice(&part[..length]);
        if length == 0 {
            return Some(all);
        }
    }
}
