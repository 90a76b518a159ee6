use std::io::Read as _;
use std::ops::Range;

use super::{Archive, EntryReader, Place, Unpacker};
use crate::chunk::CHUNK;
use crate::{Error, Refusal, Result};

/// Reads part of an entry; every byte given was checked.
pub(super) fn read(archive: &Archive, index: usize, range: Range<u64>) -> Result<Vec<u8>> {
    let size = archive.view(index).size();
    let range = range.start.min(size)..range.end.min(size);
    if range.is_empty() {
        return Ok(Vec::new());
    }
    let mut out = Vec::with_capacity((range.end - range.start) as usize);
    let places = archive.places(index)?;
    if places.is_empty() {
        read_from_start(archive, index, &range, &mut out)?;
        return Ok(out);
    }
    read_chunks(archive, index, &places, &range, &mut out)?;
    Ok(out)
}

fn read_chunks(
    archive: &Archive,
    index: usize,
    places: &[Place],
    range: &Range<u64>,
    out: &mut Vec<u8>,
) -> Result<()> {
    let view = archive.view(index);
    let record = view.record.expect("only recorded entries have chunks");
    let key = archive.entry_key(index)?;
    let mut unpacker = Unpacker::new();
    let chunk = CHUNK as u64;
    for number in range.start / chunk..range.end.div_ceil(chunk) {
        let place = places[number as usize];
        let seal = key.as_ref().map(|key| (key, number));
        let unpacked = unpacker.chunk(archive, view.entry.method, place, seal)?;
        let bytes = unpacked.as_slice();
        let (found, recorded) = (unpacked.crc(), record.chunks[number as usize].1);
        // Authenticated encryption has proven a sealed chunk already.
        if seal.is_none() && found != recorded {
            let reason = Refusal::CrcMismatch { found, recorded };
            return Err(reason.of_at(view.name(), place.offset));
        }
        let start = number * chunk;
        let from = range.start.saturating_sub(start) as usize;
        let to = (range.end - start).min(bytes.len() as u64) as usize;
        out.extend_from_slice(&bytes[from..to]);
    }
    Ok(())
}

/// Without chunks the proof is the whole entry's, so all of it is read.
fn read_from_start(
    archive: &Archive,
    index: usize,
    range: &Range<u64>,
    out: &mut Vec<u8>,
) -> Result<()> {
    let fail = || Error::io(format!("reading {}", archive.view(index).name()));
    let mut reader = EntryReader::new(archive, index)?;
    let sink = &mut std::io::sink();
    std::io::copy(&mut (&mut reader).take(range.start), sink).map_err(fail())?;
    (&mut reader)
        .take(range.end - range.start)
        .read_to_end(out)
        .map_err(fail())?;
    std::io::copy(&mut reader, sink).map_err(fail())?;
    Ok(())
}
