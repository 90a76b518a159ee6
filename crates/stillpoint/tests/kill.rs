//! Killed with -9 before and after every write to the state, before and after every call that
//! changes something outside, before every change of the provider to its folder, and again while
//! it recovers. Then started again, and the same is asked again: one outcome, one job, nothing
//! left over, and bytes as they should be.
//!
//! Each run is this same program started again with a story to tell. All is in memory where there
//! is such a folder: a killed process loses nothing that a disk would have kept. Around writes and
//! calls it is killed at every point; inside of effects at every eighth, and a second time at
//! fewer. With `STILLPOINT_KILL_EVERY=1` it is at every point inside too, and on the disk.

mod bed;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bed::{Bed, Found, VOLUMES, WEB, Watcher, digest, folder, watched};
use rustix::process::{Signal, getpid, kill_process};
use serde::{Deserialize, Serialize};
use stillpoint::local::failpoint;
use stillpoint::{JobHandle, JobId, Result, SnapshotId, Stillpoint};

/// At which of the watched moments the process kills itself.
const KILL_AT: &str = "STILLPOINT_KILL_AT";
/// At which change to the folder the provider does.
const FAIL: &str = "STILLPOINT_LOCAL_FAIL";
const EVERY: &str = "STILLPOINT_KILL_EVERY";
const EVERY_BY_DEFAULT: usize = 8;
const ONCE: &str = "the story";
const SIGKILL: i32 = 9;

fn main() -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    let arguments: Vec<String> = std::env::args().collect();
    match arguments
        .iter()
        .map(String::as_str)
        .collect::<Vec<_>>()
        .as_slice()
    {
        [_, "victim", dir, story] => runtime.block_on(victim(Path::new(dir), Story::named(story))),
        // `cargo test -- --list` and the like are for the harness that this is not.
        _ if arguments.iter().any(|argument| argument == "--list") => ExitCode::SUCCESS,
        _ => {
            all();
            ExitCode::SUCCESS
        }
    }
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Story {
    Accept,
    Delete,
    Image,
    InPlace,
    New,
    Take,
    Template,
    Undo,
}

/// What a story is about, as it was found when it began.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
struct Ids {
    before: Option<SnapshotId>,
    restore: Option<JobId>,
}

impl Story {
    const ALL: [Self; 8] = [
        Self::Accept,
        Self::Delete,
        Self::Image,
        Self::InPlace,
        Self::New,
        Self::Take,
        Self::Template,
        Self::Undo,
    ];

    fn named(name: &str) -> Self {
        Self::ALL
            .into_iter()
            .find(|story| format!("{story:?}") == name)
            .unwrap()
    }

    /// What is asked, and would be asked again by whoever starts anew.
    async fn ask(self, still: &Stillpoint, ids: Ids) -> Result<JobHandle> {
        let before = || ids.before.expect("the story has a snapshot");
        let restore = || ids.restore.expect("the story has a restore");
        match self {
            Self::Accept => still.accept(restore()).once(ONCE).start().await,
            Self::Delete => still.delete(before()).once(ONCE).start().await,
            Self::Image => {
                still
                    .snapshot(WEB)
                    .named("before")
                    .as_image()
                    .once(ONCE)
                    .start()
                    .await
            }
            Self::InPlace => still.restore(before()).once(ONCE).start().await,
            Self::New => {
                still
                    .restore(before())
                    .to_new("copy")
                    .once(ONCE)
                    .start()
                    .await
            }
            Self::Take => still.snapshot(WEB).named("before").once(ONCE).start().await,
            Self::Template => {
                still
                    .restore(before())
                    .disks(["root"])
                    .as_template("golden")
                    .once(ONCE)
                    .start()
                    .await
            }
            Self::Undo => still.undo(restore()).once(ONCE).start().await,
        }
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
    let told = tell(dir, story, &watcher).await;
    println!(
        "moments {}, changes {}",
        moments.load(Ordering::SeqCst),
        failpoint::passed()
    );
    match told {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("{error}");
            ExitCode::FAILURE
        }
    }
}

async fn tell(dir: &Path, story: Story, watcher: &Watcher) -> Result<(), String> {
    let ids = serde_json::from_slice(&fs::read(dir.join("ids.json")).unwrap()).unwrap();
    let still = watched(dir, watcher).map_err(|error| error.to_string())?;
    let driving = tokio::spawn(still.run());
    let job = story
        .ask(&still, ids)
        .await
        .map_err(|error| error.to_string())?;
    let ended = tokio::time::timeout(Duration::from_secs(60), job.clone().into_future()).await;
    let tree = job.tree().await.unwrap_or_default();
    still.shutdown(Duration::from_secs(5)).await;
    driving.await.unwrap().map_err(|error| error.to_string())?;
    match ended {
        Err(_) => Err(format!("it did not end in a minute:\n{tree}")),
        Ok(Err(error)) => Err(format!("{error}\n{tree}")),
        Ok(Ok(_)) => Ok(()),
    }
}

/// A story ready to be told any number of times, and what it comes to when nobody disturbs it.
struct Setting {
    story: Story,
    bed: Bed,
    /// The volumes' digests when the snapshot was taken, and after that.
    original: [String; 2],
    damaged: [String; 2],
    jobs: usize,
    shape: BTreeMap<String, usize>,
}

impl Setting {
    async fn of(story: Story) -> Self {
        let bed = Bed::new_in(&place()).await;
        let original = bed.volumes();
        let mut ids = Ids {
            before: None,
            restore: None,
        };
        let still = bed.start();
        if !matches!(story, Story::Image | Story::Take) {
            ids.before = Some(still.snapshot(WEB).named("before").await.unwrap().id);
            bed.damage();
        }
        let damaged = bed.volumes();
        if matches!(story, Story::Accept | Story::Undo) {
            ids.restore = Some(still.restore(ids.before.unwrap()).await.unwrap().id);
        }
        still.shutdown(Duration::from_secs(5)).await;
        drop(still);
        fs::write(
            bed.path().join("ids.json"),
            serde_json::to_vec(&ids).unwrap(),
        )
        .unwrap();
        tokio::task::yield_now().await;

        let whole = bed.copy_in(&place());
        run(whole.path(), story, None).expect_done("undisturbed");
        let mut setting = Self {
            story,
            original,
            damaged,
            jobs: bed.found().await.jobs.len(),
            shape: BTreeMap::new(),
            bed,
        };
        let found = whole.found().await;
        setting.shape = found.shape();
        setting.check(whole.path(), &found, "undisturbed");
        setting
    }

    /// One outcome, nothing left over, nothing twice, and the bytes as they should be.
    fn check(&self, dir: &Path, found: &Found, what: &str) {
        assert_eq!(
            found.jobs.len(),
            self.jobs + 1,
            "{what}: one job for one key"
        );
        for job in &found.jobs {
            assert!(job.is_over() && job.is_good(), "{what}: {job:#?}");
        }
        found.check_files(what);
        found.check_state(what);
        assert_eq!(found.shape(), self.shape, "{what}: keys of the state");
        let names: Vec<&str> = found.snapshots.iter().map(|it| &*it.name).collect();
        let kept = found
            .snapshots
            .iter()
            .filter(|it| it.name == "before")
            .count();
        assert_eq!(
            kept,
            usize::from(self.story != Story::Delete),
            "{what}: {names:?}"
        );
        assert_eq!(
            names.len() - kept,
            usize::from(self.story == Story::InPlace),
            "{what}: {names:?}"
        );

        let now = VOLUMES.map(|(name, _)| digest(&folder(dir).join(name)));
        match self.story {
            Story::Accept | Story::Image | Story::InPlace | Story::Take => {
                assert_eq!(now, self.original, "{what}");
            }
            Story::Delete | Story::New | Story::Template | Story::Undo => {
                assert_eq!(now, self.damaged, "{what}");
            }
        }
        for snapshot in &found.snapshots {
            let held = if snapshot.name == "before" {
                &self.original
            } else {
                &self.damaged
            };
            assert!(snapshot.verified.is_some(), "{what}: {snapshot:#?}");
            for part in &snapshot.parts {
                let (kind, id) = (part.snapshot.kind(), part.snapshot.id());
                let digest = &found.files[&format!(".stillpoint/{kind}s/{id}.raw")];
                let disk = VOLUMES
                    .iter()
                    .position(|(name, _)| part.volume.id() == *name)
                    .unwrap();
                assert_eq!(*digest, held[disk], "{what}: {snapshot:#?}");
            }
        }
        let made: BTreeMap<&str, usize> = match self.story {
            Story::New => [("copy-root", 0), ("copy-data", 1)].into(),
            Story::Template => [(".stillpoint/images/golden.raw", 0)].into(),
            _ => BTreeMap::new(),
        };
        for (name, disk) in made {
            assert_eq!(found.files[name], self.original[disk], "{what}: {name}");
        }
    }

    /// Kills it at one point after the other until it ends by itself.
    fn kill_everywhere(
        &self,
        Round {
            point,
            every,
            twice,
        }: Round,
    ) -> usize {
        let mut kills = 0;
        let first = every.div_ceil(2);
        for at in (first..).step_by(every) {
            let mut again = (first..).step_by(every);
            loop {
                let bed = self.bed.copy_in(&place());
                let mut what = format!("{:?}, killed at {point:?} {at}", self.story);
                if !run(bed.path(), self.story, Some((point, at))).was_killed(&what) {
                    return kills;
                }
                let second = if twice { again.next() } else { None };
                if let Some(at) = second {
                    what = format!("{what} and at {point:?} {at} of its recovery");
                    if !run(bed.path(), self.story, Some((point, at))).was_killed(&what) {
                        break;
                    }
                }
                run(bed.path(), self.story, None).expect_done(&what);
                let found = runtime().block_on(bed.found());
                self.check(bed.path(), &found, &what);
                kills += 1;
                if !twice {
                    break;
                }
            }
        }
        unreachable!("no story is without end")
    }
}

/// A way of killing a story again and again.
#[derive(Clone, Copy, Debug)]
struct Round {
    point: Point,
    /// From one point to the next.
    every: usize,
    /// Whether what recovers is killed too, at points as far from each other.
    twice: bool,
}

/// Where a process is killed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Point {
    /// Before or after a write to the state, or a call that changes something.
    Moment,
    /// Before a change that the provider makes to its folder.
    Change,
}

struct Ran {
    killed: bool,
    good: bool,
    text: String,
}

impl Ran {
    fn expect_done(&self, what: &str) {
        assert!(self.good, "{what}, then started again: {}", self.text);
    }

    /// Whether it was killed; else it must have come to its end.
    fn was_killed(&self, what: &str) -> bool {
        assert!(self.killed || self.good, "{what}: {}", self.text);
        self.killed
    }
}

fn run(dir: &Path, story: Story, kill: Option<(Point, usize)>) -> Ran {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.arg("victim").arg(dir).arg(format!("{story:?}"));
    command.env_remove(KILL_AT).env_remove(FAIL);
    match kill {
        Some((Point::Change, at)) => command.env(FAIL, format!("kill:{at}")),
        Some((Point::Moment, at)) => command.env(KILL_AT, at.to_string()),
        None => &mut command,
    };
    let ran = command.output().unwrap();
    let text = format!(
        "{}{}",
        String::from_utf8_lossy(&ran.stdout),
        String::from_utf8_lossy(&ran.stderr)
    );
    Ran {
        killed: ran.status.signal() == Some(SIGKILL),
        good: ran.status.success(),
        text,
    }
}

fn every() -> usize {
    std::env::var(EVERY).map_or(EVERY_BY_DEFAULT, |every| {
        every.parse().expect("a number of points")
    })
}

fn place() -> PathBuf {
    let memory = PathBuf::from("/dev/shm");
    if memory.is_dir() && every() > 1 {
        memory
    } else {
        std::env::temp_dir()
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap()
}

fn all() {
    let start = Instant::now();
    let settings = Story::ALL.map(|story| runtime().block_on(Setting::of(story)));
    let every = every();
    let mut rounds = Vec::new();
    for setting in &settings {
        rounds.push((
            setting,
            Round {
                point: Point::Moment,
                every: 1,
                twice: false,
            },
        ));
        rounds.push((
            setting,
            Round {
                point: Point::Change,
                every,
                twice: false,
            },
        ));
        rounds.push((
            setting,
            Round {
                point: Point::Moment,
                every: 3 * every,
                twice: true,
            },
        ));
        rounds.push((
            setting,
            Round {
                point: Point::Change,
                every: 3 * every,
                twice: true,
            },
        ));
    }
    let next = AtomicUsize::new(0);
    let kills = Mutex::new(BTreeMap::<String, [usize; 3]>::new());
    let work = || {
        while let Some(&(setting, round)) = rounds.get(next.fetch_add(1, Ordering::SeqCst)) {
            let tried = setting.kill_everywhere(round);
            let column = if round.twice { 2 } else { round.point as usize };
            kills
                .lock()
                .unwrap()
                .entry(format!("{:?}", setting.story))
                .or_default()[column] += tried;
        }
    };
    let workers = std::thread::available_parallelism().map_or(2, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(work);
        }
    });
    let kills = kills.into_inner().unwrap();
    let mut total = [0; 3];
    for (story, tried) in &kills {
        println!("{story}: {tried:?}");
        for (total, tried) in total.iter_mut().zip(tried) {
            *total += tried;
        }
    }
    let [moments, changes, again] = total;
    println!(
        "{} kill points: {moments} around writes and calls, {changes} inside of effects, \
         {again} twice; {:?}",
        moments + changes + again,
        start.elapsed()
    );
    assert!(
        moments > 200 && changes > 40 && again > 20,
        "far fewer points than there are"
    );
}
