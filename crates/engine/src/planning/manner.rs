use std::time::Duration;

use stillpoint_core::{Consistency, Detail, Memory, Power, Resource};
use stillpoint_iaas::{OperationKind, SnapshotCapability};

use super::Asked;
use crate::request::Take;

/// How the point in time will be fixed.
pub(super) struct Manner {
    pub(super) quiesce: bool,
    pub(super) power_off: Option<Duration>,
}

/// Decides between freezing, powering off and neither; notes where the minimum is out of reach.
pub(super) fn manner(
    asked: &Asked<'_>,
    source: &Resource,
    can: &SnapshotCapability,
    ask: &Take,
    blocked: &mut Vec<String>,
) -> Manner {
    let power = match &source.detail {
        Detail::Instance { power, .. } => *power,
        _ => Power::Unknown,
    };
    let offline = can.offline.then_some(Consistency::Filesystem);
    let wanted = ask.prefer.max(ask.at_least);
    let mut manner = Manner {
        quiesce: false,
        power_off: None,
    };
    let reachable = match power {
        Power::Off => offline,
        Power::On => can.live,
        // Nobody knows: the provider finds out when it takes it, and refuses what it can't reach.
        _ => offline.max(can.live),
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
        && wanted >= Consistency::Filesystem
        && can.live >= Some(Consistency::Filesystem);
    match reachable {
        Some(level) if level >= ask.at_least => {}
        Some(level) => blocked.push(format!(
            "{} asked, {level} reachable; ask at_least({level}) or let it be powered off",
            ask.at_least
        )),
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
