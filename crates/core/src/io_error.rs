use std::fmt::Display;
use std::io;
use std::time::Duration;

use crate::error::{Error, ErrorKind, Retry};

/// How long to wait before what another side may have mended is tried again.
const PAUSE: Duration = Duration::from_secs(1);

impl Error {
    /// What the system said while `what` was done. What only a person can mend is not tried again.
    ///
    /// ```
    /// use stillpoint_core::{Error, ErrorKind, Retry};
    ///
    /// let full = std::io::Error::from(std::io::ErrorKind::StorageFull);
    /// let error = Error::io("writing /backup/a.zip", &full);
    /// assert_eq!((error.kind(), error.retry()), (ErrorKind::Quota, Retry::Never));
    /// ```
    pub fn io(what: impl Display, source: &io::Error) -> Self {
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
        Self::new(kind, format!("{what}: {source}"))
            .advise(advice)
            .retry_with(retry)
    }
}
