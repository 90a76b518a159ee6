use std::io::Read;

use flate2::{Decompress, FlushDecompress, Status};
use sha2::{Digest as _, Sha256};

use super::feed::Feed;
use crate::zip::Method;
use crate::{Digest, Refusal, Result, Watch};

/// What an entry's content turned out to be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Content {
    pub(super) stored: u64,
    pub(super) size: u64,
    pub(super) crc: u32,
    pub(super) sha256: Digest,
}

/// Adds up what is unpacked.
struct Tally<'a> {
    size: u64,
    limit: u64,
    crc: crc32fast::Hasher,
    sha256: Sha256,
    watch: &'a Watch,
}

impl Tally<'_> {
    fn add(&mut self, bytes: &[u8]) -> Result<()> {
        self.size += bytes.len() as u64;
        if self.size > self.limit {
            let (what, found, limit) = ("the entry's size", self.size, self.limit);
            return Err(Refusal::Limit { what, found, limit }.bare());
        }
        self.crc.update(bytes);
        self.sha256.update(bytes);
        self.watch.add(bytes.len() as u64)
    }
}

/// Unpacks what passes. Its stored size is known, or the stream shows its own end. `keep` gets
/// the bytes as they are stored.
pub(super) fn unpack<R: Read>(
    feed: &mut Feed<R>,
    method: Method,
    stored: Option<u64>,
    limit: u64,
    watch: &Watch,
    keep: &mut dyn FnMut(&[u8]) -> Result<()>,
) -> Result<Content> {
    let mut tally = Tally {
        size: 0,
        limit,
        crc: crc32fast::Hasher::new(),
        sha256: Sha256::new(),
        watch,
    };
    let start = feed.at;
    match (method, stored) {
        (_, Some(0)) => {}
        (Method::Store, Some(stored)) => store(feed, stored, &mut tally, keep)?,
        (Method::Deflate, _) => inflate(feed, stored, &mut tally, keep)?,
        #[cfg(feature = "zstd")]
        (Method::Zstd, Some(stored)) => unzstd(feed, stored, &mut tally, keep)?,
        // A stored or zstd stream does not show its end.
        (method, _) => return Err(Refusal::UnsupportedMethod(method.id()).at(start)),
    }
    Ok(Content {
        stored: feed.at - start,
        size: tally.size,
        crc: tally.crc.finalize(),
        sha256: Digest::finish(tally.sha256),
    })
}

type Keep<'a> = &'a mut dyn FnMut(&[u8]) -> Result<()>;

fn store<R: Read>(
    feed: &mut Feed<R>,
    mut left: u64,
    tally: &mut Tally<'_>,
    keep: Keep<'_>,
) -> Result<()> {
    while left > 0 {
        let at = feed.at;
        let bytes = feed.some()?;
        if bytes.is_empty() {
            return Err(Refusal::Truncated("its data").at(at));
        }
        let n = left.min(bytes.len() as u64) as usize;
        tally.add(&bytes[..n])?;
        keep(&bytes[..n])?;
        feed.consume(n);
        left -= n as u64;
    }
    Ok(())
}

fn inflate<R: Read>(
    feed: &mut Feed<R>,
    stored: Option<u64>,
    tally: &mut Tally<'_>,
    keep: Keep<'_>,
) -> Result<()> {
    let mut engine = Decompress::new(false);
    let mut out = vec![0; 128 << 10];
    let mut left = stored.unwrap_or(u64::MAX);
    loop {
        let at = feed.at;
        let input = feed.some()?;
        let input = &input[..left.min(input.len() as u64) as usize];
        let (read, made) = (engine.total_in(), engine.total_out());
        let status = engine
            .decompress(input, &mut out, FlushDecompress::None)
            .map_err(|e| Refusal::DamagedData(e.to_string()).at(at))?;
        let n = (engine.total_in() - read) as usize;
        let made = (engine.total_out() - made) as usize;
        let starved = input.is_empty();
        keep(&input[..n])?;
        feed.consume(n);
        left -= n as u64;
        tally.add(&out[..made])?;
        match status {
            Status::StreamEnd => break,
            _ if starved && made == 0 => return Err(Refusal::Truncated("its data").at(at)),
            _ => {}
        }
    }
    match stored {
        Some(_) if left > 0 => Err(Refusal::TrailingData(left).at(feed.at)),
        _ => Ok(()),
    }
}

#[cfg(feature = "zstd")]
fn unzstd<R: Read>(
    feed: &mut Feed<R>,
    stored: u64,
    tally: &mut Tally<'_>,
    keep: Keep<'_>,
) -> Result<()> {
    struct Bounded<'f, 'k, R> {
        feed: &'f mut Feed<R>,
        left: u64,
        keep: Keep<'k>,
    }
    impl<R: Read> Read for Bounded<'_, '_, R> {
        fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
            let bytes = self.feed.some().map_err(crate::Error::into_io)?;
            let n = bytes.len().min(out.len()).min(self.left as usize);
            out[..n].copy_from_slice(&bytes[..n]);
            (self.keep)(&bytes[..n]).map_err(crate::Error::into_io)?;
            self.feed.consume(n);
            self.left -= n as u64;
            Ok(n)
        }
    }
    let at = feed.at;
    let damaged = |e: std::io::Error| match crate::Error::from_io(e) {
        Ok(error) => error,
        Err(e) => Refusal::DamagedData(e.to_string()).at(at),
    };
    let mut bounded = Bounded {
        feed,
        left: stored,
        keep,
    };
    let mut decoder = zstd::stream::read::Decoder::new(&mut bounded).map_err(damaged)?;
    let mut out = vec![0; 128 << 10];
    loop {
        match decoder.read(&mut out).map_err(damaged)? {
            0 => break,
            n => tally.add(&out[..n])?,
        }
    }
    drop(decoder);
    match bounded.left {
        0 => Ok(()),
        rest => Err(Refusal::TrailingData(rest).at(bounded.feed.at)),
    }
}
