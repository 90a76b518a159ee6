use std::io;
use std::path::Path;

use stillpoint_core::{Error, ErrorKind};

/// What the system said about the file.
pub(super) fn io(doing: &str, path: &Path, source: io::Error) -> Error {
    let (kind, advice) = match source.kind() {
        io::ErrorKind::NotFound => (
            ErrorKind::NotFound,
            "Check the path and that its disk is mounted; Redb::create makes a new state",
        ),
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => (
            ErrorKind::Permission,
            "Give this user the right to read and write the file and its folder",
        ),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
            (
                ErrorKind::Quota,
                "Make room on that file system; the state is usable again once there is some",
            )
        }
        io::ErrorKind::AlreadyExists => (ErrorKind::Conflict, "Open it, or choose another path"),
        io::ErrorKind::UnexpectedEof => (ErrorKind::Corrupt, DAMAGED),
        _ => (
            ErrorKind::Unavailable,
            "Check the disk, then open the state again",
        ),
    };
    Error::new(kind, format!("cannot {doing} {}", path.display()))
        .advise(advice)
        .because(source)
}

/// What redb said about it.
pub(super) fn redb(doing: &str, path: &Path, source: impl Into<redb::Error>) -> Error {
    match source.into() {
        redb::Error::Io(source) if source.kind() == io::ErrorKind::InvalidData => {
            damaged(path).because(source)
        }
        redb::Error::Io(source) => io(doing, path, source),
        source @ redb::Error::Corrupted(_) => damaged(path).because(source),
        source @ (redb::Error::PreviousIo | redb::Error::DatabaseClosed) => Error::new(
            ErrorKind::Unavailable,
            format!(
                "cannot {doing} {}, which is closed or was opened again",
                path.display()
            ),
        )
        .advise("Begin again what was being read")
        .because(source),
        source => Error::new(
            ErrorKind::Internal,
            format!("cannot {doing} {}", path.display()),
        )
        .because(source),
    }
}

/// The file is not what was written.
pub(super) fn damaged(path: &Path) -> Error {
    Error::new(
        ErrorKind::Corrupt,
        format!("{} is cut or changed", path.display()),
    )
    .advise(DAMAGED)
}

const DAMAGED: &str =
    "Keep the file for examination, check the disk, and put back a copy of the state";
