//! A PostgreSQL server of the test's own: in a temporary folder, on a socket there, as a user without
//! rights; and managers beside it, each with a folder and an empty state.
#![allow(dead_code, unreachable_pub, reason = "each test uses a part of it")]

pub mod clients;
pub mod small;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use stillpoint_core::Result;
use stillpoint_engine::{Engine, Job, Request};
use stillpoint_manager::depot::Depot;
use stillpoint_manager::{
    Archives, Database, Files, LockOnly, Manager, ManagerBuilder, Records, RestoreManager,
    SecretKey, Server,
};
use stillpoint_state::{Memory, State};
use tempfile::TempDir;

use self::clients::Clients;

/// Words that stand for credentials: none may be found where it is not sealed.
pub const SECRETS: [&str; 4] = [
    "hunter2-database-role",
    "hunter2-secret-row",
    "hunter2-agent-key",
    "hunter2-admin-hash",
];

/// A server that ends with the test.
pub struct Postgres {
    folder: TempDir,
    /// Where its clients are; none: wherever they are found.
    clients: Option<PathBuf>,
}

impl Postgres {
    pub fn start() -> Self {
        Self::within(&std::env::temp_dir())
    }

    /// With its data below this folder.
    pub fn within(top: &Path) -> Self {
        let folder = tempfile::Builder::new()
            .prefix("pg-")
            .tempdir_in(top)
            .unwrap();
        let at = folder.path();
        fs::write(at.join("password"), SECRETS[0]).unwrap();
        run(Command::new("chown").args(["-R", "postgres"]).arg(at));
        run(unprivileged(&bin("initdb"))
            .args(["-A", "scram-sha-256", "-N", "-U", "control", "--pwfile"])
            .arg(at.join("password"))
            .arg("-D")
            .arg(at.join("data")));
        let postgres = Self {
            folder,
            clients: None,
        };
        postgres.again();
        postgres
    }

    /// Starts it, for the first time or after a [`stop`](Self::stop).
    pub fn again(&self) {
        let at = self.folder.path().display();
        let options =
            format!("-c listen_addresses='' -c unix_socket_directories={at} -c fsync=off");
        run(unprivileged(&bin("pg_ctl"))
            .args(["-w", "-o", &options, "-l"])
            .arg(self.folder.path().join("log"))
            .arg("-D")
            .arg(self.folder.path().join("data"))
            .arg("start"));
    }

    /// Has it gone at once, as if its machine was switched off.
    pub fn stop(&self) {
        run(unprivileged(&bin("pg_ctl"))
            .args(["-w", "-m", "immediate", "-D"])
            .arg(self.folder.path().join("data"))
            .arg("stop"));
    }

    /// Whether it has ended by itself, in order or not.
    pub fn has_ended(&self) -> bool {
        !self.folder.path().join("data/postmaster.pid").exists()
    }

    pub fn server(&self, database: &str) -> Server {
        let socket = self.folder.path().display().to_string();
        let server = Server::new(socket, "control", database);
        let server = server.password(SECRETS[0].to_owned().into());
        match &self.clients {
            Some(clients) => server.clients(clients),
            None => server,
        }
    }

    /// Clients whose calls are counted, for all that is asked of it from here on.
    pub fn watched(&mut self) -> Clients {
        let clients = Clients::new(self.socket(), &bin(""));
        self.clients = Some(clients.bin());
        clients
    }

    pub fn socket(&self) -> &Path {
        self.folder.path()
    }

    /// Makes a manager's database, and gives a connection to it.
    pub fn create(&self, name: &str) -> Server {
        self.server("postgres")
            .query(&format!("CREATE DATABASE {name}"))
            .unwrap();
        let server = self.server(name);
        server.transaction(SCHEMA).unwrap();
        server
    }
}

impl Postgres {
    /// A database equal to another one.
    pub fn copy(&self, of: &str, name: &str) -> Server {
        let sql = format!("CREATE DATABASE {name} TEMPLATE {of}");
        self.server("postgres").query(&sql).unwrap();
        self.server(name)
    }

    /// Removes a database, and all that were made beside it.
    pub fn remove(&self, name: &str) {
        let postgres = self.server("postgres");
        let found = format!("SELECT datname FROM pg_database WHERE datname ~ '^{name}(_|$)'");
        for database in postgres.query(&found).unwrap().lines() {
            let drop = format!("DROP DATABASE {database} WITH (FORCE)");
            postgres.query(&drop).unwrap();
        }
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        let _ = unprivileged(&bin("pg_ctl"))
            .args(["-m", "immediate", "-D"])
            .arg(self.folder.path().join("data"))
            .arg("stop")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
    }
}

const SCHEMA: &str = "
CREATE TABLE tenants (id serial PRIMARY KEY, name text UNIQUE NOT NULL);
CREATE TABLE blueprints (id text PRIMARY KEY, tenant int NOT NULL REFERENCES tenants, plan jsonb);
CREATE TABLE secrets (key text PRIMARY KEY, value text NOT NULL);
CREATE TABLE executions (id text PRIMARY KEY, workflow text NOT NULL, status text NOT NULL,
    sized int GENERATED ALWAYS AS (length(workflow)) STORED);
CREATE TABLE logs (execution text NOT NULL REFERENCES executions, line text);
CREATE TABLE users (name text PRIMARY KEY, hash text NOT NULL);
CREATE TABLE licences (id text PRIMARY KEY);
CREATE TABLE sessions (id text PRIMARY KEY);
CREATE TABLE revision (of text NOT NULL);
INSERT INTO revision VALUES ('7');
";

/// What a manager has that was in use for a while.
pub const LIVED: &str = r"
INSERT INTO tenants (name) VALUES ('default'), ('other');
INSERT INTO blueprints SELECT 'bp-' || n, 1 + n % 2, jsonb_build_object('n', n, 'odd', E'\\restrict stillpoint\n') FROM generate_series(1, 500) n;
INSERT INTO secrets VALUES ('token', 'hunter2-secret-row');
INSERT INTO users VALUES ('admin', '$pbkdf2-sha256$29000$hunter2-admin-hash');
INSERT INTO executions VALUES ('e-1', 'install', 'terminated'), ('e-2', 'create_snapshot', 'started');
INSERT INTO logs VALUES ('e-1', E'a\ttab, a \\ and \\. and \r\n'), ('e-1', '\.'), ('e-1', NULL);
INSERT INTO licences VALUES ('of the first');
INSERT INTO sessions VALUES ('somebody');
";

/// A manager: its database, its folders, its state.
pub struct Bed {
    pub folder: TempDir,
    pub server: Server,
    pub state: Arc<dyn State>,
    pub engine: Engine,
    pub records: Records,
    pub archives: Archives,
}

/// Held by those who are said to hold it.
#[derive(Clone, Debug, Default)]
pub struct Lock(Arc<Mutex<BTreeSet<String>>>);

impl Lock {
    pub fn is_free(&self) -> bool {
        self.0.lock().unwrap().is_empty()
    }
}

impl LockOnly for Lock {
    fn lock(&self, holder: &str) -> Result<()> {
        self.0.lock().unwrap().insert(holder.to_owned());
        Ok(())
    }

    fn unlock(&self, holder: &str) -> Result<()> {
        self.0.lock().unwrap().remove(holder);
        Ok(())
    }
}

/// A depot that several managers share.
pub fn depot(folder: &Path) -> Depot {
    Depot::folder(folder, "archives").unwrap()
}

impl Bed {
    /// A manager of this name that keeps its archives there.
    pub fn new(postgres: &Postgres, name: &str, archives: &Path, key: &SecretKey) -> Self {
        Self::with(postgres, name, archives, key, |builder, _| builder)
    }

    pub fn with(
        postgres: &Postgres,
        name: &str,
        archives: &Path,
        key: &SecretKey,
        more: impl FnOnce(ManagerBuilder, &Path) -> ManagerBuilder,
    ) -> Self {
        let server = postgres.create(name);
        let folder = tempfile::tempdir().unwrap();
        for name in ["plugins", "keys", "staging"] {
            fs::create_dir(folder.path().join(name)).unwrap();
        }
        let state: Arc<dyn State> = Arc::new(Memory::new());
        let builder = builder(&server, folder.path(), archives, key, "7.1.0");
        let builder = more(builder, folder.path());
        let (engine, archives) = builder
            .register(Arc::clone(&state), Engine::builder(Arc::clone(&state)))
            .unwrap();
        let engine = engine.build().unwrap();
        tokio::spawn(engine.run());
        Self {
            folder,
            server,
            state,
            engine,
            records: archives.records().clone(),
            archives,
        }
    }

    /// Fills it with what a manager has that was in use for a while.
    pub fn live(&self) {
        self.server.transaction(LIVED).unwrap();
        let plugins = self.folder.path().join("plugins");
        fs::create_dir_all(plugins.join("one/empty")).unwrap();
        fs::write(plugins.join("one/plugin.yaml"), "plugins: {}").unwrap();
        let wheel: Vec<u8> = (0..3_000_000_u32).map(|it| (it % 251) as u8).collect();
        fs::write(plugins.join("one/plugin.wgn"), wheel).unwrap();
        std::os::unix::fs::symlink("plugin.yaml", plugins.join("one/latest")).unwrap();
        fs::write(self.folder.path().join("keys/agent_key"), SECRETS[2]).unwrap();
    }

    pub async fn capture(&self, name: &str) -> Result<Job> {
        let request = Request::Capture {
            executor: stillpoint_manager::NAME.to_owned(),
            name: name.to_owned(),
            schedule: None,
        };
        self.run(&request).await
    }

    pub async fn restore(&self, archive: &str) -> Result<Job> {
        self.run(&RestoreManager::of(archive).request()).await
    }

    pub async fn run(&self, request: &Request) -> Result<Job> {
        let plan = self.engine.plan(request).await?;
        let id = self.engine.start(&plan).await?;
        let waited = tokio::time::timeout(Duration::from_secs(120), self.engine.wait(id)).await;
        let job = waited.expect("it does not end")?;
        if !job.is_good() {
            println!("{}", self.engine.tree(id).await?);
        }
        job.into_result()
    }

    /// Databases and folders beside those of the manager, and what is in its staging folder.
    pub fn leftovers(&self) -> Vec<String> {
        leftovers(&self.server, self.folder.path())
    }

    /// All that the manager holds, as text: equal text is an equal manager.
    pub fn content(&self) -> String {
        content(&self.server, self.folder.path())
    }
}

/// A server, and a manager on it that was in use and was captured as `monday`.
pub struct Two {
    pub postgres: Postgres,
    pub archives: TempDir,
    pub key: SecretKey,
    pub first: Bed,
}

impl Two {
    pub async fn new() -> Self {
        let postgres = Postgres::start();
        let archives = tempfile::tempdir().unwrap();
        let key = SecretKey::generate();
        let first = Bed::new(&postgres, "first", archives.path(), &key);
        first.live();
        first.capture("monday").await.unwrap();
        Self {
            postgres,
            archives,
            key,
            first,
        }
    }

    /// A manager that nobody has used yet.
    pub fn fresh(&self, name: &str) -> Bed {
        Bed::new(&self.postgres, name, self.archives.path(), &self.key)
    }
}

/// How these managers are put together.
pub fn builder(
    server: &Server,
    folder: &Path,
    archives: &Path,
    key: &SecretKey,
    version: &str,
) -> ManagerBuilder {
    let database = Database::new(server.clone())
        .keep_own("public.licences", "they belong to the manager itself")
        .leave_out("sessions", "nobody is logged in after a restore")
        .leave_out_rows(
            "executions",
            "workflow = 'create_snapshot' AND status = 'started'",
            "it records the capture itself",
        )
        .entities("blueprints", "SELECT count(*) FROM blueprints")
        .entities("secrets", "SELECT count(*) FROM secrets")
        .revision("SELECT of FROM revision");
    Manager::builder("Testbed", version)
        .component("database", database)
        .component(
            "plugins",
            Files::new(folder.join("plugins")).entities("plugins"),
        )
        .component("keys", Files::credentials(folder.join("keys")))
        .depot(depot(archives), folder.join("staging"))
        .seal_for(key.public())
        .identity(key.clone())
}

/// All that a manager holds and an archive may hold, as text.
pub fn content(server: &Server, folder: &Path) -> String {
    let tables = [
        "SELECT * FROM tenants ORDER BY 1",
        "SELECT count(*), md5(string_agg(b::text, ',' ORDER BY id)) FROM blueprints b",
        "SELECT * FROM secrets ORDER BY 1",
        "SELECT * FROM users ORDER BY 1",
        "SELECT * FROM executions WHERE status <> 'started' ORDER BY 1",
        "SELECT * FROM logs ORDER BY 1, 2",
        "SELECT last_value FROM tenants_id_seq",
        "SELECT * FROM revision",
    ];
    let rows = tables.map(|sql| server.query(sql).unwrap());
    let mut found = rows.join("\n--\n");
    list(&folder.join("plugins"), Path::new(""), &mut found);
    found
}

/// Databases and folders beside those of a manager, and what is in its staging folder.
pub fn leftovers(server: &Server, folder: &Path) -> Vec<String> {
    let like = format!(
        "SELECT datname FROM pg_database WHERE datname LIKE '{}\\_%'",
        server.database()
    );
    let databases = server.on("postgres").query(&like).unwrap();
    let mut found: Vec<String> = databases.lines().map(str::to_owned).collect();
    let beside = fs::read_dir(folder)
        .unwrap()
        .map(|it| it.unwrap().file_name());
    let beside = beside.map(|it| it.into_string().unwrap());
    found.extend(beside.filter(|it| it.starts_with('.')));
    let staged = fs::read_dir(folder.join("staging")).unwrap();
    found.extend(staged.map(|it| it.unwrap().file_name().into_string().unwrap()));
    found
}

fn list(top: &Path, below: &Path, found: &mut String) {
    use std::fmt::Write as _;
    use std::os::unix::fs::MetadataExt as _;
    let mut names: Vec<PathBuf> = fs::read_dir(top.join(below))
        .unwrap()
        .map(|it| below.join(it.unwrap().file_name()))
        .collect();
    names.sort();
    for path in names {
        let at = top.join(&path);
        let about = fs::symlink_metadata(&at).unwrap();
        let (mode, time) = (about.mode(), about.mtime_nsec());
        if about.is_symlink() {
            let target = fs::read_link(&at).unwrap();
            writeln!(found, "{} -> {}", path.display(), target.display()).unwrap();
        } else if about.is_dir() {
            writeln!(found, "{}/ {mode:o} {time}", path.display()).unwrap();
            list(top, &path, found);
        } else {
            let bytes = fs::read(&at).unwrap();
            let sum = bytes
                .iter()
                .fold(0_u64, |sum, it| sum.wrapping_mul(31) + u64::from(*it));
            writeln!(
                found,
                "{} {mode:o} {time} {} {sum:x}",
                path.display(),
                bytes.len()
            )
            .unwrap();
        }
    }
}

fn bin(name: &str) -> PathBuf {
    let path = PathBuf::from("/usr/lib/postgresql/15/bin").join(name);
    assert!(
        path.exists(),
        "PostgreSQL 15 is missing: apt-get install postgresql"
    );
    path
}

/// PostgreSQL refuses to run as root.
fn unprivileged(program: &Path) -> Command {
    let mut command = Command::new("runuser");
    command
        .args(["-u", "postgres", "--"])
        .arg(program)
        .current_dir("/tmp");
    command
}

fn run(command: &mut Command) {
    let ran = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .output()
        .unwrap();
    assert!(
        ran.status.success(),
        "{}",
        String::from_utf8_lossy(&ran.stderr)
    );
}
