//! A state that a restore would swap away, and an archive that somebody made who means harm: with a
//! real PostgreSQL 15, started as in `postgres.rs`.

mod bed;

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bed::{Two, builder, depot};
use stillpoint_core::Result;
use stillpoint_engine::{Engine, Request};
use stillpoint_manager::{Component, Dump, Manager, NAME, RestoreManager, Server, Site, Stage};
use stillpoint_restore::Outcome;
use stillpoint_state::{Batch, Committed, Entry, Memory, Revision, Scan, State};

/// Longer than any of this takes.
const MINUTE: Duration = Duration::from_secs(60);

/// Keeps its entries in a table.
#[derive(Debug)]
struct InTable {
    server: Server,
    inner: Memory,
}

impl std::fmt::Display for InTable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a table")
    }
}

#[async_trait]
impl State for InTable {
    async fn get(&self, key: &str) -> Result<Option<Entry>> {
        self.inner.get(key).await
    }

    async fn scan(&self, from: &str, to: &str) -> Result<Scan> {
        self.inner.scan(from, to).await
    }

    async fn commit(&self, batch: Batch) -> Result<Committed> {
        for (key, operation) in batch.clone().into_operations()? {
            let hex = match operation.write {
                Some(stillpoint_state::Write::Put(value)) => value
                    .iter()
                    .map(|it| format!("{it:02x}"))
                    .collect::<String>(),
                _ => continue,
            };
            // The key in bytes as well: text is not all that a state may keep.
            let key = key
                .bytes()
                .map(|it| format!("{it:02x}"))
                .collect::<String>();
            let sql = format!("INSERT INTO entries VALUES ('\\x{key}', '\\x{hex}')");
            self.server.transaction(&sql)?;
        }
        self.inner.commit(batch).await
    }

    async fn changed(&self, prefix: &str, since: Revision) -> Result<()> {
        self.inner.changed(prefix, since).await
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL 15 and root: .ci/run has both"]
async fn a_state_inside_of_what_is_restored_is_refused() {
    let two = Two::new().await;
    let server = two.postgres.create("inside");
    server
        .transaction("CREATE TABLE entries (key bytea, value bytea)")
        .unwrap();
    let folder = tempfile::tempdir().unwrap();
    for name in ["plugins", "keys", "staging"] {
        fs::create_dir(folder.path().join(name)).unwrap();
    }
    let state: Arc<dyn State> = Arc::new(InTable {
        server: server.clone(),
        inner: Memory::new(),
    });
    let builder = builder(
        &server,
        folder.path(),
        two.archives.path(),
        &two.key,
        "7.1.0",
    );
    let (engine, _) = builder
        .register(Arc::clone(&state), Engine::builder(state))
        .unwrap();
    let engine = engine.build().unwrap();
    let plan = engine
        .plan(&RestoreManager::of("monday").request())
        .await
        .unwrap();
    let said = plan.blocked_by.join("\n");
    assert!(
        said.contains("component database holds Stillpoint's own state"),
        "{said}"
    );
    assert!(!said.contains("component plugins holds"), "{said}");
}

/// An archive that somebody made who means harm: well formed and sealed.
#[derive(Debug)]
struct Harm {
    rows: String,
    dump: String,
}

impl Component for Harm {
    fn dump(&self, dump: &mut Dump<'_, '_>) -> Result<()> {
        let class = stillpoint_manager::Class::Secret;
        dump.bytes("rows.json", class, &*self.rows)?;
        dump.bytes("dump.sql", class, &*self.dump)
    }

    fn stage(&self, _: &Stage<'_>) -> Result<()> {
        Ok(())
    }

    fn cut_over(&self, _: &Site) -> Result<()> {
        Ok(())
    }

    fn describe(&self, _: &Site) -> serde_json::Value {
        serde_json::json!({ "kind": "postgresql" })
    }
}

impl Harm {
    /// Has it in the depot, as `harm`.
    async fn captured(self, two: &Two) {
        let folder = tempfile::tempdir().unwrap();
        let state: Arc<dyn State> = Arc::new(Memory::new());
        let manager = Manager::builder("Testbed", "7.1.0")
            .component("database", self)
            .depot(depot(two.archives.path()), folder.path())
            .seal_for(two.key.public());
        let (engine, _) = manager
            .register(Arc::clone(&state), Engine::builder(state))
            .unwrap();
        let engine = engine.build().unwrap();
        tokio::spawn(engine.run());
        let capture = Request::Capture {
            executor: NAME.to_owned(),
            name: "harm".to_owned(),
            schedule: None,
        };
        let plan = engine.plan(&capture).await.unwrap();
        let job = engine.start(&plan).await.unwrap();
        engine.wait(job).await.unwrap().into_result().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL 15 and root: .ci/run has both"]
async fn a_dump_runs_no_commands() {
    let two = Two::new().await;
    let folder = tempfile::tempdir().unwrap();
    let touched = folder.path().join("touched");
    let command = format!("\\! touch {}", touched.display());
    let harm = Harm {
        rows: "{}".to_owned(),
        dump: format!("CREATE TABLE a (b int);\n{command}\n"),
    };
    harm.captured(&two).await;
    let second = two.fresh("second");
    let before = second.content();
    let error = second.restore("harm").await.unwrap_err();
    assert!(
        error
            .to_string()
            .contains("backslash commands are restricted"),
        "{error}"
    );
    assert!(!touched.exists());
    assert_eq!(second.content(), before);
    assert_eq!(second.leftovers(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL 15 and root: .ci/run has both"]
async fn a_name_of_several_lines_runs_no_commands() {
    let two = Two::new().await;
    let folder = tempfile::tempdir().unwrap();
    let touched = folder.path().join("touched");
    // Its second line alone is a table of every database, and a command.
    let line = format!("pg_class \\! touch {} #", touched.display());
    let harm = Harm {
        rows: serde_json::json!({ &line: 0 }).to_string(),
        dump: format!("CREATE TABLE \"x\n{line}\n\" (b int);\n"),
    };
    harm.captured(&two).await;
    let second = two.fresh("second");
    let before = second.content();
    let error = second.restore("harm").await.unwrap_err();
    let said = format!("table {line} has 0 rows instead of 0");
    assert!(error.to_string().contains(&said), "{error}");
    assert!(!touched.exists(), "it ran");
    assert_eq!(second.content(), before);
    assert_eq!(second.leftovers(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL 15 and root: .ci/run has both"]
async fn a_dump_that_never_ends_is_stopped() {
    let two = Two::new().await;
    let harm = Harm {
        rows: "{}".to_owned(),
        dump: "SELECT pg_sleep(100000);\n".to_owned(),
    };
    harm.captured(&two).await;
    let second = two.fresh("second");
    let before = second.content();
    let request = RestoreManager::of("harm").request();
    let plan = second.engine.plan(&request).await.unwrap();
    let job = second.engine.start(&plan).await.unwrap();
    let sleeps = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%'";
    while second.server.query(sleeps).unwrap() == "0" {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    second.engine.stop(job).await.unwrap();
    let ended = tokio::time::timeout(MINUTE, second.engine.wait(job)).await;
    let job = ended.expect("it does not stop").unwrap();
    let outcome = job.outcome.unwrap();
    assert!(matches!(outcome, Outcome::Cancelled { .. }), "{outcome}");
    assert_eq!(second.content(), before);
    assert_eq!(second.leftovers(), [""; 0]);
}
