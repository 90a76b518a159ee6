use std::collections::BTreeMap;

use crate::{Archive, Digest, Forgivable, Kind, Profile};

/// How far to verify.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// The structure: every header, every byte accounted for, the manifest whole and matching.
    Quick,
    /// And every content, read and held against its CRC-32 and SHA-256.
    #[default]
    Full,
    /// And what is inside a manager's snapshot: JSON is whole, dumps have their end, archives in
    /// the archive open.
    Deep,
}

/// What was proven.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Assurance {
    /// Headers agree. No content was read.
    Structure,
    /// Every content has the CRC-32 recorded. There is no manifest, so nothing shows that the
    /// archive is whole or untouched: never take this for verified.
    CrcOnly,
    /// Every content has the SHA-256 the manifest records, and nothing is missing or added.
    Verified,
    /// And every part that could be parsed, parses.
    VerifiedDeep,
}

/// What verifying found.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Report {
    /// What was proven.
    pub assurance: Assurance,
    /// What was asked.
    pub level: Level,
    /// Entries of the ZIP, directories and the archive's own included.
    pub entries: u64,
    /// Entries that are files.
    pub files: u64,
    /// Bytes of all contents.
    pub bytes: u64,
    /// The manifest's root.
    pub root: Option<Digest>,
    /// Over paths and contents, whatever container they are in; FORMAT.md defines it. Not known
    /// without a key for sealed entries, nor at [`Level::Quick`] without a manifest.
    pub content_digest: Option<Digest>,
    /// The format's version, if there is a manifest.
    pub format_version: Option<String>,
    /// The writer's promise about secrets, if there is a manifest.
    pub profile: Option<Profile>,
    /// Entries that are sealed.
    pub sealed: u64,
    /// Whether sealed entries were opened too.
    pub opened: bool,
    /// What the lenient reader let pass, and how often.
    pub forgiven: BTreeMap<Forgivable, u64>,
    /// What [`Level::Deep`] looked into: how many of each kind.
    pub findings: BTreeMap<&'static str, u64>,
}

impl Report {
    pub(crate) fn of(archive: &Archive, level: Level) -> Self {
        let files: Vec<u64> = archive
            .entries()
            .filter(|entry| entry.kind() == Kind::File)
            .map(|entry| entry.size())
            .collect();
        let sealed = archive.sealed() as u64;
        let assurance = match (level, archive.root().is_some()) {
            (Level::Quick, _) => Assurance::Structure,
            (_, false) => Assurance::CrcOnly,
            (Level::Full, true) => Assurance::Verified,
            (Level::Deep, true) => Assurance::VerifiedDeep,
        };
        Report {
            assurance,
            level,
            entries: archive.entries().len() as u64,
            files: files.len() as u64,
            bytes: files.iter().sum(),
            root: archive.root(),
            content_digest: None,
            format_version: archive.format_version().map(str::to_owned),
            profile: archive.profile(),
            sealed,
            opened: archive.is_unlocked() && level != Level::Quick,
            forgiven: archive.forgiven().clone(),
            findings: BTreeMap::new(),
        }
    }
}
