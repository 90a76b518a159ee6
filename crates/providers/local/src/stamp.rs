use std::fmt;
use std::time::{Duration, SystemTime};

use rustix::fs::Stat;

/// What changes when a file is written, cut, extended or replaced.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Stamp {
    device: u64,
    inode: u64,
    pub(crate) size: i64,
    changed: (i64, i64),
}

impl Stamp {
    pub(crate) fn of(stat: &Stat) -> Self {
        Self {
            device: stat.st_dev,
            inode: stat.st_ino,
            size: stat.st_size,
            // Every write changes it, and unlike the time of modification nobody can set it.
            changed: (stat.st_ctime, stat.st_ctime_nsec as i64),
        }
    }

    /// How long ago the last change was; none by a clock that went back since.
    pub(crate) fn age(&self) -> Option<Duration> {
        let since = Duration::new(
            u64::try_from(self.changed.0).ok()?,
            u32::try_from(self.changed.1).ok()?,
        );
        SystemTime::UNIX_EPOCH.checked_add(since)?.elapsed().ok()
    }
}

/// The content stamp that the contract asks for.
impl fmt::Display for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seconds, nanoseconds) = self.changed;
        write!(
            f,
            "{}:{} {} {seconds}.{nanoseconds:09}",
            self.device, self.inode, self.size
        )
    }
}
