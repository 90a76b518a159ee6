//! No credential is found where it is not sealed: not in an archive, the state, a log, an error, or
//! what a process was called with. With a real PostgreSQL 15, started as in `postgres.rs`.

mod bed;

use std::fmt::Debug;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use bed::{Postgres, SECRETS, content, depot};
use secrecy::ExposeSecret as _;
use serde_json::json;
use stillpoint_core::{ErrorKind, Result};
use stillpoint_engine::{Engine, Job, Request};
use stillpoint_manager::{
    Agent, Agents, Database, Files, Link, Manager, NAME, Passphrase, Record, Records,
    RestoreManager, SecretKey, Server,
};
use stillpoint_state::{Redb, State};
use tracing::field::{Field, Visit};
use tracing::span;

const AGENT: &str = "hunter2-agent-endpoint";
const PASSPHRASE: &str = "hunter2-passphrase";

/// All that was ever logged, at any level.
#[derive(Clone, Default)]
struct Log {
    text: Arc<Mutex<Vec<u8>>>,
    spans: Arc<AtomicUsize>,
}

impl Visit for Log {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        writeln!(self.text.lock().unwrap(), "{field}={value:?}").unwrap();
    }
}

impl tracing::Subscriber for Log {
    fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, span: &span::Attributes<'_>) -> span::Id {
        span.record(&mut self.clone());
        span::Id::from_u64(self.spans.fetch_add(1, Ordering::SeqCst) as u64 + 1)
    }

    fn record(&self, _: &span::Id, values: &span::Record<'_>) {
        values.record(&mut self.clone());
    }

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        event.record(&mut self.clone());
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

/// What every process of this machine is called with, as often as that can be looked at.
struct Processes {
    over: Arc<AtomicBool>,
    seen: std::thread::JoinHandle<std::collections::BTreeSet<Vec<u8>>>,
}

impl Processes {
    fn watch() -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let ended = Arc::clone(&over);
        let seen = std::thread::spawn(move || {
            let mut seen = std::collections::BTreeSet::new();
            while !ended.load(Ordering::SeqCst) {
                for process in fs::read_dir("/proc").unwrap().flatten() {
                    seen.extend(fs::read(process.path().join("cmdline")));
                }
            }
            seen
        });
        Self { over, seen }
    }

    fn seen(self) -> Vec<u8> {
        self.over.store(true, Ordering::SeqCst);
        let seen = self.seen.join().unwrap();
        seen.into_iter().collect::<Vec<_>>().concat()
    }
}

/// One agent, which always answers.
#[derive(Debug)]
struct One;

impl Link for One {
    fn agents(&self) -> Result<Vec<Agent>> {
        Ok(vec![Agent {
            id: "agent-1".to_owned(),
            endpoint: json!({ "address": "10.0.0.1", "password": AGENT }),
        }])
    }

    fn verify(&self, _: &Agent) -> Result<()> {
        Ok(())
    }

    fn switch(&self, agent: &Agent) -> Result<Agent> {
        Ok(agent.clone())
    }

    fn switch_back(&self, _: &Agent) -> Result<()> {
        Ok(())
    }
}

struct Machine {
    engine: Engine,
    records: Records,
    folder: tempfile::TempDir,
}

impl Machine {
    /// With this query as a migration, and this condition for rows that are left out.
    fn new(
        server: &Server,
        archives: &Path,
        key: &SecretKey,
        migration: &'static str,
        condition: &str,
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for name in ["plugins", "keys", "staging"] {
            fs::create_dir(folder.path().join(name)).unwrap();
        }
        fs::write(folder.path().join("keys/agent_key"), SECRETS[2]).unwrap();
        let state = Redb::open_or_create(folder.path().join("state.redb")).unwrap();
        let state: Arc<dyn State> = Arc::new(state);
        let database = Database::new(server.clone())
            .leave_out_rows("executions", condition, "it records the capture itself")
            .revision("SELECT of FROM revision")
            .migrate(move |shadow, _| shadow.query(migration).map(drop));
        let phrase = || Passphrase::new(PASSPHRASE.to_owned()).danger_work_factor(4);
        let manager = Manager::builder("Testbed", "7.1.0")
            .component("database", database)
            .component("plugins", Files::new(folder.path().join("plugins")))
            .component("keys", Files::credentials(folder.path().join("keys")))
            .component("agents", Agents::new(One))
            .depot(depot(archives), folder.path().join("staging"))
            .seal_for(key.public())
            .seal_for(phrase())
            .identity(key.clone())
            .identity(phrase());
        let engine = Engine::builder(Arc::clone(&state));
        let (engine, archives) = manager.register(state, engine).unwrap();
        let engine = engine.build().unwrap();
        tokio::spawn(engine.run());
        Self {
            engine,
            records: archives.records().clone(),
            folder,
        }
    }

    async fn run(&self, request: Request) -> (Result<Job>, String) {
        let plan = self.engine.plan(&request).await.unwrap();
        let id = self.engine.start(&plan).await.unwrap();
        let job = self.engine.wait(id).await.unwrap();
        let tree = self.engine.tree(id).await.unwrap();
        let said = format!("{plan}\n{tree}\n{job:?}\n");
        (job.into_result(), said)
    }

    async fn capture(&self, name: &str) -> (Result<Job>, String) {
        let asked = Record {
            with: vec!["keys".into()],
            ..Record::asked(name, self.engine.now())
        };
        self.records.begin(asked).await.unwrap();
        self.run(Request::Capture {
            executor: NAME.to_owned(),
            name: name.to_owned(),
            schedule: None,
        })
        .await
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL 15 and root: .ci/run has both"]
async fn no_credential_is_found_where_it_is_not_sealed() {
    let log = Log::default();
    tracing::subscriber::set_global_default(log.clone()).unwrap();
    let mut postgres = Postgres::start();
    let clients = postgres.watched();
    let processes = Processes::watch();
    let (archives, key) = (tempfile::tempdir().unwrap(), SecretKey::generate());

    const BY_NAME: &str = "workflow = 'create_snapshot'";
    let [one, other, another] = ["one", "other", "another"].map(|it| postgres.create(it));
    one.transaction(bed::LIVED).unwrap();
    let new = |server, migration, condition| {
        Machine::new(server, archives.path(), &key, migration, condition)
    };
    let mut said = Vec::new();
    let first = new(&one, "SELECT 1", BY_NAME);
    let (captured, told) = first.capture("monday").await;
    captured.unwrap();
    said.push(told);
    let second = new(&other, "SELECT 1", BY_NAME);
    fs::remove_file(second.folder.path().join("keys/agent_key")).unwrap();
    let (restored, told) = second.run(RestoreManager::of("monday").request()).await;
    restored.unwrap();
    said.push(told);
    assert_eq!(
        content(&one, first.folder.path()),
        content(&other, second.folder.path())
    );
    let agent_key = fs::read_to_string(second.folder.path().join("keys/agent_key")).unwrap();
    assert_eq!(agent_key, SECRETS[2]);

    // Also not where the server complains of what is in a row.
    let wrong = "SELECT value::int FROM secrets";
    let third = new(&another, wrong, BY_NAME);
    let (failed, told) = third.run(RestoreManager::of("monday").request()).await;
    let error = failed.unwrap_err();
    assert!(
        error.to_string().contains("invalid input syntax"),
        "{error}"
    );
    said.extend([told, error.to_string()]);
    let wrong = "(SELECT value::int FROM secrets) = 1";
    let fourth = new(&one, "SELECT 1", wrong);
    let (failed, told) = fourth.capture("tuesday").await;
    let error = failed.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Precondition, "{error}");
    said.extend([told, error.to_string()]);

    let mut places = vec![
        ("what is said", said.concat().into_bytes(), "monday"),
        ("the log", log.text.lock().unwrap().clone(), "capturing"),
        ("arguments", processes.seen(), "psql"),
        ("calls", clients.calls().into_bytes(), "pg_dump --version"),
    ];
    for machine in [&first, &second, &third, &fourth] {
        machine
            .engine
            .shutdown(std::time::Duration::from_secs(5))
            .await;
        let state = fs::read(machine.folder.path().join("state.redb")).unwrap();
        places.push(("the state", state, "manager"));
    }
    let (clear, raw) = in_clear(archives.path());
    places.push(("members in clear", clear, "postgresql"));
    places.push(("archives", raw, "META-INF/keys/"));
    let archive_key = key.danger_to_text();
    let wanted = [AGENT, PASSPHRASE, archive_key.expose_secret()];
    for (place, bytes, known) in places {
        assert!(has(&bytes, known), "{place}: nothing was looked at");
        for secret in SECRETS.iter().chain(&wanted) {
            assert!(!has(&bytes, secret), "{secret} stands in {place}");
        }
    }
}

/// What stands in clear in archives, unpacked; and all of their bytes.
fn in_clear(folder: &Path) -> (Vec<u8>, Vec<u8>) {
    let (mut clear, mut raw) = (Vec::new(), Vec::new());
    for file in files(folder) {
        raw.extend(fs::read(&file).unwrap());
        if file.extension().is_some_and(|it| it == "zip") {
            let archive = stillpoint_archive::Archive::open(&file).unwrap();
            let open = archive
                .entries()
                .filter(|it| !it.is_sealed() && !it.name().ends_with('/'));
            for entry in open {
                clear.extend(archive.read_up_to(entry.name(), 1 << 30).unwrap());
            }
        }
    }
    (clear, raw)
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|it| it.unwrap().path());
    let found = entries.map(|path| match path.is_dir() {
        true => files(&path),
        false => vec![path],
    });
    found.flatten().collect()
}

fn has(bytes: &[u8], word: &str) -> bool {
    bytes.windows(word.len()).any(|it| it == word.as_bytes())
}
