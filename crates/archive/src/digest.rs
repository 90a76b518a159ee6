use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest as _, Sha256};

/// A SHA-256, written as 64 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest(pub [u8; 32]);

impl Digest {
    /// Of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Digest(Sha256::digest(bytes).into())
    }

    /// Of all that a reader gives.
    ///
    /// # Errors
    /// The reader's.
    pub fn of_reader(mut reader: impl std::io::Read) -> std::io::Result<Self> {
        let mut hasher = Sha256::new();
        let mut buffer = vec![0; 128 << 10];
        loop {
            match reader.read(&mut buffer) {
                Ok(0) => return Ok(Digest::finish(hasher)),
                Ok(n) => hasher.update(&buffer[..n]),
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
    }

    fn hex<'a>(&self, digits: &'a mut [u8; 64]) -> &'a str {
        write_hex(&self.0, digits);
        std::str::from_utf8(digits).expect("hex is ASCII")
    }

    pub(crate) fn finish(hasher: Sha256) -> Self {
        Digest(hasher.finalize().into())
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.hex(&mut [0; 64]))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({self})")
    }
}

impl FromStr for Digest {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut bytes = [0; 32];
        read_hex(text, &mut bytes).ok_or("a SHA-256 is 64 lower-case hexadecimal digits")?;
        Ok(Digest(bytes))
    }
}

pub(crate) fn write_hex(bytes: &[u8], hex: &mut [u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for (byte, pair) in bytes.iter().zip(hex.chunks_exact_mut(2)) {
        pair[0] = DIGITS[usize::from(byte >> 4)];
        pair[1] = DIGITS[usize::from(byte & 15)];
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    let mut hex = vec![0; bytes.len() * 2];
    write_hex(bytes, &mut hex);
    String::from_utf8(hex).expect("hex is ASCII")
}

pub(crate) fn read_hex(text: &str, bytes: &mut [u8]) -> Option<()> {
    /// Of each digit its value; what is none is past all of them.
    const VALUES: [u8; 256] = {
        let mut values = [0xff; 256];
        let mut value = 0;
        while value < 16 {
            values[b"0123456789abcdef"[value as usize] as usize] = value;
            value += 1;
        }
        values
    };
    let text = text.as_bytes();
    if text.len() != bytes.len() * 2 {
        return None;
    }
    let mut seen = 0;
    for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
        let [high, low] = [pair[0], pair[1]].map(|digit| VALUES[usize::from(digit)]);
        *byte = high << 4 | low & 15;
        seen |= high | low;
    }
    (seen < 16).then_some(())
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.hex(&mut [0; 64]))
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Hex;
        impl serde::de::Visitor<'_> for Hex {
            type Value = Digest;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a SHA-256 in hexadecimal")
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Digest, E> {
                text.parse().map_err(E::custom)
            }
        }
        deserializer.deserialize_str(Hex)
    }
}

/// What an archive holds, whatever container holds it: the SHA-256 over the sorted paths of its
/// files with their SHA-256, and its empty directories.
///
/// Two archives of different writers, order or compression have the same one exactly if they hold
/// the same files. FORMAT.md says what is hashed.
#[derive(Debug, Default)]
pub(crate) struct ContentDigest {
    lines: Vec<(String, Option<Digest>)>,
}

impl ContentDigest {
    pub(crate) fn file(&mut self, path: &str, digest: Digest) {
        self.lines.push((path.to_owned(), Some(digest)));
    }

    pub(crate) fn directory(&mut self, path: &str) {
        self.lines.push((path.to_owned(), None));
    }

    pub(crate) fn finish(mut self) -> Digest {
        self.lines.sort_unstable();
        let mut hasher = Sha256::new();
        let mut lines = self.lines.iter().peekable();
        while let Some((path, digest)) = lines.next() {
            match digest {
                Some(digest) => {
                    let mut hex = [0; 64];
                    write_hex(&digest.0, &mut hex);
                    hasher.update(hex);
                }
                // What is inside a directory sorts right after it.
                None if lines.peek().is_some_and(|(next, _)| next.starts_with(path)) => continue,
                None => hasher.update(b"-"),
            }
            hasher.update(b" ");
            hasher.update(path.as_bytes());
            hasher.update(b"\n");
        }
        Digest::finish(hasher)
    }
}
