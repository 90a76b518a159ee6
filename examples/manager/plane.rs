//! The control plane: what it has, where, and how that is told to Stillpoint.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;

use stillpoint::control::depot::Depot;
use stillpoint::control::{Database, Files, Manager, Records, SecretKey, Server};
use stillpoint::{Clock as _, Stillpoint, SystemClock};

use crate::Fallible;
use crate::cloudify;
use crate::gate::Gate;

/// Its version: archives of a later one are not restored.
pub(crate) const VERSION: &str = "7.1.0";

/// The folders of what is not in the database.
pub(crate) const BLUEPRINTS: &str = "blueprints";
/// Plugins.
pub(crate) const PLUGINS: &str = "plugins";
/// Keys of agents.
pub(crate) const KEYS: &str = "keys";

/// How often it is looked for snapshots that nobody is at any more.
const SWEEP: Duration = Duration::from_secs(30);

const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS tenants (name text PRIMARY KEY);
CREATE TABLE IF NOT EXISTS users (username text PRIMARY KEY, salt text NOT NULL, hash text NOT NULL, role text NOT NULL);
CREATE TABLE IF NOT EXISTS blueprints (id text PRIMARY KEY, tenant_name text NOT NULL REFERENCES tenants, created_at timestamptz NOT NULL DEFAULT now());
CREATE TABLE IF NOT EXISTS deployments (id text PRIMARY KEY, tenant_name text NOT NULL REFERENCES tenants, blueprint_id text NOT NULL REFERENCES blueprints, inputs jsonb NOT NULL DEFAULT '{}');
CREATE TABLE IF NOT EXISTS plugins (id text PRIMARY KEY, tenant_name text NOT NULL REFERENCES tenants);
CREATE TABLE IF NOT EXISTS secrets (key text PRIMARY KEY, tenant_name text NOT NULL REFERENCES tenants, value text NOT NULL);
CREATE TABLE IF NOT EXISTS provider_context (name text PRIMARY KEY, context jsonb NOT NULL);
CREATE TABLE IF NOT EXISTS schema_revision (revision text NOT NULL);
INSERT INTO tenants VALUES ('default_tenant') ON CONFLICT DO NOTHING;
INSERT INTO users SELECT 'admin', s, encode(sha256(convert_to(s || 'admin', 'UTF8')), 'hex'), 'sys_admin'
  FROM (SELECT gen_random_uuid()::text s) x ON CONFLICT DO NOTHING;
INSERT INTO schema_revision SELECT '1' WHERE NOT EXISTS (SELECT FROM schema_revision);
";

/// A running control plane.
#[derive(Clone, Debug)]
pub(crate) struct Plane {
    /// Its database.
    pub(crate) server: Server,
    /// Its folder.
    pub(crate) folder: PathBuf,
    /// What lets writes through.
    pub(crate) gate: Gate,
    /// Its snapshots.
    pub(crate) still: Stillpoint,
}

impl Plane {
    /// Opens it, and makes what it needs.
    pub(crate) async fn open(server: Server, folder: &Path, key: SecretKey) -> Fallible<Self> {
        for name in [BLUEPRINTS, PLUGINS, KEYS, "staging", "archives"] {
            fs::create_dir_all(folder.join(name))?;
        }
        let gate = Gate::default();
        let still = Stillpoint::builder()
            .state_file(folder.join("state.redb"))
            .manager(describe(&server, folder, gate.clone(), key)?)
            .build()?;
        let setting_up = server.clone();
        tokio::task::spawn_blocking(move || setting_up.transaction(SCHEMA)).await??;
        tokio::spawn(still.run());
        tokio::spawn(sweep(still.archives()?.records().clone()));
        Ok(Self {
            server,
            folder: folder.to_owned(),
            gate,
            still,
        })
    }
}

/// Marks what nobody is at any more: uploads of a killed process, or of a client that hung up.
async fn sweep(records: Records) {
    loop {
        match records.sweep(SystemClock.now()).await {
            Ok(swept) => swept
                .iter()
                .for_each(|id| println!("snapshot {id} was abandoned")),
            Err(error) => eprintln!("the records cannot be swept: {error}"),
        }
        tokio::time::sleep(SWEEP).await;
    }
}

/// What it is made of.
fn describe(
    server: &Server,
    folder: &Path,
    gate: Gate,
    key: SecretKey,
) -> Fallible<stillpoint::ManagerBuilder> {
    let database = Database::new(server.clone())
        .after(["gate"])
        .keep_own("provider_context", "it belongs to the manager it is on")
        .entities("blueprints", "SELECT count(*) FROM blueprints")
        .entities("deployments", "SELECT count(*) FROM deployments")
        .entities("plugins", "SELECT count(*) FROM plugins")
        .entities("secrets", "SELECT count(*) FROM secrets")
        .entities(
            "users besides admin",
            "SELECT count(*) FROM users WHERE username <> 'admin'",
        )
        .revision("SELECT revision FROM schema_revision")
        .from_cloudify(|snapshot, stage, sql| {
            let dump = || Ok(Box::new(stage.member("pg_data")?) as Box<dyn Read>);
            cloudify::rows(SCHEMA, snapshot, &dump, sql, &mut |it| stage.unplaced(it))
        });
    let files = |name: &'static str| {
        Files::new(folder.join(name))
            .after(["gate"])
            .from_cloudify(move |era, path| cloudify::file(era, path, name))
    };
    let depot = Depot::folder(folder.join("archives"), "snapshots")?;
    Ok(Manager::builder("Example manager", VERSION)
        .networks(["default"])
        .component("gate", gate)
        .component("database", database)
        .component(
            BLUEPRINTS,
            files(BLUEPRINTS).entities("folders of blueprints"),
        )
        .component(PLUGINS, files(PLUGINS).entities("folders of plugins"))
        .component(
            KEYS,
            Files::credentials(folder.join(KEYS))
                .after(["gate"])
                .from_cloudify(|era, path| cloudify::file(era, path, KEYS)),
        )
        .depot(depot, folder.join("staging"))
        .seal_for(key.public())
        .identity(key))
}
