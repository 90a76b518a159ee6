use std::time::Duration;

/// How bad the world is. A *touch* is a moment at which the service meets what is outside of it:
/// before and after each write of its state and each call of a cloud.
///
/// The chances are in ten thousand touches, so that what goes wrong does so where it hurts, and
/// not while everybody sleeps.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Trouble {
    /// The service's process is killed. What it was writing may still be written.
    pub kills: u32,
    /// The power is cut. What was not acknowledged is lost.
    pub power_cuts: u32,
    /// The process stands still, another takes its place, and then it wakes up. Its connections
    /// are lost, but it goes on writing to the state, or tries to.
    pub stalls: u32,
    /// The service's clock is set to another time.
    pub jumps: u32,
    /// By how much it may be off then, forth or back.
    pub jump: Duration,
    /// The state refuses to be read, or fails to write: with or without effect.
    pub state_faults: u32,
    /// How many of a thousand calls meet a fault of a cloud: see
    /// [`SimCloud::weather`](stillpoint_iaas::sim::SimCloud::weather).
    pub weather: u32,
    /// For how long the service is away after a kill, at most; mostly it is much less.
    pub downtime: Duration,
}

impl Trouble {
    /// Nothing goes wrong.
    pub const NONE: Self = Self {
        kills: 0,
        power_cuts: 0,
        stalls: 0,
        jumps: 0,
        jump: Duration::ZERO,
        state_faults: 0,
        weather: 0,
        downtime: Duration::ZERO,
    };

    /// Everything goes wrong, now and then.
    pub const ALL: Self = Self {
        kills: 40,
        power_cuts: 40,
        stalls: 20,
        jumps: 20,
        jump: Duration::from_secs(2 * 3600),
        state_faults: 40,
        weather: 40,
        downtime: Duration::from_secs(6 * 3600),
    };
}

/// Something that happens to the process at a touch.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Blow {
    Kill,
    PowerCut,
    Stall,
}

/// What a touch brings.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Hit {
    Blow(Blow),
    Jump,
    Nothing,
}

impl Trouble {
    pub(crate) fn roll(&self, dice: &mut fastrand::Rng) -> Hit {
        let all = self.kills + self.power_cuts + self.stalls + self.jumps;
        if all == 0 {
            return Hit::Nothing;
        }
        let mut rolled = dice.u32(0..10_000);
        for (chance, hit) in [
            (self.kills, Hit::Blow(Blow::Kill)),
            (self.power_cuts, Hit::Blow(Blow::PowerCut)),
            (self.stalls, Hit::Blow(Blow::Stall)),
            (self.jumps, Hit::Jump),
        ] {
            if rolled < chance {
                return hit;
            }
            rolled -= chance;
        }
        Hit::Nothing
    }
}
