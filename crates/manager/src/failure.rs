//! What goes wrong with archives, files and components, as the one error that crosses a service.

use std::error::Error as StdError;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use stillpoint_archive::Error as ArchiveError;
use stillpoint_core::{Error, ErrorKind, Result, Retry};

/// How long to wait before what another side may have mended is tried again.
const PAUSE: Duration = Duration::from_secs(1);

/// An error of the archive of this name.
pub(crate) fn of_archive(name: &str, error: ArchiveError) -> Error {
    let said =
        |kind, advice: &str| Error::new(kind, format!("archive {name}: {error}")).advise(advice);
    match &error {
        ArchiveError::Cancelled => stopped(),
        ArchiveError::Exists(_) => said(ErrorKind::Conflict, "Choose another id"),
        ArchiveError::Io { source, .. } if source.kind() == io::ErrorKind::UnexpectedEof => said(
            ErrorKind::Corrupt,
            "Fetch it again or use another copy: this one was cut off",
        ),
        ArchiveError::Io { what, source } => of_io(&format!("archive {name}: {what}"), source),
        ArchiveError::KeyMismatch { .. } | ArchiveError::KeyMissing { .. } => said(
            ErrorKind::Permission,
            "Register the identity of a recipient with the builder",
        ),
        ArchiveError::NoSuchEntry(id) if id == name => {
            let message = format!("there is no archive {name}");
            Error::new(ErrorKind::NotFound, message).advise("List what there is")
        }
        ArchiveError::NoSuchEntry(_) | ArchiveError::Refused { .. } => said(
            ErrorKind::Corrupt,
            "Fetch it again or use another copy: this one is damaged or not whole",
        ),
        ArchiveError::Unsupported(_) => said(ErrorKind::Invalid, "Correct what it names"),
        _ => said(ErrorKind::Unavailable, "Try again"),
    }
}

/// An error of the file system while this was done.
pub(crate) fn of_io(what: &str, source: &io::Error) -> Error {
    use io::ErrorKind as Io;
    let (kind, advice, retry) = match source.kind() {
        Io::NotFound => (ErrorKind::NotFound, "Correct the path", Retry::Never),
        Io::PermissionDenied | Io::ReadOnlyFilesystem => {
            (ErrorKind::Permission, "Grant the rights", Retry::Never)
        }
        Io::StorageFull | Io::QuotaExceeded | Io::FileTooLarge => {
            (ErrorKind::Quota, "Free space there", Retry::Never)
        }
        Io::AlreadyExists => (ErrorKind::Conflict, "Look what is there", Retry::Never),
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
pub(crate) fn of_reading(name: &str, source: io::Error) -> Error {
    let ours = source
        .get_ref()
        .is_some_and(<dyn StdError + Send + Sync>::is::<ArchiveError>);
    if !ours {
        return of_io(&format!("reading archive {name}"), &source);
    }
    let inner = source.into_inner().expect("checked above");
    of_archive(name, *inner.downcast().expect("checked above"))
}

pub(crate) fn stopped() -> Error {
    Error::new(ErrorKind::Cancelled, "it was stopped").advise("Start it again if it is wanted")
}

/// Calls a component: its errors have its name, and a panic is one of them.
pub(crate) fn guarded<T>(component: &str, call: impl FnOnce() -> Result<T>) -> Result<T> {
    match catch_unwind(AssertUnwindSafe(call)) {
        Ok(result) => result.map_err(|error| named(component, &error)),
        Err(panic) => {
            let said = panic
                .downcast_ref::<&str>()
                .map(|it| (*it).to_owned())
                .or_else(|| panic.downcast_ref::<String>().cloned())
                .unwrap_or_else(|| "without a word".to_owned());
            let message = format!("component {component} panicked: {said}");
            Err(Error::new(ErrorKind::Internal, message)
                .advise("Mend the component; nothing of this was kept"))
        }
    }
}

fn named(component: &str, error: &Error) -> Error {
    let mut report = error.to_report();
    report.message = format!("component {component}: {}", report.message);
    Error::from(report)
}

/// Does what blocks where that is allowed.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        Err(_) => Err(stopped()),
    }
}
