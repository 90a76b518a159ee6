//! The simulated cloud does what the real systems were seen to do.

mod ask;
mod life;
