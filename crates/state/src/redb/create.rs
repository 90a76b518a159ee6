use std::fs::{self, File, OpenOptions};
use std::path::Path;
use std::process;

use redb::Database;
use redb::backends::FileBackend;
use stillpoint_core::Result;

use crate::redb::{beside, error, table};

/// Makes a new state that is there whole or not at all, whatever happens meanwhile.
///
/// It is made under another name and linked to its own, which fails if there is a file: so an
/// empty file at `path` was cut, and is never taken for a new state.
pub(super) fn create(path: &Path) -> Result<()> {
    let unfinished = beside(path, &format!(".new-{}", process::id()));
    let made = make(&unfinished, path);
    let removed = fs::remove_file(&unfinished);
    made?;
    removed.map_err(|source| error::io("remove", &unfinished, source))?;
    sync_folder(path)
}

fn make(unfinished: &Path, path: &Path) -> Result<()> {
    let failed = |source| error::io("create", path, source);
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(true)
        .open(unfinished)
        .map_err(failed)?;
    let keep = file.try_clone().map_err(failed)?;
    let database = FileBackend::new(file)
        .and_then(|backend| Database::builder().create_with_backend(backend))
        .map_err(|source| error::redb("create", path, source))?;
    table::initialise(&database).map_err(|source| error::redb("create", path, source))?;
    drop(database);
    keep.sync_all().map_err(failed)?;
    fs::hard_link(unfinished, path).map_err(failed)
}

/// A new name is durable once its folder is.
fn sync_folder(path: &Path) -> Result<()> {
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    if cfg!(windows) {
        return Ok(());
    }
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(|source| error::io("sync the folder of", path, source))
}
