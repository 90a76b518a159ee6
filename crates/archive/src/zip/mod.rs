//! The container: ZIP and ZIP64, as far as FORMAT.md allows it.

mod directory;
mod end;
mod entry;
mod extra;
mod local;
mod method;
mod records;
mod wire;

#[cfg(feature = "depot")]
pub(crate) use directory::manifest_offset;
pub(crate) use directory::{Directory, Locals, read_local};
pub(crate) use end::End;
pub use entry::Kind;
pub(crate) use entry::{Entry, attributes};
pub use extra::Forgivable;
pub(crate) use extra::{Forgiven, encode_coverage, encode_zip64};
pub(crate) use local::{DESCRIPTOR, Local, check_descriptor, encode_descriptor};
pub use method::Method;
pub(crate) use records::LARGE;
pub(crate) use wire::{
    CENTRAL, Central, Dos, FLAG_DESCRIPTOR, FLAG_UTF8, LOCAL, LocalHeader, Signature,
};
