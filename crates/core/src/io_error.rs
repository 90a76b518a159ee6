use std::error::Error as StdError;
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
        let (kind, advice, retry) = match mendable(source).unwrap_or(source.kind()) {
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

/// What a person has to mend, however deep a store or a stream has wrapped it.
fn mendable(source: &io::Error) -> Option<io::ErrorKind> {
    use io::ErrorKind as Io;
    let mut below: Option<&(dyn StdError + 'static)> = Some(source);
    while let Some(error) = below {
        match error.downcast_ref().map(io::Error::kind) {
            Some(
                kind @ (Io::PermissionDenied
                | Io::QuotaExceeded
                | Io::ReadOnlyFilesystem
                | Io::StorageFull),
            ) => return Some(kind),
            // It names what is inside as its source only from the next on.
            Some(_) => {
                let inner = error
                    .downcast_ref::<io::Error>()
                    .and_then(io::Error::get_ref);
                below = inner.map(|it| it as &(dyn StdError + 'static));
            }
            None => below = error.source(),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_person_has_to_mend_is_found_however_deep_it_is() {
        let full = || io::Error::from(io::ErrorKind::StorageFull);
        let wrapped = io::Error::other(Error::io("writing", &full()).because(full()));
        let twice = io::Error::other(wrapped);
        for source in [full(), twice] {
            assert_eq!(Error::io("copying", &source).kind(), ErrorKind::Quota);
        }
        let other = io::Error::other("it is away");
        assert_eq!(Error::io("copying", &other).kind(), ErrorKind::Unavailable);
    }
}
