//! From one era to a later one: pure functions over files.

use serde_json::{Map, Value, json};

use super::agents::has_tenants;
use super::documents::Envelope;
use super::{Entities, Era, Files, Snapshot, SnapshotMetadata};
use crate::manifest::METADATA;
use crate::{Error, Refusal, Result};

/// The tenant everything belonged to before there were others.
const DEFAULT_TENANT: &str = "default_tenant";
/// The schema of 4.0's database, which says none itself.
const SCHEMA_OF_B: &str = "333998bc1627";

pub(super) fn migrate(snapshot: Snapshot, to: Era) -> Result<Snapshot> {
    let from = snapshot.era();
    let (files, metadata) = (snapshot.files().clone(), snapshot.metadata().clone());
    let files = match (from, to) {
        _ if from == to && to != Era::C => return Ok(snapshot),
        (Era::A, _) => {
            return Err(Error::Unsupported(
                "a snapshot of 3.x keeps its data in Elasticsearch, which no later manager \
                 reads; restore it on a 3.4 manager and upgrade that"
                    .to_owned(),
            ));
        }
        (Era::B, Era::C) => clean_c(b_to_c(files, metadata)?)?,
        (Era::C, Era::C) => clean_c(files)?,
        (Era::D, Era::E) => d_to_e(&snapshot)?,
        _ => {
            return Err(Error::Unsupported(format!(
                "there is no way from era {from} to {to}: what {from} keeps in a database dump \
                 only a manager can turn into another form; restore it there first"
            )));
        }
    };
    let migrated = Snapshot::from_files(files)?;
    if migrated.era() != to {
        let why = format!("it holds files that have no place in a snapshot of era {to}");
        return Err(Refusal::UnknownEra(why).bare());
    }
    Ok(migrated)
}

fn set_metadata(files: &mut Files, metadata: &SnapshotMetadata) {
    let bytes = serde_json::to_vec(metadata).expect("plain data into memory");
    files.insert(METADATA, bytes);
}

/// Tenants come into the paths and into `agents.json`; the schema is said.
fn b_to_c(mut files: Files, mut metadata: SnapshotMetadata) -> Result<Files> {
    for folder in ["blueprints", "uploaded-blueprints", "deployments"] {
        rename(&mut files, folder, |name| {
            format!("{DEFAULT_TENANT}/{name}")
        });
    }
    rename(&mut files, "snapshot-credentials", |name| {
        format!("{DEFAULT_TENANT}_{name}")
    });
    // Folders are where their files are; those of the old paths are none any more.
    let directories: Vec<String> = files.directories().map(str::to_owned).collect();
    for path in directories {
        files.remove_directory(&path);
    }
    if files.contains("agents.json") {
        let agents: Value = files.json("agents.json")?;
        if !has_tenants(&agents) {
            let agents = json!({ DEFAULT_TENANT: agents });
            files.insert("agents.json", agents.to_string());
        }
    }
    metadata.schema_revision = Some(SCHEMA_OF_B.to_owned());
    set_metadata(&mut files, &metadata);
    Ok(files)
}

/// Gives every file below a folder another name there. All are taken out first: a new name may be
/// another one's old one.
fn rename(files: &mut Files, folder: &str, name: impl Fn(&str) -> String) {
    let paths: Vec<String> = files.under(folder).map(str::to_owned).collect();
    let taken: Vec<_> = paths
        .iter()
        .map(|path| files.remove(path).expect("just listed"))
        .collect();
    for (path, file) in paths.iter().zip(taken) {
        let new = name(&path[folder.len() + 1..]);
        files.put(format!("{folder}/{new}"), file);
    }
}

/// Revisions as a restore needs them.
fn clean_c(mut files: Files) -> Result<Files> {
    let mut metadata: SnapshotMetadata = files.json(METADATA)?;
    let stage = metadata.stage_revision().map(str::to_owned);
    let composer = metadata.composer_revision().map(str::to_owned);
    if (
        &metadata.stage_schema_revision,
        &metadata.composer_schema_revision,
    ) != (&stage, &composer)
    {
        metadata.stage_schema_revision = stage;
        metadata.composer_schema_revision = composer;
        set_metadata(&mut files, &metadata);
    }
    Ok(files)
}

/// The order entities are restored in, the manager's own first.
const ORDER: [&str; 26] = [
    "tenants",
    "permissions",
    "user_groups",
    "users",
    "sites",
    "plugins",
    "secrets_providers",
    "secrets",
    "blueprints",
    "deployments",
    "deployment_groups",
    "nodes",
    "node_instances",
    "agents",
    "inter_deployment_dependencies",
    "executions",
    "execution_groups",
    "events",
    "executions_events",
    "execution_groups_events",
    "deployment_updates",
    "plugins_update",
    "deployments_filters",
    "blueprints_filters",
    "tasks_graphs",
    "execution_schedules",
];

fn rank(kind: &str) -> usize {
    ORDER
        .iter()
        .position(|known| *known == kind)
        .unwrap_or(ORDER.len())
}

/// Entities of 7.0.0, whose files are named by type.
pub(super) fn sort_for_restore(all: &mut [Entities]) {
    all.sort_by(|a, b| {
        let key = |e: &Entities| (e.tenant.clone(), rank(&e.kind));
        key(a)
            .cmp(&key(b))
            .then_with(|| natural(&a.path).cmp(&natural(&b.path)))
    });
}

/// Paths with their number as one: 2 comes before 10.
fn natural(path: &str) -> (String, u64, String) {
    let (folder, file) = path.rsplit_once('/').unwrap_or(("", path));
    let number = file
        .strip_suffix(".json")
        .and_then(|stem| stem.parse().ok());
    (
        folder.to_owned(),
        number.unwrap_or(u64::MAX),
        file.to_owned(),
    )
}

/// Types by folder become numbered envelopes; archives lose their suffix of folder.
fn d_to_e(snapshot: &Snapshot) -> Result<Files> {
    let mut files = Files::default();
    let old = snapshot.files();
    let mut counts: std::collections::BTreeMap<Option<String>, u32> = Default::default();
    for entities in snapshot.entities()? {
        let number = counts.entry(entities.tenant.clone()).or_default();
        *number += 1;
        let folder = match &entities.tenant {
            None => "mgmt".to_owned(),
            Some(tenant) => format!("tenants/{tenant}"),
        };
        files.insert(
            format!("{folder}/{number:08}.json"),
            envelope(old, &entities)?,
        );
    }
    for path in old.paths() {
        let parts: Vec<&str> = path.split('/').collect();
        let new = match &parts[..] {
            ["mgmt", _, _] => continue,
            ["tenants", _, _, file] if file.ends_with(".json") => continue,
            ["tenants", tenant, folder, file] => {
                let folder = folder.strip_suffix("_archives").unwrap_or(folder);
                format!("tenants/{tenant}/{folder}/{file}")
            }
            _ => path.to_owned(),
        };
        if files.get(&new).is_some() {
            let why = format!("two of its files would both be {new}");
            return Err(Refusal::UnknownEra(why).of(path));
        }
        let file = old.get(path).expect("just listed").clone();
        files.put(new, file);
    }
    // A restore makes the tenants it finds as folders, and no others.
    for tenant in snapshot.tenants().unwrap_or_default() {
        files.insert_directory(&format!("tenants/{tenant}"));
    }
    Ok(files)
}

/// An envelope as 7.1 writes it, with what 7.0.0 said by the file's name.
fn envelope(old: &Files, entities: &Entities) -> Result<Vec<u8>> {
    let Envelope {
        kind,
        source,
        source_id,
        items,
        more,
    } = old.json(&entities.path)?;
    let name = entities.path.rsplit('/').next().unwrap_or_default();
    let stem = name.strip_suffix(".json").unwrap_or(name);
    let folder = entities.path.rsplit('/').nth(1).unwrap_or_default();
    let (kind, source, by_name) = match folder {
        "executions_events" => ("events".to_owned(), Some("executions".to_owned()), true),
        "execution_groups_events" => (
            "events".to_owned(),
            Some("execution_groups".to_owned()),
            true,
        ),
        "agents" | "node_instances" | "nodes" | "tasks_graphs" => (kind, source, true),
        _ => (kind, source, false),
    };
    let source_id = source_id.or_else(|| by_name.then(|| stem.to_owned()));
    let mut all = Map::new();
    all.insert("type".to_owned(), kind.into());
    if let Some(source) = source {
        all.insert("source".to_owned(), source.into());
    }
    if let Some(source_id) = source_id {
        all.insert("source_id".to_owned(), source_id.into());
    }
    all.extend(more);
    all.insert("items".to_owned(), items.into());
    Ok(serde_json::to_vec(&all).expect("plain data into memory"))
}
