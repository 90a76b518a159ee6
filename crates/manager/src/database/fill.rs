//! What fills the database that is restored into: SQL that streams into `psql`, never held whole.

use std::io::{self, BufWriter, Read as _, Write};
use std::process::{ChildStdin, Stdio};

use stillpoint_archive::cloudify::Snapshot;
use stillpoint_core::{Error, ErrorKind, Result};

use super::client::{Server, failed, zero};
use super::{DUMP, Database};
use crate::failure::{of_archive, of_reading};
use crate::random;
use crate::site::Site;
use crate::stage::Stage;

/// Writes a database's SQL from a snapshot of a Cloudify Manager, and notes in the stage what had no
/// place in it.
pub(super) type FromCloudify =
    dyn Fn(&Snapshot, &Stage<'_>, &mut dyn Write) -> Result<()> + Send + Sync;

/// Bytes that are read and sent at a time.
const PIECE: usize = 256 << 10;

impl Database {
    /// Fills it with the archive's dump.
    pub(super) fn fill(&self, stage: &Stage<'_>, shadow: &Server) -> Result<()> {
        let mut dump = stage.reader(DUMP)?;
        let mut piece = vec![0; PIECE];
        pour(stage.site(), shadow, |sql| {
            loop {
                let read = dump.read(&mut piece);
                match read.map_err(|source| of_reading(DUMP, source))? {
                    0 => return Ok(()),
                    length => sql
                        .write_all(&piece[..length])
                        .map_err(|source| failed("psql", &source))?,
                }
            }
        })
    }

    /// Fills it with what a snapshot of a Cloudify Manager comes to here.
    pub(super) fn convert(&self, stage: &Stage<'_>, shadow: &Server) -> Result<()> {
        let Some(convert) = &self.cloudify else {
            let message = "this database places nothing of Cloudify's";
            return Err(Error::new(ErrorKind::Unsupported, message).advise("Leave it out"));
        };
        let snapshot = Snapshot::of(stage.archive())
            .map_err(|error| of_archive("of a Cloudify Manager", error))?;
        pour(stage.site(), shadow, |sql| convert(&snapshot, stage, sql))
    }
}

/// Has a server run what is written, as one transaction: all of it, or none.
fn pour(
    site: &Site,
    server: &Server,
    write: impl FnOnce(&mut dyn Write) -> Result<()>,
) -> Result<()> {
    let mut psql = server.psql(&["--single-transaction", "-f", "-"], Stdio::null())?;
    let mut pipe = Pipe {
        site,
        stdin: psql.stdin(),
        ended: None,
    };
    let mut sql = BufWriter::with_capacity(PIECE, &mut pipe);
    // From here on no line of what is written is a command to psql.
    let written = writeln!(sql, "\\restrict {}", random::word()?)
        .map_err(|source| failed("psql", &source))
        .and_then(|()| write(&mut sql))
        .and_then(|()| sql.flush().map_err(|source| failed("psql", &source)));
    // What is left in it after a failure is for nobody.
    drop(sql.into_parts());
    match (written, pipe.ended.take()) {
        (Ok(()), None) => {
            drop(pipe);
            psql.finish()
        }
        (_, Some(End::Gone(source))) => {
            site.check()?;
            // It says why. What it was sent of a transaction is no part of anything.
            drop(pipe);
            psql.finish()?;
            Err(failed("psql", &source))
        }
        (written, ended) => {
            // Ended first: the end of what it is sent would have it commit what it has.
            drop(psql);
            site.check()?;
            match ended {
                Some(End::Zero) => Err(zero(ErrorKind::Corrupt)
                    .advise("No manager wrote it: do not trust the archive")),
                _ => written,
            }
        }
    }
}

/// What leads to `psql`: it ends with its job, and remembers why else it ended.
struct Pipe<'a> {
    site: &'a Site,
    stdin: ChildStdin,
    ended: Option<End>,
}

/// Why nothing more can be sent.
enum End {
    /// Nobody reads any more.
    Gone(io::Error),
    /// It was to send a zero byte, which it did not.
    Zero,
}

impl Write for Pipe<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if let Err(error) = self.site.check() {
            return Err(io::Error::other(error));
        }
        if bytes.contains(&0) {
            self.ended = Some(End::Zero);
            return Err(io::ErrorKind::InvalidData.into());
        }
        self.stdin.write(bytes).inspect_err(|source| {
            if source.kind() != io::ErrorKind::Interrupted {
                self.ended = Some(End::Gone(source.kind().into()));
            }
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stdin.flush()
    }
}
