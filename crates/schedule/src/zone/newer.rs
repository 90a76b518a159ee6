//! Rules that are in force and not yet in the database that jiff bundles (tzdata 2026e).
//!
//! `havana-2026f.tzif` is America/Havana as compiled from IANA tzdata 2026f (public domain): Cuba did
//! not put its clocks back in November 2026. Without it every Cuban run is an hour late until March.

use std::sync::LazyLock;

use jiff::tz::TimeZone;

const HAVANA: &[u8] = include_bytes!("havana-2026f.tzif");

/// The zone of that name, where its rules are newer than the bundled ones.
pub(super) fn find(name: &str) -> Option<TimeZone> {
    static ZONES: LazyLock<[Option<TimeZone>; 2]> =
        LazyLock::new(|| ["America/Havana", "Cuba"].map(|name| TimeZone::tzif(name, HAVANA).ok()));
    match name {
        "America/Havana" => ZONES[0].clone(),
        "Cuba" => ZONES[1].clone(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::zone::bundled;

    #[test]
    fn are_needed_until_the_bundle_has_them() {
        let winter: Timestamp = "2027-01-01T00:00:00Z".parse().unwrap();
        for name in ["America/Havana", "Cuba"] {
            let (ours, bundled) = (find(name).unwrap(), bundled().get(name).unwrap());
            assert_eq!(ours.iana_name(), Some(name));
            assert_eq!(ours.to_offset(winter).seconds(), -4 * 3600);
            assert_ne!(
                bundled.to_offset(winter),
                ours.to_offset(winter),
                "remove this module"
            );
        }
    }
}
