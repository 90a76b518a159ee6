use super::{Archive, Window};
use crate::Result;
use crate::chunk::CHUNK;
use crate::zip::{Forgiven, Local, read_local};

/// Where one chunk lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// First byte in the archive.
    pub(crate) offset: u64,
    /// Bytes in the archive.
    pub(crate) stored: u64,
    /// Bytes of its content.
    pub(crate) size: usize,
}

impl Archive {
    /// Where the data of an entry begins.
    pub(crate) fn data_offset(&self, index: usize) -> Result<u64> {
        let entry = &self.0.directory.entries[index];
        Ok(entry.offset + self.local(index)?.header)
    }

    /// Where an entry lies, from its header to the entry after it; `None` if there is no such.
    #[cfg(feature = "depot")]
    pub(crate) fn span(&self, name: &str) -> Option<std::ops::Range<u64>> {
        let index = self.find(name)?;
        let directory = &self.0.directory;
        let next = directory.entries.get(index + 1);
        let end = next.map_or(directory.end.offset, |next| next.offset);
        Some(directory.entries[index].offset..end)
    }

    fn local(&self, index: usize) -> Result<Local> {
        let directory = &self.0.directory;
        match directory.locals.get(index) {
            Some(local) => Ok(*local),
            None => {
                let mut window = Window::new(&*self.0.source);
                let next = directory.entries.get(index + 1);
                let end = next.map_or(directory.end.offset, |next| next.offset);
                let mut forgiven = self.0.lenient.then(Forgiven::new);
                let entry = &directory.entries[index];
                read_local(&mut window, entry, end, forgiven.as_mut())
            }
        }
    }

    /// The chunks of an entry, in order; none where it is not cut.
    pub(crate) fn places(&self, index: usize) -> Result<Vec<Place>> {
        let view = self.view(index);
        let Some(record) = view.record.filter(|record| !record.chunks.is_empty()) else {
            return Ok(Vec::new());
        };
        let mut offset = self.data_offset(index)?;
        let mut left = view.size();
        let places = record.chunks.iter().map(|chunk| {
            let size = left.min(CHUNK as u64);
            left -= size;
            let place = Place {
                offset,
                stored: u64::from(chunk.0),
                size: size as usize,
            };
            offset += place.stored;
            place
        });
        Ok(places.collect())
    }
}
