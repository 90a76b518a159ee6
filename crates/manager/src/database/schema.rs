//! What there is in a database: its tables, and whether something stands in the way.

use serde_json::Value;
use stillpoint_core::Result;

use super::Database;
use super::client::{Server, ident, literal};
use crate::metadata::CLOUDIFY;
use crate::probe::Token;

/// Every ordinary table that is not the system's, by its quoted name.
const TABLES: &str = "SELECT pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(c.relname) \
     FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
     WHERE c.relkind = 'r' AND c.relpersistence <> 't' \
       AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname NOT LIKE 'pg_toast%' \
     ORDER BY 1";

/// The tables, by their quoted names.
pub(super) fn tables(server: &Server) -> Result<Vec<String>> {
    server.rows(TABLES)
}

/// Counts the rows of tables, all in one statement and so of one instant.
pub(super) fn counting(tables: &[String]) -> String {
    let each = tables.iter().map(|table| {
        let name = literal(table);
        format!("SELECT {name}, count(*) FROM {table}")
    });
    each.collect::<Vec<_>>().join(" UNION ALL ")
}

/// A table's name as it was given, `public.sessions`, as SQL has it.
pub(super) fn quoted(table: &str) -> String {
    match table.split_once('.') {
        Some((schema, name)) => format!("{}.{}", plain(schema), plain(name)),
        None => format!("public.{}", plain(table)),
    }
}

/// As `quote_ident` has it, which quotes only what needs it.
fn plain(name: &str) -> String {
    let simple = name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
        && name
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    if simple { name.to_owned() } else { ident(name) }
}

impl Database {
    /// What stands in the way of restoring here.
    pub(super) fn look(&self, about: &Value) -> Result<Vec<String>> {
        let mut blocked = Vec::new();
        if about["kind"] != "postgresql" && about["kind"] != CLOUDIFY {
            blocked.push("the archive has something else under this name".to_owned());
        }
        let (server, matched) = self.server.matched()?;
        let (client, restricts) = matched.client()?;
        if client != server {
            blocked.push(format!(
                "the server is PostgreSQL {server}, and the clients here are of {client}: install those of {server}"
            ));
        }
        if !restricts {
            blocked.push(
                "the clients here would run commands that stand in a dump: bring them up to date"
                    .to_owned(),
            );
        }
        let name = literal(self.server.database());
        let rights = format!(
            "SELECT r.rolsuper OR (r.rolcreatedb AND pg_catalog.pg_has_role(d.datdba, 'MEMBER')) \
             FROM pg_catalog.pg_database d, pg_catalog.pg_roles r \
             WHERE d.datname = {name} AND r.rolname = current_user"
        );
        if self.server.query(&rights)? != "t" {
            blocked.push(
                "the role may not create databases, or does not own this one: grant it both"
                    .to_owned(),
            );
        }
        for table in self.kept.keys() {
            let found = self.server.query(&format!(
                "SELECT pg_catalog.to_regclass({}) IS NOT NULL",
                literal(&quoted(table))
            ))?;
            if found != "t" {
                blocked.push(format!(
                    "there is no table {table}, whose rows are to be kept"
                ));
            }
        }
        Ok(blocked)
    }

    /// Whether a row that was written just now has this token in it, as text or as bytes.
    pub(super) fn search(&self, token: &Token) -> Result<bool> {
        let tables = tables(&self.server)?;
        if tables.is_empty() {
            return Ok(false);
        }
        let (text, hex) = (
            literal(&format!("%{}%", token.as_str())),
            literal(&format!("%{}%", token.hex())),
        );
        // Older rows are not turned into text: this reads all tables, and is to be cheap.
        let each = tables.iter().map(|table| {
            format!(
                "EXISTS (SELECT FROM {table} t WHERE pg_catalog.age(t.xmin) BETWEEN 0 AND 100000 \
                 AND (t::text LIKE {text} OR t::text LIKE {hex}))"
            )
        });
        let all: Vec<String> = each.collect();
        let found = self.server.query(&format!("SELECT {}", all.join(" OR ")))?;
        Ok(found == "t")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_quoted_as_the_server_does() {
        assert_eq!(quoted("sessions"), "public.sessions");
        assert_eq!(quoted("app.Order"), "app.\"Order\"");
        assert_eq!(quoted("app.a\"b"), "app.\"a\"\"b\"");
    }
}
