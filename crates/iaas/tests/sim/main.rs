//! The simulated cloud does what the real systems were seen to do.

mod ask;
mod crashes;
mod faults;
mod freezes;
mod groups;
mod honesty;
mod life;
mod limits;
mod seeds;
