//! Writing a database: all of it under one snapshot, and only what is asked for.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write};
use std::process::Stdio;

use stillpoint_archive::Class;
use stillpoint_core::{Error, ErrorKind, Result};

use super::client::{Client, Server, failed, literal};
use super::schema::{counting, quoted, tables};
use super::{DUMP, Database, ROWS};
use crate::dump::Dump;
use crate::failure::of_writing;
use crate::mutex::lock;

/// The key under which `pg_dump` says that no command may follow. Our own does that on a restore.
const RESTRICT: &str = "stillpoint";

impl Database {
    pub(super) fn write(&self, dump: &mut Dump<'_, '_>) -> Result<()> {
        let token = dump.site().token().to_owned();
        let snapshot = lock(&self.sessions)
            .get(&token)
            .map(|it| it.snapshot.clone())
            .ok_or_else(|| {
                let message = "no snapshot was exported for this job";
                Error::new(ErrorKind::Internal, message).advise("Report the job's journal")
            })?;
        let (server, matched) = self.server.during(dump.site()).matched()?;
        let (client, restricts) = matched.client()?;
        if client != server {
            let message =
                format!("the server is PostgreSQL {server}, and the clients here are of {client}");
            return Err(Error::new(ErrorKind::Precondition, message)
                .advise(format!("Install the clients of {server}")));
        }
        let rows = self.rows(&matched, &snapshot)?;
        let rows = serde_json::to_vec(&rows).expect("plain data with text for keys");
        dump.bytes(ROWS, Class::Secret, rows)?;
        let section =
            |name: &str, to: &mut dyn Write| self.section(&matched, name, &snapshot, restricts, to);
        dump.stream(DUMP, Class::Secret, |to| {
            section("pre-data", to)?;
            section("data", to)?;
            for (table, (condition, _)) in &self.filtered {
                copy(&matched, table, condition, &snapshot, to)?;
            }
            // Keys and constraints come last, and find all the rows there.
            section("post-data", to)
        })
    }

    /// One part of what `pg_dump` gives.
    fn section(
        &self,
        server: &Server,
        section: &str,
        snapshot: &str,
        restricts: bool,
        to: &mut dyn Write,
    ) -> Result<()> {
        let mut arguments = vec![
            "--no-owner".to_owned(),
            "--no-privileges".into(),
            format!("--section={section}"),
            format!("--snapshot={snapshot}"),
        ];
        if restricts {
            arguments.push(format!("--restrict-key={RESTRICT}"));
        }
        let without = self.kept.keys().chain(self.emptied.keys());
        for table in without.chain(self.filtered.keys()) {
            arguments.push(format!("--exclude-table-data={}", quoted(table)));
        }
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let mut client = server.pg_dump(&arguments)?;
        let copied = copy_lines(&mut client, restricts, to);
        // A client that failed has the better reason.
        client.finish()?;
        copied
    }

    /// How many rows of each table are written.
    fn rows(&self, server: &Server, snapshot: &str) -> Result<BTreeMap<String, u64>> {
        let all = tables(server)?;
        let without = self.kept.keys().chain(self.emptied.keys());
        let without: Vec<String> = without.map(|it| quoted(it)).collect();
        let filtered: BTreeMap<String, &str> = self
            .filtered
            .iter()
            .map(|(table, (condition, _))| (quoted(table), condition.as_str()))
            .collect();
        let whole: Vec<String> = all
            .into_iter()
            .filter(|it| !without.contains(it) && !filtered.contains_key(it))
            .collect();
        let mut counts = Vec::new();
        if !whole.is_empty() {
            counts.push(counting(&whole));
        }
        counts.extend(filtered.iter().map(|(table, condition)| {
            let name = literal(table);
            format!("SELECT {name}, count(*) FROM {table} WHERE ({condition}) IS NOT TRUE")
        }));
        if counts.is_empty() {
            return Ok(BTreeMap::new());
        }
        let sql = format!("{}{}", within(snapshot), counts.join(" UNION ALL "));
        let found = server.rows(&sql)?;
        found.iter().map(|it| row(it)).collect()
    }
}

/// The rows of a table for which a condition does not hold.
fn copy(
    server: &Server,
    table: &str,
    condition: &str,
    snapshot: &str,
    to: &mut dyn Write,
) -> Result<()> {
    let name = quoted(table);
    let columns = server.query(&format!(
        "SELECT pg_catalog.string_agg(pg_catalog.quote_ident(attname), ', ' ORDER BY attnum) \
         FROM pg_catalog.pg_attribute WHERE attrelid = {}::pg_catalog.regclass \
         AND attnum > 0 AND NOT attisdropped AND attgenerated = ''",
        literal(&name)
    ))?;
    let mut client = server.psql(&["-A", "-t", "-f", "-"], Stdio::piped())?;
    client.send(&format!(
        "{}COPY (SELECT {columns} FROM {name} WHERE ({condition}) IS NOT TRUE) TO STDOUT;\n",
        within(snapshot)
    ))?;
    let head = format!("\nCOPY {name} ({columns}) FROM stdin;\n");
    let copied = to
        .write_all(head.as_bytes())
        .and_then(|()| std::io::copy(&mut client.stdout(), to))
        .and_then(|_| to.write_all(b"\\.\n\n"));
    client.finish()?;
    copied.map_err(|source| of_writing(DUMP, source))
}

/// What makes a session see what the one that exported a snapshot sees.
fn within(snapshot: &str) -> String {
    format!(
        "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;\nSET TRANSACTION SNAPSHOT {};\n",
        literal(snapshot)
    )
}

/// A table and its rows, as a query gives them.
pub(super) fn row(line: &str) -> Result<(String, u64)> {
    let counted = line.rsplit_once('|');
    let parsed = counted.and_then(|(table, rows)| Some((table.to_owned(), rows.parse().ok()?)));
    parsed.ok_or_else(|| {
        let message = format!("`{}` counts no table", line.escape_debug());
        Error::new(ErrorKind::Internal, message).advise("Report it with the server's version")
    })
}

/// Copies a dump without the lines by which `pg_dump` allows no commands: there are three dumps in
/// one member, and one who restores it says that for all of them.
fn copy_lines(client: &mut Client, restricts: bool, to: &mut dyn Write) -> Result<()> {
    let mut lines = BufReader::with_capacity(256 << 10, client.stdout());
    let (restrict, unrestrict) = (
        format!("\\restrict {RESTRICT}\n").into_bytes(),
        format!("\\unrestrict {RESTRICT}\n").into_bytes(),
    );
    let mut rows = false;
    let mut line = Vec::with_capacity(4096);
    loop {
        line.clear();
        let read = lines.read_until(b'\n', &mut line);
        if read.map_err(|source| failed("pg_dump", &source))? == 0 {
            return Ok(());
        }
        if rows {
            rows = line != b"\\.\n";
        } else if line.starts_with(b"COPY ") && line.ends_with(b" FROM stdin;\n") {
            rows = true;
        } else if restricts && (line == restrict || line == unrestrict) {
            continue;
        }
        to.write_all(&line)
            .map_err(|source| of_writing(DUMP, source))?;
    }
}
