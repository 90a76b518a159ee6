//! A cloud of volumes behind real HTTP, in a process of its own: each call takes 50 ms.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::{get, put};
use axum::{Json, Router};
use serde_json::{Value, json};
use tokio::net::TcpListener;

/// How long a call takes.
pub(crate) const CALL: Duration = Duration::from_millis(50);

#[derive(Default)]
struct Cloud {
    snapshots: Mutex<BTreeSet<String>>,
    calls: AtomicU64,
    now: AtomicU64,
    most: AtomicU64,
}

/// Serves until its standard input ends: with whoever started it.
pub(crate) async fn serve() {
    let cloud = Arc::new(Cloud::default());
    let router = Router::new()
        .route("/volumes/{id}", get(volume))
        .route("/snapshots/{key}", put(take).get(look))
        .route("/stats", get(stats))
        .with_state(cloud);
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .await
        .expect("loopback has a free port");
    println!("{}", listener.local_addr().expect("it is bound"));
    let gone = async {
        let mut end = String::new();
        let ended = tokio::task::spawn_blocking(move || std::io::stdin().read_line(&mut end));
        // However it ended, nobody is there any more.
        let _ = ended.await;
    };
    axum::serve(listener, router)
        .with_graceful_shutdown(gone)
        .await
        .expect("the server runs");
}

impl Cloud {
    async fn call(&self) {
        self.calls.fetch_add(1, Ordering::Relaxed);
        let now = self.now.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(now, Ordering::SeqCst);
        tokio::time::sleep(CALL).await;
        self.now.fetch_sub(1, Ordering::SeqCst);
    }

    fn snapshots(&self) -> std::sync::MutexGuard<'_, BTreeSet<String>> {
        self.snapshots
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

async fn volume(State(cloud): State<Arc<Cloud>>, Path(id): Path<String>) -> Json<Value> {
    cloud.call().await;
    Json(json!({ "id": id, "size": 1 << 30 }))
}

async fn take(State(cloud): State<Arc<Cloud>>, Path(key): Path<String>) -> StatusCode {
    cloud.call().await;
    cloud.snapshots().insert(key);
    StatusCode::CREATED
}

async fn look(State(cloud): State<Arc<Cloud>>, Path(key): Path<String>) -> StatusCode {
    cloud.call().await;
    if cloud.snapshots().contains(&key) {
        StatusCode::OK
    } else {
        StatusCode::NOT_FOUND
    }
}

async fn stats(State(cloud): State<Arc<Cloud>>) -> Json<Value> {
    Json(json!({
        "calls": cloud.calls.load(Ordering::SeqCst),
        "most_at_once": cloud.most.swap(0, Ordering::SeqCst),
        "snapshots": cloud.snapshots().len(),
    }))
}
