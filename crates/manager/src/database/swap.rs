//! Two databases change their names in one transaction: there is never none, and never half of one.

use std::thread;
use std::time::{Duration, Instant};

use stillpoint_core::{Error, ErrorKind, Result, World};

use super::Database;
use super::client::{ident, literal};
use crate::site::Site;

/// For how long others are thrown out of a database before that is given up.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long to wait before the next try.
const PAUSE: Duration = Duration::from_millis(100);

impl Database {
    /// The shadow becomes the live one, and that is kept.
    pub(super) fn swap_in(&self, site: &Site) -> Result<()> {
        let (shadow, old) = (self.shadow(site), self.old(site));
        if self.exists(&old)? {
            return Ok(());
        }
        if !self.exists(&shadow)? {
            let message = format!("there is no database {shadow} to put in place");
            return Err(Error::new(ErrorKind::NotFound, message)
                .advise("Restore again, and look who removed it"));
        }
        self.rename(self.server.database(), &old, &shadow, || self.exists(&old))
    }

    /// The old one becomes the live one again, and what had taken its place is the shadow.
    pub(super) fn swap_out(&self, site: &Site) -> Result<()> {
        let (shadow, old) = (self.shadow(site), self.old(site));
        if !self.exists(&old)? {
            return Ok(());
        }
        self.rename(self.server.database(), &shadow, &old, || {
            Ok(!self.exists(&old)?)
        })
    }

    /// Removes the old one; none is a success.
    pub(super) fn drop_old(&self, site: &Site) -> Result<()> {
        self.drop_database(&self.old(site))
    }

    fn exists(&self, name: &str) -> Result<bool> {
        let sql = format!(
            "SELECT EXISTS (SELECT FROM pg_catalog.pg_database WHERE datname = {})",
            literal(name)
        );
        Ok(self.maintenance().query(&sql)? == "t")
    }

    /// `live` is called `away`, and `next` is called `live`. Whoever is connected to either is
    /// thrown out: a database with a connection has no other name.
    fn rename(
        &self,
        live: &str,
        away: &str,
        next: &str,
        is_done: impl Fn() -> Result<bool>,
    ) -> Result<()> {
        let maintenance = self.maintenance();
        let throw_out = format!(
            "SELECT count(pg_catalog.pg_terminate_backend(pid)) FROM pg_catalog.pg_stat_activity \
             WHERE datname IN ({}, {}) AND pid <> pg_catalog.pg_backend_pid()",
            literal(live),
            literal(next)
        );
        let swap = format!(
            "ALTER DATABASE {live} RENAME TO {away};\nALTER DATABASE {next} RENAME TO {live};\n",
            live = ident(live),
            away = ident(away),
            next = ident(next)
        );
        let start = Instant::now();
        loop {
            maintenance.query(&throw_out)?;
            let error = match maintenance.transaction(&swap) {
                Ok(()) => return Ok(()),
                Err(error) => error,
            };
            // An answer that was lost says nothing of what was done; a server that starts again soon does.
            let done = loop {
                match is_done() {
                    Err(_) if start.elapsed() <= PATIENCE => thread::sleep(PAUSE),
                    done => break done,
                }
            };
            match done {
                Ok(true) => return Ok(()),
                Ok(false) if error.kind() != ErrorKind::Busy => return Err(error),
                Ok(false) if start.elapsed() > PATIENCE => {
                    return Err(error.advise("Keep its clients from coming back at once"));
                }
                Ok(false) => thread::sleep(PAUSE),
                Err(_) => return Err(error.leaving(World::Unknown)),
            }
        }
    }
}
