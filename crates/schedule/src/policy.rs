//! What to do when runs were missed, when they overlap, and when too many come at once.

mod jitter;
mod missed;
mod overlap;

pub use self::{
    jitter::Jitter,
    missed::{Due, Missed, MissedRuns},
    overlap::{Admission, Overlap},
};
