//! Whether an archive that is to come has room in the folder where it waits.

use std::path::Path;

use stillpoint_core::{ByteSize, Error, ResourceRef, Result};
use stillpoint_iaas::VolumeBytes;

/// Notes where a folder has less room than an archive may need. How small it packs shows only when
/// it is packed, so that is all of its data.
pub(super) fn check(folder: &Path, needed: u64, blocked: &mut Vec<String>) -> Result<()> {
    let failed = |source: rustix::io::Errno| {
        Error::io(
            format_args!("looking at {}", folder.display()),
            &source.into(),
        )
    };
    let system = rustix::fs::statvfs(folder).map_err(failed)?;
    // What those get who are not root.
    let free = system.f_bavail.saturating_mul(system.f_frsize);
    if free < needed {
        blocked.push(format!(
            "there is too little room in {}: {} of {}",
            folder.display(),
            ByteSize(free),
            ByteSize(needed)
        ));
    }
    Ok(())
}

/// Bytes that are not in holes.
pub(super) async fn data(bytes: &dyn VolumeBytes, of: &ResourceRef, size: u64) -> Result<u64> {
    let (mut at, mut data) = (0, 0);
    while at < size {
        let extents = bytes.extents(of, at).await?;
        let Some(last) = extents.last() else {
            break;
        };
        at = last.end();
        data += extents.iter().map(|extent| extent.length).sum::<u64>();
    }
    Ok(data)
}
