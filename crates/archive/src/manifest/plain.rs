//! Lines of files as our writer makes them, which nearly all are, taken apart without a parser.

use super::record::{Class, Line};
use crate::Digest;

/// What the line says; `None` where it is anything else, which a parser then has to look at. What
/// is taken here says the same to a parser.
pub(super) fn file(line: &str) -> Option<Line<'_>> {
    let (path, rest) = text(line.strip_prefix(r#"{"path":"#)?)?;
    let (size, rest) = number(rest.strip_prefix(r#","size":"#)?)?;
    let (stored, rest) = number(rest.strip_prefix(r#","stored":"#)?)?;
    let rest = rest.strip_prefix(r#","sha256":""#)?;
    let (sha256, rest) = rest.split_at_checked(2 * size_of::<Digest>())?;
    let (mode, rest) = text(rest.strip_prefix(r#"","mode":"#)?)?;
    let (class, rest) = text(rest.strip_prefix(r#","class":"#)?)?;
    let (component, rest) = match rest.strip_prefix(r#","component":"#) {
        None => (None, rest),
        Some(rest) => {
            let (component, rest) = text(rest)?;
            (Some(component), rest)
        }
    };
    let class = match class {
        "internal" => Class::Internal,
        "public" => Class::Public,
        "secret" => Class::Secret,
        _ => return None,
    };
    (rest == "}\n").then_some(Line {
        path: Some(path.into()),
        size: Some(size),
        stored: Some(stored),
        sha256: Some(sha256.parse().ok()?),
        mode: Some(mode.into()),
        class: Some(class),
        component: component.map(Into::into),
        ..Line::default()
    })
}

/// A string that stands for itself, and what follows it.
fn text(rest: &str) -> Option<(&str, &str)> {
    let rest = rest.strip_prefix('"')?;
    let special = |byte: u8| byte == b'"' || byte == b'\\' || byte < 0x20;
    let end = rest.bytes().position(special)?;
    Some((&rest[..end], rest[end..].strip_prefix('"')?))
}

/// A whole number as JSON has it, and what follows it.
fn number(rest: &str) -> Option<(u64, &str)> {
    let end = rest.bytes().position(|byte| !byte.is_ascii_digit())?;
    let (digits, rest) = rest.split_at(end);
    let padded = digits.len() > 1 && digits.starts_with('0');
    (!padded).then_some((digits.parse().ok()?, rest))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{Manifest, NewLine, Profile};
    use super::*;

    /// What our writer makes of a file.
    fn written(path: &str, size: u64, class: Class, component: Option<&str>) -> String {
        let mut manifest = Manifest::new("id", Profile::Native);
        manifest.add(NewLine {
            path,
            size,
            stored: size / 2,
            sha256: Some(Digest::of(path.as_bytes())),
            mode: 0o640,
            class,
            component,
            seal: None,
            chunks: &[],
        });
        let text = String::from_utf8(manifest.finish().0).unwrap();
        text.split_inclusive('\n').nth(1).unwrap().to_owned()
    }

    fn parsed(line: &str) -> Option<String> {
        let line: Option<Line<'_>> = serde_json::from_str(line).ok();
        line.map(|line| format!("{line:?}"))
    }

    #[test]
    fn what_our_writer_makes_of_files_needs_no_parser() {
        for class in [Class::Internal, Class::Public, Class::Secret] {
            for component in [None, Some(""), Some("blueprints")] {
                for path in ["a", "ä/日本", "0/0.json"] {
                    for size in [0, 7, u64::MAX] {
                        let line = written(path, size, class, component);
                        let taken = file(&line).map(|line| format!("{line:?}"));
                        assert!(taken.is_some() && taken == parsed(&line), "{line}");
                    }
                }
            }
        }
    }

    /// Each of these is another value, or none, to a parser.
    #[test]
    fn what_is_not_plain_is_left_to_the_parser() {
        let line = written("a/b", 120, Class::Internal, Some("c"));
        for (from, to) in [
            ("a/b", r#"a\"b"#),
            ("a/b", r"a\u0062"),
            ("a/b", r"a\x"),
            ("a/b", "a\tb"),
            ("a/b", "a\nb"),
            ("120", "0120"),
            ("120", "00"),
            ("120", ""),
            ("120", "+120"),
            ("120", "-120"),
            ("120", "120.0"),
            ("120", "120e1"),
            ("120", " 120"),
            ("120", "18446744073709551616"),
            ("internal", "Internal"),
            ("internal", "inter"),
            (r#""c""#, r#""c","component":"d""#),
            (r#""c""#, r#""c","mode":"0640""#),
            (r#""c""#, "1"),
            (r#""c""#, "null"),
            (r#""0640""#, "null"),
            ("}\n", ""),
            ("}\n", "}"),
            ("}\n", "}}\n"),
            ("}\n", "}\n\n"),
            (r#"{"path""#, r#" {"path""#),
            (r#"{"path""#, r#"["path""#),
        ] {
            let other = line.replacen(from, to, 1);
            assert_ne!(other, line);
            assert!(file(&other).is_none(), "{other}");
        }
        let digest = Digest::of(b"a/b").to_string();
        for other in [
            digest.to_uppercase(),
            digest.replacen('a', "g", 1),
            digest[1..].into(),
        ] {
            assert!(file(&line.replace(&digest, &other)).is_none(), "{other}");
        }
    }

    proptest! {
        /// With any few bytes of a line changed, whatever is taken is what a parser takes.
        #[test]
        fn what_is_taken_says_the_same_to_a_parser(
            path in r#"[a-c/é"\\\t]{1,8}"#,
            size in prop_oneof![0u64..200, any::<u64>()],
            component in proptest::option::of(r#"[a-c"\\]{0,3}"#),
            edits in proptest::collection::vec(
                (any::<prop::sample::Index>(), any::<bool>(), r#"[0-9a-f"\\{}:, \n+.eé]{0,2}"#),
                0..3,
            ),
        ) {
            let mut line = written(&path, size, Class::Internal, component.as_deref());
            for (at, replace, with) in edits {
                let at = at.index(line.len());
                let Some(old) = line.get(at..).and_then(|rest| rest.chars().next()) else {
                    continue;
                };
                let end = if replace { at + old.len_utf8() } else { at };
                line.replace_range(at..end, &with);
                if line.is_empty() {
                    line.push('{');
                }
            }
            if let Some(taken) = file(&line) {
                prop_assert_eq!(Some(format!("{taken:?}")), parsed(&line), "{}", line);
            }
        }
    }
}
