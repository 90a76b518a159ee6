//! A process commits on a real XFS whose power goes meanwhile: everything that it acknowledged is
//! there, and nothing by half.
//!
//! `crates/providers/local/lab/reflink-fs.sh up DIR` mounts it, with `STILLPOINT_LAB=DIR`.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use stillpoint_state::Redb;
use stillpoint_state::conformance::durability::{self, Acknowledged};
use tokio::sync::Mutex;

const FILE: &str = "STILLPOINT_STATE_POWER_TEST";
/// There is one file system whose power goes, so one test at a time.
static POWER: Mutex<()> = Mutex::const_new(());

/// Makes a state and no more.
const IDLE: &str = "STILLPOINT_STATE_POWER_TEST_IDLE";
const THERE: &str = "there";
const ROUNDS: usize = 40;

/// Not a test: what the other one starts.
#[tokio::test]
async fn started_by_the_other() {
    let Some(path) = std::env::var_os(FILE) else {
        return;
    };
    if std::env::var_os(IDLE).is_some() {
        let _state = Redb::create(path).unwrap();
        println!("{THERE}");
        return std::future::pending().await;
    }
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
#[ignore = "needs root: shuts an XFS of reflink-fs.sh down; .ci/run runs it"]
async fn what_was_acknowledged_survives_the_power() {
    let _alone = POWER.lock().await;
    let lab = PathBuf::from(std::env::var_os("STILLPOINT_LAB").expect("the lab's folder"));
    let (mut acknowledged, mut there) = (0, 0);
    for round in 0..ROUNDS {
        // A new one for most, so that what makes it must survive too; and one that goes on.
        let path = match round % 4 {
            3 => lab.join("power/state.redb"),
            _ => lab.join(format!("power/state-{round}.redb")),
        };
        let before = if path.exists() {
            let state = Redb::open_read_only(&path).unwrap();
            durability::check(&state, &[]).await.unwrap()
        } else {
            0
        };
        let told = commit_and_cut(&lab, &path, round / 2);
        acknowledged += told.len();
        if !path.exists() {
            assert!(told.is_empty(), "round {round}: {} are gone", told.len());
            continue;
        }
        let state = Redb::open(&path).unwrap();
        let found = durability::check(&state, &told).await;
        let found = found.unwrap_or_else(|lost| panic!("round {round}: {lost:?}"));
        assert!(found >= before + told.len(), "round {round}");
        there += found - before;
    }
    println!("{ROUNDS} power cuts: {acknowledged} acknowledged, {there} there");
    assert!(acknowledged > ROUNDS * ROUNDS / 4);
}

/// Nothing but the making of a state flushes anything here: no commit that would hide what it
/// leaves out.
#[test]
#[ignore = "needs root: shuts an XFS of reflink-fs.sh down; .ci/run runs it"]
fn a_state_that_was_made_survives_the_power() {
    let _alone = POWER.blocking_lock();
    let lab = PathBuf::from(std::env::var_os("STILLPOINT_LAB").expect("the lab's folder"));
    for round in 0..ROUNDS / 4 {
        let path = lab.join(format!("power/new-{round}.redb"));
        let mut child = start(&path, &[(IDLE, "1")]);
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        lines
            .find(|line| line.as_ref().is_ok_and(|line| line == THERE))
            .expect("it is made")
            .unwrap();
        power(&lab, "off");
        child.kill().unwrap();
        child.wait().unwrap();
        power(&lab, "on");
        Redb::open(&path).unwrap_or_else(|lost| panic!("round {round}: {lost:?}"));
    }
}

/// Cuts the power after so many acknowledgements, and returns all that came out of it.
fn commit_and_cut(lab: &Path, path: &Path, after: usize) -> Vec<Acknowledged> {
    let mut child = start(path, &[]);
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut acknowledged = Vec::new();
    while acknowledged.len() < after {
        let line = lines.next().expect("the child ended by itself").unwrap();
        acknowledged.extend(line.parse::<Acknowledged>());
    }
    stop(child.id());
    power(lab, "off");
    child.kill().unwrap();
    // All that it has said, it had said before.
    let rest = lines.map_while(Result::ok);
    acknowledged.extend(rest.filter_map(|line| line.parse::<Acknowledged>().ok()));
    child.wait().unwrap();
    power(lab, "on");
    acknowledged
}

fn start(path: &Path, settings: &[(&str, &str)]) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["started_by_the_other", "--exact", "--nocapture", "--quiet"])
        .env(FILE, path)
        .envs(settings.iter().copied())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// Returns once no thread of it says anything more: it is stopped, or will be when the kernel has
/// answered it. A file system that is shut down answers an fsync that it did not carry out.
fn stop(pid: u32) {
    let pid = pid.to_string();
    let stopped = Command::new("kill").args(["-STOP", &pid]).status();
    assert!(stopped.unwrap().success());
    let is_still = |task: &Path| {
        let stat = std::fs::read_to_string(task.join("stat")).unwrap_or_default();
        let state = stat.rsplit(") ").next().unwrap_or_default().chars().next();
        matches!(state, Some('D' | 'T'))
    };
    let tasks = || std::fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    while !tasks().all(|task| is_still(&task.unwrap().path())) {
        std::thread::yield_now();
    }
}

fn power(lab: &Path, verb: &str) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../providers/local/lab/reflink-fs.sh");
    let ran = Command::new("sh").arg(script).arg(verb).arg(lab).output();
    let ran = ran.unwrap();
    assert!(ran.status.success(), "{verb}: {ran:?}");
}
