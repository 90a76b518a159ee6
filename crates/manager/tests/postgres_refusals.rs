//! What stands in the way is said before anything is changed, and whatever fails leaves the manager
//! as it was: with a real PostgreSQL 15, started as in `postgres.rs`.

mod bed;

use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bed::{Bed, Postgres, Two, builder};
use stillpoint_core::{Error, ErrorKind, Result};
use stillpoint_engine::Engine;
use stillpoint_manager::{
    Component, Dump, LeftOut, RecordState, RestoreManager, SecretKey, Site, Stage, Token,
};
use stillpoint_state::{Memory, State};

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL 15 and root: .ci/run has both"]
async fn all_reasons_are_in_one_report() {
    let two = Two::new().await;
    let server = two.first.server.clone();
    let folder = tempfile::tempdir().unwrap();
    for name in ["plugins", "keys", "staging"] {
        fs::create_dir(folder.path().join(name)).unwrap();
    }
    let state: Arc<dyn State> = Arc::new(Memory::new());
    // Older, without the key, without a component that is asked for, and not clean.
    let older = builder(
        &server,
        folder.path(),
        two.archives.path(),
        &SecretKey::generate(),
        "7.0.9",
    );
    let (engine, _) = older
        .register(Arc::clone(&state), Engine::builder(state))
        .unwrap();
    let engine = engine.build().unwrap();
    let mut wish = RestoreManager::of("monday");
    wish.components = Some(vec!["database".into(), "stage".into()]);
    wish.tenants = Some(vec!["default".into()]);
    let plan = engine.plan(&wish.request()).await.unwrap();
    let said = plan.blocked_by.join("\n");
    for wanted in [
        "none of the keys here opens",
        "it is of version 7.1.0, and this is 7.0.9",
        "no component stage",
        "component database cannot tell tenants apart",
        "500 blueprints, 1 secrets",
    ] {
        assert!(said.contains(wanted), "{wanted} in:\n{said}");
    }
    assert!(plan.steps.is_none());
    assert!(engine.start(&plan).await.is_err());

    let missing = engine
        .plan(&RestoreManager::of("tuesday").request())
        .await
        .unwrap_err();
    assert_eq!(missing.kind(), ErrorKind::NotFound);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL 15 and root: .ci/run has both"]
async fn a_damaged_or_cut_off_archive_leaves_all_as_it_was() {
    let two = Two::new().await;
    let second = two.fresh("second");
    let before = second.content();
    let path = two.archives.path().join("archives/monday/archive.zip");
    let whole = fs::read(&path).unwrap();
    let mut flipped = whole.clone();
    let middle = flipped.len() / 2;
    flipped[middle] ^= 1;
    for (damage, bytes) in [
        ("cut off", whole[..whole.len() / 2].to_vec()),
        ("flipped", flipped),
    ] {
        fs::write(&path, bytes).unwrap();
        let error = second.restore("monday").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{damage}: {error}");
        assert_eq!(second.content(), before, "{damage}");
        assert_eq!(second.leftovers(), [""; 0], "{damage}");
    }
    fs::write(&path, whole).unwrap();
    second.restore("monday").await.unwrap();
    assert_eq!(second.content(), two.first.content());
}

/// Does as it is told, and notes what it is asked.
#[derive(Clone, Debug, Default)]
struct Told {
    said: Arc<Mutex<Vec<String>>>,
    locked: Arc<AtomicUsize>,
    panics_at: Option<&'static str>,
    fails_at: Option<&'static str>,
    needs: Vec<String>,
    slow: Duration,
    /// The server ends and begins again there.
    restarts: Option<(&'static str, Arc<Restarted>)>,
}

struct Restarted(Postgres);

impl std::fmt::Debug for Restarted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a server")
    }
}

impl Told {
    fn asked(&self, what: &'static str) -> Result<()> {
        self.said.lock().unwrap().push(what.to_owned());
        assert_ne!(self.panics_at, Some(what), "as it was told");
        if let Some((at, server)) = &self.restarts
            && *at == what
        {
            server.0.stop();
            server.0.again();
        }
        if self.fails_at == Some(what) {
            return Err(Error::new(ErrorKind::Precondition, "as it was told"));
        }
        Ok(())
    }
}

impl Component for Told {
    fn dump(&self, dump: &mut Dump<'_, '_>) -> Result<()> {
        self.asked("dump")?;
        dump.bytes("word", stillpoint_manager::Class::Internal, "said")
    }

    fn stage(&self, stage: &Stage<'_>) -> Result<()> {
        self.asked("stage")?;
        assert_eq!(stage.bytes("word", 10)?, b"said");
        stage.unplaced("one thing that has no place");
        Ok(())
    }

    fn cut_over(&self, _: &Site) -> Result<()> {
        self.asked("cut_over")
    }

    fn depends_on(&self) -> &[String] {
        &self.needs
    }

    fn describe(&self, _: &Site) -> serde_json::Value {
        self.asked("describe").unwrap();
        serde_json::Value::Null
    }

    fn left_out(&self) -> Vec<LeftOut> {
        self.asked("left_out").unwrap();
        Vec::new()
    }

    fn preflight(&self, _: &serde_json::Value) -> Result<Vec<String>> {
        self.asked("preflight").map(|()| Vec::new())
    }

    fn inhabitants(&self) -> Result<Vec<(String, u64)>> {
        self.asked("inhabitants").map(|()| Vec::new())
    }

    fn holds(&self, _: &Token) -> Result<bool> {
        self.asked("holds").map(|()| false)
    }

    fn prepare(&self, _: &Site) -> Result<()> {
        self.asked("prepare")
    }

    fn reconnect(&self, _: &Site) -> Result<()> {
        self.asked("reconnect")
    }

    fn lock(&self, _: &str) -> Result<()> {
        self.locked.fetch_add(1, Ordering::SeqCst);
        self.asked("lock")
    }

    fn unlock(&self, _: &str) -> Result<()> {
        self.locked.store(0, Ordering::SeqCst);
        Ok(())
    }

    fn fix(&self, _: &Site) -> Result<()> {
        std::thread::sleep(self.slow);
        self.asked("fix")
    }

    fn validate(&self, _: &Site) -> Result<()> {
        self.asked("validate")
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL 15 and root: .ci/run has both"]
async fn a_component_that_fails_or_panics_leaves_all_as_it_was() {
    let two = Two::new().await;
    let good = Told::default();
    let with = |told: &Told, name: &str| {
        let told = told.clone();
        Bed::with(
            &two.postgres,
            name,
            two.archives.path(),
            &two.key,
            |it, _| it.component("told", told),
        )
    };
    let bed = with(&good, "source");
    bed.live();
    bed.capture("told").await.unwrap();
    let mut number = 0;
    for step in [
        "preflight",
        "inhabitants",
        "holds",
        "lock",
        "stage",
        "cut_over",
    ] {
        for panics in [false, true] {
            number += 1;
            let what = format!("{step}, panics: {panics}");
            let told = Told {
                panics_at: panics.then_some(step),
                fails_at: (!panics).then_some(step),
                ..Told::default()
            };
            let target = with(&told, &format!("target{number}"));
            let before = target.content();
            let error = target.restore("told").await.unwrap_err();
            assert!(
                error.to_string().contains("component told"),
                "{what}: {error}"
            );
            assert_eq!(target.content(), before, "{what}");
            assert_eq!(target.leftovers(), [""; 0], "{what}");
            assert_eq!(
                told.locked.load(Ordering::SeqCst),
                0,
                "{what}: it is locked"
            );
        }
    }
    // Past the point of no return it goes on without what fails, and says so.
    for step in ["reconnect", "validate"] {
        number += 1;
        let told = Told {
            panics_at: Some(step),
            ..Told::default()
        };
        let target = with(&told, &format!("target{number}"));
        let error = target.restore("told").await.unwrap_err();
        assert!(error.to_string().contains("component told"), "{error}");
        assert_eq!(target.content(), bed.content(), "{step}");
        assert_eq!(
            told.locked.load(Ordering::SeqCst),
            0,
            "{step}: it is locked"
        );
    }
    for step in ["prepare", "lock", "fix", "left_out", "describe", "dump"] {
        for panics in [false, true] {
            number += 1;
            let what = format!("capture: {step}, panics: {panics}");
            let told = Told {
                panics_at: panics.then_some(step),
                fails_at: (!panics).then_some(step),
                ..Told::default()
            };
            let source = with(&told, &format!("target{number}"));
            let id = format!("never-{number}");
            source.capture(&id).await.unwrap_err();
            assert_eq!(
                told.locked.load(Ordering::SeqCst),
                0,
                "{what}: it is locked"
            );
            assert_eq!(source.leftovers(), [""; 0], "{what}");
            let record = source.records.get(&id).await.unwrap();
            assert_eq!(record.state, RecordState::Failed, "{what}");
            assert!(record.error.unwrap().contains("component told"), "{what}");
            let refused = source.restore(&id).await.unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::NotFound, "{what}: {refused}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL 15 and root: .ci/run has both"]
async fn what_has_no_place_is_never_complete() {
    let two = Two::new().await;
    let told = Told::default();
    let bed = |name: &str| {
        let told = told.clone();
        Bed::with(
            &two.postgres,
            name,
            two.archives.path(),
            &two.key,
            |it, _| it.component("told", told),
        )
    };
    bed("source").capture("told").await.unwrap();
    let target = bed("target");
    let plan = target
        .engine
        .plan(&RestoreManager::of("told").request())
        .await
        .unwrap();
    let id = target.engine.start(&plan).await.unwrap();
    let job = target.engine.wait(id).await.unwrap();
    let outcome = job.outcome.clone().unwrap();
    assert!(
        matches!(outcome, stillpoint_restore::Outcome::PartiallyFailed { .. }),
        "{outcome}"
    );
    let tree = target.engine.tree(id).await.unwrap();
    assert!(
        tree.contains("one thing that has no place") || tree.contains("1 items"),
        "{tree}"
    );
    assert_eq!(told.locked.load(Ordering::SeqCst), 0, "it is locked");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL 15 and root: .ci/run has both"]
async fn a_lock_is_never_longer_than_its_budget() {
    let two = Two::new().await;
    let told = Told {
        slow: Duration::from_millis(300),
        ..Told::default()
    };
    let slow = told.clone();
    let bed = Bed::with(
        &two.postgres,
        "slow",
        two.archives.path(),
        &two.key,
        |it, _| {
            it.component("told", slow)
                .lock_at_most(Duration::from_millis(200))
        },
    );
    let error = bed.capture("late").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
    assert_eq!(told.locked.load(Ordering::SeqCst), 0, "it is locked");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL 15 and root: .ci/run has both"]
async fn a_database_that_goes_away_leaves_all_as_it_was() {
    let two = Two::new().await;
    let second = two.fresh("second");
    let (before, monday) = (second.content(), two.first.content());
    two.postgres.stop();
    let error = second.restore("monday").await.unwrap_err();
    assert!(error.to_string().contains("database"), "{error}");
    let error = two.first.capture("gone").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    two.postgres.again();
    assert_eq!(second.content(), before);
    assert_eq!(second.leftovers(), [""; 0]);
    second.restore("monday").await.unwrap();
    assert_eq!(second.content(), monday);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL 15 and root: .ci/run has both"]
async fn a_database_that_goes_away_in_the_middle_is_as_before_or_as_the_snapshot() {
    let server = Arc::new(Restarted(Postgres::start()));
    let archives = tempfile::tempdir().unwrap();
    let key = SecretKey::generate();
    let with = |told: &Told, name: &str| {
        let told = told.clone();
        Bed::with(&server.0, name, archives.path(), &key, |it, _| {
            it.component("told", told)
        })
    };
    let source = with(&Told::default(), "source");
    source.live();
    let monday = source.content();
    source.capture("told").await.unwrap();
    for step in ["lock", "fix", "dump", "stage", "cut_over", "validate"] {
        let told = Told {
            restarts: Some((step, Arc::clone(&server))),
            ..Told::default()
        };
        let target = with(&told, &format!("target_{step}"));
        let before = target.content();
        let plan = target
            .engine
            .plan(&RestoreManager::of("told").request())
            .await
            .unwrap();
        let id = target.engine.start(&plan).await.unwrap();
        let job = target.engine.wait(id).await.unwrap();
        let outcome = job.outcome.clone().unwrap();
        // It counts up in steps of 32 where the server was not ended in order.
        let rows = |text: &str| {
            text.replace("\n--\n33\n", "\n--\n2\n")
                .replace("\n--\n34\n", "\n--\n2\n")
        };
        let found = target.content();
        println!("{step}: {outcome}");
        if job.is_good() || matches!(outcome, stillpoint_restore::Outcome::PartiallyFailed { .. }) {
            assert_eq!(rows(&found), rows(&monday), "{step}: {outcome}");
        } else {
            assert_eq!(rows(&found), rows(&before), "{step}: {outcome}");
            assert_eq!(target.leftovers(), [""; 0], "{step}: {outcome}");
        }
        assert_eq!(
            told.locked.load(Ordering::SeqCst),
            0,
            "{step}: it is locked"
        );
    }
}
