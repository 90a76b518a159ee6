//! A look at every file below a folder.

use std::fs::{self, Metadata};
use std::ops::ControlFlow;
use std::path::Path;

use stillpoint_core::Result;

use super::looking;

/// Shows each file, until one is what was looked for. Links are not followed; what is in the folder
/// itself under a name to skip is passed by.
pub(super) fn each_file(
    folder: &Path,
    skip: &dyn Fn(&str) -> bool,
    look: &mut dyn FnMut(&Path, &Metadata) -> Result<ControlFlow<()>>,
) -> Result<ControlFlow<()>> {
    for entry in fs::read_dir(folder).map_err(looking(folder))? {
        let entry = entry.map_err(looking(folder))?;
        if skip(&entry.file_name().to_string_lossy()) {
            continue;
        }
        let path = entry.path();
        let found = entry.metadata().map_err(looking(&path))?;
        let flow = if found.is_dir() {
            each_file(&path, &|_| false, look)?
        } else if found.is_file() {
            look(&path, &found)?
        } else {
            continue;
        };
        if flow.is_break() {
            return Ok(flow);
        }
    }
    Ok(ControlFlow::Continue(()))
}
