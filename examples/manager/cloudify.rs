//! What snapshots of Cloudify Managers come to here, and what has no place.

use std::collections::{BTreeMap, BTreeSet};

use stillpoint::control::cloudify::{Era, Snapshot};
use stillpoint::{Error, ErrorKind, Result};

use crate::ask::literal;
use crate::copied::{Row, tables};
use crate::plane::{BLUEPRINTS, KEYS, PLUGINS};

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

/// What is placed, by kind and in the order in which it refers to each other.
#[derive(Default)]
struct Placed {
    tenants: BTreeSet<String>,
    /// Statements, and the ids that are taken by now.
    sql: BTreeMap<&'static str, (Vec<String>, BTreeSet<String>)>,
    unplaced: Vec<String>,
}

/// The SQL of a whole database.
pub(crate) fn rows(
    schema: &str,
    snapshot: &Snapshot,
    unplaced: &mut dyn FnMut(String),
) -> Result<String> {
    let mut placed = Placed::default();
    match snapshot.era() {
        Era::A | Era::B | Era::C => placed.dumped(snapshot)?,
        _ => placed.entities(snapshot)?,
    }
    placed.files(snapshot);
    placed.unplaced.into_iter().for_each(unplaced);
    let mut sql = schema.to_owned();
    for tenant in placed.tenants {
        let tenant = literal(&tenant);
        sql += &format!("INSERT INTO tenants VALUES ({tenant}) ON CONFLICT DO NOTHING;\n");
    }
    for kind in ["blueprints", "deployments", "plugins", "secrets"] {
        if let Some((statements, _)) = placed.sql.remove(kind) {
            sql += &statements.concat();
        }
    }
    Ok(sql)
}

impl Placed {
    /// Adds a row, unless its id is another tenant's already: here ids are of all tenants.
    fn add(&mut self, kind: &'static str, tenant: &str, id: &str, values: &[(&str, &str)]) {
        let (statements, taken) = self.sql.entry(kind).or_default();
        if !taken.insert(id.to_owned()) {
            self.unplaced.push(format!(
                "{kind} {id} of {tenant}: another tenant has that id"
            ));
            return;
        }
        self.tenants.insert(tenant.to_owned());
        let key = if kind == "secrets" { "key" } else { "id" };
        let names: String = values.iter().map(|(name, _)| format!(", {name}")).collect();
        let given: String = values
            .iter()
            .map(|(_, it)| format!(", {}", literal(it)))
            .collect();
        statements.push(format!(
            "INSERT INTO {kind} ({key}, tenant_name{names}) VALUES ({}, {}{given});\n",
            literal(id),
            literal(tenant)
        ));
    }

    /// Up to 6.4: rows of a dump.
    fn dumped(&mut self, snapshot: &Snapshot) -> Result<()> {
        if snapshot.era() == Era::A {
            self.unplaced
                .push("all of its Elasticsearch data".to_owned());
            return Ok(());
        }
        let bytes = snapshot.files().read("pg_data").map_err(|error| {
            Error::new(ErrorKind::Corrupt, format!("pg_data: {error}")).advise("Use another copy")
        })?;
        let tables = tables(&String::from_utf8_lossy(&bytes));
        let of = |table: &str| tables.get(table).map(Vec::as_slice).unwrap_or_default();
        let get = |row: &Row, column: &str| row.get(column).cloned().flatten();
        let named = |table: &str, key: &str, name: &str| -> BTreeMap<String, String> {
            let pairs = of(table).iter();
            pairs
                .filter_map(|row| Some((get(row, key)?, get(row, name)?)))
                .collect()
        };
        let tenants = named("tenants", "id", "name");
        let blueprints = named("blueprints", "_storage_id", "id");
        let tenant = |row: &Row| {
            let id = get(row, "_tenant_id");
            id.and_then(|id| tenants.get(&id).cloned())
                .unwrap_or_else(|| DEFAULT.to_owned())
        };
        self.tenants.extend(tenants.values().cloned());
        for (table, rows) in &tables {
            for row in rows {
                let Some(id) = get(row, "id") else { continue };
                match table.as_str() {
                    "blueprints" => self.add("blueprints", &tenant(row), &id, &[]),
                    "plugins" => self.add("plugins", &tenant(row), &id, &[]),
                    "deployments" => {
                        let by_key = get(row, "_blueprint_fk");
                        let blueprint = by_key.and_then(|key| blueprints.get(&key).cloned());
                        match blueprint.or_else(|| get(row, "blueprint_id")) {
                            Some(it) => {
                                self.add(
                                    "deployments",
                                    &tenant(row),
                                    &id,
                                    &[("blueprint_id", &it)],
                                );
                            }
                            None => self
                                .unplaced
                                .push(format!("deployment {id}: of no blueprint")),
                        }
                    }
                    "secrets" => self.unplaced.push(format!(
                        "secret {id}: it is encrypted by a key of the manager that it is of"
                    )),
                    "users" => {
                        let name = get(row, "username").unwrap_or(id);
                        self.unplaced
                            .push(format!("user {name}: the password has another hash here"));
                    }
                    _ => {}
                }
            }
            let known = ["blueprints", "deployments", "plugins", "secrets", "users"];
            let placed = known.contains(&table.as_str()) || NO_CONTENT.contains(&table.as_str());
            if !placed && !rows.is_empty() {
                self.unplaced
                    .push(format!("{} rows of table {table}", rows.len()));
            }
        }
        Ok(())
    }

    /// From 7.0 on: entities.
    fn entities(&mut self, snapshot: &Snapshot) -> Result<()> {
        self.tenants.extend(snapshot.tenants().unwrap_or_default());
        let all = snapshot.entities().map_err(|error| {
            Error::new(ErrorKind::Corrupt, error.to_string()).advise("Use another copy")
        })?;
        let mut counted: BTreeMap<String, usize> = BTreeMap::new();
        for entities in all {
            let tenant = entities.tenant.as_deref().unwrap_or(DEFAULT);
            for item in &entities.items {
                let text = |name: &str| item[name].as_str().unwrap_or_default();
                match entities.kind.as_str() {
                    "tenants" => {
                        self.tenants.insert(text("name").to_owned());
                    }
                    "blueprints" => self.add("blueprints", tenant, text("id"), &[]),
                    "plugins" => self.add("plugins", tenant, text("id"), &[]),
                    "deployments" => {
                        let blueprint = [("blueprint_id", text("blueprint_id"))];
                        self.add("deployments", tenant, text("id"), &blueprint);
                    }
                    "secrets" if item["value"].is_string() => {
                        self.add("secrets", tenant, text("key"), &[("value", text("value"))]);
                    }
                    kind => *counted.entry(kind.to_owned()).or_default() += 1,
                }
            }
        }
        let counted = counted.into_iter();
        self.unplaced
            .extend(counted.map(|(kind, count)| format!("{count} {kind}")));
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
        let counted = counted.into_iter();
        self.unplaced
            .extend(counted.map(|(folder, count)| format!("{count} files of {folder}")));
    }
}
