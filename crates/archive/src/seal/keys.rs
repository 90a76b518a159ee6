use std::fmt;
use std::str::FromStr;

use age::secrecy::ExposeSecret as _;
use secrecy::{SecretSlice, SecretString};

use super::{Identity, Recipient};
use crate::{Digest, Error, Result};

/// A passphrase to seal for and to open with, by age's scrypt recipient.
#[derive(Clone)]
pub struct Passphrase {
    passphrase: SecretString,
    work_factor: Option<u8>,
}

/// The most work, as a power of two, that opening will do: 1 GiB of memory at 20.
const MAX_WORK: u8 = 20;

/// How the names of keys that are wrapped by a passphrase begin, and how many of them are tried: each
/// is that much work.
pub(crate) const PASSPHRASE: &str = "passphrase";
pub(crate) const MOST_PASSPHRASES: usize = 8;

impl Passphrase {
    /// From the passphrase itself.
    pub fn new(passphrase: impl Into<SecretString>) -> Self {
        Passphrase {
            passphrase: passphrase.into(),
            work_factor: None,
        }
    }

    /// How much work guessing costs, as a power of two; by default about a second's worth here.
    /// Anything below 15 is for tests only.
    #[must_use]
    pub fn danger_work_factor(mut self, log_n: u8) -> Self {
        self.work_factor = Some(log_n);
        self
    }
}

impl fmt::Debug for Passphrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Passphrase(…)")
    }
}

impl Recipient for Passphrase {
    fn id(&self) -> String {
        PASSPHRASE.to_owned()
    }

    fn wrap(&self, key: &SecretSlice<u8>) -> Result<Vec<u8>> {
        let mut recipient = age::scrypt::Recipient::new(self.passphrase.clone());
        if let Some(log_n) = self.work_factor {
            recipient.set_work_factor(log_n);
        }
        encrypt(&recipient, key)
    }
}

impl Identity for Passphrase {
    fn unwrap(&self, id: &str, wrapped: &[u8]) -> Result<Option<SecretSlice<u8>>> {
        if !id.starts_with(PASSPHRASE) {
            return Ok(None);
        }
        let mut identity = age::scrypt::Identity::new(self.passphrase.clone());
        identity.set_max_work_factor(MAX_WORK);
        decrypt(&identity, wrapped)
    }
}

/// The X25519 key somebody gives away to be sealed for; its text is age's `age1…`.
#[derive(Clone)]
pub struct PublicKey(age::x25519::Recipient);

impl FromStr for PublicKey {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        text.parse().map(PublicKey).map_err(|why: &str| {
            Error::Unsupported(format!(
                "{text:?} is no public key of the form age1…: {why}"
            ))
        })
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({self})")
    }
}

impl Recipient for PublicKey {
    fn id(&self) -> String {
        let digest = Digest::of(self.to_string().as_bytes()).to_string();
        format!("x25519-{}", &digest[..16])
    }

    fn wrap(&self, key: &SecretSlice<u8>) -> Result<Vec<u8>> {
        encrypt(&self.0, key)
    }
}

/// The X25519 key that opens; its text is age's `AGE-SECRET-KEY-1…`.
#[derive(Clone)]
pub struct SecretKey(age::x25519::Identity);

impl SecretKey {
    /// A new random one.
    #[must_use]
    pub fn generate() -> Self {
        SecretKey(age::x25519::Identity::generate())
    }

    /// What others seal for.
    pub fn public(&self) -> PublicKey {
        PublicKey(self.0.to_public())
    }

    /// The text to keep in a safe place.
    pub fn danger_to_text(&self) -> SecretString {
        SecretString::from(self.0.to_string().expose_secret().to_owned())
    }
}

impl FromStr for SecretKey {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        text.trim().parse().map(SecretKey).map_err(|why: &str| {
            Error::Unsupported(format!(
                "this is no secret key of the form AGE-SECRET-KEY-1…: {why}"
            ))
        })
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretKey(of {})", self.public())
    }
}

impl Identity for SecretKey {
    fn unwrap(&self, id: &str, wrapped: &[u8]) -> Result<Option<SecretSlice<u8>>> {
        if id != self.public().id() {
            return Ok(None);
        }
        decrypt(&self.0, wrapped)
    }
}

fn encrypt(recipient: &impl age::Recipient, key: &SecretSlice<u8>) -> Result<Vec<u8>> {
    age::encrypt(recipient, secrecy::ExposeSecret::expose_secret(key))
        .map_err(|e| Error::io("wrapping the archive's key")(std::io::Error::other(e.to_string())))
}

fn decrypt(identity: &impl age::Identity, wrapped: &[u8]) -> Result<Option<SecretSlice<u8>>> {
    // Damaged or for somebody else: either way these bytes hold no key for this identity.
    Ok(age::decrypt(identity, wrapped).ok().map(SecretSlice::from))
}
