//! Sealing: a random key an archive, wrapped for each recipient; entries sealed chunk by chunk.
//!
//! A [`Recipient`] can be sealed for, an [`Identity`] opens. Passphrases and X25519 keys come with
//! the crate and are plain [age](https://age-encryption.org/v1) files inside the archive; a key
//! service joins by implementing the two traits.

mod frames;
mod key;
mod keys;

pub(crate) use frames::{Frames, LAST_FRAME, OpenFrames};
pub(crate) use key::{ArchiveKey, EntryKey, SALT, fill, random_salt};
pub(crate) use keys::{MOST_PASSPHRASES, PASSPHRASE};
pub use keys::{Passphrase, PublicKey, SecretKey};

use std::fmt::Debug;
use std::sync::Arc;

use secrecy::SecretSlice;

use crate::Result;

/// What a sealed entry's name ends in.
pub(crate) const SUFFIX: &str = ".sealed";
/// The folder of wrapped keys.
pub(crate) const KEYS: &str = "META-INF/keys/";
/// What a wrapped key's name ends in.
pub(crate) const KEY_SUFFIX: &str = ".key";

/// Somebody an archive can be sealed for.
pub trait Recipient: Debug + Send + Sync {
    /// Names the recipient inside the archive, in clear: letters, digits, `-`, `_` and `.`.
    fn id(&self) -> String;

    /// Encrypts the archive's key so that only the recipient's [`Identity`] can read it.
    ///
    /// # Errors
    /// What the key service says; nothing has been written then.
    fn wrap(&self, key: &SecretSlice<u8>) -> Result<Vec<u8>>;
}

/// Somebody who can open what was sealed for them.
pub trait Identity: Debug + Send + Sync {
    /// Decrypts a wrapped key; `None` if it was wrapped for somebody else.
    ///
    /// # Errors
    /// Only where it could not be found out, for instance because a key service is away.
    fn unwrap(&self, id: &str, wrapped: &[u8]) -> Result<Option<SecretSlice<u8>>>;
}

impl<T: Recipient + ?Sized> Recipient for Arc<T> {
    fn id(&self) -> String {
        (**self).id()
    }

    fn wrap(&self, key: &SecretSlice<u8>) -> Result<Vec<u8>> {
        (**self).wrap(key)
    }
}

impl<T: Identity + ?Sized> Identity for Arc<T> {
    fn unwrap(&self, id: &str, wrapped: &[u8]) -> Result<Option<SecretSlice<u8>>> {
        (**self).unwrap(id, wrapped)
    }
}
