//! What stands in the way of a restore: all of it, in one report.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;
use stillpoint_archive::cloudify::Snapshot;
use stillpoint_archive::{Archive, Error as ArchiveError};
use stillpoint_core::{ByteSize, Digest, Error, ErrorKind, Result};
use stillpoint_engine::background::blocking;

use crate::failure::{guarded, of_archive};
use crate::manager::{Inner, Named};
use crate::metadata::{Metadata, compare};
use crate::probe::{Token, while_marked};
use crate::request::RestoreManager;
use crate::work::Bound;

/// What was found of an archive, and of the manager that it is to be restored to.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) metadata: Metadata,
    pub(crate) bound: Bound,
    /// Bytes of the archive.
    pub(crate) size: u64,
    /// Bytes that it holds of each component, unpacked; empty for a Cloudify Manager's, of which
    /// nobody knows beforehand what goes where.
    pub(crate) sizes: BTreeMap<String, u64>,
    /// The components to restore, in their order.
    pub(crate) chosen: Vec<String>,
    pub(crate) blocked: Vec<String>,
}

/// Looks at everything. What cannot be told stands in the way, too.
///
/// # Errors
/// Where there is no such archive, or it cannot be opened.
pub(crate) async fn preflight(
    inner: &Arc<Inner>,
    restore: &RestoreManager,
    now: Timestamp,
) -> Result<Seen> {
    let mut blocked = Vec::new();
    check_record(inner, &restore.archive, &mut blocked).await?;
    let mut seen = look(inner, &restore.archive, &mut blocked).await?;
    check_version(inner, &seen.metadata, &mut blocked);
    seen.chosen = chosen(inner, restore, &seen.metadata, &mut blocked);
    check_networks(inner, &seen.metadata, &mut blocked);
    check_room(&inner.staging, seen.size, &mut blocked);
    let (ask, chosen) = (Arc::clone(inner), seen.chosen.clone());
    let metadata = seen.metadata.clone();
    let wish = restore.clone();
    let found = while_marked(&inner.state, now, async move |token| {
        blocking(move || Ok(check_components(&ask, &wish, &chosen, &metadata, &token))).await
    });
    blocked.extend(found.await?);
    seen.blocked = blocked;
    Ok(seen)
}

async fn check_record(inner: &Inner, id: &str, blocked: &mut Vec<String>) -> Result<()> {
    match inner.records.get(id).await {
        Ok(record) if record.state.is_whole() => {}
        Ok(record) => {
            let word = record.state.word();
            blocked.push(format!(
                "snapshot `{id}` is {word}, and cannot be restored from"
            ));
        }
        // A depot is all that is needed.
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    Ok(())
}

async fn look(inner: &Arc<Inner>, id: &str, blocked: &mut Vec<String>) -> Result<Seen> {
    let failed = |error| of_archive(id, error);
    let receipt = inner.depot.receipt(id).await.map_err(failed)?;
    let sha256 = Digest::new(receipt.sha256.0);
    let opened = match inner.depot.open_with(id, inner.keys.options()).await {
        Err(ArchiveError::KeyMismatch { .. }) => {
            blocked.push("none of the keys here opens what is sealed in it".to_owned());
            inner.depot.open(id).await
        }
        opened => opened,
    };
    let (own, name) = (Arc::clone(inner), id.to_owned());
    let (metadata, root, locked, sizes) = match opened {
        // What others made is read from a copy: only there can it be read leniently.
        Err(ArchiveError::Refused { .. }) => foreign(inner, id).await?,
        Ok(remote) if remote.archive().root().is_none() => foreign(inner, id).await?,
        opened => {
            let remote = opened.map_err(failed)?;
            blocking(move || {
                let archive = remote.archive();
                let root = archive.root().map(|root| Digest::new(root.0));
                let metadata = metadata_of(&own, archive, &name)?;
                Ok((metadata, root, !archive.is_unlocked(), sizes_in(archive)))
            })
            .await?
        }
    };
    if locked && blocked.is_empty() {
        blocked.push("there is no key here for what is sealed in it".to_owned());
    }
    Ok(Seen {
        metadata,
        bound: Bound { root, sha256 },
        size: receipt.size,
        sizes,
        chosen: Vec::new(),
        blocked: Vec::new(),
    })
}

/// What is read of an archive: what it says of itself, the root of its manifest, whether a key is
/// missing, and the bytes of each component.
type Read = (Metadata, Option<Digest>, bool, BTreeMap<String, u64>);

async fn foreign(inner: &Arc<Inner>, id: &str) -> Result<Read> {
    let making = |source| Error::io("making a folder for the archive", &source);
    let folder = tempfile::tempdir_in(&inner.staging).map_err(making)?;
    let path = folder.path().join("archive.zip");
    let downloaded = inner.depot.download(id, &path).await;
    downloaded.map_err(|error| of_archive(id, error))?;
    let (own, name) = (Arc::clone(inner), id.to_owned());
    blocking(move || {
        let archive = own.keys.open_same(&path, &name, None)?;
        drop(folder);
        let metadata = metadata_of(&own, &archive, &name)?;
        Ok((metadata, None, false, BTreeMap::new()))
    })
    .await
}

/// The bytes of each component in an archive of ours, unpacked.
pub(crate) fn sizes_in(archive: &Archive) -> BTreeMap<String, u64> {
    let mut sizes = BTreeMap::new();
    for entry in archive.entries() {
        if let Some((component, _)) = entry.path().split_once('/') {
            *sizes.entry(component.to_owned()).or_default() += entry.size();
        }
    }
    sizes
}

/// What an archive says of itself; one of a Cloudify Manager is told by what is in it.
pub(crate) fn metadata_of(inner: &Inner, archive: &Archive, name: &str) -> Result<Metadata> {
    if archive.root().is_some() {
        return Metadata::read(archive, name);
    }
    let snapshot = Snapshot::of(archive).map_err(|error| of_archive(name, error))?;
    let mut names = Vec::new();
    for Named { name, component } in &inner.components {
        if guarded(name, || Ok(component.places_cloudify()))? {
            names.push(name.clone());
        }
    }
    Metadata::of_cloudify(&inner.product, &snapshot, name, names)
}

fn check_version(inner: &Inner, metadata: &Metadata, blocked: &mut Vec<String>) {
    if metadata.product != inner.product {
        blocked.push(format!(
            "it is of {}, and this is {}",
            metadata.product, inner.product
        ));
    } else if compare(&metadata.version, &inner.version) == Ordering::Greater {
        blocked.push(format!(
            "it is of version {}, and this is {}: update this first",
            metadata.version, inner.version
        ));
    }
}

/// The components that are asked for, in the order in which they are restored.
fn chosen(
    inner: &Inner,
    restore: &RestoreManager,
    metadata: &Metadata,
    blocked: &mut Vec<String>,
) -> Vec<String> {
    let held: Vec<&str> = metadata.components.iter().map(|it| &*it.name).collect();
    for name in restore.components.iter().flatten() {
        if !held.contains(&name.as_str()) {
            let held = held.join(", ");
            blocked.push(format!(
                "the archive has no component {name}, it holds {held}"
            ));
        }
    }
    let asked = |name: &str| match &restore.components {
        Some(only) => only.iter().any(|it| it == name),
        None => true,
    };
    for name in held.iter().filter(|name| asked(name)) {
        if let Err(error) = inner.component(name) {
            blocked.push(error.message().to_owned());
        }
    }
    let here = inner.components.iter().map(|it| it.name.clone());
    let chosen: Vec<String> = here
        .filter(|name| held.contains(&name.as_str()) && asked(name))
        .collect();
    if chosen.is_empty() {
        blocked.push("no component is left to restore".to_owned());
    }
    chosen
}

/// Agents that were reached in a network are lost where there is none of that name.
fn check_networks(inner: &Inner, metadata: &Metadata, blocked: &mut Vec<String>) {
    let networks = metadata.networks.iter();
    blocked.extend(
        networks
            .filter(|it| !inner.networks.contains(it))
            .map(|it| {
                let known = match inner.networks.is_empty() {
                    true => "none".to_owned(),
                    false => inner.networks.join(", "),
                };
                format!("it is of a manager in network `{it}`, and this one is in: {known}")
            }),
    );
}

/// What stands in the way of restoring only these tenants of a component.
fn missing(component: &str, asked: &[String], held: Option<&[String]>) -> Vec<String> {
    let Some(held) = held else {
        return vec![format!(
            "component {component} cannot tell tenants apart: restore all of them, or leave it out"
        )];
    };
    let missing = asked.iter().filter(|it| !held.contains(it));
    let held = held.join(", ");
    missing
        .map(|it| {
            format!(
                "component {component} has nothing of tenant {it} in the archive, but of: {held}"
            )
        })
        .collect()
}

fn check_room(staging: &Path, size: u64, blocked: &mut Vec<String>) {
    let shown = staging.display();
    match rustix::fs::statvfs(staging) {
        Err(errno) => {
            let error = Error::io(format_args!("looking at {shown}"), &errno.into());
            blocked.push(error.message().to_owned());
        }
        Ok(found) => {
            let room = found.f_bavail.saturating_mul(found.f_frsize);
            // The archive, and one of what is there.
            let wanted = size.saturating_mul(2);
            if room < wanted {
                let (room, wanted) = (ByteSize(room), ByteSize(wanted));
                blocked.push(format!(
                    "{shown} has room for {room}, and {wanted} are needed"
                ));
            }
        }
    }
}

fn check_components(
    inner: &Inner,
    wish: &RestoreManager,
    chosen: &[String],
    metadata: &Metadata,
    token: &Token,
) -> Vec<String> {
    let mut blocked = Vec::new();
    let mut inhabitants = Vec::new();
    for Named { name, component } in &inner.components {
        if !chosen.contains(name) {
            continue;
        }
        let about = metadata.components.iter().find(|it| it.name == *name);
        let about = about.map(|it| it.about.clone()).unwrap_or_default();
        match guarded(name, || component.preflight(&about)) {
            Ok(reasons) => {
                blocked.extend(
                    reasons
                        .into_iter()
                        .map(|it| format!("component {name}: {it}")),
                );
            }
            Err(error) => blocked.push(error.message().to_owned()),
        }
        if let Some(asked) = &wish.tenants {
            match guarded(name, || component.tenants(&about)) {
                Ok(held) => blocked.extend(missing(name, asked, held.as_deref())),
                Err(error) => blocked.push(error.message().to_owned()),
            }
        }
        match guarded(name, || component.holds(token)) {
            Ok(false) => {}
            Ok(true) => blocked.push(format!(
                "component {name} holds Stillpoint's own state: a restore would swap its own \
                 journal away, so keep the state elsewhere"
            )),
            Err(error) => blocked.push(error.message().to_owned()),
        }
        match guarded(name, || component.inhabitants()) {
            Ok(found) => inhabitants.extend(found.into_iter().filter(|(_, count)| *count > 0)),
            Err(error) => blocked.push(error.message().to_owned()),
        }
    }
    if !inhabitants.is_empty() && !wish.danger_replace_what_is_there {
        let found: Vec<String> = inhabitants
            .iter()
            .map(|(kind, count)| format!("{count} {kind}"))
            .collect();
        blocked.push(format!(
            "this manager is not clean, it has {}: restore to a clean one, or ask for what is \
             there to be replaced",
            found.join(", ")
        ));
    }
    blocked
}
