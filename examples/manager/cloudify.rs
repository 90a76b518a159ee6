//! What snapshots of Cloudify Managers come to here, and what has no place.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};

use stillpoint::control::cloudify::{Era, Snapshot};
use stillpoint::{Error, ErrorKind, Result};

use crate::ask::literal;
use crate::copied::each;
use crate::plane::{BLUEPRINTS, KEYS, PLUGINS};

#[cfg(test)]
mod tests;

/// The tenant of all that has none.
const DEFAULT: &str = "default_tenant";

/// Of these nothing is lost where they are left out: what they say is in the rows that have a place.
const NO_CONTENT: [&str; 2] = ["alembic_version", "tenants"];

/// The path of a file in one of our folders; none: it has no place in that one.
pub(crate) fn file(era: Era, path: &str, folder: &str) -> Option<String> {
    let parts: Vec<&str> = path.split('/').collect();
    let (place, path) = match (era, &parts[..]) {
        (Era::A | Era::B, ["blueprints", _, _, ..]) => {
            (BLUEPRINTS, format!("{DEFAULT}/{}", parts[1..].join("/")))
        }
        (Era::C, ["blueprints", _, _, _, ..]) => (BLUEPRINTS, parts[1..].join("/")),
        (_, ["plugins", _, _, ..]) => (PLUGINS, parts[1..].join("/")),
        (_, ["snapshot-credentials", _, ..]) => (KEYS, parts[1..].join("/")),
        (Era::D | Era::E, ["tenants", _, "plugins" | "plugins_archives", file]) => (
            PLUGINS,
            format!("{}/plugin.zip", file.strip_suffix(".zip")?),
        ),
        (
            Era::D | Era::E,
            [
                "tenants",
                tenant,
                "blueprints" | "blueprints_archives",
                file,
            ],
        ) => {
            let (id, kind) = file.split_once('.')?;
            (BLUEPRINTS, format!("{tenant}/{id}/archive.{kind}"))
        }
        _ => return None,
    };
    (place == folder).then_some(path)
}

/// The columns of a dump that something here comes of.
const COLUMNS: [&str; 7] = [
    "_blueprint_fk",
    "_storage_id",
    "_tenant_id",
    "blueprint_id",
    "id",
    "name",
    "username",
];

/// What is placed goes out as SQL at once; of it only ids are held.
struct Placer<'a> {
    sql: &'a mut dyn Write,
    unplaced: &'a mut dyn FnMut(String),
    /// Those that are there by now.
    tenants: BTreeSet<String>,
    /// The ids that are taken by now, by kind.
    taken: BTreeMap<&'static str, BTreeSet<String>>,
}

/// Opens the member `pg_data`, up to 6.4 a dump of the database, from its start.
type Dump<'a> = dyn Fn() -> Result<Box<dyn Read>> + 'a;

/// Writes the SQL of a whole database.
pub(crate) fn rows(
    schema: &str,
    snapshot: &Snapshot,
    dump: &Dump<'_>,
    sql: &mut dyn Write,
    unplaced: &mut dyn FnMut(String),
) -> Result<()> {
    sql.write_all(schema.as_bytes()).map_err(writing)?;
    let mut placer = Placer {
        sql,
        unplaced,
        tenants: BTreeSet::new(),
        taken: BTreeMap::new(),
    };
    match snapshot.era() {
        Era::A => (placer.unplaced)("all of its Elasticsearch data".to_owned()),
        Era::B | Era::C => placer.dumped(dump)?,
        _ => placer.entities(snapshot)?,
    }
    placer.files(snapshot);
    Ok(())
}

impl Placer<'_> {
    /// Adds a row, unless its id is another tenant's already: here ids are of all tenants.
    fn add(
        &mut self,
        kind: &'static str,
        tenant: &str,
        id: &str,
        values: &[(&str, &str)],
    ) -> Result<()> {
        if !self.taken.entry(kind).or_default().insert(id.to_owned()) {
            (self.unplaced)(format!(
                "{kind} {id} of {tenant}: another tenant has that id"
            ));
            return Ok(());
        }
        self.tenant(tenant)?;
        let key = if kind == "secrets" { "key" } else { "id" };
        let names: String = values.iter().map(|(name, _)| format!(", {name}")).collect();
        let given: String = values
            .iter()
            .map(|(_, it)| format!(", {}", literal(it)))
            .collect();
        let (id, tenant) = (literal(id), literal(tenant));
        writeln!(
            self.sql,
            "INSERT INTO {kind} ({key}, tenant_name{names}) VALUES ({id}, {tenant}{given});"
        )
        .map_err(writing)
    }

    fn tenant(&mut self, name: &str) -> Result<()> {
        if !self.tenants.insert(name.to_owned()) {
            return Ok(());
        }
        let name = literal(name);
        writeln!(
            self.sql,
            "INSERT INTO tenants VALUES ({name}) ON CONFLICT DO NOTHING;"
        )
        .map_err(writing)
    }

    /// Up to 6.4: rows of a dump. It is read twice, since deployments may stand before what they
    /// refer to; the second time their names are known.
    fn dumped(&mut self, dump: &Dump<'_>) -> Result<()> {
        let mut tenants: BTreeMap<String, String> = BTreeMap::new();
        let mut blueprints: Vec<(String, Option<String>)> = Vec::new();
        let mut by_key: BTreeMap<String, String> = BTreeMap::new();
        each(dump()?, &COLUMNS, |table, row| {
            let owned = |column: &str| row.get(column).map(str::to_owned);
            match (table, owned("id")) {
                ("tenants", Some(id)) => {
                    tenants.extend(owned("name").map(|name| (id, name)));
                }
                ("blueprints", Some(id)) => {
                    by_key.extend(owned("_storage_id").map(|key| (key, id.clone())));
                    blueprints.push((id, owned("_tenant_id")));
                }
                _ => {}
            }
            Ok(())
        })?;
        let tenant = |id: Option<&str>| {
            let name = id.and_then(|id| tenants.get(id));
            name.map_or(DEFAULT, String::as_str)
        };
        for name in tenants.values() {
            self.tenant(name)?;
        }
        for (id, of) in &blueprints {
            self.add("blueprints", tenant(of.as_deref()), id, &[])?;
        }
        let mut counted: BTreeMap<String, usize> = BTreeMap::new();
        each(dump()?, &COLUMNS, |table, row| {
            let tenant = tenant(row.get("_tenant_id"));
            let id = row.get("id").unwrap_or_default();
            match table {
                "blueprints" => {}
                "plugins" => self.add("plugins", tenant, id, &[])?,
                "deployments" => {
                    let key = row.get("_blueprint_fk").and_then(|it| by_key.get(it));
                    let named = key.map(String::as_str).or_else(|| row.get("blueprint_id"));
                    match named {
                        Some(it) => {
                            self.add("deployments", tenant, id, &[("blueprint_id", it)])?;
                        }
                        None => (self.unplaced)(format!("deployment {id}: of no blueprint")),
                    }
                }
                "secrets" => (self.unplaced)(format!(
                    "secret {id}: it is encrypted by a key of the manager that it is of"
                )),
                "users" => {
                    let name = row.get("username").unwrap_or(id);
                    (self.unplaced)(format!("user {name}: the password has another hash here"));
                }
                table if NO_CONTENT.contains(&table) => {}
                table => *counted.entry(table.to_owned()).or_default() += 1,
            }
            Ok(())
        })?;
        for (table, rows) in counted {
            (self.unplaced)(format!("{rows} rows of table {table}"));
        }
        Ok(())
    }

    /// From 7.0 on: entities, and blueprints before what refers to them.
    fn entities(&mut self, snapshot: &Snapshot) -> Result<()> {
        for tenant in snapshot.tenants().unwrap_or_default() {
            self.tenant(&tenant)?;
        }
        let mut all = snapshot.entities().map_err(|error| {
            Error::new(ErrorKind::Corrupt, error.to_string()).advise("Use another copy")
        })?;
        all.sort_by_key(|it| it.kind != "blueprints");
        let mut counted: BTreeMap<String, usize> = BTreeMap::new();
        for entities in all {
            let tenant = entities.tenant.as_deref().unwrap_or(DEFAULT);
            for item in &entities.items {
                let text = |name: &str| item[name].as_str().unwrap_or_default();
                match entities.kind.as_str() {
                    "tenants" => self.tenant(text("name"))?,
                    "blueprints" => self.add("blueprints", tenant, text("id"), &[])?,
                    "plugins" => self.add("plugins", tenant, text("id"), &[])?,
                    "deployments" => {
                        let blueprint = [("blueprint_id", text("blueprint_id"))];
                        self.add("deployments", tenant, text("id"), &blueprint)?;
                    }
                    "secrets" if item["value"].is_string() => {
                        self.add("secrets", tenant, text("key"), &[("value", text("value"))])?;
                    }
                    kind => *counted.entry(kind.to_owned()).or_default() += 1,
                }
            }
        }
        for (kind, count) in counted {
            (self.unplaced)(format!("{count} {kind}"));
        }
        Ok(())
    }

    /// Files that none of our folders takes, by the folder that they are in.
    fn files(&mut self, snapshot: &Snapshot) {
        let era = snapshot.era();
        let mut counted: BTreeMap<String, usize> = BTreeMap::new();
        for path in snapshot.files().paths() {
            let ours = [BLUEPRINTS, PLUGINS, KEYS]
                .iter()
                .any(|it| file(era, path, it).is_some());
            let read = matches!(path, "metadata.json" | "pg_data")
                || (path.ends_with(".json")
                    && (path.starts_with("mgmt/") || path.starts_with("tenants/")));
            if !ours && !read {
                let folder = path.split('/').next().unwrap_or(path);
                *counted.entry(folder.to_owned()).or_default() += 1;
            }
        }
        for (folder, count) in counted {
            (self.unplaced)(format!("{count} files of {folder}"));
        }
    }
}

fn writing(source: std::io::Error) -> Error {
    Error::io("writing its rows", &source)
}
