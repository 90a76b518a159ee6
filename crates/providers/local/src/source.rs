use std::fs::File;
use std::io;
use std::thread;
use std::time::Duration;

use rustix::fs::{Stat, fstat};
use stillpoint_core::{Error, ErrorKind, ResourceRef, Result, Retry};

use crate::entity::VolumeRecord;
use crate::failure::storage;
use crate::folder::{Area, Folder};
use crate::ids::file_name_of;
use crate::stamp::Stamp;
use crate::writers::{Watched, writers};

/// A volume that is open to be copied.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) file: File,
    pub(crate) volume: ResourceRef,
    pub(crate) size: u64,
    /// Bytes that its data occupies.
    pub(crate) allocated: u64,
}

/// The longest tick of a kernel (100 Hz): two changes within one can have equal times.
const TICK: Duration = Duration::from_millis(10);

impl Source {
    pub(crate) fn open(folder: &Folder, volume: &ResourceRef) -> Result<Self> {
        let name = file_name_of(volume)?;
        let on = |error: Error| error.on(volume.clone());
        let file = folder.open_file(Area::Top, name, false).map_err(on)?;
        let stat = stat(folder, &file, volume)?;
        let size = u64::try_from(stat.st_size).unwrap_or(0);
        if let Some(record) = folder.load::<VolumeRecord>(name).map_err(on)?
            && size < record.size
        {
            return Err(Error::new(
                ErrorKind::Corrupt,
                format!(
                    "the file has {size} bytes and had {}: it was cut",
                    record.size
                ),
            )
            .on(volume.clone())
            .advise("Revert it to a snapshot, or extend the file again"));
        }
        Ok(Self {
            file,
            volume: volume.clone(),
            size,
            allocated: u64::try_from(stat.st_blocks).unwrap_or(0) * 512,
        })
    }

    /// The file's state now, such that any later write shows.
    pub(crate) fn stamp(&self, folder: &Folder) -> Result<Stamp> {
        let stamp = Stamp::of(&stat(folder, &self.file, &self.volume)?);
        if stamp.age().is_none_or(|age| age < TICK) {
            thread::sleep(TICK);
        }
        Ok(stamp)
    }

    /// An error if the file changed since, or its name means another file now.
    pub(crate) fn require_unchanged(&self, folder: &Folder, since: Stamp) -> Result<()> {
        let now = Stamp::of(&stat(folder, &self.file, &self.volume)?);
        let named = folder.stat(Area::Top, file_name_of(&self.volume)?)?;
        let what = if now.size != since.size {
            format!("its size changed from {} to {} bytes", since.size, now.size)
        } else if now != since {
            "it was written".to_owned()
        } else if named.is_none_or(|stat| Stamp::of(&stat) != now) {
            "its file was replaced".to_owned()
        } else {
            return Ok(());
        };
        Err(
            Error::new(ErrorKind::Busy, format!("{what} while it was copied"))
                .on(self.volume.clone())
                .advise("Stop what writes it, or open the folder with a Freezer for its instance")
                .retry_with(Retry::After(Duration::from_secs(1))),
        )
    }
}

/// An error for each of the sources that something has open for writing, naming what.
pub(crate) fn written(folder: &Folder, sources: &[Source]) -> Result<Vec<Error>> {
    let mut watched = Vec::new();
    for source in sources {
        watched.push(Watched {
            stat: stat(folder, &source.file, &source.volume)?,
            name: source.volume.id(),
        });
    }
    let refused =
        |(source, writers): (&Source, Vec<String>)| require_none(&source.volume, &writers).err();
    Ok(sources
        .iter()
        .zip(writers(&watched).map_err(untold)?)
        .filter_map(refused)
        .collect())
}

/// An error naming whoever has the volume's file open for writing.
pub(crate) fn require_unwritten(stat: &Stat, volume: &ResourceRef) -> Result<()> {
    let watched = Watched {
        stat: *stat,
        name: volume.id(),
    };
    let writers = writers(&[watched]).map_err(|error| untold(error).on(volume.clone()))?;
    require_none(volume, &writers.concat())
}

fn untold(source: io::Error) -> Error {
    Error::new(ErrorKind::Unavailable, "nobody can tell what writes it")
        .advise("Mount /proc, and let this process open more files (RLIMIT_NOFILE)")
        .because(source)
}

fn require_none(volume: &ResourceRef, writers: &[String]) -> Result<()> {
    if writers.is_empty() {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Busy,
        format!("it is open for writing in {}", writers.join(", ")),
    )
    .on(volume.clone())
    .advise("Stop what writes it; a snapshot can also be taken under a Freezer of its instance")
    .retry_with(Retry::After(Duration::from_secs(1))))
}

fn stat(folder: &Folder, file: &File, volume: &ResourceRef) -> Result<Stat> {
    fstat(file).map_err(|source| storage("look at", &folder.path(Area::Top, volume.id()), source))
}
