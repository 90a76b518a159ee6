//! The rules over the snapshots of one source, newest first. The planner and the forecast share it.

use jiff::Timestamp;

use crate::retention::period::{Period, Periods};

/// A policy, ready for one instant.
#[derive(Clone, Debug)]
pub(crate) struct Rules {
    pub(crate) last: u32,
    /// In the order of [`Period::ALL`].
    pub(crate) periods: [u32; 5],
    /// What is at least as new as this stays.
    pub(crate) within: Option<Timestamp>,
    /// How many verified ones stay whatever else is said; at least 1.
    pub(crate) verified: u32,
    pub(crate) now: Timestamp,
}

/// A snapshot, or a group of them, in one source's series.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Unit {
    pub(crate) taken_at: Timestamp,
    pub(crate) periods: Periods,
    pub(crate) verified: bool,
    /// Whether the policy that is planned for took it.
    pub(crate) own: bool,
    /// Whether its expiry is over: rules do not keep it.
    pub(crate) expired: bool,
}

/// Why a unit stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Why {
    /// One of the last of the policy's.
    Last { rank: u32 },
    /// One of the last verified ones.
    LastVerified { rank: u32 },
    /// The last of one of the last periods.
    Period { period: Period, rank: u32 },
    /// Not verified, and too few verified ones are newer.
    Unproven { newer: u32 },
    /// New enough.
    Within,
}

/// Calls with every reason for which a unit stays. The units are newest first.
pub(crate) fn series(
    rules: &Rules,
    units: impl Iterator<Item = Unit>,
    mut stays: impl FnMut(usize, Why),
) {
    let mut last = 0;
    let mut verified_own = 0;
    let mut verified_any = 0;
    let mut seen = [None; 5];
    let mut counts = [0; 5];
    for (index, unit) in units.enumerate() {
        if unit.taken_at > rules.now {
            // A clock was wrong: it neither counts nor goes.
            continue;
        }
        if !unit.verified {
            // What someone took by hand goes when they said.
            if unit.own && verified_own < rules.verified {
                stays(
                    index,
                    Why::Unproven {
                        newer: verified_own,
                    },
                );
            }
            continue;
        }
        verified_any += 1;
        verified_own += u32::from(unit.own);
        if verified_any <= rules.verified || unit.own && verified_own <= rules.verified {
            let rank = if unit.own { verified_own } else { verified_any };
            stays(index, Why::LastVerified { rank });
        }
        if !unit.own || unit.expired {
            continue;
        }
        // Once every rule has what it keeps, what is older goes: there may be very much of it.
        let full = last >= rules.last && counts == rules.periods && verified_own > rules.verified;
        if full && rules.within.is_none_or(|oldest| unit.taken_at < oldest) {
            break;
        }
        last += 1;
        if last <= rules.last {
            stays(index, Why::Last { rank: last });
        }
        if rules.within.is_some_and(|oldest| unit.taken_at >= oldest) {
            stays(index, Why::Within);
        }
        for (slot, period) in Period::ALL.into_iter().enumerate() {
            let number = unit.periods.number(period);
            if counts[slot] < rules.periods[slot] && seen[slot] != Some(number) {
                seen[slot] = Some(number);
                counts[slot] += 1;
                stays(
                    index,
                    Why::Period {
                        period,
                        rank: counts[slot],
                    },
                );
            }
        }
    }
}
