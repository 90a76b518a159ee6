use stillpoint_core::{
    Detail, Disk, Error, ErrorKind, Memory, Omission, OmissionReason, Power, Resource, Result,
};

use crate::request::{Scope, Take};

/// What an omission calls the memory of an instance that runs.
const MEMORY: &str = "memory";

/// The disks of a source: those to be taken, and what is left out.
pub(super) struct Selection {
    pub(super) disks: Vec<Disk>,
    /// Whether these are all the volumes that there are.
    pub(super) whole: bool,
    pub(super) omitted: Vec<Omission>,
}

/// Chooses among the disks of a source; notes what was asked and is not there.
pub(super) fn select(
    source: &Resource,
    ask: &Take,
    blocked: &mut Vec<String>,
) -> Result<Selection> {
    let mut omitted = Vec::new();
    let mut omit = |what: String, reason| omitted.push(Omission { what, reason });
    let disks = match &source.detail {
        Detail::Instance { disks, power } => {
            for name in ask.disks.iter().flatten() {
                if !disks.iter().any(|disk| disk.name == *name) {
                    let known: Vec<&str> = disks.iter().map(|disk| &*disk.name).collect();
                    blocked.push(format!(
                        "there is no disk `{name}`, it has {}",
                        known.join(", ")
                    ));
                }
            }
            let chosen = |disk: &Disk| match ask.scope {
                Scope::Image => disk.boot,
                Scope::Volumes => ask
                    .disks
                    .as_ref()
                    .is_none_or(|names| names.contains(&disk.name)),
            };
            let mut taken = Vec::new();
            for disk in disks {
                if disk.volume.is_none() {
                    omit(format!("disk `{}`", disk.name), OmissionReason::Ephemeral);
                } else if chosen(disk) {
                    taken.push(disk.clone());
                } else {
                    omit(format!("disk `{}`", disk.name), OmissionReason::NotSelected);
                }
            }
            if *power == Power::On && ask.memory == Memory::No {
                omit(MEMORY.into(), OmissionReason::NotSelected);
            }
            taken
        }
        Detail::Volume { size, .. } => vec![Disk {
            name: source.reference.id().to_owned(),
            volume: Some(source.reference.clone()),
            size: *size,
            boot: ask.scope == Scope::Image,
        }],
        _ => {
            return Err(Error::new(
                ErrorKind::Invalid,
                format!(
                    "a snapshot is taken of an instance or a volume, not of a {}",
                    source.reference.kind()
                ),
            )
            .on(source.reference.clone()));
        }
    };
    if disks.is_empty() {
        blocked.push("no disk is left that could be taken".into());
    }
    let whole = !omitted
        .iter()
        .any(|it| it.reason == OmissionReason::NotSelected && it.what != MEMORY);
    Ok(Selection {
        disks,
        whole,
        omitted,
    })
}
