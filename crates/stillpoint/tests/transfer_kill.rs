//! Killed with -9 before and after every write to the state, before and after every operation of
//! the provider, and before every access to bytes: of an export, and of an import and a restore
//! of it where nothing was known before. Then started again, and asked the same: one archive, one
//! restored instance, its bytes equal, and nothing left over.
//!
//! Each run is this same program started again with a story to tell. By default every seventh
//! point is tried, and with `STILLPOINT_KILL_EVERY=1` each. With the feature `s3` and the address
//! of a server in `STILLPOINT_S3`, the depot is a bucket there, else a folder.

mod bed;

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bed::{Bed, Found, WEB, Watcher, digest, watched_builder};
use rustix::process::{Signal, getpid, kill_process};
use serde::{Deserialize, Serialize};
use stillpoint::archives::depot::Depot;
use stillpoint::{Builder, Result, SnapshotId, SnapshotState, Stillpoint};
use stillpoint_archive::{Archive, Assurance, VerifyLevel, Watch, verify};

const KILL_AT: &str = "STILLPOINT_KILL_AT";
const EVERY: &str = "STILLPOINT_KILL_EVERY";
const EVERY_BY_DEFAULT: usize = 7;
const SIGKILL: i32 = 9;

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Story {
    /// An archive is imported and restored, where nothing is known.
    Back { depot: bool },
    /// A snapshot is exported.
    Out { depot: bool },
}

/// What a story is about, as it was found when it began.
#[derive(Clone, Debug, Deserialize, Serialize)]
struct Ids {
    snapshot: SnapshotId,
    archive: Option<String>,
    /// Where in the bucket the archive is; none: wherever this run puts its own.
    prefix: Option<String>,
}

impl Story {
    const ALL: [Self; 4] = [
        Self::Out { depot: false },
        Self::Out { depot: true },
        Self::Back { depot: false },
        Self::Back { depot: true },
    ];

    fn named(name: &str) -> Self {
        let named = |story: &Self| format!("{story:?}") == name;
        Self::ALL.into_iter().find(named).unwrap()
    }

    /// What is asked, and would be asked again by whoever starts anew.
    async fn tell(self, dir: &Path, ids: &Ids, still: &Stillpoint) -> Result<()> {
        match self {
            Self::Back { .. } => {
                let archive = ids.archive.as_ref().unwrap();
                still.import(archive).once("import").await?;
                let restore = still.restore_from(archive).to_new("web-2");
                restore.once("restore").await.map(drop)
            }
            Self::Out { depot } => {
                let export = still.export(ids.snapshot).once("export");
                let export = match depot {
                    true => export.to("depot:offsite"),
                    false => export.to(dir.join("backup")),
                };
                export.await.map(drop)
            }
        }
    }
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        [_, "victim", dir, story] => {
            runtime().block_on(victim(Path::new(dir), Story::named(story)))
        }
        // `cargo test -- --list` and the like are for the harness that this is not.
        _ if words.contains(&"--list") => ExitCode::SUCCESS,
        _ => {
            all();
            ExitCode::SUCCESS
        }
    }
}

fn all() {
    let start = Instant::now();
    for story in Story::ALL {
        let setting = runtime().block_on(Setting::of(story));
        let kills = setting.kill_everywhere();
        let took = start.elapsed().as_secs();
        println!(
            "{story:?}: killed at {kills} of {} points, {took} s",
            setting.moments
        );
        assert!(kills > 0);
    }
}

/// Asks for the story, waits for its end, and says how many moments there were.
async fn victim(dir: &Path, story: Story) -> ExitCode {
    let at: usize = std::env::var(KILL_AT).map_or(0, |at| at.parse().unwrap());
    let moments = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&moments);
    let watcher = Watcher::new(move |_| {
        if counted.fetch_add(1, Ordering::SeqCst) + 1 == at {
            kill_process(getpid(), Signal::KILL).unwrap();
            unreachable!("SIGKILL cannot be survived");
        }
    });
    let ids: Ids = serde_json::from_slice(&fs::read(dir.join("ids.json")).unwrap()).unwrap();
    let builder = watched_builder(dir, &watcher.with_bytes()).unwrap();
    let still = depot(builder, dir, ids.prefix.as_deref()).build().unwrap();
    let driving = tokio::spawn(still.run());
    let told = tokio::time::timeout(Duration::from_secs(120), story.tell(dir, &ids, &still)).await;
    still.shutdown(Duration::from_secs(5)).await;
    driving.await.unwrap().unwrap();
    println!("moments {}", moments.load(Ordering::SeqCst));
    match told {
        Ok(Ok(())) => ExitCode::SUCCESS,
        Ok(Err(error)) => {
            println!("{error}");
            ExitCode::FAILURE
        }
        Err(_) => {
            println!("it did not end");
            ExitCode::FAILURE
        }
    }
}

/// A story ready to be told any number of times, and what it comes to when nobody disturbs it.
struct Setting {
    story: Story,
    bed: Bed,
    /// The volumes' digests when the snapshot was taken.
    original: [String; 2],
    moments: usize,
}

impl Setting {
    async fn of(story: Story) -> Self {
        let bed = Bed::new_in(&place()).await;
        let original = bed.volumes();
        fs::create_dir(bed.path().join("backup")).unwrap();
        let still = bed.start_with(|builder| depot(builder, bed.path(), None));
        let snapshot = still.snapshot(WEB).named("before").await.unwrap().id;
        let mut ids = Ids {
            snapshot,
            archive: None,
            prefix: None,
        };
        if let Story::Back { depot } = story {
            let shelf = match depot {
                true => "depot:offsite".to_owned(),
                false => bed.path().join("backup").display().to_string(),
            };
            let exported = still.export(snapshot).to(shelf).await.unwrap();
            let there = bed.path().display().to_string();
            // Each run has a copy of the folder.
            ids.archive = Some(exported.archive.replace(&there, "@"));
            ids.prefix = Some(prefix(bed.path()));
        }
        still.shutdown(Duration::from_secs(5)).await;
        drop(still);
        tokio::task::yield_now().await;
        if matches!(story, Story::Back { .. }) {
            // The machine is lost: its disks, their snapshots, and all that was known of them.
            fs::remove_dir_all(bed.folder()).unwrap();
            fs::create_dir(bed.folder()).unwrap();
            fs::remove_file(bed.state_file()).unwrap();
        }
        fs::write(
            bed.path().join("ids.json"),
            serde_json::to_vec(&ids).unwrap(),
        )
        .unwrap();
        let mut setting = Self {
            story,
            bed,
            original,
            moments: 0,
        };
        let whole = setting.copy();
        let ran = run(whole.path(), story, None);
        assert!(ran.good, "undisturbed: {}", ran.text);
        let moments = ran
            .text
            .lines()
            .find_map(|line| line.strip_prefix("moments "));
        setting.moments = moments.unwrap().parse().unwrap();
        setting.check(&whole, "undisturbed").await;
        setting
    }

    /// Another machine in the same state.
    fn copy(&self) -> Bed {
        let bed = self.bed.copy_in(&place());
        let ids = bed.path().join("ids.json");
        let text = fs::read_to_string(&ids).unwrap();
        fs::write(ids, text.replace('@', &bed.path().display().to_string())).unwrap();
        bed
    }

    fn kill_everywhere(&self) -> usize {
        let mut kills = 0;
        for at in (every().div_ceil(2)..).step_by(every()) {
            let bed = self.copy();
            let what = format!("{:?}, killed at {at} of {}", self.story, self.moments);
            let ran = run(bed.path(), self.story, Some(at));
            assert!(ran.killed || ran.good, "{what}: {}", ran.text);
            if !ran.killed {
                break;
            }
            let ran = run(bed.path(), self.story, None);
            assert!(ran.good, "{what}, then started again: {}", ran.text);
            runtime().block_on(self.check(&bed, &what));
            kills += 1;
        }
        kills
    }

    /// One outcome, nothing left over, nothing twice, and the bytes as they should be.
    async fn check(&self, bed: &Bed, what: &str) {
        let found = bed.found().await;
        for job in &found.jobs {
            assert!(job.is_over() && job.is_good(), "{what}: {job:#?}");
        }
        found.check_state(what);
        assert_eq!(names(&bed.path().join("staging")), [""; 0], "{what}");
        let [snapshot] = found.snapshots.as_slice() else {
            panic!("{what}: {:#?}", found.snapshots);
        };
        assert_eq!(snapshot.exports.len(), 1, "{what}: {snapshot:#?}");
        match self.story {
            Story::Back { .. } => self.check_back(bed, &found, what),
            Story::Out { depot } => {
                assert_eq!(found.jobs.len(), 2, "{what}: one job for one key");
                found.check_files(what);
                let archive = &snapshot.exports[0].archive;
                match depot {
                    true => check_depot(bed.path(), archive, what).await,
                    false => check_backup(bed.path(), archive, what),
                }
            }
        }
    }

    fn check_back(&self, bed: &Bed, found: &Found, what: &str) {
        assert_eq!(found.jobs.len(), 2, "{what}: one job for one key");
        assert_eq!(found.snapshots[0].state, SnapshotState::Archived, "{what}");
        let made = ["web-2-root", "web-2-data"];
        let restored = made.map(|name| digest(&bed.file(name)));
        assert_eq!(restored, self.original, "{what}");
        let volumes: Vec<String> = names(&bed.folder())
            .into_iter()
            .filter(|name| !name.starts_with('.'))
            .collect();
        assert_eq!(volumes, ["web-2-data", "web-2-root"], "{what}");
        let records: Vec<_> = found
            .files
            .keys()
            .filter(|it| it.ends_with(".json"))
            .collect();
        assert_eq!(
            records.len(),
            3,
            "{what}: an instance and its volumes: {records:?}"
        );
    }
}

/// The folder has that archive and nothing else.
fn check_backup(dir: &Path, archive: &str, what: &str) {
    let path = PathBuf::from(archive.strip_prefix("file:").unwrap());
    let there = names(&dir.join("backup"));
    assert_eq!(
        there,
        [path.file_name().unwrap().to_str().unwrap()],
        "{what}"
    );
    let opened = Archive::open(&path).unwrap();
    let report = verify(&opened, VerifyLevel::Full, &Watch::none()).unwrap();
    assert_eq!(report.assurance, Assurance::Verified, "{what}");
}

/// The depot has that archive and nothing else.
async fn check_depot(dir: &Path, archive: &str, what: &str) {
    let id = archive.strip_prefix("depot:offsite/").unwrap();
    let depot = open_depot(dir, &prefix(dir));
    let there = depot.list().await.unwrap();
    let (good, bad) = (there.archives.len(), there.refused.len());
    assert_eq!((good, bad), (1, 0), "{what}: {there:?}");
    let report = depot.verify(id).await.unwrap();
    assert_eq!(report.assurance, Assurance::Verified, "{what}");
}

fn depot(builder: Builder, dir: &Path, at: Option<&str>) -> Builder {
    let staging = dir.join("staging");
    fs::create_dir_all(&staging).unwrap();
    let depot = open_depot(dir, at.unwrap_or(&prefix(dir)));
    builder.depot("offsite", depot, staging)
}

/// Where a run has its own archives.
fn prefix(dir: &Path) -> String {
    if s3().is_none() {
        return "archives".to_owned();
    }
    let name = dir.file_name().unwrap().to_str().unwrap();
    name.trim_start_matches('.').to_owned()
}

fn open_depot(dir: &Path, prefix: &str) -> Depot {
    #[cfg(feature = "s3")]
    if let Some(address) = s3() {
        let bucket = object_store::aws::AmazonS3Builder::new()
            .with_endpoint(address)
            .with_allow_http(true)
            .with_bucket_name("stillpoint")
            .with_region("us-east-1")
            .with_access_key_id("test")
            .with_secret_access_key("test");
        let store = stillpoint::archives::depot::s3(bucket).unwrap();
        return Depot::multipart(Arc::new(store), prefix).unwrap();
    }
    Depot::folder(dir.join("store"), prefix).unwrap()
}

fn s3() -> Option<String> {
    let address = std::env::var("STILLPOINT_S3").ok()?;
    if !cfg!(feature = "s3") {
        panic!("run it with the feature s3");
    }
    Some(address)
}

struct Ran {
    killed: bool,
    good: bool,
    text: String,
}

fn run(dir: &Path, story: Story, kill: Option<usize>) -> Ran {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.arg("victim").arg(dir).arg(format!("{story:?}"));
    match kill {
        Some(at) => command.env(KILL_AT, at.to_string()),
        None => command.env_remove(KILL_AT),
    };
    let ran = command.output().unwrap();
    let text = [ran.stdout, ran.stderr].map(|it| String::from_utf8_lossy(&it).into_owned());
    Ran {
        killed: ran.status.signal() == Some(SIGKILL),
        good: ran.status.success(),
        text: text.concat(),
    }
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

fn every() -> usize {
    std::env::var(EVERY).map_or(EVERY_BY_DEFAULT, |every| {
        every.parse().expect("a number of points")
    })
}

fn place() -> PathBuf {
    let memory = PathBuf::from("/dev/shm");
    if memory.is_dir() {
        memory
    } else {
        std::env::temp_dir()
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
}
