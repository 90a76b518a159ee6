//! What does not fit into the 16 and 32 bits of the first ZIP.

use std::io;
use std::sync::Arc;

use stillpoint_archive::{
    Archive, EntryOptions, Limits, OpenOptions, ReadAt, Refusal, VerifyLevel, Watch, WriteOptions,
    Writer, verify, verify_stream,
};

#[test]
fn more_entries_than_sixteen_bits_count() {
    let files = 66_000;
    let mut bytes = Vec::new();
    let mut writer = Writer::stream(&mut bytes, &WriteOptions::new()).unwrap();
    for n in 0..files {
        let name = format!("{}/{n}", n % 100);
        writer
            .bytes(&name, n.to_string(), &EntryOptions::new())
            .unwrap();
    }
    writer.finish().unwrap();
    let oracle = zip::ZipArchive::new(io::Cursor::new(&bytes[..])).unwrap();
    let entries = files + 100 + 3;
    assert_eq!(oracle.len(), entries);
    let streamed = verify_stream(&bytes[..], &OpenOptions::new(), &Watch::none()).unwrap();
    assert_eq!(streamed.entries as usize, entries);
    let few = Limits {
        entries: 66_000,
        ..Limits::default()
    };
    let refused = OpenOptions::new().limits(few).open_source(bytes.clone());
    assert!(matches!(
        refused.unwrap_err().refusal(),
        Some(Refusal::Limit { .. })
    ));
    let bytes = Arc::new(bytes);
    for at in bytes.len() - 98..bytes.len() {
        for bit in 0..8 {
            let flipped = Flipped {
                bytes: Arc::clone(&bytes),
                at: at as u64,
                bit: 1 << bit,
            };
            let opened = OpenOptions::new().open_source(flipped);
            let error = opened.expect_err("it was changed");
            assert!(error.refusal().is_some(), "{at} {bit}: {error}");
        }
    }
    let archive = OpenOptions::new().open_source(bytes).unwrap();
    assert_eq!(archive.entries().len(), entries);
    assert_eq!(archive.read("99/65999").unwrap(), b"65999");
    let report = verify(&archive, VerifyLevel::Full, &Watch::none()).unwrap();
    assert_eq!(report.content_digest, streamed.content_digest);
}

/// An archive with a bit changed.
struct Flipped {
    bytes: Arc<Vec<u8>>,
    at: u64,
    bit: u8,
}

impl ReadAt for Flipped {
    fn size(&self) -> io::Result<u64> {
        self.bytes.size()
    }

    fn read_at(&self, out: &mut [u8], offset: u64) -> io::Result<usize> {
        let read = self.bytes.read_at(out, offset)?;
        if let Some(at) = self.at.checked_sub(offset)
            && let Some(byte) = out[..read].get_mut(at as usize)
        {
            *byte ^= self.bit;
        }
        Ok(read)
    }
}

const GIB: u64 = 1 << 30;

/// A foreign archive of five GiB of stored zeros, `big`, and a small file after them, of which
/// only the ends are in memory.
struct Large {
    before: Vec<u8>,
    after: Vec<u8>,
}

impl ReadAt for Large {
    fn size(&self) -> io::Result<u64> {
        Ok(self.before.len() as u64 + 5 * GIB + self.after.len() as u64)
    }

    fn read_at(&self, out: &mut [u8], offset: u64) -> io::Result<usize> {
        let hole = self.before.len() as u64;
        if offset < hole {
            return self.before.read_at(out, offset);
        }
        if offset >= hole + 5 * GIB {
            return self.after.read_at(out, offset - hole - 5 * GIB);
        }
        let n = (hole + 5 * GIB - offset).min(out.len() as u64) as usize;
        out[..n].fill(0);
        Ok(n)
    }
}

fn le(parts: &[&dyn AsLe]) -> Vec<u8> {
    parts.iter().flat_map(|part| part.le()).collect()
}

trait AsLe {
    fn le(&self) -> Vec<u8>;
}

macro_rules! as_le {
    ($($int:ty)*) => {
        $(impl AsLe for $int {
            fn le(&self) -> Vec<u8> {
                self.to_le_bytes().to_vec()
            }
        })*
    };
}

as_le!(u16 u32 u64);

impl AsLe for &str {
    fn le(&self) -> Vec<u8> {
        self.as_bytes().to_vec()
    }
}

/// What can be changed in [`large`], from what is right.
struct Said {
    local: [u64; 2],
    central: Vec<u64>,
    /// How often the central record says so.
    times: usize,
    /// Of the small file, whose offset does not fit.
    offset: u64,
    entries: u64,
    locator: u64,
}

fn right() -> Said {
    Said {
        local: [5 * GIB; 2],
        central: vec![5 * GIB, 5 * GIB],
        times: 1,
        offset: 5 * GIB + 53,
        entries: 2,
        locator: 0,
    }
}

fn large(said: &Said) -> Large {
    let (max, date) = (u32::MAX, 0x21u16);
    // No content is read here.
    let crc_of_zeros = 0u32;
    let [size, stored] = said.local;
    let common = |version: u16, crc: u32, size: u32, name: &str, extra: usize| {
        let (zero, name) = (0u16, name.len() as u16);
        le(&[
            &version,
            &zero,
            &zero,
            &zero,
            &date,
            &crc,
            &size,
            &size,
            &name,
            &(extra as u16),
        ])
    };
    let zip64 = |values: &[u64]| {
        let mut field = le(&[&1u16, &(8 * values.len() as u16)]);
        values
            .iter()
            .for_each(|value| field.extend(value.to_le_bytes()));
        field
    };
    let field = zip64(&[size, stored]);
    let before = [
        le(&[&0x0403_4b50u32]),
        common(45, crc_of_zeros, max, "big", field.len()),
        le(&[&"big"]),
        field,
    ]
    .concat();
    assert_eq!(before.len(), 53);
    let crc = crc32fast::hash(b"hi");
    let small = [
        le(&[&0x0403_4b50u32]),
        common(45, crc, 2, "small", 0),
        le(&[&"smallhi"]),
    ]
    .concat();
    let directory_at = 53 + 5 * GIB + small.len() as u64;
    let big_field = zip64(&said.central).repeat(said.times);
    let small_field = zip64(&[said.offset]);
    let central = |common: Vec<u8>, at: u32, name: &str, field: &[u8]| {
        let head = le(&[&0x0201_4b50u32, &0x032du16]);
        let tail = le(&[&0u16, &0u16, &0u16, &(0o100_644u32 << 16), &at, &name]);
        [head, common, tail, field.to_vec()].concat()
    };
    let directory = [
        central(
            common(45, crc_of_zeros, max, "big", big_field.len()),
            0,
            "big",
            &big_field,
        ),
        central(
            common(45, crc, 2, "small", small_field.len()),
            max,
            "small",
            &small_field,
        ),
    ]
    .concat();
    let size = directory.len() as u64;
    let end_at = directory_at + size;
    let (one, none) = (1u32, 0u32);
    let end64 = le(&[
        &0x0606_4b50u32,
        &44u64,
        &0x032du16,
        &45u16,
        &none,
        &none,
        &said.entries,
        &said.entries,
        &size,
        &directory_at,
    ]);
    let locator = le(&[&0x0706_4b50u32, &none, &(end_at + said.locator), &one]);
    let end = le(&[
        &0x0605_4b50u32,
        &0u16,
        &0u16,
        &2u16,
        &2u16,
        &(size as u32),
        &max,
        &0u16,
    ]);
    Large {
        before,
        after: [small, directory, end64, locator, end].concat(),
    }
}

#[test]
fn sizes_and_offsets_of_more_than_thirty_two_bits() {
    let archive = OpenOptions::new().open_source(large(&right())).unwrap();
    assert_eq!(archive.entry("big").unwrap().size(), 5 * GIB);
    assert_eq!(archive.read("small").unwrap(), b"hi");
    let remote = OpenOptions::new()
        .headers_on_read()
        .open_source(large(&right()));
    assert_eq!(remote.unwrap().read("small").unwrap(), b"hi");
}

#[test]
fn what_zip64_says_twice_agrees() {
    let open = |said: Said| {
        OpenOptions::new()
            .open_source(large(&said))
            .map(|_: Archive| ())
    };
    open(right()).unwrap();
    let wrong = [
        (
            "a local size",
            Said {
                local: [5 * GIB - 1, 5 * GIB],
                ..right()
            },
        ),
        (
            "a local stored size",
            Said {
                local: [5 * GIB, 5 * GIB + 1],
                ..right()
            },
        ),
        (
            "a central size",
            Said {
                central: vec![5 * GIB + 1, 5 * GIB],
                ..right()
            },
        ),
        (
            "a value too many",
            Said {
                central: vec![5 * GIB, 5 * GIB, 0],
                ..right()
            },
        ),
        (
            "a value too few",
            Said {
                central: vec![5 * GIB],
                ..right()
            },
        ),
        (
            "the same values once more",
            Said {
                times: 2,
                ..right()
            },
        ),
        (
            "values that would fit",
            Said {
                central: vec![7, 7],
                ..right()
            },
        ),
        (
            "an offset",
            Said {
                offset: 5 * GIB + 54,
                ..right()
            },
        ),
        (
            "an offset that would fit",
            Said {
                offset: 53,
                ..right()
            },
        ),
        (
            "a count",
            Said {
                entries: 3,
                ..right()
            },
        ),
        (
            "a locator",
            Said {
                locator: 1,
                ..right()
            },
        ),
    ];
    for (what, said) in wrong {
        let error = open(said).expect_err(what);
        assert!(error.refusal().is_some(), "{what}: {error}");
    }
}
