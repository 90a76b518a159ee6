//! sim
mod check;
mod clock;
mod disk;
mod fence;
mod kept;
mod node;
mod provider;
mod run;
mod seeds;
mod service;
mod state;
mod trace;
mod trouble;
mod world;

pub use crate::node::Node;
pub use crate::run::{Run, run, test};
pub use crate::seeds::Seeds;
pub use crate::service::Service;
pub use crate::trace::Trace;
pub use crate::trouble::Trouble;
pub use crate::world::{Tally, World};
