//! Packing chunks so that they join to one stream, and unpacking them.

mod bits;
mod inflate;
mod last;
mod pack;
mod scan;
mod steps;
pub(crate) mod stored;
mod zero;

pub(crate) use inflate::Inflater;
pub(crate) use pack::Packer;
pub(crate) use zero::zero_chunk;

/// An empty last block: ends a stream of joined chunks.
pub(crate) const STREAM_END: [u8; 2] = [3, 0];
