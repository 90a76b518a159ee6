//! Killed with -9 before and after every write to the state, of a capture and of a restore, with a
//! real PostgreSQL. Then `psql` looks: each database is as before or as the snapshot, never between.
//! Then it is started again, and goes on; or is stopped, and is as before unless it was past the
//! point of no return. Nothing is locked then, and nothing is left over. And once more with a stop
//! at each of these points instead.
//!
//! Each run is this same program started again. It needs PostgreSQL 15 and root, as `postgres.rs`
//! does, and so is ignored unless it is asked for. `STILLPOINT_KILL_EVERY` says at which points: 1 is
//! each, and the default.

#[path = "../bed/mod.rs"]
mod bed;
mod victim;

use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::Instant;

use bed::{Postgres, SECRETS, content, leftovers};
use stillpoint_manager::Server;
use stillpoint_restore::Outcome;

use crate::victim::victim;

const KILL_AT: &str = "STILLPOINT_KILL_AT";
const STOP_AT: &str = "STILLPOINT_STOP_AT";
const EVERY: &str = "STILLPOINT_KILL_EVERY";
const SIGKILL: i32 = 9;

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Story {
    Capture,
    Restore,
}

/// What becomes of it at a moment.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum End {
    Killed,
    Stopped,
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
        _ if words.contains(&"--list") => {
            println!("{NAMED}: test");
            ExitCode::SUCCESS
        }
        _ if words.contains(&"--ignored") || words.contains(&"--include-ignored") => {
            let every = std::env::var(EVERY).map_or(1, |it| it.parse().expect("a number"));
            all(every);
            println!("test {NAMED} ... ok");
            ExitCode::SUCCESS
        }
        _ => {
            println!("test {NAMED} ... ignored, needs PostgreSQL 15 and root: .ci/run has both");
            ExitCode::SUCCESS
        }
    }
}

/// What it is called where tests are listed.
const NAMED: &str = "killed_and_stopped_everywhere";

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
    let fresh = Setting::fresh(&lived);
    for setting in [&lived, &fresh] {
        setting.kill_everywhere(every);
        setting.stop_everywhere(every);
    }
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
        let folder = tempfile::tempdir().unwrap();
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
            let ran = go("go", Some((End::Killed, at)));
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
            self.postgres.remove(&database);
            (kills, back, at) = (kills + 1, back + usize::from(!completed), at + every);
        }
        assert!(kills > 0);
        let took = start.elapsed().as_secs();
        println!(
            "{:?}: killed at {kills} points up to {at}, {back} of them then stopped and as before, {took} s",
            self.story
        );
    }

    /// Stopped before its point of no return it is as before; after that it goes on.
    fn stop_everywhere(&self, every: usize) {
        let start = Instant::now();
        let (mut taken, mut refused, mut at) = (0, 0, 1);
        loop {
            let (folder, database) = self.copy(&format!("stop{at}"));
            let what = format!("{:?}, stopped at {at}", self.story);
            let asked = Some((End::Stopped, at));
            let (at_folder, postgres) = (folder.path(), self.postgres);
            let ran = run(self.story, "go", at_folder, postgres, &database, asked);
            assert!(ran.good, "{what}: {}", ran.text);
            let moments = ran.text.lines().find_map(|it| it.strip_prefix("moments "));
            if moments.unwrap().parse::<usize>().unwrap() < at {
                break;
            }
            let server = self.postgres.server(&database);
            let outcome = |it: &Outcome| ran.text.contains(&format!("outcome {it}"));
            let completed = outcome(&Outcome::Completed);
            let stopped = ran.text.contains("stop taken");
            assert!(completed != stopped, "{what}: {}", ran.text);
            let wanted = if completed { &self.after } else { &self.before };
            let found = content(&server, folder.path());
            assert!(found == *wanted, "{what}: {}\nfinds\n{found}", ran.text);
            assert!(
                !folder.path().join("locked").exists(),
                "{what}: it is locked"
            );
            let left = leftovers(&server, folder.path());
            let kept = completed && self.story == Story::Restore;
            assert!(kept || left.is_empty(), "{what}: {left:?}");
            self.check_archives(folder.path(), completed, &format!("{what}: {}", ran.text));
            self.postgres.remove(&database);
            (taken, refused, at) = (
                taken + usize::from(stopped),
                refused + usize::from(!stopped),
                at + every,
            );
        }
        assert!(taken > 0);
        let took = start.elapsed().as_secs();
        println!(
            "{:?}: stopped at {taken} points and as before, {refused} more were over or past the point of no return, {took} s",
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
    let folder = tempfile::tempdir().unwrap();
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
    at: Option<(End, usize)>,
) -> Ran {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["victim", &format!("{story:?}"), end])
        .arg(folder)
        .arg(postgres.socket())
        .arg(database);
    command.env_remove(KILL_AT).env_remove(STOP_AT);
    match at {
        Some((End::Killed, at)) => command.env(KILL_AT, at.to_string()),
        Some((End::Stopped, at)) => command.env(STOP_AT, at.to_string()),
        None => &mut command,
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
