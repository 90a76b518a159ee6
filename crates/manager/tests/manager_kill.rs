//! Killed with -9 before and after every write to the state, of a capture and of a restore, with a
//! real PostgreSQL. Then `psql` looks: each database is as before or as the snapshot, never between.
//! Then it is started again, and goes on; or is stopped, and is as before unless it was past the
//! point of no return. Nothing is locked then, and nothing is left over.
//!
//! Each run is this same program started again. It needs PostgreSQL 15 and root, as `postgres.rs`
//! does, and so does nothing unless `STILLPOINT_KILL_EVERY` says at which points: 1 is each.

mod bed;

use std::fmt;
use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bed::{Postgres, SECRETS, builder, content, leftovers};
use rustix::process::{Signal, getpid, kill_process};
use stillpoint_core::{Error, ErrorKind, Result};
use stillpoint_engine::{Engine, Job, JobQuery, Request};
use stillpoint_manager::{Component, Dump, NAME, RestoreManager, SecretKey, Server, Site, Stage};
use stillpoint_restore::Outcome;
use stillpoint_state::{Batch, Committed, Entry, Redb, Revision, Scan, State};

const KILL_AT: &str = "STILLPOINT_KILL_AT";
const EVERY: &str = "STILLPOINT_KILL_EVERY";
const SIGKILL: i32 = 9;

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Story {
    Capture,
    Restore,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        [_, "victim", story, end, folder, socket, database] => {
            let story = if *story == "Capture" {
                Story::Capture
            } else {
                Story::Restore
            };
            let server =
                Server::new(*socket, "control", *database).password(SECRETS[0].to_owned().into());
            runtime().block_on(victim(story, *end == "stop", Path::new(folder), server))
        }
        _ if words.contains(&"--list") => ExitCode::SUCCESS,
        _ => match std::env::var(EVERY) {
            Ok(every) => {
                all(every.parse().expect("a number of points"));
                ExitCode::SUCCESS
            }
            Err(_) => {
                println!("set {EVERY} to have it killed, with PostgreSQL 15 and as root");
                ExitCode::SUCCESS
            }
        },
    }
}

/// Held beyond the death of a process: a file with the holder in it.
#[derive(Debug)]
struct LockFile(PathBuf);

impl Component for LockFile {
    fn dump(&self, _: &mut Dump<'_, '_>) -> Result<()> {
        Ok(())
    }

    fn stage(&self, _: &Stage<'_>) -> Result<()> {
        Ok(())
    }

    fn cut_over(&self, _: &Site) -> Result<()> {
        Ok(())
    }

    fn lock(&self, holder: &str) -> Result<()> {
        match fs::read_to_string(&self.0) {
            Ok(other) if other != holder => Err(Error::new(ErrorKind::Busy, "locked by another")),
            _ => fs::write(&self.0, holder)
                .map_err(|source| Error::new(ErrorKind::Unavailable, source.to_string())),
        }
    }

    fn unlock(&self, holder: &str) -> Result<()> {
        if fs::read_to_string(&self.0).is_ok_and(|it| it == holder) {
            fs::remove_file(&self.0).unwrap();
        }
        Ok(())
    }
}

/// Counts its commits, and dies before or after one of them.
#[derive(Debug)]
struct Watched {
    inner: Redb,
    moments: AtomicUsize,
    at: usize,
}

impl Watched {
    fn moment(&self) {
        if self.moments.fetch_add(1, Ordering::SeqCst) + 1 == self.at {
            kill_process(getpid(), Signal::KILL).unwrap();
            unreachable!("SIGKILL cannot be survived");
        }
    }
}

impl fmt::Display for Watched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

#[async_trait]
impl State for Watched {
    async fn get(&self, key: &str) -> Result<Option<Entry>> {
        self.inner.get(key).await
    }

    async fn scan(&self, from: &str, to: &str) -> Result<Scan> {
        self.inner.scan(from, to).await
    }

    async fn commit(&self, batch: Batch) -> Result<Committed> {
        self.moment();
        let committed = self.inner.commit(batch).await;
        self.moment();
        committed
    }

    async fn changed(&self, prefix: &str, since: Revision) -> Result<()> {
        self.inner.changed(prefix, since).await
    }
}

/// Asks for the story, or stops it where it was begun, and says how it ended.
async fn victim(story: Story, stop: bool, folder: &Path, server: Server) -> ExitCode {
    let state = Arc::new(Watched {
        inner: Redb::open_or_create(folder.join("state.redb")).unwrap(),
        moments: AtomicUsize::new(0),
        at: std::env::var(KILL_AT).map_or(0, |at| at.parse().unwrap()),
    });
    let shared: Arc<dyn State> = Arc::clone(&state) as Arc<dyn State>;
    let engine = Engine::builder(Arc::clone(&shared));
    let manager = builder(
        &server,
        folder,
        &folder.join("archives"),
        &key(folder),
        "7.1.0",
    )
    .component("lock", LockFile(folder.join("locked")));
    let (engine, _) = manager.register(shared, engine).unwrap();
    let engine = engine.build().unwrap();
    let driving = tokio::spawn(engine.run());
    let told = tokio::time::timeout(Duration::from_secs(60), tell(story, stop, &engine)).await;
    engine.shutdown(Duration::from_secs(5)).await;
    driving.await.unwrap().unwrap();
    println!("moments {}", state.moments.load(Ordering::SeqCst));
    match told {
        Ok(Ok(job)) => {
            println!("outcome {}", job.outcome.unwrap());
            ExitCode::SUCCESS
        }
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

async fn tell(story: Story, stop: bool, engine: &Engine) -> Result<Job> {
    let request = match story {
        Story::Capture => Request::Capture {
            executor: NAME.to_owned(),
            name: "monday".to_owned(),
            schedule: None,
        },
        Story::Restore => RestoreManager::of("monday").request(),
    };
    let begun = engine
        .jobs(&JobQuery {
            unfinished: true,
            ..JobQuery::default()
        })
        .await?;
    let id = match begun.first() {
        Some(job) if stop => {
            match engine.stop(job.id).await {
                // Past the point of no return it only goes on.
                Err(error) if error.kind() == ErrorKind::Precondition => {}
                stopped => stopped?,
            }
            job.id
        }
        _ => engine.start_once(&request, "story").await?,
    };
    engine.wait(id).await
}

/// A story ready to be told any number of times.
struct Setting<'a> {
    story: Story,
    postgres: &'a Postgres,
    folder: tempfile::TempDir,
    /// The database that each run has a copy of.
    base: String,
    before: String,
    after: String,
}

fn all(every: usize) {
    let postgres = Postgres::start();
    let lived = Setting::lived(&postgres);
    lived.kill_everywhere(every);
    Setting::fresh(&lived).kill_everywhere(every);
}

impl<'a> Setting<'a> {
    /// A manager that was in use, and is to be captured.
    fn lived(postgres: &'a Postgres) -> Self {
        let folder = empty();
        let server = postgres.create("lived");
        server.transaction(bed::LIVED).unwrap();
        fs::write(folder.path().join("plugins/one"), "one").unwrap();
        fs::write(folder.path().join("keys/agent"), SECRETS[2]).unwrap();
        let before = content(&server, folder.path());
        Self {
            story: Story::Capture,
            postgres,
            folder,
            base: "lived".to_owned(),
            after: before.clone(),
            before,
        }
    }

    /// A fresh one, with an archive of the other in its depot, and nothing known of it.
    fn fresh(lived: &Self) -> Self {
        let (folder, database) = lived.copy("source");
        let ran = run(
            Story::Capture,
            "go",
            folder.path(),
            lived.postgres,
            &database,
            None,
        );
        assert!(ran.good, "{}", ran.text);
        let fresh = empty();
        for name in ["archives", "key"] {
            copy(&folder.path().join(name), &fresh.path().join(name));
        }
        let server = lived.postgres.create("fresh");
        Self {
            story: Story::Restore,
            postgres: lived.postgres,
            before: content(&server, fresh.path()),
            after: lived.after.clone(),
            folder: fresh,
            base: "fresh".to_owned(),
        }
    }

    /// Another machine in the same state.
    fn copy(&self, name: &str) -> (tempfile::TempDir, String) {
        let folder = tempfile::tempdir_in("/tmp").unwrap();
        for entry in fs::read_dir(self.folder.path()).unwrap() {
            let entry = entry.unwrap();
            copy(&entry.path(), &folder.path().join(entry.file_name()));
        }
        let database = format!("{}_{name}", self.base.chars().rev().collect::<String>());
        self.postgres.copy(&self.base, &database);
        (folder, database)
    }

    fn kill_everywhere(&self, every: usize) {
        let start = Instant::now();
        let (mut kills, mut back, mut at) = (0, 0, every.div_ceil(2).max(1));
        loop {
            let (folder, database) = self.copy(&format!("at{at}"));
            let go = |end, kill| {
                run(
                    self.story,
                    end,
                    folder.path(),
                    self.postgres,
                    &database,
                    kill,
                )
            };
            let what = format!("{:?}, killed at {at}", self.story);
            let ran = go("go", Some(at));
            assert!(ran.killed || ran.good, "{what}: {}", ran.text);
            if !ran.killed {
                break;
            }
            let server = self.postgres.server(&database);
            // It may still be on its way to its new name: a late effect of the dead.
            let found = tables(&server);
            let [before, after] = [&self.before, &self.after].map(|it| rows_of(it));
            assert!(
                found == before || found == after,
                "{what}: psql finds\n{found}"
            );
            let end = if kills % 3 == 2 { "stop" } else { "go" };
            let ran = go(end, None);
            assert!(ran.good, "{what}, then {end}: {}", ran.text);
            let found = content(&server, folder.path());
            let completed = ran
                .text
                .contains(&format!("outcome {}", Outcome::Completed));
            let wanted = if completed { &self.after } else { &self.before };
            assert!(
                found == *wanted,
                "{what}, then {end}: {}\nfinds\n{found}",
                ran.text
            );
            assert!(completed || end == "stop", "{what}: {}", ran.text);
            assert!(
                !folder.path().join("locked").exists(),
                "{what}: it is locked"
            );
            let left = leftovers(&server, folder.path());
            let kept = completed && self.story == Story::Restore;
            assert!(kept || left.is_empty(), "{what}, then {end}: {left:?}");
            assert!(
                !left.iter().any(|it| it.contains("_new_")),
                "{what}, then {end}: {left:?}"
            );
            let what = format!("{what}, then {end}: {}", ran.text);
            self.check_archives(folder.path(), completed, &what);
            (kills, back, at) = (kills + 1, back + usize::from(!completed), at + every);
        }
        assert!(kills > 0);
        let took = start.elapsed().as_secs();
        println!(
            "{:?}: killed at {kills} points up to {at}, {back} of them then stopped and as before, {took} s",
            self.story
        );
    }

    fn check_archives(&self, folder: &Path, completed: bool, what: &str) {
        let archives = fs::read_dir(folder.join("archives/archives"));
        let mut names: Vec<String> = archives
            .into_iter()
            .flatten()
            .map(|it| it.unwrap().file_name().into_string().unwrap())
            .collect();
        // A store of files keeps the folder of what was deleted.
        let archive = |it: &str| {
            folder
                .join("archives/archives")
                .join(it)
                .join("archive.zip")
        };
        names.retain(|it| !it.starts_with("before-restore") && archive(it).exists());
        let wanted: &[&str] = match (self.story, completed) {
            (Story::Capture, false) => &[],
            _ => &["monday"],
        };
        assert_eq!(names, wanted, "{what}");
    }
}

/// What the text of a manager says of its database alone.
fn rows_of(content: &str) -> String {
    content
        .rsplit_once("\n--\n")
        .map_or(content, |it| it.0)
        .to_owned()
}

/// What the database of a manager holds, once nobody changes its name any more.
fn tables(server: &Server) -> String {
    let nowhere = tempfile::tempdir().unwrap();
    fs::create_dir(nowhere.path().join("plugins")).unwrap();
    rows_of(&content(server, nowhere.path()))
}

fn empty() -> tempfile::TempDir {
    let folder = tempfile::tempdir_in("/tmp").unwrap();
    for name in ["archives", "plugins", "keys", "staging"] {
        fs::create_dir(folder.path().join(name)).unwrap();
    }
    folder
}

/// Copies a file or a folder, times and all.
fn copy(from: &Path, to: &Path) {
    let about = fs::metadata(from).unwrap();
    if about.is_dir() {
        fs::create_dir_all(to).unwrap();
        for entry in fs::read_dir(from).unwrap() {
            let entry = entry.unwrap();
            copy(&entry.path(), &to.join(entry.file_name()));
        }
    } else {
        fs::copy(from, to).unwrap();
    }
    let times = fs::FileTimes::new().set_modified(about.modified().unwrap());
    fs::File::open(to).unwrap().set_times(times).unwrap();
}

fn key(folder: &Path) -> SecretKey {
    use secrecy::ExposeSecret as _;
    let path = folder.join("key");
    if let Ok(text) = fs::read_to_string(&path) {
        return text.parse().unwrap();
    }
    let key = SecretKey::generate();
    fs::write(path, key.danger_to_text().expose_secret()).unwrap();
    key
}

struct Ran {
    killed: bool,
    good: bool,
    text: String,
}

fn run(
    story: Story,
    end: &str,
    folder: &Path,
    postgres: &Postgres,
    database: &str,
    kill: Option<usize>,
) -> Ran {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["victim", &format!("{story:?}"), end])
        .arg(folder)
        .arg(postgres.socket())
        .arg(database);
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

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap()
}
