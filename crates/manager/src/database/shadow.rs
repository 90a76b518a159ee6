//! The database that is restored into, beside the live one.

use std::collections::BTreeMap;
use std::process::Stdio;

use stillpoint_core::{Error, ErrorKind, Result};

use super::client::{Server, failed, ident, literal};
use super::dump::row;
use super::schema::{counting, quoted};
use super::{Database, ROWS};
use crate::metadata::CLOUDIFY;
use crate::random;
use crate::site::Site;
use crate::stage::Stage;

/// Brings a restored database to a manager's schema.
pub(super) type Migrate = dyn Fn(&Server, Option<&str>) -> Result<()> + Send + Sync;

/// Bytes of the largest list of tables that is read.
const LONGEST: u64 = 16 << 20;

/// Bytes of a name that a server tells from others.
const NAME: usize = 63;

impl Database {
    /// The database that is restored into, for this job.
    pub(super) fn shadow(&self, site: &Site) -> String {
        self.named("new", site)
    }

    /// What the live one is called once another has taken its place, for this job.
    pub(super) fn old(&self, site: &Site) -> String {
        self.named("old", site)
    }

    fn named(&self, what: &str, site: &Site) -> String {
        let tail = format!("_{what}_{}", site.token());
        let mut stem = self.server.database().to_owned();
        while stem.len() + tail.len() > NAME {
            stem.pop();
        }
        stem + &tail
    }

    /// Makes it, fills it, and checks it.
    pub(super) fn make_shadow(&self, stage: &Stage<'_>) -> Result<()> {
        let (_, matched) = self.server.matched()?;
        let shadow = matched.on(self.shadow(stage.site())).during(stage.site());
        match self.create(shadow.database()) {
            // Asked for by a process that was killed, and made since it was looked for.
            Err(error) if error.kind() == ErrorKind::Conflict => {
                self.drop_shadow(stage.site())?;
                self.create(shadow.database())?;
            }
            created => created?,
        }
        if stage.about()["kind"] == CLOUDIFY {
            self.convert(stage, &shadow)?;
        } else {
            self.fill(stage, &shadow)?;
            self.check(stage, &shadow)?;
        }
        self.keep_rows(&shadow, stage.site())?;
        if let Some(migrate) = &self.migrate {
            migrate(&shadow, stage.about()["revision"].as_str())?;
        }
        // Who plans queries on it knows nothing of it yet.
        shadow.query("ANALYZE").map(drop)
    }

    /// Removes it; none is a success.
    pub(super) fn drop_shadow(&self, site: &Site) -> Result<()> {
        self.drop_database(&self.shadow(site))
    }

    pub(super) fn drop_database(&self, name: &str) -> Result<()> {
        let sql = format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", ident(name));
        self.maintenance().query(&sql).map(drop)
    }

    /// The database that is there to work on others.
    pub(super) fn maintenance(&self) -> Server {
        self.server.on("postgres")
    }

    /// As the live one is: by encoding, collation and owner.
    fn create(&self, name: &str) -> Result<()> {
        let live = literal(self.server.database());
        let sql = format!(
            "SELECT pg_catalog.format('CREATE DATABASE %I TEMPLATE template0 OWNER %I ENCODING %L \
             LC_COLLATE %L LC_CTYPE %L', {}, pg_catalog.pg_get_userbyid(datdba), \
             pg_catalog.pg_encoding_to_char(encoding), datcollate, datctype) \
             FROM pg_catalog.pg_database WHERE datname = {live}",
            literal(name)
        );
        let maintenance = self.maintenance();
        let create = maintenance.query(&sql)?;
        if create.is_empty() {
            let message = format!("there is no database {}", self.server.database());
            return Err(Error::new(ErrorKind::NotFound, message).advise("Create it"));
        }
        maintenance.query(&create).map(drop)
    }

    /// Whether every table has as many rows as when the archive was made.
    fn check(&self, stage: &Stage<'_>, shadow: &Server) -> Result<()> {
        let rows: BTreeMap<String, u64> = serde_json::from_slice(&stage.bytes(ROWS, LONGEST)?)
            .map_err(|source| {
                Error::new(ErrorKind::Corrupt, "the list of its tables cannot be read")
                    .advise("Use another copy of the archive")
                    .because(source)
            })?;
        if rows.is_empty() {
            return Ok(());
        }
        // Names in an archive go into SQL only as names of tables that are there.
        let names: Vec<String> = super::schema::tables(shadow)?
            .into_iter()
            .filter(|it| rows.contains_key(it))
            .collect();
        let found: BTreeMap<String, u64> = match names.is_empty() {
            true => BTreeMap::new(),
            false => shadow
                .rows(&counting(&names))?
                .iter()
                .map(|it| row(it))
                .collect::<Result<_>>()?,
        };
        let wrong = rows
            .iter()
            .find(|(table, rows)| found.get(*table) != Some(*rows));
        match wrong {
            None => Ok(()),
            Some((table, rows)) => {
                let found = found.get(table).copied().unwrap_or_default();
                let message = format!("table {table} has {found} rows instead of {rows}");
                Err(Error::new(ErrorKind::Corrupt, message)
                    .advise("Use another copy of the archive"))
            }
        }
    }

    /// Copies the rows that belong to the manager that is restored to.
    fn keep_rows(&self, shadow: &Server, site: &Site) -> Result<()> {
        if self.kept.is_empty() {
            return Ok(());
        }
        let (_, matched) = self.server.during(site).matched()?;
        let (_, restricts) = matched.client()?;
        let mut arguments = vec!["--data-only".to_owned(), "--no-owner".into()];
        if restricts {
            arguments.push(format!("--restrict-key={}", random::word()?));
        }
        arguments.extend(self.kept.keys().map(|it| format!("--table={}", quoted(it))));
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let mut dump = matched.pg_dump(&arguments)?;
        let mut psql = shadow.psql(&["--single-transaction", "-f", "-"], Stdio::null())?;
        let mut stdin = psql.stdin();
        let copied = std::io::copy(&mut dump.stdout(), &mut stdin);
        drop(stdin);
        dump.finish()?;
        psql.finish()?;
        copied.map(drop).map_err(|source| failed("psql", &source))
    }
}
