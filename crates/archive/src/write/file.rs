use std::ffi::OsString;
use std::fs::File;
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use super::trail::Trail;
use super::{Finished, WriteOptions, Writer};
use crate::verify::{Level, Report, contents, recognised, verify};
use crate::{Error, OpenOptions, Result};

/// An archive that has its name, and what reading it back proved.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Created {
    /// What was written.
    pub archive: Finished,
    /// What was read back.
    pub report: Report,
}

/// Writes the archive `path`: `fill` adds the entries; then the file is flushed to the disk, read
/// back and verified, and only then gets its name, which is never one that is there already.
/// Whatever goes wrong before, nothing is left behind.
///
/// What is packed is unpacked at once, and compared byte by byte with what went in; reading back then
/// proves that the disk holds these very bytes. Large archives are read back past the page cache, so
/// that it is the disk that answers.
///
/// # Errors
/// What `fill` returns; [`Error::Exists`]; else as [`Writer::finish`] and
/// [`verify`](crate::verify).
///
/// ```
/// use stillpoint_archive::{EntryOptions, WriteOptions, create};
///
/// let folder = tempfile::tempdir()?;
/// let created = create(folder.path().join("a.zip"), &WriteOptions::new(), |writer| {
///     writer.bytes("greeting.txt", "hello", &EntryOptions::new())
/// })?;
/// assert_eq!(created.report.files, 3); // with metadata.json and the manifest
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn create(
    path: impl AsRef<Path>,
    options: &WriteOptions,
    fill: impl FnOnce(&mut Writer<'_>) -> Result<()>,
) -> Result<Created> {
    let path = path.as_ref();
    let folder = match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    let fail = |what: &str| Error::io(format!("{what} {}", path.display()));
    if path.symlink_metadata().is_ok() {
        return Err(Error::Exists(path.to_owned()));
    }
    let mut prefix = OsString::from(".");
    prefix.push(path.file_name().unwrap_or_default());
    prefix.push(".");
    // Removed when dropped, as on every error below.
    let part = tempfile::Builder::new()
        .prefix(&prefix)
        .suffix(".part")
        .tempfile_in(folder)
        .map_err(fail("creating a file beside"))?;
    let file = part.as_file().try_clone().map_err(fail("writing"))?;
    let mut writer = Writer::file(file, options)?;
    fill(&mut writer)?;
    let (archive, trail) = writer.end()?;
    let trail = trail.expect("of a file");
    part.as_file().sync_all().map_err(fail("flushing"))?;
    let report = read_back(&part, &archive, &trail, options)?;
    part.persist_noclobber(path)
        .map_err(|e| match e.error.kind() {
            std::io::ErrorKind::AlreadyExists => Error::Exists(path.to_owned()),
            _ => fail("naming")(e.error),
        })?;
    let folder_file = File::open(folder).map_err(fail("opening the folder of"))?;
    folder_file
        .sync_all()
        .map_err(fail("flushing the folder of"))?;
    Ok(Created { archive, report })
}

fn read_back(
    part: &NamedTempFile,
    archive: &Finished,
    trail: &Trail,
    options: &WriteOptions,
) -> Result<Report> {
    let opened = OpenOptions::new()
        .limits(options.limits.clone())
        .open(part.path())?;
    if opened.root() != Some(archive.root) {
        let path: PathBuf = part.path().to_owned();
        return Err(Error::Unsupported(format!(
            "{}: changed while written",
            path.display()
        )));
    }
    if options.read_back != Level::Full {
        return verify(&opened, options.read_back, &options.watch);
    }
    let (contents, mut read, mut told) = (contents(&opened), 0, 0);
    let watch = options.watch.start(Some(contents));
    trail.recognise(part.as_file(), |bytes| {
        read += bytes;
        let so_far = (u128::from(contents) * u128::from(read) / u128::from(archive.size)) as u64;
        watch.add(so_far - std::mem::replace(&mut told, so_far))
    })?;
    Ok(recognised(&opened))
}
