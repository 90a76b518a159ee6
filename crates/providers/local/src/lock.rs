use std::fs;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::Duration;

use rustix::fs::{FlockOperation, Mode, OFlags, flock, fstat, openat};
use rustix::io::Errno;
use stillpoint_core::{Error, ErrorKind, Result, Retry};

use crate::failure::storage;

const NAME: &str = "lock";

/// Locks the folder for this process, until the descriptor is closed.
pub(crate) fn take(ours: &OwnedFd, path: &Path) -> Result<OwnedFd> {
    let path = path.join(NAME);
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let lock = openat(ours, NAME, flags, Mode::RUSR | Mode::WUSR)
        .map_err(|source| storage("open", &path, source))?;
    match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(lock),
        Err(Errno::WOULDBLOCK) => Err(busy(&lock, &path)),
        Err(source) => Err(storage("lock", &path, source)),
    }
}

fn busy(lock: &OwnedFd, path: &Path) -> Error {
    let holder = fstat(lock)
        .ok()
        .and_then(|stat| holder(stat.st_ino))
        .map_or_else(|| "another process".to_owned(), process);
    Error::new(
        ErrorKind::Busy,
        format!("`{}` is held by {holder}", path.display()),
    )
    .advise("Use the folder through that process, or end it first")
    .retry_with(Retry::After(Duration::from_secs(1)))
}

/// The process that holds a flock on the inode, by the kernel's own list: nothing needs to be
/// written for it, which a full disk would refuse. Numbers of devices are not compared, since
/// btrfs shows others there.
fn holder(inode: u64) -> Option<u32> {
    fs::read_to_string("/proc/locks")
        .ok()?
        .lines()
        .find_map(|line| {
            let words: Vec<_> = line.split_whitespace().collect();
            let [_, "FLOCK", _, "WRITE", pid, place, ..] = words.as_slice() else {
                return None;
            };
            (place.rsplit(':').next()? == inode.to_string())
                .then(|| pid.parse().ok())
                .flatten()
        })
}

/// How a process is named to a person.
pub(crate) fn process(pid: u32) -> String {
    match fs::read_to_string(format!("/proc/{pid}/comm")) {
        Ok(name) => format!("process {pid} ({})", name.trim_end()),
        Err(_) => format!("process {pid}"),
    }
}
