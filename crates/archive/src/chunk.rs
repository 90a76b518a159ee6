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
    MAGIC.iter().any(|magic| bytes.starts_with(magic)) || is_noise(bytes)
}

/// Whether the bytes' order-0 entropy is that of random ones: more than 7.95 bits a byte.
pub(crate) fn is_noise(bytes: &[u8]) -> bool {
    const SAMPLE: usize = 16 << 10;
    if bytes.len() < SAMPLE {
        return false;
    }
    // A start, a middle and an end: containers often begin with a plain header.
    let middle = (bytes.len() - SAMPLE) / 2;
    [0, middle, bytes.len() - SAMPLE].into_iter().all(|from| {
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
        bits / total > 7.95
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noise_is_told_from_text() {
        let mut noise = vec![0; CHUNK];
        getrandom::fill(&mut noise).unwrap();
        assert!(is_noise(&noise));
        noise[CHUNK / 2 - 4096..CHUNK / 2 + 4096].fill(b'a');
        assert!(!is_noise(&noise));
        assert!(!is_noise(
            &b"INSERT INTO events VALUES (42);\n".repeat(4096)
        ));
        assert!(looks_packed(b"PK\x03\x04 and so on"));
        assert!(is_zero(&[0; 77]) && !is_zero(&[0, 0, 1]));
    }
}
