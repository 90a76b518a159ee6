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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_prefix_ends_where_it_should(prefix in "(\\PC|\u{d7ff}|\u{10ffff}){0,4}", other in "\\PC{0,6}") {
            let end = prefix_end(&prefix);
            let within = |key: &str| key >= prefix.as_str() && (end.is_empty() || key < end.as_str());
            let longer = format!("{prefix}{other}");
            prop_assert!(within(&longer));
            prop_assert_eq!(within(&other), other.starts_with(&prefix));
        }

        #[test]
        fn any_key_is_taken_or_refused_and_never_panics(key in ".{0,600}") {
            let taken = check(&key).is_ok();
            prop_assert!(!taken || key.len() <= MAX_KEY_BYTES);
        }
    }

    #[test]
    fn the_last_of_all_characters_has_no_next() {
        assert_eq!(prefix_end("a\u{10ffff}\u{10ffff}"), "b");
        assert_eq!(prefix_end("\u{10ffff}"), "");
        assert_eq!(prefix_end("\u{d7ff}"), "\u{e000}");
    }

    #[test]
    fn what_is_wrong_is_shown_without_harm() {
        let error = check("a\u{1b}[2J").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert!(!error.to_string().contains('\u{1b}'), "{error}");
    }
}
