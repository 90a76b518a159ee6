//! What goes wrong with archives, files and components, as the one error that crosses a service.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};

use stillpoint_archive::Error as ArchiveError;
use stillpoint_core::{Error, ErrorKind, Result};
use stillpoint_engine::background::stopped;

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
        ArchiveError::Io { what, source } => {
            Error::io(format_args!("archive {name}: {what}"), source)
        }
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

/// An error of reading an entry: what the archive said travels inside.
pub(crate) fn of_reading(name: &str, source: io::Error) -> Error {
    of_archive(name, ArchiveError::of_io("reading", source))
}

/// An error of writing an entry: what the archive said travels inside.
pub(crate) fn of_writing(name: &str, source: io::Error) -> Error {
    of_archive(name, ArchiveError::of_io("writing", source))
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
