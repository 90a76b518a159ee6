//! A process that has frozen an instance is killed with SIGKILL: who was armed before the freeze
//! thaws it, and of the snapshot nothing is left.

mod bed;

use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bed::{Bed, create_instance, drive, instance, key, take, volume};
use stillpoint_core::{Consistency, ResourceRef, Result};
use stillpoint_iaas::{Observation, Operation, Provider, TakeSnapshot};
use stillpoint_local::{Freezer, LocalProvider, Thaws, failpoint};

const FOLDER: &str = "STILLPOINT_LOCAL_FREEZE_TEST";

/// Longer than it takes to be killed.
const AT_MOST: Duration = Duration::from_secs(2);

/// An instance that is frozen while there is a file, and a process for each freeze that removes
/// it in time.
#[derive(Debug)]
struct ByFile(PathBuf);

impl Freezer for ByFile {
    fn consistency(&self) -> Consistency {
        Consistency::Filesystem
    }

    fn freezes(&self, _instance: &ResourceRef) -> bool {
        true
    }

    #[expect(clippy::zombie_processes, reason = "it is to outlive this process")]
    fn arm(&self, _instance: &ResourceRef, at_most: Duration) -> Result<Thaws> {
        let watchdog = Command::new("sh")
            .args(["-c", "sleep \"$1\"; rm -f \"$2\"", "sh"])
            .arg(at_most.as_secs().to_string())
            .arg(&self.0)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // What is sent to our group does not reach it.
            .process_group(0)
            .spawn()
            .unwrap();
        Ok(Thaws::Watchdog { pid: watchdog.id() })
    }

    fn freeze(&self, _instance: &ResourceRef, _at_most: Duration) -> Result<()> {
        std::fs::write(&self.0, "").unwrap();
        Ok(())
    }

    fn thaw(&self, _instance: &ResourceRef) -> Result<()> {
        let _ = std::fs::remove_file(&self.0);
        Ok(())
    }
}

fn quiesced() -> Operation {
    Operation::Snapshot(TakeSnapshot {
        quiesce: Some(AT_MOST),
        ..take(&instance("web"), &[&volume("root.raw")])
    })
}

fn frozen(folder: &Path) -> PathBuf {
    folder.join(".frozen")
}

/// Not a test: what the other one starts and kills.
#[tokio::test]
async fn started_by_the_other() {
    let Some(folder) = std::env::var_os(FOLDER).map(PathBuf::from) else {
        return;
    };
    let hooks = Arc::new(ByFile(frozen(&folder)));
    let provider = LocalProvider::open_with_freezer("here", &folder, hooks).unwrap();
    let web = create_instance("web", &[&volume("root.raw")]);
    drive(&provider, "web", &web).await.unwrap();
    let _held = failpoint::hold_copies();
    provider.submit(&key("take"), &quiesced()).await.unwrap();
    while !frozen(&folder).exists() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    println!("\nfrozen");
    std::future::pending::<()>().await;
}

#[tokio::test]
async fn a_killed_process_leaves_nothing_frozen() {
    let bed = Bed::new();
    bed.volume("root.raw", 8192, 1);
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["started_by_the_other", "--exact", "--nocapture", "--quiet"])
        .env(FOLDER, bed.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap() == "frozen"));
    let since = Instant::now();
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(
        frozen(bed.path()).exists(),
        "nobody is left but the watchdog"
    );
    while frozen(bed.path()).exists() {
        assert!(since.elapsed() < 20 * AT_MOST, "it stays frozen");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let provider = bed.open();
    let seen = provider.observe(&key("take"), &quiesced(), None).await;
    assert!(matches!(seen, Ok(Observation::Absent)), "{seen:?}");
    let staged = bed.file(".stillpoint/staged");
    assert_eq!(std::fs::read_dir(staged).unwrap().count(), 0);
}
