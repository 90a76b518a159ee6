use stillpoint_core::{ResourceKind, ResourceRef};

use super::Asked;

/// One snapshot operation of a plan.
pub(super) struct Taking<'a, P> {
    /// The step's name.
    pub(super) step: String,
    /// What it is of.
    pub(super) source: ResourceRef,
    /// The volumes it takes.
    pub(super) parts: &'a [P],
}

/// The operations that take these volumes of a source: one for all where the provider takes just
/// these together, and else one for each, of the volume itself.
///
/// `whole` says that they are all the volumes that the source has.
pub(super) fn takings<'a, P>(
    asked: &Asked<'_>,
    prefix: &str,
    source: &ResourceRef,
    whole: bool,
    parts: &'a [P],
    volume: impl Fn(&P) -> Option<&ResourceRef>,
) -> Vec<Taking<'a, P>> {
    let can = asked.can.snapshots.get(&source.kind());
    let together = can.is_some_and(|can| can.composite && (whole || can.disk_selection));
    if together || source.kind() == ResourceKind::Volume {
        let (step, source) = (format!("{prefix}/0"), source.clone());
        return vec![Taking {
            step,
            source,
            parts,
        }];
    }
    let by_volume = takes_volumes(asked);
    let each = parts.chunks(1).enumerate();
    each.map(|(number, parts)| Taking {
        step: format!("{prefix}/{number}"),
        source: volume(&parts[0])
            .filter(|_| by_volume)
            .unwrap_or(source)
            .clone(),
        parts,
    })
    .collect()
}

/// Whether volumes can be taken by themselves, whatever they are attached to.
pub(super) fn takes_volumes(asked: &Asked<'_>) -> bool {
    asked.can.snapshots.contains_key(&ResourceKind::Volume)
}
