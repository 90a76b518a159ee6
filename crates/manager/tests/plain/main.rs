//! Managers without a database: files, agents, locks and records.

mod agents;
mod away;
mod chosen;
mod files;
mod full_disk;
mod locks;
mod progress;
mod records;
mod schedules;
mod settle;
#[allow(dead_code, unreachable_pub, reason = "others need more of it")]
#[path = "../bed/small.rs"]
mod small;

use std::fs;
use std::path::Path;
use std::sync::Arc;

use stillpoint_core::Result;
use stillpoint_engine::{Engine, Job, Request};
use stillpoint_manager::depot::Depot;
use stillpoint_manager::{
    Archives, Copying, Files, Manager, ManagerBuilder, NAME, RestoreManager, SecretKey,
};
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
        let depot = Depot::folder(archives, "archives").unwrap();
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
        Manager::builder("Plain", "1")
            .component(name, Files::new(folder.path()))
            .depot(Depot::folder(folder.path(), "a").unwrap(), folder.path())
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
