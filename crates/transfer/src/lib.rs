//! Snapshots exported to archives and imported from them, also across providers.

mod document;
mod failure;
mod jobs;
mod place;
mod plan;
mod request;
mod staging;
mod transfer;
mod vault;
mod work;

pub use crate::place::{ArchiveRef, Shelf};
pub use crate::request::{Export, Import, RestoreFrom};
pub use crate::transfer::{Transfer, TransferBuilder};
pub use stillpoint_archive::depot;
pub use stillpoint_archive::{Identity, Passphrase, PublicKey, Recipient, SecretKey};
