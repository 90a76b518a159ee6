//! The rules, a theme a file. Each takes a fresh trial.

pub(super) mod bytes;
pub(super) mod deletes;
pub(super) mod describes;
pub(super) mod endings;
pub(super) mod freezes;
pub(super) mod identity;
pub(super) mod refusals;
pub(super) mod snapshots;
