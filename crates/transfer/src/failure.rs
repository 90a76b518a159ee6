//! What goes wrong with archives and files, as the one error that crosses a service.

use std::error::Error as StdError;
use std::io;
use std::time::Duration;

use stillpoint_archive::{Error as ArchiveError, Refusal};
use stillpoint_core::{Error, ErrorKind, Retry};

/// How long to wait before what another side may have mended is tried again.
const PAUSE: Duration = Duration::from_secs(1);

/// An error of the archive at this place.
pub(crate) fn of_archive(place: &impl ToString, error: ArchiveError) -> Error {
    let place = place.to_string();
    let said = |kind, advice: &str| Error::new(kind, format!("{place}: {error}")).advise(advice);
    match &error {
        ArchiveError::Cancelled => stopped(),
        ArchiveError::Exists(_) => said(ErrorKind::Conflict, "Look what it is, and export again"),
        ArchiveError::Io { what, source } => of_io(&format!("{place}: {what}"), source),
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

/// An error of the file system while this was done.
pub(crate) fn of_io(what: &str, source: &io::Error) -> Error {
    use io::ErrorKind as Io;
    let (kind, advice, retry) = match source.kind() {
        Io::NotFound => (ErrorKind::NotFound, "Correct the path", Retry::Never),
        Io::PermissionDenied | Io::ReadOnlyFilesystem => (
            ErrorKind::Permission,
            "Grant the rights, or choose another place",
            Retry::Never,
        ),
        Io::StorageFull | Io::QuotaExceeded | Io::FileTooLarge => (
            ErrorKind::Quota,
            "Free space there, or choose another place",
            Retry::Never,
        ),
        Io::AlreadyExists => (
            ErrorKind::Conflict,
            "Look what is there under that name",
            Retry::Never,
        ),
        Io::IsADirectory | Io::NotADirectory => {
            (ErrorKind::Invalid, "Correct the path", Retry::Never)
        }
        _ => (
            ErrorKind::Unavailable,
            "Try again when it answers",
            Retry::After(PAUSE),
        ),
    };
    Error::new(kind, format!("{what}: {source}"))
        .advise(advice)
        .retry_with(retry)
}

/// An error of reading an entry: what the archive said travels inside.
pub(crate) fn of_reading(place: &impl ToString, source: io::Error) -> Error {
    of_archive(place, as_archive("reading", source))
}

/// An error of the archive's that may have travelled inside one of the system's.
pub(crate) fn as_archive(what: &str, source: io::Error) -> ArchiveError {
    if !source
        .get_ref()
        .is_some_and(<dyn StdError + Send + Sync>::is::<ArchiveError>)
    {
        let what = what.to_owned();
        return ArchiveError::Io { what, source };
    }
    let inner = source.into_inner().expect("checked above");
    *inner.downcast().expect("checked above")
}

pub(crate) fn stopped() -> Error {
    Error::new(ErrorKind::Cancelled, "it was stopped").advise("Start it again if it is wanted")
}

fn is_newer(reason: &Refusal) -> bool {
    matches!(
        reason,
        Refusal::NewerFormat { .. } | Refusal::UnsupportedMethod(_)
    )
}
