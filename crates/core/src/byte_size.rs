use std::fmt;

/// So many bytes, displayed as a person names a size: `64 MiB`, `1.5 GiB`.
///
/// ```
/// assert_eq!(stillpoint_core::ByteSize(3 << 29).to_string(), "1.5 GiB");
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ByteSize(pub u64);

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [&str; 6] = ["bytes", "KiB", "MiB", "GiB", "TiB", "PiB"];
        let mut value = self.0 as f64;
        let mut unit = 0;
        while value >= 1024.0 && unit + 1 < UNITS.len() {
            value /= 1024.0;
            unit += 1;
        }
        let digits = usize::from(value.fract() != 0.0);
        write!(f, "{value:.digits$} {}", UNITS[unit])
    }
}
