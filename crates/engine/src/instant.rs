use serde::{Deserialize, Serialize};
use stillpoint_core::{Capture, Consistency};

/// Of how many instants the volumes of a snapshot are.
///
/// A provider tells how good each operation was; whether volumes taken one after the other fit
/// together is for who planned it to say.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Instant {
    /// Each has one of its own, unless nothing wrote them meanwhile.
    Each,
    /// They have one, whatever wrote them.
    One,
    /// They have one where they were frozen, all under one freeze, or nothing wrote them.
    OneIfStill,
}

impl Instant {
    /// That of volumes which nobody freezes, taken by so many operations.
    pub(crate) fn of(volumes: usize, operations: usize) -> Self {
        match (volumes, operations) {
            (0 | 1, _) => Self::One,
            (_, 1) => Self::OneIfStill,
            _ => Self::Each,
        }
    }

    /// The level that they reach together, where each reached at least this one.
    pub(crate) fn together(self, each: Consistency, capture: Capture) -> Consistency {
        let one = match self {
            Self::One => true,
            _ if capture == Capture::Offline => true,
            Self::OneIfStill => each >= Consistency::Filesystem,
            Self::Each => false,
        };
        if one { each } else { Consistency::PerVolume }
    }
}
