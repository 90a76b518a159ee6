//! Schedules on a simulated cloud and a clock that can be set: the exact runs, and what is kept.
#![allow(
    clippy::unwrap_used,
    unreachable_pub,
    reason = "the benches of all tests are shared"
)]

#[path = "../common/mod.rs"]
mod common;

mod apply;
mod bed;
mod crash;
mod engines;
mod expiry;
mod failures;
mod forgetting;
mod health;
mod listing;
mod manager;
mod meddled;
mod outage;
mod overlap;
mod panics;
mod retention;
mod retries;
mod spoilt;
