//! A state that a restore would swap away, and an archive that somebody made who means harm: with a
//! real PostgreSQL 15, started as in `postgres.rs`.

mod bed;

use std::fs;
use std::sync::Arc;

use async_trait::async_trait;
use bed::{Two, builder, depot};
use stillpoint_core::Result;
use stillpoint_engine::{Engine, Request};
use stillpoint_manager::{Component, Dump, Manager, NAME, RestoreManager, Server, Site, Stage};
use stillpoint_state::{Batch, Committed, Entry, Memory, Revision, Scan, State};

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

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL 15 and root: .ci/run has both"]
async fn a_dump_runs_no_commands() {
    // An archive that somebody made who means harm: well formed, sealed, and with a command in it.
    #[derive(Debug)]
    struct Harm(std::path::PathBuf);
    impl Component for Harm {
        fn dump(&self, dump: &mut Dump<'_, '_>) -> Result<()> {
            let class = stillpoint_manager::Class::Secret;
            dump.bytes("rows.json", class, "{}")?;
            let sql = format!("CREATE TABLE a (b int);\n\\! touch {}\n", self.0.display());
            dump.bytes("dump.sql", class, sql)
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
    let two = Two::new().await;
    let folder = tempfile::tempdir().unwrap();
    let touched = folder.path().join("touched");
    let state: Arc<dyn State> = Arc::new(Memory::new());
    let manager = Manager::builder("Testbed", "7.1.0")
        .component("database", Harm(touched.clone()))
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
