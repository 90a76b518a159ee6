use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::Digest;

/// How an entry's content is to be kept.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Class {
    /// For those who run the system.
    #[default]
    Internal,
    /// For everyone.
    Public,
    /// Credentials, keys and what holds them; sealed in the native profile.
    Secret,
}

/// What the writer promised about secrets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Profile {
    /// Cloudify's paths, secrets in clear.
    Compat,
    /// Secret entries are sealed.
    #[default]
    Native,
}

/// The first line.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Header<'a> {
    pub(crate) format: Cow<'a, str>,
    pub(crate) format_version: Cow<'a, str>,
    pub(crate) min_reader: Cow<'a, str>,
    pub(crate) profile: Profile,
    pub(crate) snapshot_id: Cow<'a, str>,
    pub(crate) hash: Cow<'a, str>,
    pub(crate) chunk: u64,
}

/// Every other line; which keys are there tells what it is.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Line<'a> {
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub(crate) path: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) size: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) stored: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) sha256: Option<Digest>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub(crate) mode: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) class: Option<Class>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub(crate) component: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) seal: Option<Seal>,
    /// Further chunks of the entry before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) chunks: Option<Vec<Chunk>>,
    /// The last line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) end: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) entries: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) bytes: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) root: Option<Digest>,
}

/// One chunk of a large entry: bytes stored, and the CRC-32 of what they unpack to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Chunk(pub(crate) u32, pub(crate) u32);

/// How an entry is sealed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Seal {
    /// Sets this entry's key apart, 32 hexadecimal digits.
    pub(crate) salt: String,
    /// Bytes of the plaintext.
    pub(crate) size: u64,
}

/// What the manifest says of one entry, in the same place as its [`Entry`](crate::zip::Entry).
#[derive(Clone, Debug)]
pub(crate) struct Record {
    /// Of what the ZIP entry unpacks to; for a sealed entry the ciphertext.
    pub(crate) sha256: Digest,
    pub(crate) class: Class,
    /// Which of the manifest's components.
    pub(crate) component: Option<u16>,
    pub(crate) seal: Option<Box<Seal>>,
    /// Empty where the entry is not cut.
    pub(crate) chunks: Box<[Chunk]>,
}
