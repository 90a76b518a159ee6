use std::path::Path;

use super::{Era, Snapshot, class_of};
use crate::manifest::METADATA;
use crate::{Created, Error, Metadata, Result, WriteOptions, create};

/// How a snapshot is written for Cloudify's own restore.
#[derive(Clone, Debug, Default)]
pub struct CompatOptions {
    mend_secrets_providers: bool,
}

impl CompatOptions {
    /// The snapshot as it is.
    pub fn new() -> Self {
        CompatOptions::default()
    }

    /// Gives secrets providers that have none an `id`, their name: without one the restore of
    /// Cloudify 7.1 stops half-way.
    #[must_use]
    pub fn mend_secrets_providers(mut self) -> Self {
        self.mend_secrets_providers = true;
        self
    }
}

/// What Cloudify's own restore will trip over, in words for its user.
///
/// # Errors
/// As [`Snapshot::entities`].
pub fn compat_warnings(snapshot: &Snapshot) -> Result<Vec<String>> {
    let mut warnings = Vec::new();
    if snapshot.metadata().execution_id.is_none() {
        warnings.push(
            "metadata.json names no execution: the one that made the snapshot will be restored \
             as still running"
                .to_owned(),
        );
    }
    for entities in snapshot.entities()? {
        let without = entities
            .items
            .iter()
            .filter(|item| item.get("id").is_none())
            .count();
        if entities.kind == "secrets_providers" && without > 0 {
            warnings.push(format!(
                "{}: {without} secrets providers without an id: Cloudify 7.1's restore stops \
                 there, after the users were restored; ask for them to be mended",
                entities.path
            ));
        }
    }
    Ok(warnings)
}

/// Writes a snapshot of era E as Cloudify 7.x reads it: paths and secrets in clear, every tenant
/// a directory entry. The manifest below `META-INF/` does not disturb it.
///
/// `options` must say [`danger_secrets_in_clear`](WriteOptions::danger_secrets_in_clear).
///
/// # Errors
/// [`Error::Unsupported`] for another era, or secrets not allowed in clear; else as
/// [`create`](crate::create).
pub fn write_compat(
    path: impl AsRef<Path>,
    snapshot: &Snapshot,
    options: &WriteOptions,
    compat: &CompatOptions,
) -> Result<Created> {
    if snapshot.era() != Era::E {
        return Err(Error::Unsupported(format!(
            "Cloudify 7.x restores era E and this snapshot is of era {}; migrate it first",
            snapshot.era()
        )));
    }
    let mut files = snapshot.files().clone();
    // Its restore makes the tenants it finds as directory entries, and no others.
    for tenant in snapshot.tenants().unwrap_or_default() {
        files.insert_directory(&format!("tenants/{tenant}"));
    }
    if compat.mend_secrets_providers {
        for entities in snapshot.entities()? {
            if entities.kind == "secrets_providers" {
                let mut envelope: serde_json::Value = files.json(&entities.path)?;
                mend(&mut envelope);
                files.insert(entities.path, envelope.to_string());
            }
        }
    }
    if !options.has_secrets_in_clear() {
        return Err(Error::Unsupported(
            "Cloudify reads secrets in clear only; ask for that by danger_secrets_in_clear"
                .to_owned(),
        ));
    }
    let options = options
        .clone()
        .metadata(Metadata::Verbatim(files.read(METADATA)?));
    create(path, &options, |writer| files.write(writer, &class_of))
}

fn mend(envelope: &mut serde_json::Value) {
    let items = envelope
        .get_mut("items")
        .and_then(|items| items.as_array_mut());
    for item in items
        .into_iter()
        .flatten()
        .filter_map(|item| item.as_object_mut())
    {
        if !item.contains_key("id")
            && let Some(name) = item.get("name").cloned()
        {
            item.insert("id".to_owned(), name);
        }
    }
}
