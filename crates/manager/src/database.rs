//! A PostgreSQL database as a component.

mod client;
mod complaint;
mod dump;
mod fill;
mod schema;
mod shadow;
mod swap;
mod watch;

use std::collections::BTreeMap;
use std::fmt;
use std::io::Write;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use stillpoint_archive::cloudify::Snapshot;
use stillpoint_core::Result;

pub use self::client::Server;
use self::client::Session;
use self::fill::FromCloudify;
use self::shadow::Migrate;
use crate::component::{Component, LeftOut};
use crate::dump::Dump;
use crate::mutex::lock;
use crate::probe::Token;
use crate::site::Site;
use crate::stage::Stage;

/// The member with all of it.
const DUMP: &str = "dump.sql";

/// The member with the number of rows of each table.
const ROWS: &str = "rows.json";

/// A PostgreSQL database.
///
/// It is dumped by `pg_dump` of the server's version, as plain SQL, under a snapshot that one
/// session exports while the manager is locked; all else happens after that. Rows that belong to
/// the running manager are left out by a query under the same snapshot. It is restored into a
/// database of its own beside the live one, checked and migrated there, and takes the live one's
/// name in one transaction; the old one is kept, under another name, until it is committed.
///
/// What it does not do: roles, owners, privileges, large objects' owners, settings of the database
/// itself (`ALTER DATABASE … SET`) and replication are those of the server it is restored on. The
/// SQL of an archive runs with the rights of the role it is restored by: use one that is no
/// superuser, and only archives that you trust.
pub struct Database {
    server: Server,
    depends_on: Vec<String>,
    /// Tables without their rows, which after a restore are those of the manager it is restored to.
    kept: BTreeMap<String, String>,
    /// Tables without their rows.
    emptied: BTreeMap<String, String>,
    /// Rows that are left out: the condition, and why.
    filtered: BTreeMap<String, (String, String)>,
    /// What makes a manager not clean: a kind, and the query that counts it.
    entities: Vec<(String, String)>,
    revision: Option<String>,
    migrate: Option<Arc<Migrate>>,
    cloudify: Option<Arc<FromCloudify>>,
    /// Sessions that hold an exported snapshot, by the tokens of their jobs.
    sessions: Mutex<BTreeMap<String, Session>>,
}

impl Database {
    /// All of the database that this server's connection goes to.
    pub fn new(server: Server) -> Self {
        Self {
            server,
            depends_on: Vec::new(),
            kept: BTreeMap::new(),
            emptied: BTreeMap::new(),
            filtered: BTreeMap::new(),
            entities: Vec::new(),
            revision: None,
            migrate: None,
            cloudify: None,
            sessions: Mutex::default(),
        }
    }

    /// It is locked and restored after these components.
    #[must_use]
    pub fn after<N: Into<String>>(mut self, components: impl IntoIterator<Item = N>) -> Self {
        self.depends_on
            .extend(components.into_iter().map(Into::into));
        self
    }

    /// Leaves out the rows of a table, named with its schema (`public.sessions`): it is empty after
    /// a restore.
    #[must_use]
    pub fn leave_out(mut self, table: impl Into<String>, why: impl Into<String>) -> Self {
        self.emptied.insert(table.into(), why.into());
        self
    }

    /// Leaves out the rows of a table, named with its schema, that belong to the manager and not to
    /// what it manages: after a restore they are those of the manager that was restored to.
    #[must_use]
    pub fn keep_own(mut self, table: impl Into<String>, why: impl Into<String>) -> Self {
        self.kept.insert(table.into(), why.into());
        self
    }

    /// Leaves out the rows of a table for which this SQL condition holds: those that record the
    /// capture itself.
    #[must_use]
    pub fn leave_out_rows(
        mut self,
        table: impl Into<String>,
        condition: impl Into<String>,
        why: impl Into<String>,
    ) -> Self {
        self.filtered
            .insert(table.into(), (condition.into(), why.into()));
        self
    }

    /// A manager is not clean where this query counts any: `blueprints`,
    /// `SELECT count(*) FROM blueprints`.
    #[must_use]
    pub fn entities(mut self, kind: impl Into<String>, count: impl Into<String>) -> Self {
        self.entities.push((kind.into(), count.into()));
        self
    }

    /// The query that gives the schema's revision, for the archive's metadata: it sees what is
    /// captured.
    #[must_use]
    pub fn revision(mut self, query: impl Into<String>) -> Self {
        self.revision = Some(query.into());
        self
    }

    /// Brings a restored database to this manager's schema, before it takes the live one's place.
    /// It is given a connection to it, and the revision that it is of.
    #[must_use]
    pub fn migrate(
        mut self,
        migrate: impl Fn(&Server, Option<&str>) -> Result<()> + Send + Sync + 'static,
    ) -> Self {
        self.migrate = Some(Arc::new(migrate));
        self
    }

    /// Writes the SQL of a whole database, schema and rows, from a snapshot of a Cloudify Manager: it
    /// goes to `psql` as it is written, in one transaction, and is never held whole. Members that
    /// are as large as a database are read [piece by piece](Stage::member), and what has no place
    /// is [noted](Stage::unplaced), item by item.
    #[must_use]
    pub fn from_cloudify(
        mut self,
        convert: impl Fn(&Snapshot, &Stage<'_>, &mut dyn Write) -> Result<()> + Send + Sync + 'static,
    ) -> Self {
        self.cloudify = Some(Arc::new(convert));
        self
    }
}

impl Component for Database {
    fn dump(&self, dump: &mut Dump<'_, '_>) -> Result<()> {
        self.write(dump)
    }

    fn stage(&self, stage: &Stage<'_>) -> Result<()> {
        self.make_shadow(stage)
    }

    fn cut_over(&self, site: &Site) -> Result<()> {
        self.swap_in(site)
    }

    fn depends_on(&self) -> &[String] {
        &self.depends_on
    }

    fn describe(&self, site: &Site) -> Value {
        let sessions = lock(&self.sessions);
        let session = sessions.get(site.token());
        json!({
            "kind": "postgresql",
            "format": "plain SQL",
            "revision": session.and_then(|it| it.revision.as_ref()),
        })
    }

    fn left_out(&self) -> Vec<LeftOut> {
        let tables = self.kept.iter().chain(&self.emptied);
        let tables = tables.map(|(table, why)| LeftOut {
            what: format!("rows of table {table}"),
            why: why.clone(),
        });
        let rows = self
            .filtered
            .iter()
            .map(|(table, (condition, why))| LeftOut {
                what: format!("rows of table {table} where {condition}"),
                why: why.clone(),
            });
        tables.chain(rows).collect()
    }

    fn places_cloudify(&self) -> bool {
        self.cloudify.is_some()
    }

    fn preflight(&self, about: &Value) -> Result<Vec<String>> {
        self.look(about)
    }

    fn inhabitants(&self) -> Result<Vec<(String, u64)>> {
        self.entities
            .iter()
            .map(|(kind, sql)| Ok((kind.clone(), self.server.count(sql)?)))
            .collect()
    }

    fn size(&self) -> Result<u64> {
        let size = "SELECT pg_catalog.pg_database_size(pg_catalog.current_database())";
        self.server.count(size)
    }

    fn holds(&self, token: &Token) -> Result<bool> {
        self.search(token)
    }

    fn fix(&self, site: &Site) -> Result<()> {
        site.check()?;
        let session = self.server.export(self.revision.as_deref())?;
        lock(&self.sessions).insert(site.token().to_owned(), session);
        Ok(())
    }

    fn release(&self, site: &Site) {
        lock(&self.sessions).remove(site.token());
    }

    fn unstage(&self, site: &Site) -> Result<()> {
        self.drop_shadow(site)
    }

    fn cut_back(&self, site: &Site) -> Result<()> {
        self.swap_out(site)
    }

    fn validate(&self, _site: &Site) -> Result<()> {
        self.server.query("SELECT 1").map(drop)
    }

    fn commit(&self, site: &Site) -> Result<()> {
        self.drop_old(site)
    }
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Database")
            .field("server", &self.server)
            .finish_non_exhaustive()
    }
}
