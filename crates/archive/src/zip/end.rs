//! The end of the file: where the central directory is and how many entries it has.

use super::wire::{self, END, END64, EndRecord, EndRecord64, LOCATOR, Locator, MAX32};
use crate::read::ReadAt;
use crate::{Error, Refusal, Result};

/// Where the central directory lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct End {
    pub(crate) entries: u64,
    pub(crate) offset: u64,
    pub(crate) size: u64,
    /// Whether its records are as our writer leaves them.
    pub(crate) canonical: bool,
}

impl End {
    /// Bytes at the end of a file that hold all end records.
    pub(crate) const LENGTH: usize = END64 + LOCATOR + END;

    /// Reads the end records, which must end with the file and leave no byte unexplained.
    pub(crate) fn read(source: &dyn ReadAt, length: u64) -> Result<Self> {
        let tail = (Self::LENGTH as u64).min(length);
        let mut bytes = vec![0; tail as usize];
        source
            .read_exact_at(&mut bytes, length - tail)
            .map_err(Error::io("reading the end of the archive"))?;
        Self::decode(&bytes, length)
    }

    /// From the last [`Self::LENGTH`] bytes (or all there are) of a file that long.
    pub(crate) fn decode(tail: &[u8], length: u64) -> Result<Self> {
        let Some((rest, end)) = tail.split_last_chunk::<END>() else {
            return Err(Refusal::NoEndRecord.at(0));
        };
        let end_at = length - END as u64;
        let end = EndRecord::decode(end).ok_or_else(|| Refusal::NoEndRecord.at(end_at))?;
        if end.comment != 0 {
            return Err(Refusal::Comment(end.comment).at(end_at));
        }
        let wrong = |what| Refusal::WrongCounts(what).at(end_at);
        let (found, directory_end) = match Self::zip64(rest, &end, end_at)? {
            Some(found) => found,
            None => {
                if end.disk != 0 || end.directory_disk != 0 {
                    return Err(Refusal::MultiDisk.at(end_at));
                }
                if end.entries_here != end.entries {
                    return Err(wrong("the number of entries"));
                }
                let (entries, size) = (u64::from(end.entries), u64::from(end.size));
                (
                    End {
                        entries,
                        offset: u64::from(end.offset),
                        size,
                        canonical: false,
                    },
                    end_at,
                )
            }
        };
        if found.offset.checked_add(found.size) != Some(directory_end) {
            return Err(wrong("the directory does not end where they begin"));
        }
        let mut ours = Vec::with_capacity(Self::LENGTH);
        found.encode(&mut ours);
        Ok(End {
            canonical: tail.ends_with(&ours),
            ..found
        })
    }

    fn zip64(rest: &[u8], end: &EndRecord, end_at: u64) -> Result<Option<(End, u64)>> {
        let Some((rest, locator)) = rest.split_last_chunk::<LOCATOR>() else {
            return Ok(None);
        };
        let says_so = end.entries == u16::MAX || end.size == MAX32 || end.offset == MAX32;
        let Some(locator) = Locator::decode(locator).filter(|_| says_so) else {
            return Ok(None);
        };
        let wrong = |what| Refusal::WrongCounts(what).at(end_at);
        let at = end_at.saturating_sub((LOCATOR + END64) as u64);
        let end64 = rest
            .split_last_chunk::<END64>()
            .and_then(|(_, bytes)| EndRecord64::decode(bytes))
            .filter(|_| locator.offset == at)
            .ok_or_else(|| wrong("the ZIP64 locator does not point at its record"))?;
        if (locator.disk, end64.disk, end64.directory_disk) != (0, 0, 0) || locator.disks != 1 {
            return Err(Refusal::MultiDisk.at(at));
        }
        if end64.length != EndRecord64::LENGTH || end64.version > 63 {
            return Err(Refusal::Zip64.at(at));
        }
        let agree16 = |narrow: u16, wide: u64| narrow == u16::MAX || u64::from(narrow) == wide;
        let agree32 = |narrow: u32, wide: u64| narrow == MAX32 || u64::from(narrow) == wide;
        let agree = end64.entries_here == end64.entries
            && agree16(end.entries, end64.entries)
            && agree16(end.entries_here, end64.entries)
            && agree32(end.size, end64.size)
            && agree32(end.offset, end64.offset)
            && matches!(end.disk, 0 | u16::MAX)
            && matches!(end.directory_disk, 0 | u16::MAX);
        if !agree {
            return Err(wrong("the ZIP64 end record says otherwise"));
        }
        let EndRecord64 {
            entries,
            offset,
            size,
            ..
        } = end64;
        let found = End {
            entries,
            offset,
            size,
            canonical: false,
        };
        Ok(Some((found, at)))
    }

    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        let max16 = u64::from(u16::MAX);
        let max32 = u64::from(MAX32);
        if self.entries >= max16 || self.size >= max32 || self.offset >= max32 {
            let (entries, size) = (self.entries, self.size);
            EndRecord64 {
                length: EndRecord64::LENGTH,
                version: 45,
                disk: 0,
                directory_disk: 0,
                entries_here: entries,
                entries,
                size,
                offset: self.offset,
            }
            .encode(out);
            Locator {
                disk: 0,
                offset: self.offset + size,
                disks: 1,
            }
            .encode(out);
        }
        let entries = self.entries.min(max16) as u16;
        wire::EndRecord {
            disk: 0,
            directory_disk: 0,
            entries_here: entries,
            entries,
            size: self.size.min(max32) as u32,
            offset: self.offset.min(max32) as u32,
            comment: 0,
        }
        .encode(out);
    }
}
