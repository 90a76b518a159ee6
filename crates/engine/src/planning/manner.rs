use std::time::Duration;

use stillpoint_core::{Consistency, Detail, Memory, Omission, OmissionReason, Power, Resource};
use stillpoint_iaas::{OperationKind, SnapshotCapability};

use super::Asked;
use crate::instant::Instant;
use crate::request::Take;

/// How the point in time will be fixed.
pub(super) struct Manner {
    pub(super) quiesce: bool,
    pub(super) power_off: Option<Duration>,
    /// Of how many instants the volumes are.
    pub(super) instant: Instant,
    /// Whether each volume will surely have an instant of its own.
    pub(super) apart: bool,
}

/// What a snapshot does not hold where each of its volumes has an instant of its own.
const ONE_INSTANT: &str = "one instant of all volumes";

impl Manner {
    /// That the volumes will surely not fit together; why: since nobody asked, or nobody can.
    pub(super) fn omission(&self, can_still: bool) -> Option<Omission> {
        self.apart.then(|| Omission {
            what: ONE_INSTANT.to_owned(),
            reason: if can_still {
                OmissionReason::NotSelected
            } else {
                OmissionReason::Unsupported
            },
        })
    }
}

/// How many volumes are taken, by how many operations.
#[derive(Clone, Copy)]
pub(super) struct Extent {
    pub(super) volumes: usize,
    pub(super) operations: usize,
    /// What each of these reaches by itself while the source runs.
    pub(super) live: Option<Consistency>,
    /// Whether the source can be frozen around them.
    pub(super) bracket: bool,
}

impl Extent {
    /// What they are of where nobody freezes them.
    fn instant(self, can: &SnapshotCapability) -> Instant {
        match Instant::of(self.volumes, self.operations) {
            Instant::OneIfStill if can.atomic_group => Instant::One,
            other => other,
        }
    }

    /// Whether one freeze can cover all of them: that of the one operation, or a bracket's.
    pub(super) fn can_still(self, can: &SnapshotCapability) -> bool {
        let inside = self.operations == 1 && self.live >= Some(Consistency::Filesystem);
        can.live >= Some(Consistency::Filesystem) && (inside || self.bracket)
    }
}

/// Decides between freezing, powering off and neither; notes where the minimum is out of reach.
pub(super) fn manner(
    asked: &Asked<'_>,
    source: &Resource,
    (can, short_of): (&SnapshotCapability, Option<&str>),
    extent: Extent,
    ask: &Take,
    blocked: &mut Vec<String>,
) -> Manner {
    let can_still = extent.can_still(can);
    let instant = extent.instant(can);
    let live = match can_still {
        true => can.live,
        false if instant != Instant::One => extent.live.map(|_| Consistency::PerVolume),
        false => extent.live,
    };
    let power = match &source.detail {
        Detail::Instance { power, .. } => *power,
        _ => Power::Unknown,
    };
    let offline = can.offline.then_some(Consistency::Filesystem);
    let wanted = ask.prefer.max(ask.at_least);
    let mut manner = Manner {
        quiesce: false,
        power_off: None,
        instant,
        apart: false,
    };
    let reachable = match power {
        Power::Off => offline,
        Power::On => live,
        // Nobody knows: the provider finds out when it takes it, and refuses what it can't reach.
        _ => offline.max(live),
    };
    let short = reachable.is_none_or(|level| level < wanted);
    let can_power = asked.can.can(OperationKind::PowerOff) && asked.can.can(OperationKind::PowerOn);
    let reachable = match ask.may_power_off {
        Some(budget) if power == Power::On && short && offline.is_some() && can_power => {
            manner.power_off = Some(budget);
            offline
        }
        _ => reachable,
    };
    manner.quiesce = manner.power_off.is_none()
        && power != Power::Off
        && (can_still || extent.live >= Some(Consistency::Filesystem))
        && (wanted >= Consistency::Filesystem
            || (wanted >= Consistency::Crash && instant != Instant::One && can_still));
    let runs = power == Power::On && manner.power_off.is_none();
    manner.apart = runs && instant != Instant::One && !(manner.quiesce && can_still);
    if manner.quiesce && can_still && instant != Instant::One {
        manner.instant = Instant::OneIfStill;
    }
    match reachable {
        Some(level) if level >= ask.at_least => {}
        Some(level) => {
            let why = short_of.map(|why| format!(": {why}")).unwrap_or_default();
            blocked.push(format!(
                "{} asked, {level} reachable{why}; ask at_least({level}) or let it be powered off",
                ask.at_least
            ));
        }
        None if power == Power::On => {
            blocked
                .push("it runs, and can be taken only while it is off; ask may_power_off".into());
        }
        None => blocked.push("it is off, and can be taken only while it runs".into()),
    }
    manner
}

/// Whether what can be held of memory is what is wanted.
pub(super) fn holds(can: Memory, wanted: Memory) -> bool {
    wanted == Memory::No || can == wanted
}
