use stillpoint_core::{Error, ErrorKind, Result};

/// Longest key, in bytes.
pub const MAX_KEY_BYTES: usize = 512;

/// The least string that is after every key with this prefix; empty, which is the end of all
/// keys, for the empty prefix.
///
/// ```
/// assert_eq!(stillpoint_state::prefix_end("job/"), "job0");
/// assert_eq!(stillpoint_state::prefix_end(""), "");
/// ```
pub fn prefix_end(prefix: &str) -> String {
    let mut end = prefix.to_owned();
    while let Some(last) = end.pop() {
        let next = match last {
            char::MAX => continue,
            '\u{d7ff}' => '\u{e000}',
            // Only the surrogates and the end are no scalar values.
            other => char::from_u32(u32::from(other) + 1).unwrap_or(char::MAX),
        };
        end.push(next);
        return end;
    }
    end
}

/// Keys are what every store can hold and every log can show.
pub(crate) fn check(key: &str) -> Result<()> {
    let problem = if key.is_empty() {
        "is empty".to_owned()
    } else if key.len() > MAX_KEY_BYTES {
        format!("has {} bytes", key.len())
    } else if key.chars().any(char::is_control) {
        "has control characters".to_owned()
    } else {
        return Ok(());
    };
    let shown: String = key.chars().take(64).collect();
    Err(Error::new(
        ErrorKind::Invalid,
        format!("key `{}` {problem}", shown.escape_debug()),
    )
    .advise(format!(
        "Use 1 to {MAX_KEY_BYTES} bytes without control characters"
    )))
}
