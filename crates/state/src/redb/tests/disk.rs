use std::io;
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;
use std::time::Duration;

use redb::StorageBackend;

const SECTOR: usize = 512;

/// A disk in memory. What was written and not synced may be lost when the power goes.
#[derive(Clone, Debug, Default)]
pub(super) struct Disk(Arc<Mutex<Inner>>);

#[derive(Debug, Default)]
struct Inner {
    /// What reads show.
    bytes: Vec<u8>,
    /// What is on the medium for sure.
    durable: Vec<u8>,
    /// What came since, in order.
    pending: Vec<Change>,
    faults: Faults,
    changes: usize,
    syncs: usize,
}

#[derive(Clone, Debug)]
enum Change {
    Length(usize),
    Write(usize, Vec<u8>),
}

/// What the disk does wrong.
#[derive(Clone, Debug, Default)]
pub(super) struct Faults {
    /// Writes past this length find no room.
    pub(super) room: Option<u64>,
    /// This write or change of length finds no room, counted from now.
    pub(super) no_room_at: Option<usize>,
    /// The next sync fails.
    pub(super) sync_fails: bool,
    /// A sync does nothing.
    pub(super) sync_lies: bool,
    /// A sync takes this long.
    pub(super) sync_takes: Duration,
    /// From this change or sync on the power is off, counted from now.
    pub(super) power_until: Option<usize>,
}

impl Disk {
    /// A disk that has this on it.
    pub(super) fn holding(bytes: Vec<u8>) -> Self {
        let disk = Self::default();
        disk.lock().durable.clone_from(&bytes);
        disk.lock().bytes = bytes;
        disk
    }

    pub(super) fn set(&self, faults: Faults) {
        let mut inner = self.lock();
        inner.faults = faults;
        inner.changes = 0;
        inner.syncs = 0;
    }

    pub(super) fn len_now(&self) -> u64 {
        self.lock().bytes.len() as u64
    }

    /// How many syncs there were since the faults were set.
    pub(super) fn syncs(&self) -> usize {
        self.lock().syncs
    }

    /// How many changes and syncs there were since the faults were set.
    pub(super) fn operations(&self) -> usize {
        let inner = self.lock();
        inner.changes + inner.syncs
    }

    /// What the medium may hold once the power is off: of what was pending any sectors, in any
    /// order.
    pub(super) fn after_power_loss(&self, random: &mut fastrand::Rng) -> Vec<u8> {
        let inner = self.lock();
        let mut bytes = inner.durable.clone();
        let share = random.f64();
        for change in &inner.pending {
            match change {
                Change::Length(length) if random.f64() < share => bytes.resize(*length, 0),
                Change::Length(_) => {}
                Change::Write(offset, data) => {
                    for (index, sector) in data.chunks(SECTOR).enumerate() {
                        let start = offset + index * SECTOR;
                        if random.f64() < share {
                            let end = start + sector.len();
                            bytes.resize(bytes.len().max(end), 0);
                            bytes[start..end].copy_from_slice(sector);
                        }
                    }
                }
            }
        }
        bytes
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap()
    }
}

impl Inner {
    fn power(&self) -> io::Result<()> {
        match self.faults.power_until {
            Some(until) if self.changes + self.syncs >= until => {
                Err(io::Error::other("the power is off"))
            }
            _ => Ok(()),
        }
    }

    fn change(&mut self, change: Change, end: usize) -> io::Result<()> {
        self.power()?;
        self.changes += 1;
        let full = self.faults.room.is_some_and(|room| end as u64 > room);
        if full || self.faults.no_room_at == Some(self.changes) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        match &change {
            Change::Length(length) => self.bytes.resize(*length, 0),
            Change::Write(offset, data) => self.bytes[*offset..end].copy_from_slice(data),
        }
        self.pending.push(change);
        Ok(())
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.len_now())
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let inner = self.lock();
        let start = offset as usize;
        let found = inner.bytes.get(start..start + out.len());
        out.copy_from_slice(found.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        // Like a file of holes: only bytes that are written need room.
        self.lock().change(Change::Length(len as usize), 0)
    }

    fn sync_data(&self) -> io::Result<()> {
        let takes = self.lock().faults.sync_takes;
        thread::sleep(takes);
        let mut inner = self.lock();
        inner.power()?;
        inner.syncs += 1;
        if std::mem::take(&mut inner.faults.sync_fails) {
            // As Linux does: the pages count as clean from now on, and are not on the disk.
            inner.pending.clear();
            return Err(io::Error::other("I/O error"));
        }
        if !inner.faults.sync_lies {
            inner.pending.clear();
            inner.durable = inner.bytes.clone();
        }
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let start = offset as usize;
        self.lock()
            .change(Change::Write(start, data.to_vec()), start + data.len())
    }
}
