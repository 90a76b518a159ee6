//! PostgreSQL's own clients, as processes: no password is ever in their arguments.

use std::fmt;
use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read, Seek as _, SeekFrom, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};
use stillpoint_core::{Error, ErrorKind, Result};

use super::complaint::complaint;
use super::watch::Watch;
use crate::mutex::lock;
use crate::site::Site;

/// Where Debian and its kin have the clients of each version.
const DEBIAN: &str = "/usr/lib/postgresql";

/// What a session says once its snapshot is there.
const FIXED: &str = "stillpoint: fixed";

/// Bytes of a client's complaints that are read for the first error: from their beginning, since
/// what is left of one that is cut off in front is a value.
const COMPLAINT: u64 = 4 << 20;

/// How often it is looked whether a client that is watched has ended.
const PAUSE: Duration = Duration::from_millis(5);

/// A connection to a database of a PostgreSQL server, made by `psql` and `pg_dump`.
#[derive(Clone)]
pub struct Server {
    host: String,
    port: u16,
    user: String,
    database: String,
    password: Option<Arc<SecretString>>,
    bin: Option<PathBuf>,
    /// The job whose stop ends its clients.
    site: Option<Site>,
}

/// A session that holds an exported snapshot for as long as it is not dropped.
pub(super) struct Session {
    // Its transaction, and so its snapshot, ends with it.
    _stdin: ChildStdin,
    _client: Client,
    /// Its name, by which others see what it sees.
    pub(super) snapshot: String,
    /// The revision of the schema that it sees.
    pub(super) revision: Option<String>,
}

/// A client under way, and what it complains of.
pub(super) struct Client {
    program: &'static str,
    child: Arc<Mutex<Child>>,
    complaints: File,
    watch: Option<(Watch, Site)>,
}

impl Server {
    /// This database of the server at a host, or in the folder of a socket, as this user.
    pub fn new(
        host: impl Into<String>,
        user: impl Into<String>,
        database: impl Into<String>,
    ) -> Self {
        Self {
            host: host.into(),
            port: 5432,
            user: user.into(),
            database: database.into(),
            password: None,
            bin: None,
            site: None,
        }
    }

    /// The port, where it is not 5432.
    #[must_use]
    pub fn port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    /// The password; it is handed on in the environment of the clients alone.
    #[must_use]
    pub fn password(mut self, password: SecretString) -> Self {
        self.password = Some(Arc::new(password));
        self
    }

    /// The folder of `psql` and `pg_dump`, where they are not found by themselves.
    #[must_use]
    pub fn clients(mut self, folder: impl Into<PathBuf>) -> Self {
        self.bin = Some(folder.into());
        self
    }

    /// What the database is called.
    pub fn database(&self) -> &str {
        &self.database
    }

    /// The same server, another database.
    #[must_use]
    pub fn on(&self, database: impl Into<String>) -> Self {
        let mut server = self.clone();
        server.database = database.into();
        server
    }

    /// The same, for this job: its clients end when that is stopped, even while the server keeps
    /// them waiting.
    pub(super) fn during(&self, site: &Site) -> Self {
        let mut server = self.clone();
        server.site = Some(site.clone());
        server
    }

    /// What SQL gives: rows in lines, columns between `|`.
    ///
    /// # Errors
    /// What the server complains of, as its kind: [`ErrorKind::Unavailable`] where it cannot be
    /// reached.
    pub fn query(&self, sql: &str) -> Result<String> {
        let mut found = self.found(sql, &[])?;
        found.truncate(found.trim_end_matches('\n').len());
        Ok(found)
    }

    /// The rows that SQL gives, columns between `|`: whole, whatever they have in them. A name of
    /// several lines that is cut in pieces would be SQL of its own, and commands to `psql`.
    pub(super) fn rows(&self, sql: &str) -> Result<Vec<String>> {
        let found = self.found(sql, &["--record-separator-zero"])?;
        Ok(found.split_terminator('\0').map(str::to_owned).collect())
    }

    fn found(&self, sql: &str, shape: &[&str]) -> Result<String> {
        let arguments = [&["-A", "-t", "-f", "-"], shape].concat();
        let mut psql = self.psql(&arguments, Stdio::piped())?;
        psql.send(sql)?;
        let mut found = String::new();
        let read = psql.stdout().read_to_string(&mut found);
        psql.finish()?;
        read.map_err(|source| failed("psql", &source))?;
        Ok(found)
    }

    /// Runs SQL as one transaction, all of it or none.
    ///
    /// # Errors
    /// As [`query`](Self::query).
    pub fn transaction(&self, sql: &str) -> Result<()> {
        let mut psql = self.psql(&["--single-transaction", "-f", "-"], Stdio::null())?;
        psql.send(sql)?;
        psql.finish()
    }

    /// What a query counts.
    pub(super) fn count(&self, sql: &str) -> Result<u64> {
        let found = self.query(sql)?;
        found.trim().parse().map_err(|_| {
            let message = format!("`{sql}` gives no number");
            Error::new(ErrorKind::Invalid, message).advise("Give a query that counts")
        })
    }

    /// A session that exports its snapshot, and what this query gives under it.
    pub(super) fn export(&self, revision: Option<&str>) -> Result<Session> {
        let mut client = self.psql(&["-A", "-t", "-f", "-"], Stdio::piped())?;
        let mut stdin = client.stdin();
        let revised = revision.unwrap_or_default().trim_end_matches(';');
        let begin = format!(
            "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;\n\
             SELECT pg_catalog.pg_export_snapshot();\n\
             {revised};\n\\echo {FIXED}\n"
        );
        // Who does not read has gone, and says why below.
        let sent = stdin
            .write_all(begin.as_bytes())
            .and_then(|()| stdin.flush());
        let said: io::Result<Vec<String>> = BufReader::new(client.stdout())
            .lines()
            .take_while(|line| !line.as_ref().is_ok_and(|it| it == FIXED))
            .collect();
        let mut said = said.unwrap_or_default().into_iter();
        let (snapshot, found) = (said.next().unwrap_or_default(), said.next());
        if sent.is_err() || snapshot.is_empty() || found.is_some() != revision.is_some() {
            drop(stdin);
            client.finish()?;
            let message = "the server exported no snapshot, or has no revision of its schema";
            return Err(Error::new(ErrorKind::Unavailable, message)
                .advise("Look at its log, and at the query for the revision"));
        }
        Ok(Session {
            _stdin: stdin,
            _client: client,
            snapshot,
            revision: found,
        })
    }

    /// `psql` with these arguments, reading SQL from what it is sent.
    pub(super) fn psql(&self, arguments: &[&str], stdout: Stdio) -> Result<Client> {
        let common = ["-X", "-q", "-v", "ON_ERROR_STOP=1"];
        let arguments: Vec<&str> = common.iter().chain(arguments).copied().collect();
        self.start("psql", &arguments, Stdio::piped(), stdout)
    }

    /// `pg_dump` with these arguments.
    pub(super) fn pg_dump(&self, arguments: &[&str]) -> Result<Client> {
        self.start("pg_dump", arguments, Stdio::null(), Stdio::piped())
    }

    /// The major version of the server, and the same connection by the clients of that version,
    /// where Debian has them.
    pub(super) fn matched(&self) -> Result<(u32, Self)> {
        let number = self.query("SHOW server_version_num")?;
        let number: u32 = number.trim().parse().unwrap_or_default();
        let major = number / 10_000;
        let mut matched = self.clone();
        let bin = PathBuf::from(format!("{DEBIAN}/{major}/bin"));
        if matched.bin.is_none() && bin.join("pg_dump").exists() {
            matched.bin = Some(bin);
        }
        Ok((major, matched))
    }

    /// The major version of the `pg_dump` that is used, and whether it knows how to keep `psql`
    /// from running commands that stand in a dump.
    pub(super) fn client(&self) -> Result<(u32, bool)> {
        let version = self.ask("--version")?;
        let number = version.split_whitespace().find_map(|word| {
            let major: String = word.chars().take_while(char::is_ascii_digit).collect();
            major.parse().ok()
        });
        let major = number.ok_or_else(|| {
            let message = format!("pg_dump says of its version: {}", version.trim());
            Error::new(ErrorKind::Unsupported, message).advise("Install PostgreSQL's own")
        })?;
        Ok((major, self.ask("--help")?.contains("--restrict-key")))
    }

    fn ask(&self, argument: &str) -> Result<String> {
        let mut client = self.start("pg_dump", &[argument], Stdio::null(), Stdio::piped())?;
        let mut said = String::new();
        let read = client.stdout().read_to_string(&mut said);
        client.finish()?;
        read.map_err(|source| failed("pg_dump", &source))?;
        Ok(said)
    }

    fn start(
        &self,
        program: &'static str,
        arguments: &[&str],
        stdin: Stdio,
        stdout: Stdio,
    ) -> Result<Client> {
        let complaints = tempfile::tempfile().map_err(|source| failed(program, &source))?;
        let stderr = complaints
            .try_clone()
            .map_err(|source| failed(program, &source))?;
        let mut command = Command::new(self.program(program));
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("PG") {
                command.env_remove(name);
            }
        }
        command
            .args(arguments)
            .env("LC_ALL", "C")
            .env("PGAPPNAME", "stillpoint")
            .env("PGCLIENTENCODING", "UTF8")
            .env("PGCONNECT_TIMEOUT", "10")
            .env("PGDATABASE", &self.database)
            .env("PGHOST", &self.host)
            .env("PGPORT", self.port.to_string())
            .env("PGUSER", &self.user)
            .stdin(stdin)
            .stdout(stdout)
            .stderr(stderr);
        if let Some(password) = &self.password {
            command.env("PGPASSWORD", password.expose_secret());
        }
        let child = command.spawn().map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => {
                let message = format!("there is no {program}");
                Error::new(ErrorKind::Precondition, message)
                    .advise("Install PostgreSQL's clients, or say where they are")
            }
            _ => failed(program, &source),
        })?;
        let child = Arc::new(Mutex::new(child));
        let site = self.site.as_ref();
        let watch = site.map(|site| (Watch::of(&child, site), site.clone()));
        Ok(Client {
            program,
            child,
            complaints,
            watch,
        })
    }

    /// Where it is: as was said, else the newest that Debian has, else wherever the system looks.
    fn program(&self, name: &str) -> PathBuf {
        if let Some(bin) = &self.bin {
            return bin.join(name);
        }
        let versions = std::fs::read_dir(DEBIAN).into_iter().flatten().flatten();
        let newest = versions
            .filter_map(|it| {
                let number: u32 = it.file_name().to_str()?.parse().ok()?;
                let path = it.path().join("bin").join(name);
                path.exists().then_some((number, path))
            })
            .max();
        newest.map_or_else(|| PathBuf::from(name), |(_, path)| path)
    }
}

impl Client {
    /// Sends all of this, and that it was all.
    pub(super) fn send(&mut self, text: &str) -> Result<()> {
        let mut stdin = self.stdin();
        if text.contains('\0') {
            return Err(zero(ErrorKind::Invalid).advise("Leave it out"));
        }
        match stdin.write_all(text.as_bytes()) {
            // It has gone, and says why when it is finished.
            Err(source) if source.kind() != io::ErrorKind::BrokenPipe => {
                Err(failed(self.program, &source))
            }
            _ => Ok(()),
        }
    }

    /// What is sent to it, piece by piece.
    pub(super) fn stdin(&mut self) -> ChildStdin {
        let stdin = lock(&self.child).stdin.take();
        stdin.expect("piped, and taken once")
    }

    /// What it says.
    pub(super) fn stdout(&mut self) -> ChildStdout {
        let stdout = lock(&self.child).stdout.take();
        stdout.expect("piped, and taken once")
    }

    /// Waits for its end; an error with its complaint where that was not good.
    pub(super) fn finish(mut self) -> Result<()> {
        drop(lock(&self.child).stdin.take());
        let status = self.end().map_err(|source| failed(self.program, &source))?;
        if status.success() {
            return Ok(());
        }
        if let Some((_, site)) = &self.watch {
            site.check()?;
        }
        let mut said = Vec::new();
        let _ = self.complaints.seek(SeekFrom::Start(0));
        let _ = (&self.complaints).take(COMPLAINT).read_to_end(&mut said);
        Err(complaint(self.program, &String::from_utf8_lossy(&said)))
    }
}

impl Client {
    fn end(&self) -> io::Result<ExitStatus> {
        if self.watch.is_none() {
            return lock(&self.child).wait();
        }
        loop {
            // Who watches needs the child as well.
            if let Some(status) = lock(&self.child).try_wait()? {
                return Ok(status);
            }
            thread::sleep(PAUSE);
        }
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        // Over already where it was finished; else nobody wants it any more.
        let mut child = lock(&self.child);
        let _ = child.kill();
        let _ = child.wait();
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("host", &self.host)
            .field("port", &self.port)
            .field("user", &self.user)
            .field("database", &self.database)
            .finish_non_exhaustive()
    }
}

pub(super) fn failed(program: &str, source: &io::Error) -> Error {
    Error::io(format_args!("running {program}"), source)
}

/// No text of PostgreSQL's has a zero byte, and psql leaves out the rest of a line that has one, its
/// end too: what is quoted would end elsewhere.
pub(super) fn zero(kind: ErrorKind) -> Error {
    Error::new(kind, "a text for the database has a zero byte")
}

/// A name as SQL has it.
pub(super) fn ident(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A text as SQL has it, whatever a database says of backslashes.
pub(super) fn literal(text: &str) -> String {
    let escape = if text.contains('\\') { " E" } else { "" };
    let text = text.replace('\\', r"\\").replace('\'', "''");
    format!("{escape}'{text}'")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_ends_where_it_ends() {
        assert_eq!(literal("it's"), "'it''s'");
        assert_eq!(literal(r"it\'s"), r" E'it\\''s'");
    }
}
