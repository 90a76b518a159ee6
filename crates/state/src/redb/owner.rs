use std::fs::{self, File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::process;

use stillpoint_core::{Error, ErrorKind, Result};

use crate::redb::{beside, error};

/// The lock on the file, and the note that says who has it. Both end with the last of those who
/// may still write to the file, which a read in the background can make later than expected.
#[derive(Debug)]
pub(super) struct Owner {
    /// Locked as long as it is open.
    _file: File,
    note: Option<PathBuf>,
}

impl Owner {
    /// Takes the file for writing.
    pub(super) fn exclusive(path: &Path) -> Result<Self> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .open(path)
            .map_err(|source| error::io("open", path, source))?;
        held(path, file.try_lock())?;
        let note = beside(path, ".owner");
        // Only a note: that it cannot be written is no reason not to open the state.
        let written = fs::write(&note, format!("pid {}\n", process::id())).is_ok();
        Ok(Self {
            _file: file,
            note: written.then_some(note),
        })
    }

    /// Keeps writers out while it is read.
    pub(super) fn shared(path: &Path) -> Result<Self> {
        let file = File::open(path).map_err(|source| error::io("open", path, source))?;
        held(path, file.try_lock_shared())?;
        Ok(Self {
            _file: file,
            note: None,
        })
    }
}

impl Drop for Owner {
    /// The note goes before the lock, so that no other's is removed.
    fn drop(&mut self) {
        if let Some(note) = &self.note {
            let _ = fs::remove_file(note);
        }
    }
}

fn held(path: &Path, locked: Result<(), TryLockError>) -> Result<()> {
    match locked {
        Ok(()) => Ok(()),
        Err(TryLockError::WouldBlock) => Err(busy(path)),
        Err(TryLockError::Error(source)) => Err(error::io("lock", path, source)),
    }
}

fn busy(path: &Path) -> Error {
    let who = match fs::read_to_string(beside(path, ".owner")) {
        Ok(note) if note.trim() == format!("pid {}", process::id()) => {
            format!("this process ({})", note.trim())
        }
        Ok(note) => format!("another process ({})", shown(&note)),
        Err(_) => "another process, which reads it".to_owned(),
    };
    Error::new(
        ErrorKind::Busy,
        format!("{} is open in {who}", path.display()),
    )
    .advise("Stop that process first, or ask it: one process at a time writes a state")
}

/// The note as far as it can be one.
fn shown(note: &str) -> String {
    note.trim()
        .chars()
        .take(32)
        .filter(|c| !c.is_control())
        .collect()
}
