use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;

use poly1305::universal_hash::{KeyInit as _, UniversalHash as _};
use poly1305::{Block, Key, Poly1305};

use crate::direct::{self, Buffer, SMALLEST};
use crate::seal::fill;
use crate::{Error, Result};

/// Written and recognised at a time.
pub(super) const PAGE: usize = 4 << 20;

/// Bytes of a patch at most.
const PIECE: usize = 32;

/// What was written to a file, known well enough to recognise it when it is read back: a tag of
/// each page under a key that nobody else has, so that no other page has the same tag but by a
/// chance of less than one in 2^80, whatever damaged it.
pub(super) struct Trail {
    key: Key,
    tags: Vec<Block>,
    size: u64,
    /// In the order of their offsets.
    patches: Vec<Patch>,
}

/// Bytes of a page that were written over after it.
struct Patch {
    offset: u64,
    was: Box<[u8]>,
    is: Box<[u8]>,
}

impl Trail {
    pub(super) fn new() -> Result<Self> {
        let mut key = Key::default();
        fill(&mut key)?;
        Ok(Trail {
            key,
            tags: Vec::new(),
            size: 0,
            patches: Vec::new(),
        })
    }

    /// The next page, of [`PAGE`] bytes but for the last.
    pub(super) fn add(&mut self, page: &[u8]) {
        self.tags.push(self.tag(page));
        self.size += page.len() as u64;
    }

    /// What `was` at `offset` of pages that were added is another now, behind all such before. What
    /// is as it was, a name for the most part, is not kept.
    pub(super) fn patched(&mut self, offset: u64, was: &[u8], is: &[u8]) {
        let differs = |at: &usize| was[*at] != is[*at];
        let mut from = 0;
        while let Some(start) = (from..is.len()).find(differs) {
            let room = PAGE - ((offset + start as u64) % PAGE as u64) as usize;
            let most = room.min(PIECE).min(is.len() - start);
            let length = (1..=most).rfind(|n| differs(&(start + n - 1)));
            let end = start + length.expect("the first differs");
            self.patches.push(Patch {
                offset: offset + start as u64,
                was: was[start..end].into(),
                is: is[start..end].into(),
            });
            from = end;
        }
    }

    /// Reads all of the file, past the cache where it is large, and finds that it holds what was
    /// written; tells `each` how many bytes were read.
    pub(super) fn recognise(
        &self,
        file: &File,
        mut each: impl FnMut(u64) -> Result<()>,
    ) -> Result<()> {
        let fail = || Error::io("reading it back");
        let found = file.metadata().map_err(fail())?.len();
        if found != self.size {
            let written = self.size;
            return Err(other(format!(
                "{found} bytes are there, {written} were written"
            )));
        }
        let mut reader = Reader::new(file, self.size);
        let mut patches = self.patches.iter().peekable();
        for (number, tag) in self.tags.iter().enumerate() {
            let at = (number * PAGE) as u64;
            let length = (self.size - at).min(PAGE as u64);
            let page = reader.page(at, length as usize).map_err(fail())?;
            let end = at + length;
            while let Some(patch) = patches.next_if(|patch| patch.offset < end) {
                let from = (patch.offset - at) as usize;
                let there = &mut page[from..from + patch.is.len()];
                if *there != *patch.is {
                    let at = patch.offset;
                    return Err(other(format!("what is at byte {at} was not written")));
                }
                there.copy_from_slice(&patch.was);
            }
            if self.tag(page) != *tag {
                return Err(other(format!(
                    "what is between bytes {at} and {end} was not written"
                )));
            }
            each(length)?;
        }
        Ok(())
    }

    fn tag(&self, page: &[u8]) -> Block {
        let mut poly = Poly1305::new(&self.key);
        poly.update_padded(page);
        poly.finalize()
    }
}

fn other(how: String) -> Error {
    let source = io::Error::new(
        io::ErrorKind::InvalidData,
        format!("{how}; nothing was left behind; look after the disk, and try again"),
    );
    Error::io("reading it back")(source)
}

/// Reads pages, past the cache as long as that works.
struct Reader<'a> {
    file: &'a File,
    direct: Option<File>,
    page: Buffer,
}

impl<'a> Reader<'a> {
    fn new(file: &'a File, size: u64) -> Self {
        let direct = match size >= SMALLEST {
            true => direct::reopen(file),
            false => None,
        };
        Reader {
            file,
            direct,
            page: Buffer::default(),
        }
    }

    fn page(&mut self, at: u64, length: usize) -> io::Result<&mut [u8]> {
        if let Some(direct) = &self.direct {
            if direct::read(direct, &mut self.page, length, at)? {
                return Ok(&mut self.page);
            }
            self.direct = None;
        }
        self.page.resize(length);
        self.file.read_exact_at(&mut self.page, at)?;
        Ok(&mut self.page)
    }
}

#[cfg(test)]
mod tests {
    use super::super::pages::Pages;
    use super::*;

    /// A file of `size` bytes past some pages, a header on the border of two of which was written
    /// over, and another in the last one.
    fn written(file: &File, pages: usize, more: usize) -> (Trail, Vec<u8>) {
        let size = pages * PAGE + more;
        let mut content: Vec<u8> = (0..size).map(|n| (n / 11 + n / PAGE) as u8).collect();
        let mut to = Pages::new(file.try_clone().unwrap()).unwrap();
        for part in content.chunks(100_003) {
            to.write_all(part).unwrap();
        }
        for offset in [3, PAGE - 9, pages * PAGE - 9, size - 40] {
            let was = content[offset..offset + 20].to_vec();
            to.patch(offset as u64, &was, &[0xaa; 20]).unwrap();
            content[offset..offset + 20].fill(0xaa);
        }
        (to.finish().unwrap(), content)
    }

    #[test]
    fn what_was_written_is_known_again_and_nothing_else_is() {
        let file = tempfile::tempfile().unwrap();
        let (trail, content) = written(&file, 2, 12_345);
        let mut all = vec![0; content.len()];
        file.read_exact_at(&mut all, 0).unwrap();
        assert!(all == content);
        let mut read = 0;
        let each = |bytes| {
            read += bytes;
            Ok(())
        };
        trail.recognise(&file, each).unwrap();
        assert_eq!(read, content.len() as u64);
        let end = content.len() - 1;
        for at in [
            0,
            3,
            22,
            PAGE - 9,
            PAGE,
            PAGE + 10,
            PAGE + 11,
            2 * PAGE - 1,
            end - 30,
            end,
        ] {
            for damage in [1, 0x80] {
                file.write_all_at(&[content[at] ^ damage], at as u64)
                    .unwrap();
                let refused = trail.recognise(&file, |_| Ok(())).unwrap_err();
                assert!(refused.to_string().contains("was not written"), "{at}");
            }
            file.write_all_at(&content[at..=at], at as u64).unwrap();
        }
        for size in [content.len() + 1, content.len() - 1] {
            file.set_len(size as u64).unwrap();
            trail.recognise(&file, |_| Ok(())).unwrap_err();
        }
    }

    #[test]
    fn a_large_file_is_read_past_the_cache() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("large");
        let file = File::options()
            .read(true)
            .write(true)
            .create_new(true)
            .open(&path)
            .unwrap();
        let pages = SMALLEST as usize / PAGE + 2;
        let (trail, content) = written(&file, pages, 777);
        file.sync_all().unwrap();
        trail.recognise(&file, |_| Ok(())).unwrap();
        assert!(std::fs::read(&path).unwrap() == content);
        let last = (pages - 1) * PAGE;
        file.write_all_at(&[!content[last]], last as u64).unwrap();
        trail.recognise(&file, |_| Ok(())).unwrap_err();
    }

    /// The cache may still have what the disk has lost.
    #[test]
    fn a_disk_that_fails_is_not_read_through_the_cache() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("large");
        std::fs::write(&path, vec![7; PAGE]).unwrap();
        let mut reader = Reader {
            file: &File::open(&path).unwrap(),
            direct: Some(File::options().write(true).open(&path).unwrap()),
            page: Buffer::default(),
        };
        reader.page(0, PAGE).unwrap_err();
        reader.direct = None;
        reader.page(0, PAGE).unwrap();
    }

    #[test]
    fn of_a_patch_only_what_differs_is_kept() {
        let mut trail = Trail::new().unwrap();
        let was = vec![7; 1024];
        let mut is = was.clone();
        is[14..26].fill(1);
        is[1000..1016].fill(2);
        trail.patched(100, &was, &is);
        let kept: Vec<_> = (trail.patches.iter())
            .map(|patch| (patch.offset, patch.was.len(), patch.is.len()))
            .collect();
        assert_eq!(kept, [(114, 12, 12), (1100, 16, 16)]);
    }

    #[test]
    fn who_is_told_may_stop_it() {
        let file = tempfile::tempfile().unwrap();
        let (trail, _) = written(&file, 2, 50);
        let mut told = 0;
        let stopped = trail.recognise(&file, |_| {
            told += 1;
            Err(Error::Cancelled)
        });
        assert!(matches!(stopped, Err(Error::Cancelled)) && told == 1);
    }
}
