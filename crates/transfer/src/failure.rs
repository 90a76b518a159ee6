//! What goes wrong with archives and files, as the one error that crosses a service.

use std::io;

use stillpoint_archive::{Error as ArchiveError, Refusal};
use stillpoint_core::{Error, ErrorKind};
use stillpoint_engine::background::stopped;

/// An error of the archive at this place.
pub(crate) fn of_archive(place: &impl ToString, error: ArchiveError) -> Error {
    let place = place.to_string();
    let said = |kind, advice: &str| Error::new(kind, format!("{place}: {error}")).advise(advice);
    match &error {
        ArchiveError::Cancelled => stopped(),
        ArchiveError::Exists(_) => said(ErrorKind::Conflict, "Look what it is, and export again"),
        ArchiveError::Io { what, source } => Error::io(format_args!("{place}: {what}"), source),
        ArchiveError::KeyMismatch { .. } | ArchiveError::KeyMissing { .. } => said(
            ErrorKind::Permission,
            "Register the identity of a recipient with the builder",
        ),
        ArchiveError::NoSuchEntry(id) if place.ends_with(id.as_str()) => Error::new(
            ErrorKind::NotFound,
            format!("{place}: there is no such archive"),
        )
        .advise("List the depot to see which there are"),
        ArchiveError::NoSuchEntry(_) => said(ErrorKind::Invalid, NOT_OURS),
        ArchiveError::Refused { reason, .. } if is_newer(reason) => said(
            ErrorKind::Unsupported,
            "Use the version that wrote it, or a later one",
        ),
        ArchiveError::Refused { .. } => said(
            ErrorKind::Corrupt,
            "Fetch it again or use another copy: this one is damaged",
        ),
        ArchiveError::Unsupported(_) => said(ErrorKind::Invalid, "Correct what it names"),
        _ => said(ErrorKind::Unavailable, "Try again"),
    }
}

pub(crate) const NOT_OURS: &str = "Give an archive that an export wrote";

/// An error of reading an entry: what the archive said travels inside.
pub(crate) fn of_reading(place: &impl ToString, source: io::Error) -> Error {
    of_archive(place, ArchiveError::of_io("reading", source))
}

fn is_newer(reason: &Refusal) -> bool {
    matches!(
        reason,
        Refusal::NewerFormat { .. } | Refusal::UnsupportedMethod(_)
    )
}
