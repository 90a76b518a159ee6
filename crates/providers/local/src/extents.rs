use std::fs::File;
use std::io;

use rustix::fs::{SeekFrom, seek};
use rustix::io::Errno;
use stillpoint_iaas::Extent;

/// The first run of data of a file at or after `from`; none when the rest is a hole.
///
/// Where the file system knows no holes, all is data (lseek(2)).
pub(crate) fn next(file: &File, from: u64, size: u64) -> io::Result<Option<Extent>> {
    if from >= size {
        return Ok(None);
    }
    let start = match seek(file, SeekFrom::Data(from)) {
        Ok(start) => start,
        Err(Errno::NXIO) => return Ok(None),
        Err(Errno::INVAL) => {
            return Ok(Some(Extent {
                offset: from,
                length: size - from,
            }));
        }
        Err(source) => return Err(source.into()),
    };
    if start >= size {
        return Ok(None);
    }
    let end = seek(file, SeekFrom::Hole(start))?.min(size);
    Ok((end > start).then(|| Extent {
        offset: start,
        length: end - start,
    }))
}
