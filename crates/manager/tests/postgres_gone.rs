//! A server that is killed in the middle of each call of `psql` and `pg_dump`, and comes back: the
//! manager is as before or as the snapshot, nothing is locked, and the report says what to do. With
//! a real PostgreSQL 15, started as in `postgres.rs`.
//!
//! `STILLPOINT_GONE_EVERY` says how many calls are between two that are tried; 1 is every.

mod bed;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use bed::clients::Clients;
use bed::{Bed, Lock, Postgres};
use stillpoint_manager::SecretKey;

const EVERY: &str = "STILLPOINT_GONE_EVERY";

/// Rows that more than fill what is between two processes.
const MANY: &str = "INSERT INTO logs SELECT 'e-1', md5(n::text) FROM generate_series(1, 20000) n";

/// Starts a server again a while after it was killed.
struct Nurse {
    over: Arc<AtomicBool>,
    thread: Option<thread::JoinHandle<bool>>,
}

impl Drop for Nurse {
    fn drop(&mut self) {
        self.over.store(true, Ordering::SeqCst);
    }
}

impl Nurse {
    fn of(postgres: &Arc<Postgres>, clients: &Arc<Clients>) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let (ended, postgres) = (Arc::clone(&over), Arc::clone(postgres));
        let clients = Arc::clone(clients);
        let thread = thread::spawn(move || {
            let mut killed = false;
            loop {
                // First whether it is the last look: what was killed before that is not missed.
                let last = ended.load(Ordering::SeqCst);
                if clients.killed() {
                    killed = true;
                    thread::sleep(Duration::from_millis(300));
                    postgres.again();
                }
                if last {
                    return killed;
                }
                thread::sleep(Duration::from_millis(10));
            }
        });
        Self {
            over,
            thread: Some(thread),
        }
    }

    /// Whether it was killed. It is there again by then.
    fn go_home(mut self) -> bool {
        self.over.store(true, Ordering::SeqCst);
        self.thread.take().unwrap().join().unwrap()
    }
}

/// A sequence counts up in steps of 32 where its server was not ended in order.
fn rows(text: &str) -> String {
    let known = |it: &str| it.parse().is_ok_and(|it: u32| it == 2 || it > 32);
    let parts = text.split("\n--\n");
    parts
        .map(|it| if known(it) { "counted" } else { it })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL 15 and root: .ci/run has both"]
async fn a_server_killed_in_the_middle_of_any_call_leaves_it_as_before_or_as_the_snapshot() {
    let every: usize = std::env::var(EVERY).map_or(1, |it| it.parse().unwrap());
    let mut postgres = Postgres::start();
    let clients = Arc::new(postgres.watched());
    let postgres = Arc::new(postgres);
    let (archives, key) = (tempfile::tempdir().unwrap(), SecretKey::generate());
    let lock = Lock::default();
    let new = |name: &str| {
        Bed::with(&postgres, name, archives.path(), &key, |it, _| {
            it.component("lock", lock.clone())
        })
    };
    let source = new("source");
    source.live();
    source.server.transaction(MANY).unwrap();
    source.capture("monday").await.unwrap();
    let monday = source.content();

    for story in ["capture", "restore"] {
        let (mut killed, mut failed, mut call) = (0, 0, 1);
        loop {
            let name = format!("{story}_{call}");
            let fresh = (story == "restore").then(|| new(&name));
            let bed = fresh.as_ref().unwrap_or(&source);
            let before = bed.content();
            clients.kill_at(call);
            let nurse = Nurse::of(&postgres, &clients);
            let ran = match story {
                "capture" => bed.capture(&name).await,
                _ => bed.restore("monday").await,
            };
            clients.kill_at(0);
            if !nurse.go_home() {
                ran.unwrap();
                break;
            }
            killed += 1;
            let found = rows(&bed.content());
            match ran {
                Ok(_) if story == "restore" => assert_eq!(found, rows(&monday), "{name}"),
                Ok(_) => assert_eq!(found, rows(&before), "{name}"),
                Err(error) => {
                    failed += 1;
                    assert_eq!(found, rows(&before), "{name}: {error}");
                    assert!(error.advice().is_some(), "{name}: {error}");
                    assert_eq!(bed.leftovers(), [""; 0], "{name}: {error}");
                }
            }
            assert!(lock.is_free(), "{name}: it is locked");
            if let Some(bed) = fresh {
                drop(bed);
                postgres.remove(&name);
            }
            call += every;
        }
        assert!(killed > 0, "{story}");
        println!("{story}: killed in {killed} calls, {failed} of these ended as before");
    }
}
