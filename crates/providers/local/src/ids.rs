use stillpoint_core::{Error, ErrorKind, ResourceKind, ResourceRef, Result};
use stillpoint_iaas::OperationKey;

use crate::folder::Area;

/// Longest id in bytes: with what is put before and after it, it still is a file's name.
const MAX: usize = 240;

/// The file name that an id is: no id reaches anything but its own file.
pub(crate) fn file_name_of(resource: &ResourceRef) -> Result<&str> {
    let id = resource.id();
    if is_file_name(id) {
        return Ok(id);
    }
    Err(Error::new(
        ErrorKind::Invalid,
        "the id is not the name of a file in this folder",
    )
    .on(resource.clone())
    .advise("Use an id as listed: at most 240 bytes, without `/` and not starting with a stop"))
}

/// Whether a name makes a volume's, an instance's or an image's id.
pub(crate) fn is_file_name(name: &str) -> bool {
    name.len() <= MAX
        && !name.contains('/')
        && !name.starts_with('.')
        && ResourceRef::new("x", ResourceKind::Volume, name).is_ok()
}

/// The id of a snapshot: its operation's key and the place among the parts.
///
/// The last stop divides the two, so that no two operations meet in one id.
pub(crate) fn part(key: &OperationKey, index: usize) -> String {
    format!("{key}.{index}")
}

/// Where the bytes of a kind of resource are, where it has bytes.
pub(crate) const fn data_area(kind: ResourceKind) -> Option<Area> {
    match kind {
        ResourceKind::Image => Some(Area::Images),
        ResourceKind::Snapshot => Some(Area::Snapshots),
        ResourceKind::Volume => Some(Area::Top),
        _ => None,
    }
}
