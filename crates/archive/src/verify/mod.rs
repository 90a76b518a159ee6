//! Verifying: how much was proven is said, and nothing more than that.

mod deep;
mod payload;
mod report;
mod worker;

pub(crate) use payload::{Walk, walk};
pub use report::{Assurance, Level, Report};
pub(crate) use worker::Take;

use crate::digest::ContentDigest;
use crate::zip::Kind;
use crate::{Archive, Digest, Refusal, Result, Watch};

/// Verifies an open archive to the level asked.
///
/// Opening has already checked every header and the manifest's root; [`Level::Quick`] adds nothing
/// to that. Sealed entries are verified without a key; with one, they are opened too.
///
/// # Errors
/// [`Error::Refused`](crate::Error::Refused) with the entry at fault;
/// [`Error::Io`](crate::Error::Io); [`Error::Cancelled`](crate::Error::Cancelled).
///
/// ```
/// use stillpoint_archive::{
///     Archive, Assurance, EntryOptions, VerifyLevel, Watch, WriteOptions, create, verify,
/// };
///
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("a.zip");
/// create(&path, &WriteOptions::new(), |writer| {
///     writer.bytes("greeting.txt", "hello", &EntryOptions::new())
/// })?;
/// let report = verify(&Archive::open(&path)?, VerifyLevel::Full, &Watch::none())?;
/// assert_eq!(report.assurance, Assurance::Verified);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn verify(archive: &Archive, level: Level, watch: &Watch) -> Result<Report> {
    let mut report = Report::of(archive, level);
    if level == Level::Quick {
        report.content_digest = listed_digest(archive);
        return Ok(report);
    }
    let digests = walk(archive, Walk::default(), watch, None)?;
    if level == Level::Deep {
        report.findings = deep::check(archive)?;
    }
    report.content_digest = content_digest(archive, |index| digests[index]);
    Ok(report)
}

/// Bytes of all contents.
pub(crate) fn contents(archive: &Archive) -> u64 {
    archive.entries().map(|entry| entry.size()).sum()
}

/// The report of an archive whose file holds what its writer wrote, and whose writer has seen that
/// this unpacks to what the manifest has the hashes of.
pub(crate) fn recognised(archive: &Archive) -> Report {
    let mut report = Report::of(archive, Level::Full);
    report.content_digest = listed_digest(archive);
    report
}

/// Holds the CRC-32 of all before the central directory against the one the manifest carries.
pub(crate) fn covered(recorded: Option<u32>, found: u32) -> Result<()> {
    match recorded {
        Some(recorded) if recorded != found => Err(Refusal::Coverage { found, recorded }.bare()),
        _ => Ok(()),
    }
}

/// The content digest the manifest's hashes amount to; they are not proven by that.
fn listed_digest(archive: &Archive) -> Option<Digest> {
    archive.root()?;
    content_digest(archive, |index| archive.view(index).sha256())
}

/// Over all that was archived; `None` if a file's hash is not known.
pub(crate) fn content_digest(
    archive: &Archive,
    digest: impl Fn(usize) -> Option<Digest>,
) -> Option<Digest> {
    let mut content = ContentDigest::default();
    for (index, view) in archive.entries().enumerate() {
        if view.is_own() {
            continue;
        }
        match view.kind() {
            Kind::Directory => content.directory(view.path()),
            Kind::File => content.file(view.path(), digest(index)?),
        }
    }
    Some(content.finish())
}
