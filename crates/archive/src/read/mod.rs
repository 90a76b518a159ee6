//! Reading: [`Archive`] opens, checks and gives access; [`EntryReader`] unpacks and proves.

mod ahead;
mod archive;
mod entry;
mod locate;
mod open;
mod ranges;
mod source;
mod unpack;

pub use archive::Archive;
pub use entry::EntryReader;
pub(crate) use locate::Place;
pub use open::{OpenOptions, Strictness};
pub(crate) use open::{claims_our_format, listed};
pub use source::ReadAt;
pub(crate) use source::{Stretch, Window};
pub(crate) use unpack::{Spares, Unpacked, Unpacker};
pub use view::EntryView;

mod view;
