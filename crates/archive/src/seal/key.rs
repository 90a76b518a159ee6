use std::fmt;

use chacha20poly1305::ChaCha20Poly1305;
use chacha20poly1305::aead::{Aead as _, KeyInit as _};
use hkdf::Hkdf;
use secrecy::{ExposeSecret as _, SecretBox, SecretSlice};
use sha2::Sha256;

use super::Recipient;
use crate::digest::{hex, read_hex};
use crate::{Error, Refusal, Result};

const KEY: usize = 32;
const CHECK: usize = 16;
pub(crate) const SALT: usize = 16;

/// The key of an archive, from which each entry's is derived.
pub(crate) struct ArchiveKey {
    key: SecretBox<[u8; KEY]>,
    snapshot_id: String,
}

impl ArchiveKey {
    pub(crate) fn random(snapshot_id: &str) -> Result<Self> {
        let mut key = SecretBox::new(Box::new([0; KEY]));
        fill(secrecy::ExposeSecretMut::expose_secret_mut(&mut key))?;
        Ok(ArchiveKey {
            key,
            snapshot_id: snapshot_id.to_owned(),
        })
    }

    /// What recipients get: the key, and a check that it belongs to this snapshot.
    pub(crate) fn wrap(&self, recipient: &dyn Recipient) -> Result<Vec<u8>> {
        let mut plain = self.key.expose_secret().to_vec();
        plain.extend(self.check());
        recipient.wrap(&SecretSlice::from(plain))
    }

    /// The key again, if it is this snapshot's.
    pub(crate) fn unwrapped(plain: &SecretSlice<u8>, snapshot_id: &str) -> Option<Self> {
        let (key, check) = plain.expose_secret().split_first_chunk::<KEY>()?;
        let key = ArchiveKey {
            key: SecretBox::new(Box::new(*key)),
            snapshot_id: snapshot_id.to_owned(),
        };
        (key.check()[..] == *check).then_some(key)
    }

    fn check(&self) -> [u8; CHECK] {
        self.derive(b"", &[b"check"])
    }

    /// The key of the entry at `path`.
    pub(crate) fn entry(&self, path: &str, salt: &str) -> Result<EntryKey> {
        let mut bytes = [0; SALT];
        read_hex(salt, &mut bytes).ok_or_else(|| Refusal::Seal.of(path))?;
        let key: [u8; KEY] = self.derive(&bytes, &[b"entry\0", path.as_bytes()]);
        Ok(EntryKey(ChaCha20Poly1305::new(&key.into())))
    }

    fn derive<const N: usize>(&self, salt: &[u8], info: &[&[u8]]) -> [u8; N] {
        let mut derived = [0; N];
        let context = [
            b"stillpoint archive 1\0",
            self.snapshot_id.as_bytes(),
            b"\0",
        ];
        let info: Vec<&[u8]> = context.into_iter().chain(info.iter().copied()).collect();
        Hkdf::<Sha256>::new(Some(salt), self.key.expose_secret())
            .expand_multi_info(&info, &mut derived)
            .expect("short enough for HKDF");
        derived
    }
}

impl fmt::Debug for ArchiveKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ArchiveKey").finish_non_exhaustive()
    }
}

/// A new entry's salt.
pub(crate) fn random_salt() -> Result<String> {
    let mut salt = [0; SALT];
    fill(&mut salt)?;
    Ok(hex(&salt))
}

pub(crate) fn fill(bytes: &mut [u8]) -> Result<()> {
    getrandom::fill(bytes)
        .map_err(|e| Error::io("asking the system for random bytes")(std::io::Error::other(e)))
}

/// Seals and opens the frames of one entry.
pub(crate) struct EntryKey(ChaCha20Poly1305);

impl EntryKey {
    /// Order and end stand in the nonce: a frame opens only in its own place.
    fn nonce(index: u64, last: bool) -> [u8; 12] {
        let mut nonce = [0; 12];
        nonce[3..11].copy_from_slice(&index.to_be_bytes());
        nonce[11] = u8::from(last);
        nonce
    }

    pub(crate) fn seal(&self, index: u64, last: bool, plain: &[u8]) -> Vec<u8> {
        self.0
            .encrypt(&Self::nonce(index, last).into(), plain)
            .expect("a frame is far below the cipher's limit")
    }

    pub(crate) fn open(&self, index: u64, last: bool, sealed: &[u8]) -> Result<Vec<u8>, Refusal> {
        self.0
            .decrypt(&Self::nonce(index, last).into(), sealed)
            .map_err(|_| Refusal::Seal)
    }
}

impl fmt::Debug for EntryKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EntryKey").finish_non_exhaustive()
    }
}
