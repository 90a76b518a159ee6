//! Which names an archive may hold.

use std::borrow::Cow;
use std::hash::{BuildHasher as _, RandomState};

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use unicode_normalization::{UnicodeNormalization, is_nfc};

use crate::{Error, Limits, Refusal, Result};

/// Checks one name, which ends in `/` if it is a directory's.
pub(crate) fn check(name: &str, limits: &Limits) -> Result<(), Refusal> {
    let over = |what, found: usize, limit: u32| Refusal::Limit {
        what,
        found: found as u64,
        limit: u64::from(limit),
    };
    if name.len() > limits.name as usize {
        return Err(over("the name's length", name.len(), limits.name));
    }
    let bytes = name.as_bytes();
    // By bytes: looking for chars takes three times as long, of each of many names.
    let has = |unwanted: fn(u8) -> bool| bytes.iter().any(|byte| unwanted(*byte));
    if has(|byte| byte < 0x20 || byte == 0x7f)
        || !name.is_ascii() && name.chars().any(char::is_control)
    {
        return Err(Refusal::ControlInName);
    }
    if has(|byte| byte == b'\\') {
        return Err(Refusal::BackslashInName);
    }
    if bytes.starts_with(b"/") {
        return Err(Refusal::AbsoluteName);
    }
    if bytes.len() >= 2 && bytes[1] == b':' && bytes[0].is_ascii_alphabetic() {
        return Err(Refusal::DriveName);
    }
    let mut depth = 0;
    let bare = bytes.strip_suffix(b"/").unwrap_or(bytes);
    for component in bare.split(|byte| *byte == b'/') {
        check_component(component)?;
        depth += 1;
    }
    if depth > limits.depth as usize {
        return Err(over("the name's depth", depth, limits.depth));
    }
    Ok(())
}

fn check_component(component: &[u8]) -> Result<(), Refusal> {
    if matches!(component, b"" | b"." | b"..") {
        return Err(Refusal::BadComponent);
    }
    let dangling = matches!(component.last(), Some(b'.' | b' '));
    if dangling || component.contains(&b':') || is_device(component) {
        return Err(Refusal::DeviceName);
    }
    Ok(())
}

/// Names Windows resolves to devices, whatever follows the first dot.
fn is_device(component: &[u8]) -> bool {
    let dot = component.iter().position(|byte| *byte == b'.');
    let mut stem = &component[..dot.unwrap_or(component.len())];
    while let Some(shorter) = stem.strip_suffix(b" ") {
        stem = shorter;
    }
    let is = |name: &str| stem.eq_ignore_ascii_case(name.as_bytes());
    match *stem {
        [_, _, _] => is("con") || is("prn") || is("aux") || is("nul"),
        [ref head @ .., b'1'..=b'9'] if head.len() == 3 => {
            head.eq_ignore_ascii_case(b"com") || head.eq_ignore_ascii_case(b"lpt")
        }
        _ => is("conin$") || is("conout$"),
    }
}

/// What two names have in common that one folder cannot hold on every system: case-folded, in
/// normal form C, without the slash of a directory.
fn fold(name: &str) -> Cow<'_, str> {
    let name = name.strip_suffix('/').unwrap_or(name);
    if name
        .bytes()
        .all(|b| b.is_ascii() && !b.is_ascii_uppercase())
    {
        return Cow::Borrowed(name);
    }
    if name.is_ascii() {
        return Cow::Owned(name.to_ascii_lowercase());
    }
    let lower: String = name.nfc().flat_map(char::to_lowercase).collect();
    if is_nfc(&lower) {
        Cow::Owned(lower)
    } else {
        Cow::Owned(lower.nfc().collect())
    }
}

/// The names seen so far: refuses twins and files that are used as folders.
#[derive(Debug, Default)]
pub(crate) struct Names {
    /// One after the other as they were written, but for the slash of a directory: in memory of its
    /// own each takes as long as all else that is done with it.
    text: String,
    /// By their folded names.
    seen: HashTable<Seen>,
    hasher: RandomState,
    /// Parents that no directory entry announced (yet).
    implied: u64,
    /// Where the name before was, as it was written: most are in the same folder, which needs no
    /// second look.
    folder: String,
}

/// One of them, and where in the text it is.
#[derive(Debug)]
struct Seen {
    start: usize,
    end: usize,
    what: What,
}

#[derive(Clone, Copy, Debug)]
enum What {
    Directory,
    File,
    Implied,
}

impl Names {
    pub(crate) fn with_capacity(names: usize) -> Self {
        Names {
            seen: HashTable::with_capacity(names),
            ..Names::default()
        }
    }

    /// Parents that have no entry of their own.
    pub(crate) fn implied(&self) -> u64 {
        self.implied
    }

    /// Whether the directory, named without its slash, has an entry of its own.
    pub(crate) fn has_directory(&self, bare: &str) -> bool {
        let folded = fold(bare);
        let found = self.seen.find(self.hasher.hash_one(&*folded), |seen| {
            fold(seen.spelled(&self.text)) == folded
        });
        found.is_some_and(|seen| matches!(seen.what, What::Directory))
    }

    /// Takes in a name that passed [`check`].
    pub(crate) fn insert(&mut self, name: &str) -> Result<()> {
        let folded = fold(name);
        let bare = name.strip_suffix('/').unwrap_or(name);
        let is_directory = name.ends_with('/');
        let start = self.text.len();
        match place(&mut self.seen, &self.text, &self.hasher, bare, &folded) {
            Entry::Vacant(place) => {
                let what = match is_directory {
                    true => What::Directory,
                    false => What::File,
                };
                let end = start + bare.len();
                place.insert(Seen { start, end, what });
                self.text.push_str(bare);
            }
            Entry::Occupied(place) => {
                let seen = place.into_mut();
                let spelled = seen.spelled(&self.text);
                return Err(match seen.what {
                    _ if spelled != bare => {
                        let other = spelled.to_owned();
                        Refusal::CaseTwin { other }.of(name)
                    }
                    What::Implied if is_directory => {
                        seen.what = What::Directory;
                        self.implied -= 1;
                        return Ok(());
                    }
                    What::Implied => {
                        let other = format!("{name}/…");
                        Refusal::FileAsFolder { other }.of(name)
                    }
                    What::Directory if !is_directory => {
                        let other = format!("{name}/");
                        Refusal::FileAsFolder { other }.of(name)
                    }
                    What::File if is_directory => {
                        let other = name.to_owned();
                        Refusal::FileAsFolder { other }.of(bare)
                    }
                    What::Directory | What::File => Refusal::Duplicate.of(name),
                });
            }
        }
        self.insert_parents(start, bare, &folded, name)
    }

    /// `start` is where the text of the name is.
    fn insert_parents(
        &mut self,
        start: usize,
        mut bare: &str,
        mut folded: &str,
        name: &str,
    ) -> Result<(), Error> {
        // By bytes: looking for a char from the end takes a tenth of opening an archive.
        let slash = |path: &str| path.bytes().rposition(|byte| byte == b'/');
        let folder = slash(bare).map_or("", |end| &bare[..end]);
        if folder == self.folder {
            return Ok(());
        }
        while let (Some(end), Some(folded_end)) = (slash(bare), slash(folded)) {
            bare = &bare[..end];
            folded = &folded[..folded_end];
            match place(&mut self.seen, &self.text, &self.hasher, bare, folded) {
                Entry::Vacant(place) => {
                    let end = start + end;
                    let what = What::Implied;
                    place.insert(Seen { start, end, what });
                    self.implied += 1;
                }
                Entry::Occupied(place) => {
                    let seen = place.get();
                    let spelled = seen.spelled(&self.text);
                    match seen.what {
                        _ if spelled != bare => {
                            let other = spelled.to_owned();
                            return Err(Refusal::CaseTwin { other }.of(bare));
                        }
                        What::File => {
                            let other = name.to_owned();
                            return Err(Refusal::FileAsFolder { other }.of(bare));
                        }
                        // Its own parents were taken in with it.
                        What::Directory | What::Implied => break,
                    }
                }
            }
        }
        folder.clone_into(&mut self.folder);
        Ok(())
    }
}

impl Seen {
    fn spelled<'t>(&self, text: &'t str) -> &'t str {
        &text[self.start..self.end]
    }
}

/// Where what folds as `bare` does is, or would be.
fn place<'n>(
    seen: &'n mut HashTable<Seen>,
    text: &str,
    hasher: &RandomState,
    bare: &str,
    folded: &str,
) -> Entry<'n, Seen> {
    let same = |seen: &Seen| {
        let spelled = seen.spelled(text);
        spelled == bare || fold(spelled) == folded
    };
    let hash = |seen: &Seen| hasher.hash_one(&*fold(seen.spelled(text)));
    seen.entry(hasher.hash_one(folded), same, hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(name: &str) -> Option<Refusal> {
        check(name, &Limits::default()).err()
    }

    #[test]
    fn plain_names_pass() {
        for name in [
            "a",
            "a/b.c/",
            "tenants/default_tenant/00000001.json",
            "ä/日本",
            "console",
            "com0",
            "..a",
        ] {
            assert_eq!(refusal(name), None, "{name}");
        }
    }

    #[test]
    fn unsafe_names_are_refused() {
        for (name, reason) in [
            ("", Refusal::BadComponent),
            ("/", Refusal::AbsoluteName),
            ("a//b", Refusal::BadComponent),
            ("a/../b", Refusal::BadComponent),
            ("a/.", Refusal::BadComponent),
            ("C:/x", Refusal::DriveName),
            ("a\\b", Refusal::BackslashInName),
            ("a\u{85}b", Refusal::ControlInName),
            ("x/CON.txt", Refusal::DeviceName),
            ("lpt9", Refusal::DeviceName),
            ("a.", Refusal::DeviceName),
            ("a /b", Refusal::DeviceName),
            ("ab:c", Refusal::DeviceName),
        ] {
            assert_eq!(refusal(name), Some(reason), "{name}");
        }
        assert!(matches!(
            refusal(&"a".repeat(1025)),
            Some(Refusal::Limit { .. })
        ));
        assert!(matches!(
            refusal(&"a/".repeat(65)),
            Some(Refusal::Limit { .. })
        ));
    }

    #[test]
    fn twins_are_refused() {
        for (first, second) in [
            ("a", "a"),
            ("a", "A"),
            ("a/", "A"),
            ("d/x", "D/y"),
            ("caf\u{e9}", "cafe\u{301}"),
            ("a", "a/"),
            ("a/b", "a"),
            ("a", "a/b"),
            ("a", "A/b"),
        ] {
            let mut names = Names::default();
            names.insert(first).unwrap();
            assert!(names.insert(second).is_err(), "{first} {second}");
        }
    }

    /// Each folder is looked at, whatever the one before it was.
    #[test]
    fn folders_are_told_apart() {
        for (names, twin) in [
            (["d/x", "e/x", "D/y"], true),
            (["d/x", "D", "d/y"], true),
            (["e", "d/x", "e/y"], true),
            (["d/a/x", "e/x", "d/A/y"], true),
            (["caf\u{e9}/x", "a/x", "cafe\u{301}/y"], true),
            (["d/x", "e/x", "d/y"], false),
            (["d/x", "y", "d/y"], false),
        ] {
            let mut seen = Names::default();
            let all = names.iter().try_for_each(|name| seen.insert(name));
            assert_eq!(all.is_err(), twin, "{names:?}");
        }
        let mut names = Names::default();
        for name in ["d/x", "e/x", "y", "e/f/x", "d/y", "e/f/y"] {
            names.insert(name).unwrap();
        }
        assert_eq!(names.implied(), 3);
    }

    /// Also once there are so many that the table was made anew, and after one was refused.
    #[test]
    fn twins_of_many_are_refused() {
        let mut names = Names::default();
        for number in 0..1000 {
            names.insert(&format!("D/{number}/File")).unwrap();
        }
        assert_eq!(names.implied(), 1001);
        for number in 0..1000 {
            let twin = format!("D/{number}/file");
            let other = format!("D/{number}/File");
            let refused = names.insert(&twin).unwrap_err();
            assert_eq!(refused.refusal(), Some(&Refusal::CaseTwin { other }));
        }
        for file in ["y", "z"] {
            let refused = names.insert(&format!("d/{file}")).unwrap_err();
            let other = "D".to_owned();
            assert_eq!(refused.refusal(), Some(&Refusal::CaseTwin { other }));
        }
    }

    #[test]
    fn parents_without_an_entry_are_counted() {
        let mut names = Names::default();
        names.insert("a/b/c").unwrap();
        assert_eq!(names.implied(), 2);
        names.insert("a/").unwrap();
        names.insert("a/b/d").unwrap();
        assert_eq!(names.implied(), 1);
        assert!(names.insert("a/").is_err());
    }
}
