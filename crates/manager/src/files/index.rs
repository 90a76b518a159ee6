//! What the entries of an archive cannot say of files: exact times, and links.

use std::collections::{BTreeSet, HashSet};
use std::fs;
use std::io::{BufRead as _, BufReader, Read, Write};
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::path::{Component as Piece, Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use stillpoint_core::{Error, ErrorKind, Result};

use super::looking;
use super::mirror::{set_mode, set_time};
use crate::failure::{of_reading, of_writing};

/// Bytes of the longest line that is read, and of all.
const LONGEST: u64 = 64 << 10;
const LARGEST: u64 = 256 << 20;

/// Files, folders and links of the largest index: as many as an archive may have entries.
const MOST: usize = 1_000_000;

/// What is said of the files below a folder, by their paths there.
#[derive(Debug, Default)]
pub(super) struct Index(Vec<Line>);

/// One file, folder or link; the folder itself has the path `.`.
#[derive(Debug, Deserialize, Serialize)]
struct Line {
    path: String,
    /// Permission bits; none for a link.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    mode: Option<u32>,
    /// When it was modified: seconds since 1970, and nanoseconds of the next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    modified: Option<(i64, u32)>,
    /// Whether it is a folder.
    #[serde(default, skip_serializing_if = "is_false")]
    folder: bool,
    /// Where a link leads to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    link: Option<String>,
}

impl Index {
    /// Of all that is below a folder.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] for a link that leads out of it; those of the file system.
    pub(super) fn of(folder: &Path, skip: &dyn Fn(&str) -> bool) -> Result<Self> {
        let mut index = Self::default();
        index.add(folder, Path::new("."))?;
        index.below(folder, Path::new(""), skip)?;
        Ok(index)
    }

    fn below(&mut self, top: &Path, folder: &Path, skip: &dyn Fn(&str) -> bool) -> Result<()> {
        let here = top.join(folder);
        let mut names = Vec::new();
        for entry in fs::read_dir(&here).map_err(looking(&here))? {
            names.push(entry.map_err(looking(&here))?.file_name());
        }
        names.sort();
        for name in names {
            let path = folder.join(name);
            if path.to_str().is_some_and(skip) {
                continue;
            }
            if self.add(&top.join(&path), &path)? {
                self.below(top, &path, skip)?;
            }
        }
        Ok(())
    }

    /// Adds one, and says whether it is a folder.
    fn add(&mut self, at: &Path, path: &Path) -> Result<bool> {
        if self.0.len() == MOST {
            let message = format!("there are more than {MOST} files, folders and links");
            return Err(Error::new(ErrorKind::Unsupported, message)
                .advise("Capture them as several components"));
        }
        let about = fs::symlink_metadata(at).map_err(looking(at))?;
        let Some(text) = path.to_str() else {
            let message = format!("{} is not in UTF-8", at.display());
            return Err(Error::new(ErrorKind::Unsupported, message).advise("Rename it"));
        };
        if about.is_symlink() {
            let target = fs::read_link(at).map_err(looking(at))?;
            if !stays_inside(path, &target) {
                let message = format!(
                    "the link {} leads out of its folder, or up again after it went down",
                    at.display()
                );
                return Err(Error::new(ErrorKind::Unsupported, message)
                    .advise("Have it lead inside the straight way, or leave it out"));
            }
            self.0.push(Line {
                path: text.to_owned(),
                mode: None,
                modified: None,
                folder: false,
                link: target.to_str().map(str::to_owned),
            });
            return Ok(false);
        }
        let nanos = u32::try_from(about.mtime_nsec()).unwrap_or_default();
        self.0.push(Line {
            path: text.to_owned(),
            mode: Some(about.mode() & 0o777),
            modified: Some((about.mtime(), nanos)),
            folder: about.is_dir(),
            link: None,
        });
        Ok(about.is_dir())
    }

    /// The paths of all links.
    pub(super) fn links(&self) -> BTreeSet<String> {
        let links = self.0.iter().filter(|line| line.link.is_some());
        links.map(|line| line.path.clone()).collect()
    }

    /// The paths of all folders: an archive gives those of files alone.
    ///
    /// # Errors
    /// [`ErrorKind::Corrupt`] for one that leads out.
    pub(super) fn folders(&self) -> Result<Vec<PathBuf>> {
        let folders = self.0.iter().filter(|line| line.folder);
        folders.map(|line| inside(&line.path)).collect()
    }

    pub(super) fn write(&self, to: &mut dyn Write) -> Result<()> {
        for line in &self.0 {
            let mut text = serde_json::to_vec(line).expect("plain data");
            text.push(b'\n');
            to.write_all(&text)
                .map_err(|source| of_writing(super::INDEX, source))?;
        }
        Ok(())
    }

    /// # Errors
    /// [`ErrorKind::Corrupt`] for what is none, or too large for one that was captured.
    pub(super) fn read(from: impl Read) -> Result<Self> {
        let mut from = BufReader::new(from.take(LARGEST));
        let mut index = Self::default();
        let mut line = Vec::new();
        loop {
            line.clear();
            let read = (&mut from).take(LONGEST).read_until(b'\n', &mut line);
            let read = read.map_err(|source| of_reading(super::INDEX, source))?;
            if !line.ends_with(b"\n") && from.get_ref().limit() == 0 {
                return Err(wrong(&format!("{} is too large", super::INDEX)));
            }
            if read == 0 {
                return Ok(index);
            }
            if index.0.len() == MOST {
                return Err(wrong(&format!("{} has too many lines", super::INDEX)));
            }
            let line: Line = serde_json::from_slice(&line).map_err(|source| {
                wrong(&format!("{} cannot be read", super::INDEX)).because(source)
            })?;
            index.0.push(line);
        }
    }

    /// Makes the links below a folder that has all the files, and sets modes and times.
    ///
    /// # Errors
    /// [`ErrorKind::Corrupt`] for a path or a link that leads out of the folder.
    pub(super) fn apply(&self, folder: &Path) -> Result<()> {
        self.check_links()?;
        for line in &self.0 {
            let Some(target) = &line.link else { continue };
            let at = folder.join(inside(&line.path)?);
            symlink(target, &at)
                .map_err(|source| Error::io(format_args!("linking {}", at.display()), &source))?;
        }
        // From the inside out: what changes in a folder changes its time.
        for line in self.0.iter().rev().filter(|line| line.link.is_none()) {
            let at = folder.join(inside(&line.path)?);
            let found = fs::symlink_metadata(&at).map_err(looking(&at))?;
            if found.is_symlink() {
                return Err(wrong(&format!(
                    "{} is a link, and something else",
                    line.path
                )));
            }
            if let Some((seconds, nanos)) = line.modified {
                set_time(&at, instant(seconds, nanos))?;
            }
            if let Some(mode) = line.mode {
                set_mode(&at, mode & 0o777)?;
            }
        }
        Ok(())
    }

    /// That no link leads out, and that nothing is below one: there it would be where that leads.
    /// So a link begins in a folder of the tree, goes up from there to none but folders of it, and
    /// then down, maybe through others that do the same.
    fn check_links(&self) -> Result<()> {
        let mut links = HashSet::new();
        for line in &self.0 {
            let path = inside(&line.path)?;
            let Some(target) = &line.link else { continue };
            if !stays_inside(&path, Path::new(target)) {
                return Err(wrong(&format!(
                    "the link {} leads out of its folder",
                    line.path
                )));
            }
            links.insert(path);
        }
        for line in &self.0 {
            let path = inside(&line.path)?;
            if path.ancestors().skip(1).any(|it| links.contains(it)) {
                return Err(wrong(&format!("{} is below a link", line.path)));
            }
        }
        Ok(())
    }
}

fn is_false(is: &bool) -> bool {
    !is
}

fn instant(seconds: i64, nanos: u32) -> SystemTime {
    let whole = Duration::from_secs(seconds.unsigned_abs());
    let from = match seconds < 0 {
        true => UNIX_EPOCH - whole,
        false => UNIX_EPOCH + whole,
    };
    from + Duration::from_nanos(u64::from(nanos.min(999_999_999)))
}

/// A path that goes only down, in one spelling.
pub(super) fn inside(path: &str) -> Result<PathBuf> {
    let mut down = PathBuf::new();
    for piece in Path::new(path).components() {
        match piece {
            Piece::Normal(name) => down.push(name),
            Piece::CurDir => {}
            _ => return Err(wrong(&format!("the path {path} leads out of its folder"))),
        }
    }
    Ok(down)
}

/// Whether a link at this path leads to somewhere in the same folder. It may go up only before it
/// goes down: what is above something that is a link itself is anywhere.
fn stays_inside(path: &Path, target: &Path) -> bool {
    let mut above = path.components().count().saturating_sub(1);
    let mut down = false;
    for piece in target.components() {
        match piece {
            Piece::Normal(_) => down = true,
            Piece::CurDir => {}
            Piece::ParentDir if above > 0 && !down => above -= 1,
            _ => return false,
        }
    }
    true
}

fn wrong(message: &str) -> Error {
    Error::new(ErrorKind::Corrupt, message).advise("Use another copy of the archive")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_stay_inside() {
        for (path, target, wanted) in [
            ("a/b", "../c", true),
            ("a/b", "../../c", false),
            ("a", "/etc/passwd", false),
            ("a", "..", false),
            ("a/b/c", "../../d/e", true),
            ("a/b", "c/../../d", false),
            ("a/b", "c/..", false),
        ] {
            assert_eq!(
                stays_inside(Path::new(path), Path::new(target)),
                wanted,
                "{path} to {target}"
            );
        }
    }

    #[test]
    fn what_an_archive_says_never_leads_out() {
        let folder = tempfile::tempdir().unwrap();
        for line in [
            r#"{"path":"../x","link":"y"}"#,
            r#"{"path":"/x","mode":511}"#,
            r#"{"path":"x","link":"../../etc"}"#,
            // Each stays inside where what it goes through is a folder, but that is a link.
            concat!(
                r#"{"path":"d/e","folder":true}"#,
                r#"{"path":"d/e/up","link":"../.."}"#,
                r#"{"path":"out","link":"d/e/up/.."}"#,
            ),
            r#"{"path":"a","link":"b"}{"path":"a/x","link":"../c"}"#,
            r#"{"path":"a","link":"b"}{"path":"./a/./x","mode":511}"#,
        ] {
            let line = line.replace("}{", "}\n{");
            let error = Index::read(line.as_bytes())
                .unwrap()
                .apply(folder.path())
                .unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Corrupt, "{line}: {error}");
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn what_is_too_large_is_not_held() {
        let line = b"{\"path\":\"a\"}\n";
        let error = Index::read(line.repeat(MOST + 1).as_slice()).unwrap_err();
        assert!(error.to_string().contains("too many lines"), "{error}");
        let long = format!("{{\"path\":\"{}\"}}\n", "a".repeat(LONGEST as usize - 20));
        let error = Index::read(long.repeat(LARGEST as usize / long.len() + 1).as_bytes());
        let error = error.unwrap_err();
        assert!(error.to_string().contains("too large"), "{error}");
    }

    #[test]
    fn links_lead_through_links() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("d/e")).unwrap();
        let lines = [
            r#"{"path":"d/e","mode":493}"#,
            r#"{"path":"d/up","link":"../now"}"#,
            r#"{"path":"now","link":"d/e"}"#,
        ];
        let index = Index::read(lines.join("\n").as_bytes()).unwrap();
        index.apply(folder.path()).unwrap();
        let there = fs::canonicalize(folder.path().join("d/up")).unwrap();
        assert_eq!(there, fs::canonicalize(folder.path().join("d/e")).unwrap());
    }
}
