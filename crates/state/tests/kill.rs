//! A process that commits is killed with SIGKILL, again and again, on one file: everything that it
//! acknowledged is there, and nothing by half.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use stillpoint_core::ErrorKind;
use stillpoint_state::Redb;
use stillpoint_state::conformance::durability::{self, Acknowledged};

const FILE: &str = "STILLPOINT_STATE_KILL_TEST";
const ROUNDS: usize = 12;

/// Not a test: what the other one starts and kills.
#[tokio::test]
async fn child() {
    let Some(path) = std::env::var_os(FILE) else {
        return;
    };
    let state = Arc::new(Redb::open_or_create(path).unwrap());
    let failed = durability::commit_until_killed(state, |acknowledged| {
        // One write of a whole line, so that lines of several callers do not mix.
        let line = format!("{acknowledged}\n");
        std::io::stdout().lock().write_all(line.as_bytes()).unwrap();
    })
    .await;
    panic!("{failed:?}");
}

#[tokio::test]
async fn what_was_acknowledged_survives_sigkill() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.redb");
    let mut acknowledged = Vec::new();
    for round in 0..ROUNDS {
        // From the very beginning, when the file is made, to well into the work.
        let before_the_kill = [0, 1, 2, 7, 40, 100][round % 6] + round;
        acknowledged.extend(commit_and_kill(&path, before_the_kill, round));
        if !path.exists() {
            assert!(acknowledged.is_empty());
            continue;
        }
        let read_only = Redb::open_read_only(&path).unwrap();
        durability::check(&read_only, &acknowledged).await.unwrap();
        drop(read_only);
        let state = Redb::open(&path).unwrap();
        let there = durability::check(&state, &acknowledged).await.unwrap();
        println!(
            "round {round}: {} acknowledged, {there} there",
            acknowledged.len()
        );
        assert!(there >= acknowledged.len());
    }
    assert!(acknowledged.len() > 300, "{}", acknowledged.len());
}

/// Kills the child after so many acknowledgements, and returns all that came out of it.
fn commit_and_kill(path: &Path, after: usize, round: usize) -> Vec<Acknowledged> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["child", "--exact", "--nocapture", "--quiet"])
        .env(FILE, path)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut acknowledged = Vec::new();
    while acknowledged.len() < after {
        let line = lines.next().expect("the child ended by itself").unwrap();
        acknowledged.extend(line.parse::<Acknowledged>());
    }
    if round == ROUNDS - 1 {
        // Meanwhile nobody else opens it, and is told who has it.
        let busy = Redb::open(path).unwrap_err();
        assert_eq!(busy.kind(), ErrorKind::Busy);
        let who = format!("another process (pid {})", child.id());
        assert!(busy.to_string().contains(&who), "{busy}");
        let busy = Redb::open_read_only(path).unwrap_err();
        assert_eq!(busy.kind(), ErrorKind::Busy);
        assert!(busy.to_string().contains(&who), "{busy}");
    }
    child.kill().unwrap();
    child.wait().unwrap();
    // What it had written to the pipe was acknowledged, too. A line may be cut.
    acknowledged.extend(lines.filter_map(|line| line.ok()?.parse::<Acknowledged>().ok()));
    acknowledged
}
