//! What nobody could have foreseen.

use std::fmt::Write as _;

use stillpoint_core::{Error, ErrorKind, Result};

/// As many bytes as are asked for.
///
/// # Errors
/// [`ErrorKind::Unavailable`] where the system gives none.
pub(crate) fn bytes<const COUNT: usize>() -> Result<[u8; COUNT]> {
    let mut bytes = [0; COUNT];
    getrandom::fill(&mut bytes).map_err(|source| {
        let message = "the system gave no random bytes";
        Error::new(ErrorKind::Unavailable, message)
            .advise("Try again")
            .because(source)
    })?;
    Ok(bytes)
}

/// A word of letters and digits.
///
/// # Errors
/// As [`bytes`].
pub(crate) fn word() -> Result<String> {
    Ok(bytes::<16>()?.iter().fold(String::new(), |mut word, byte| {
        let _ = write!(word, "{byte:02x}");
        word
    }))
}
