//! Large entries are cut in chunks that are packed, proven and read on their own.

/// Bytes of every chunk but an entry's last. What is not larger is not cut. Part of the format.
pub(crate) const CHUNK: usize = 1 << 20;

/// The content of a hole.
pub(crate) static ZEROS: [u8; CHUNK] = [0; CHUNK];

/// CRC-32 of [`ZEROS`].
pub(crate) fn zeros_crc() -> u32 {
    static CRC: std::sync::LazyLock<u32> = std::sync::LazyLock::new(|| crc32fast::hash(&ZEROS));
    *CRC
}

/// Whether all bytes are zero.
pub(crate) fn is_zero(bytes: &[u8]) -> bool {
    // The comparison of slices is a vectorised memcmp.
    bytes.chunks(CHUNK).all(|part| part == &ZEROS[..part.len()])
}

/// Bits a byte from which on bytes are as random ones.
pub(crate) const NOISE: f32 = 7.95;

/// Whether packing these bytes again would be for nothing: known magic numbers, or bytes that
/// are spread as evenly as packed or encrypted ones are.
pub(crate) fn looks_packed(bytes: &[u8]) -> bool {
    const MAGIC: [&[u8]; 12] = [
        b"PK\x03\x04",
        b"\x1f\x8b\x08",
        b"\x28\xb5\x2f\xfd",
        b"\xfd7zXZ\0",
        b"BZh",
        b"7z\xbc\xaf\x27\x1c",
        b"\x04\x22\x4d\x18",
        b"Rar!\x1a\x07",
        b"\x89PNG\r\n\x1a\n",
        b"\xff\xd8\xff",
        b"age-encryption.org/v1",
        b"OggS",
    ];
    MAGIC.iter().any(|magic| bytes.starts_with(magic))
        || spread(bytes).is_some_and(|bits| bits > NOISE)
}

/// How evenly the bytes are spread: their order-0 entropy, in bits a byte, where it is lowest; none
/// where they are too few to tell.
pub(crate) fn spread(bytes: &[u8]) -> Option<f32> {
    // A start, a middle and an end: containers often begin with a plain header.
    lowest::<{ 16 << 10 }>(bytes, 3)
}

/// The same of many short samples, for what is to hold everywhere; the fewer bytes, the lower it is.
pub(crate) fn spread_throughout(bytes: &[u8]) -> Option<f32> {
    lowest::<{ 1 << 10 }>(bytes, 16)
}

fn lowest<const SAMPLE: usize>(bytes: &[u8], samples: usize) -> Option<f32> {
    let last = bytes.len().checked_sub(SAMPLE)?;
    let entropies = (0..samples).map(|number| {
        let from = last * number / (samples - 1);
        let mut counts = [0u32; 256];
        for byte in &bytes[from..from + SAMPLE] {
            counts[usize::from(*byte)] += 1;
        }
        let total = SAMPLE as f32;
        let bits: f32 = counts
            .iter()
            .filter(|n| **n > 0)
            .map(|n| -(*n as f32) * (*n as f32 / total).log2())
            .sum();
        bits / total
    });
    entropies.min_by(f32::total_cmp)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noise_is_told_from_text() {
        let mut noise = vec![0; CHUNK];
        getrandom::fill(&mut noise).unwrap();
        assert!(looks_packed(&noise));
        noise[CHUNK / 2 - 4096..CHUNK / 2 + 4096].fill(b'a');
        assert!(!looks_packed(&noise));
        let text = b"INSERT INTO events VALUES (42);\n".repeat(4096);
        assert!(!looks_packed(&text) && spread(&text).unwrap() < 5.0);
        assert_eq!(spread(&noise[..(16 << 10) - 1]), None);
        // What lies between the few samples shows in the many.
        getrandom::fill(&mut noise).unwrap();
        assert!(spread_throughout(&noise).unwrap() > 7.5);
        noise[CHUNK / 4..CHUNK / 3].fill(b'c');
        assert!(spread(&noise).unwrap() > NOISE);
        assert!(spread_throughout(&noise).unwrap() < 1.0);
        assert!(looks_packed(b"PK\x03\x04 and so on"));
        assert!(is_zero(&[0; 77]) && !is_zero(&[0, 0, 1]));
    }
}
