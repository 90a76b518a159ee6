//! Managers without a database: files, agents, locks and records.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use object_store::local::LocalFileSystem;
use stillpoint_core::{Error, ErrorKind, Result};
use stillpoint_engine::{Engine, Job, Request, ScheduleSpec, Subject, TokioClock};
use stillpoint_manager::depot::Depot;
use stillpoint_manager::{
    Agent, Agents, Archives, Component, Copying, Dump, Files, Link, Manager, ManagerBuilder, NAME,
    Record, RecordState, RestoreManager, SecretKey, SettleManager, Site, Stage,
};
use stillpoint_restore::Outcome;
use stillpoint_state::{Memory, Redb, State};
use tempfile::TempDir;

struct Plain {
    folder: TempDir,
    engine: Engine,
    archives: Archives,
}

impl Plain {
    /// A manager with a folder `files`, whatever else is said, and the archives there.
    fn new(
        archives: &Path,
        key: &SecretKey,
        more: impl FnOnce(ManagerBuilder) -> ManagerBuilder,
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("files")).unwrap();
        Self::within(folder, archives, key, Arc::new(Memory::new()), more)
    }

    fn within(
        folder: TempDir,
        archives: &Path,
        key: &SecretKey,
        state: Arc<dyn State>,
        more: impl FnOnce(ManagerBuilder) -> ManagerBuilder,
    ) -> Self {
        fs::create_dir(folder.path().join("staging")).unwrap();
        let store = LocalFileSystem::new_with_prefix(archives).unwrap();
        let depot = Depot::new(Arc::new(store), "archives").unwrap();
        let files = Files::new(folder.path().join("files")).copying(Copying::Before);
        let builder = Manager::builder("Plain", "1")
            .component("files", files)
            .depot(depot, folder.path().join("staging"))
            .seal_for(key.public())
            .identity(key.clone());
        let engine = Engine::builder(Arc::clone(&state));
        let (engine, archives) = more(builder).register(state, engine).unwrap();
        let engine = engine.build().unwrap();
        tokio::spawn(engine.run());
        Self {
            folder,
            engine,
            archives,
        }
    }

    fn files(&self) -> std::path::PathBuf {
        self.folder.path().join("files")
    }

    async fn capture(&self, name: &str) -> Result<Job> {
        let request = Request::Capture {
            executor: NAME.to_owned(),
            name: name.to_owned(),
            schedule: None,
        };
        self.run(&request).await?.into_result()
    }

    async fn restore(&self, archive: &str) -> Result<Job> {
        self.run(&RestoreManager::of(archive).request()).await
    }

    async fn run(&self, request: &Request) -> Result<Job> {
        let plan = self.engine.plan(request).await?;
        let id = self.engine.start(&plan).await?;
        self.engine.wait(id).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn files_come_back_with_modes_times_links_and_holes() {
    let (archives, key) = (tempfile::tempdir().unwrap(), SecretKey::generate());
    let first = Plain::new(archives.path(), &key, |it| it);
    let files = first.files();
    fs::create_dir_all(files.join("deep/empty")).unwrap();
    fs::write(files.join("deep/run"), "#!/bin/sh\n").unwrap();
    fs::set_permissions(files.join("deep/run"), fs::Permissions::from_mode(0o750)).unwrap();
    fs::set_permissions(files.join("deep/empty"), fs::Permissions::from_mode(0o500)).unwrap();
    symlink("deep/run", files.join("run")).unwrap();
    symlink("../deep", files.join("deep/again")).unwrap();
    let sparse = fs::File::create(files.join("sparse")).unwrap();
    sparse.set_len(1 << 30).unwrap();
    let old = SystemTime::UNIX_EPOCH + Duration::new(499_137_600, 123_456_789);
    let times = fs::FileTimes::new().set_modified(old);
    fs::File::open(files.join("deep"))
        .unwrap()
        .set_times(times)
        .unwrap();
    fs::File::open(files.join("deep/run"))
        .unwrap()
        .set_times(times)
        .unwrap();
    first.capture("one").await.unwrap();

    let second = Plain::new(archives.path(), &key, |it| it);
    let job = second.restore("one").await.unwrap();
    assert_eq!(job.outcome, Some(Outcome::Completed), "{:?}", job.error);
    let files = second.files();
    let about = |name: &str| fs::symlink_metadata(files.join(name)).unwrap();
    assert_eq!(about("deep/run").mode() & 0o7777, 0o750);
    assert_eq!(about("deep/empty").mode() & 0o7777, 0o500);
    for name in ["deep", "deep/run"] {
        let found = about(name);
        assert_eq!(
            (found.mtime(), found.mtime_nsec()),
            (499_137_600, 123_456_789),
            "{name}"
        );
    }
    assert_eq!(
        fs::read_link(files.join("run")).unwrap(),
        Path::new("deep/run")
    );
    assert_eq!(
        fs::read_link(files.join("deep/again")).unwrap(),
        Path::new("../deep")
    );
    assert_eq!(about("sparse").len(), 1 << 30);
    assert!(about("sparse").blocks() < 64, "it is no longer sparse");

    symlink("/etc/passwd", first.files().join("out")).unwrap();
    let error = first.capture("two").await.unwrap_err();
    assert!(
        error.to_string().contains("leads out of its folder"),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_state_in_a_folder_that_is_restored_is_refused() {
    let (archives, key) = (tempfile::tempdir().unwrap(), SecretKey::generate());
    Plain::new(archives.path(), &key, |it| it)
        .capture("one")
        .await
        .unwrap();
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("files")).unwrap();
    let state = Redb::open_or_create(folder.path().join("files/state.redb")).unwrap();
    let second = Plain::within(folder, archives.path(), &key, Arc::new(state), |it| it);
    let error = second.restore("one").await.unwrap_err();
    assert!(
        error
            .to_string()
            .contains("component files holds Stillpoint's own state"),
        "{error}"
    );
}

/// Agents that note who they belong to.
#[derive(Clone, Debug, Default)]
struct Fleet {
    endpoints: Arc<Mutex<Vec<(String, String)>>>,
    own: String,
    deaf: Option<&'static str>,
}

impl Link for Fleet {
    fn agents(&self) -> Result<Vec<Agent>> {
        let all = self.endpoints.lock().unwrap();
        let agent = |(id, at): &(String, String)| Agent {
            id: id.clone(),
            endpoint: at.as_str().into(),
        };
        Ok(all.iter().map(agent).collect())
    }

    fn verify(&self, agent: &Agent) -> Result<()> {
        let all = self.endpoints.lock().unwrap();
        let there = all
            .iter()
            .any(|(id, at)| *id == agent.id && agent.endpoint == at.as_str());
        match there && self.deaf != Some(&agent.id) {
            true => Ok(()),
            false => Err(Error::new(ErrorKind::Unavailable, "no answer")),
        }
    }

    fn switch(&self, agent: &Agent) -> Result<Agent> {
        let endpoint = self.own.as_str().into();
        let switched = Agent {
            endpoint,
            ..agent.clone()
        };
        self.switch_back(&switched)?;
        Ok(switched)
    }

    fn switch_back(&self, agent: &Agent) -> Result<()> {
        let mut all = self.endpoints.lock().unwrap();
        let found = all.iter_mut().find(|(id, _)| *id == agent.id).unwrap();
        found.1 = agent.endpoint.as_str().unwrap().to_owned();
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn agents_find_the_restored_manager_and_the_old_one_after_an_undo() {
    let (archives, key) = (tempfile::tempdir().unwrap(), SecretKey::generate());
    let fleet = Fleet::default();
    let old = |id: &str| (id.to_owned(), "old".to_owned());
    *fleet.endpoints.lock().unwrap() = vec![old("a"), old("b"), old("c")];
    let with = |own: &str, deaf| {
        let fleet = Fleet {
            own: own.to_owned(),
            deaf,
            ..fleet.clone()
        };
        Plain::new(archives.path(), &key, |it| {
            it.component("agents", Agents::new(fleet).after(["files"]))
        })
    };
    with("old", None).capture("one").await.unwrap();
    let endpoints = || {
        let all = fleet.endpoints.lock().unwrap();
        all.iter().map(|(_, at)| at.clone()).collect::<Vec<_>>()
    };

    let second = with("new", None);
    let restored = second.restore("one").await.unwrap();
    assert_eq!(
        restored.outcome,
        Some(Outcome::Completed),
        "{:?}",
        restored.error
    );
    assert_eq!(endpoints(), ["new", "new", "new"]);
    let undo = SettleManager {
        restore: restored.id,
        undo: true,
    };
    second
        .run(&undo.request())
        .await
        .unwrap()
        .into_result()
        .unwrap();
    assert_eq!(endpoints(), ["old", "old", "old"]);

    let third = with("newer", Some("b"));
    let restored = third.restore("one").await.unwrap();
    assert!(
        matches!(restored.outcome, Some(Outcome::PartiallyFailed { .. })),
        "{restored:?}"
    );
    assert_eq!(
        endpoints(),
        ["newer", "old", "newer"],
        "one that is deaf keeps no other from it"
    );
}

/// Notes who is locked, and when.
#[derive(Debug)]
struct Noted {
    name: &'static str,
    needs: Vec<String>,
    fails: bool,
    said: Arc<Mutex<Vec<String>>>,
}

impl Component for Noted {
    fn dump(&self, _: &mut Dump<'_, '_>) -> Result<()> {
        Ok(())
    }

    fn stage(&self, _: &Stage<'_>) -> Result<()> {
        Ok(())
    }

    fn cut_over(&self, _: &Site) -> Result<()> {
        Ok(())
    }

    fn depends_on(&self) -> &[String] {
        &self.needs
    }

    fn lock(&self, _: &str) -> Result<()> {
        self.said
            .lock()
            .unwrap()
            .push(format!("lock {}", self.name));
        match self.fails {
            true => Err(Error::new(ErrorKind::Busy, "it is in use")),
            false => Ok(()),
        }
    }

    fn unlock(&self, _: &str) -> Result<()> {
        self.said
            .lock()
            .unwrap()
            .push(format!("unlock {}", self.name));
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn locks_are_taken_in_levels_and_given_back_in_reverse() {
    let (archives, key) = (tempfile::tempdir().unwrap(), SecretKey::generate());
    let good = [
        "lock db",
        "lock api",
        "lock web",
        "unlock web",
        "unlock api",
        "unlock db",
    ];
    // What comes after one that cannot be locked is not even tried.
    let stopped = [
        "lock db",
        "lock api",
        "unlock api",
        "unlock web",
        "unlock db",
    ];
    for (fails, wanted) in [("", &good[..]), ("api", &stopped)] {
        let said = Arc::new(Mutex::new(Vec::new()));
        let noted = |name, needs: &[&str]| Noted {
            name,
            needs: needs.iter().map(|it| (*it).to_owned()).collect(),
            fails: fails == name,
            said: Arc::clone(&said),
        };
        let bed = Plain::new(archives.path(), &key, |it| {
            it.component("web", noted("web", &["api"]))
                .component("api", noted("api", &["db"]))
                .component("db", noted("db", &["files"]))
        });
        let captured = bed.capture(&format!("fails-{fails}")).await;
        assert_eq!(captured.is_err(), !fails.is_empty());
        let mut said = said.lock().unwrap().clone();
        // Unlocking is asked for more often than locking; what counts comes after the first lock.
        let first = said.iter().position(|it| it.starts_with("lock")).unwrap();
        said.drain(..first);
        let mut once: Vec<String> = Vec::new();
        for word in said {
            if !once.contains(&word) {
                once.push(word);
            }
        }
        assert_eq!(once, wanted);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn records_say_where_an_archive_stands() {
    let (archives, key) = (tempfile::tempdir().unwrap(), SecretKey::generate());
    let bed = Plain::new(archives.path(), &key, |it| it);
    bed.capture("one").await.unwrap();
    let records = bed.archives.records();
    let way = bed.folder.path().join("way.zip");
    bed.archives.download("one", &way).await.unwrap();

    // An id is never given to other content.
    let taken = bed.archives.upload("one", &way, "me").await.unwrap_err();
    assert_eq!(taken.kind(), ErrorKind::Conflict);
    let other = tempfile::tempdir().unwrap();
    let second = Plain::new(other.path(), &key, |it| it);
    let uploaded = second.archives.upload("two", &way, "me").await.unwrap();
    assert_eq!(uploaded.state, RecordState::Uploaded);
    let job = second.restore("two").await.unwrap();
    assert_eq!(job.outcome, Some(Outcome::Completed), "{:?}", job.error);

    // One whose maker is gone is found.
    let now = bed.engine.now();
    let lost = Record::new(
        "lost",
        RecordState::Creating,
        "gone",
        now - Duration::from_secs(3600),
    );
    records.begin(lost).await.unwrap();
    let busy = Record::new("busy", RecordState::Uploading, "here", now);
    records.begin(busy).await.unwrap();
    assert_eq!(records.sweep(now).await.unwrap(), ["lost"]);
    assert_eq!(
        records.get("lost").await.unwrap().state,
        RecordState::Failed
    );
    for id in ["lost", "busy"] {
        let path = bed.folder.path().join(id);
        let error = bed.archives.download(id, &path).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Precondition, "{error}");
        let error = bed.restore(id).await.unwrap_err();
        assert!(
            matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Precondition),
            "{error}"
        );
    }
    assert_eq!(
        bed.archives.delete("busy").await.unwrap_err().kind(),
        ErrorKind::Busy
    );

    // No way leads back.
    let error = records
        .advance("one", RecordState::Creating, |_| {})
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Precondition, "{error}");

    // What is damaged is said to be, and stays so.
    let path = archives.path().join("archives/one/archive.zip");
    let mut bytes = fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&path, bytes).unwrap();
    let error = bed
        .archives
        .download("one", &bed.folder.path().join("again"))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
    assert_eq!(
        records.get("one").await.unwrap().state,
        RecordState::Corrupt
    );
    bed.archives.delete("one").await.unwrap();
    assert_eq!(
        records.get("one").await.unwrap_err().kind(),
        ErrorKind::NotFound
    );
}

#[test]
fn what_makes_no_sense_is_refused_by_the_builder() {
    let state: Arc<dyn State> = Arc::new(Memory::new());
    let (folder, key) = (tempfile::tempdir().unwrap(), SecretKey::generate());
    let refused = |builder: ManagerBuilder| {
        let engine = Engine::builder(Arc::clone(&state));
        builder
            .register(Arc::clone(&state), engine)
            .unwrap_err()
            .to_string()
    };
    let with = |name: &str| {
        let store = LocalFileSystem::new_with_prefix(folder.path()).unwrap();
        Manager::builder("Plain", "1")
            .component(name, Files::new(folder.path()))
            .depot(Depot::new(Arc::new(store), "a").unwrap(), folder.path())
    };
    assert!(refused(with("files")).contains("what becomes of secrets"));
    assert!(refused(with("../files").seal_for(key.public())).contains("no name"));
    let twice = with("files").component("files", Files::new("/"));
    assert!(refused(twice.danger_secrets_in_clear()).contains("two components"));
    let both = with("files")
        .seal_for(key.public())
        .danger_secrets_in_clear();
    assert!(refused(both).contains("not both"));
    assert!(refused(Manager::builder("Plain", "1")).contains("without components"));
}

/// A file system of so many KiB, for as long as this lives.
struct Small(TempDir);

impl Small {
    fn new(kib: u32) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mount = std::process::Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={kib}k"), "tmpfs"])
            .arg(folder.path())
            .status();
        assert!(mount.unwrap().success(), "it needs root");
        Self(folder)
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount")
            .arg("-l")
            .arg(self.0.path())
            .status();
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "mounts small file systems, and so needs root: .ci/run is"]
async fn a_full_disk_leaves_all_as_it_was() {
    let (archives, key) = (tempfile::tempdir().unwrap(), SecretKey::generate());
    let noise: Vec<u8> = std::iter::repeat_with(|| fastrand::u8(..))
        .take(3 << 20)
        .collect();
    let names = |folder: &Path| {
        let found = fs::read_dir(folder)
            .unwrap()
            .map(|it| it.unwrap().file_name());
        found
            .map(|it| it.into_string().unwrap())
            .collect::<Vec<_>>()
    };

    let good = Plain::new(archives.path(), &key, |it| it);
    fs::write(good.files().join("noise"), &noise).unwrap();
    good.capture("one").await.unwrap();

    // No room for what is captured.
    let small = Small::new(2048);
    let bed = Plain::new(archives.path(), &key, |it| {
        let store = LocalFileSystem::new_with_prefix(archives.path()).unwrap();
        it.depot(
            Depot::new(Arc::new(store), "archives").unwrap(),
            small.0.path(),
        )
    });
    fs::write(bed.files().join("noise"), &noise).unwrap();
    let error = bed.capture("two").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Quota, "{error}");
    assert_eq!(names(small.0.path()), [""; 0]);
    let record = bed.archives.records().get("two").await.unwrap();
    assert_eq!(record.state, RecordState::Failed);
    // Nor for what is fetched: that is known before.
    let error = bed.restore("one").await.unwrap_err();
    assert!(error.to_string().contains("has room for"), "{error}");

    // No room beside what is there.
    let small = Small::new(2048);
    let target = Plain::new(archives.path(), &key, |it| {
        fs::create_dir(small.0.path().join("files")).unwrap();
        it.component("small", Files::new(small.0.path().join("files")))
    });
    fs::write(small.0.path().join("files/there"), "as it was").unwrap();
    let source = Plain::new(archives.path(), &key, |it| {
        let folder = tempfile::tempdir().unwrap().keep();
        fs::write(folder.join("noise"), &noise).unwrap();
        it.component("small", Files::new(folder))
    });
    source.capture("three").await.unwrap();
    let job = target.restore("three").await.unwrap();
    let error = job.into_result().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Quota, "{error}");
    assert_eq!(names(small.0.path()), ["files"]);
    assert_eq!(names(&small.0.path().join("files")), ["there"]);
}

#[tokio::test(start_paused = true)]
async fn a_schedule_captures_the_manager_and_keeps_some() {
    let (archives, key) = (tempfile::tempdir().unwrap(), SecretKey::generate());
    let folder = tempfile::tempdir().unwrap();
    for name in ["files", "staging"] {
        fs::create_dir(folder.path().join(name)).unwrap();
    }
    let clock = Arc::new(TokioClock::starting_at(
        "2026-03-01T12:00:00Z".parse().unwrap(),
    ));
    let store = LocalFileSystem::new_with_prefix(archives.path()).unwrap();
    let state: Arc<dyn State> = Arc::new(Memory::new());
    let (engine, archives) = Manager::builder("Plain", "1")
        .component("files", Files::new(folder.path().join("files")))
        .depot(
            Depot::new(Arc::new(store), "archives").unwrap(),
            folder.path().join("staging"),
        )
        .seal_for(key.public())
        .clock(Arc::clone(&clock) as Arc<dyn stillpoint_engine::Clock>)
        .register(Arc::clone(&state), Engine::builder(state))
        .unwrap();
    let engine = engine.clock(clock).build().unwrap();
    tokio::spawn(engine.run());
    let cron = stillpoint_schedule::Cron::parse("0 2 * * *").unwrap();
    let subject = Subject::Manager(NAME.to_owned());
    let mut nightly = ScheduleSpec::new("nightly", subject, cron);
    nightly.keep = Some(stillpoint_schedule::retention::Keep::new().last(2));
    let plan = engine.plan_schedule(&nightly).await.unwrap();
    engine.apply_schedule(&plan).await.unwrap();
    tokio::time::sleep(Duration::from_secs(4 * 86_400)).await;
    let records = archives.records().list().await.unwrap();
    let found: Vec<_> = records
        .iter()
        .map(|it| (it.id.as_str(), it.state))
        .collect();
    assert_eq!(
        found,
        [
            ("nightly-self-20260304-020000", RecordState::Created),
            ("nightly-self-20260305-020000", RecordState::Created),
        ]
    );
}
