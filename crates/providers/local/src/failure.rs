use std::io;
use std::path::Path;

use stillpoint_core::{Error, ErrorKind};

/// What a failed file operation means to the caller, with the file named.
pub(crate) fn storage(doing: &str, path: &Path, source: impl Into<io::Error>) -> Error {
    let source = source.into();
    let (kind, advice) = match source.kind() {
        io::ErrorKind::FileTooLarge | io::ErrorKind::QuotaExceeded | io::ErrorKind::StorageFull => {
            (
                ErrorKind::Quota,
                "Free space on its file system or delete snapshots, then try again",
            )
        }
        io::ErrorKind::NotFound => (ErrorKind::NotFound, "List what is there"),
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => (
            ErrorKind::Permission,
            "Give this process the right to read and write there, and mount it writable",
        ),
        _ => (
            ErrorKind::Unavailable,
            "Look at the file system's health (the kernel log says more)",
        ),
    };
    Error::new(kind, format!("cannot {doing} `{}`", path.display()))
        .advise(advice)
        .because(source)
}

/// A record or file of ours that is not as it was written.
pub(crate) fn corrupt(path: &Path, what: impl AsRef<str>, advice: &str) -> Error {
    Error::new(
        ErrorKind::Corrupt,
        format!("`{}` {}", path.display(), what.as_ref()),
    )
    .advise(advice)
}
