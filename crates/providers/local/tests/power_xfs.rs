//! The power goes on a real XFS: a process is killed before every change to the folder, the file
//! system is shut down before it can flush anything, and mounted again.
//!
//! `lab/reflink-fs.sh up DIR` mounts it, with `STILLPOINT_LAB=DIR`.

mod bed;
mod victim;

use std::path::{Path, PathBuf};
use std::process::{Command, Output as Ran};

use rustix::fs::{CWD, Mode, OFlags, openat, syncfs};
use stillpoint_local::failpoint;
use tempfile::TempDir;
use victim::{LARGE, OPERATIONS, copy_of, one_truth, shape, text, tried_at, world_of};

const FAIL: &str = "STILLPOINT_LOCAL_FAIL";
const VICTIM: &str = "STILLPOINT_LOCAL_VICTIM";

/// Not a test: what the other one starts and kills.
#[tokio::test]
async fn started_by_the_other() {
    let Ok(name) = std::env::var(VICTIM) else {
        return;
    };
    let (name, folder) = name.split_once(' ').unwrap();
    victim::victim(Path::new(folder), name).await;
    println!("\npassed {}", failpoint::passed());
}

fn run(folder: &Path, name: &str, fail: Option<String>) -> Ran {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["started_by_the_other", "--exact", "--nocapture", "--quiet"])
        .env(VICTIM, format!("{name} {}", folder.display()))
        .env_remove(FAIL);
    if let Some(fail) = fail {
        command.env(FAIL, fail);
    }
    command.output().unwrap()
}

#[tokio::test]
#[ignore = "needs root: shuts an XFS of lab/reflink-fs.sh down; .ci/run runs it"]
async fn the_power_takes_nothing_that_was_acknowledged() {
    let lab = PathBuf::from(std::env::var_os("STILLPOINT_LAB").expect("the lab's folder"));
    let place = lab.join("power");
    let mut cuts = 0;
    for name in OPERATIONS.into_iter().chain([LARGE]) {
        let bed = world_of(name, &place).await;
        let before = shape(bed.path());
        let whole = copy_of(&bed, &place);
        let ran = run(whole.path(), name, None);
        let points = points(&ran);
        let after = shape(whole.path());
        // At the last, nothing is killed any more, and all is acknowledged.
        let mut tried = tried_at(name, points);
        tried.push(points + 1);
        let folders: Vec<TempDir> = tried.iter().map(|_| copy_of(&bed, &place)).collect();
        let top = openat(CWD, &place, OFlags::RDONLY, Mode::empty()).unwrap();
        syncfs(&top).unwrap();
        drop(top);
        for (at, folder) in tried.into_iter().zip(folders) {
            let ran = run(folder.path(), name, Some(format!("kill:{at}")));
            assert_eq!(ran.status.success(), at > points, "{}", text(&ran));
            cut(&lab);
            cuts += 1;
            let case = format!("{name}, the power gone at {at} of {points}");
            let done = one_truth(&case, folder.path(), name, &before, &after).await;
            assert!(done || at <= points, "{case}: it was acknowledged");
        }
    }
    println!("{} operations, {cuts} power cuts", OPERATIONS.len() + 1);
    assert!(cuts > 150, "far fewer points than there are: {cuts}");
}

fn points(ran: &Ran) -> usize {
    let text = text(ran);
    let passed = text.lines().find_map(|line| line.strip_prefix("passed "));
    passed.expect(&text).trim().parse().unwrap()
}

/// Off, without a last flush, and on again.
fn cut(lab: &Path) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("lab/reflink-fs.sh");
    for verb in ["off", "on"] {
        let ran = Command::new("sh").arg(&script).arg(verb).arg(lab).output();
        let ran = ran.unwrap();
        assert!(ran.status.success(), "{verb}: {}", text(&ran));
    }
}
