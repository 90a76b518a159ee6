//! A hash that is the same in every release and on every machine, for jitter and for seeds.

/// FNV-1a over the parts, each ended by a byte that UTF-8 never has, then a finalizer that
/// spreads every bit (the one of SplitMix64). Good enough to scatter runs; not for secrets.
pub(crate) fn hash(seed: u64, parts: &[&[u8]]) -> u64 {
    let mut state = 0xcbf2_9ce4_8422_2325 ^ mix(seed);
    for part in parts {
        for byte in part.iter().chain(&[0xff]) {
            state = (state ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
    mix(state)
}

fn mix(mut bits: u64) -> u64 {
    bits = bits.wrapping_add(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ bits >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ bits >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ bits >> 31
}

/// A hash as a fraction, 0 included and 1 not.
pub(crate) fn fraction(hash: u64) -> f64 {
    (hash >> 11) as f64 / (1_u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn never_changes() {
        // Stored schedules depend on these values.
        assert_eq!(hash(0, &[b"nightly", b"web-1"]), 0x7486_3851_aef1_a933);
        assert_eq!(hash(7, &[]), 0x9559_efa3_0f5d_9071);
        assert_ne!(hash(0, &[b"ab", b"c"]), hash(0, &[b"a", b"bc"]));
    }

    #[test]
    fn fractions_are_spread_evenly() {
        let mut buckets = [0; 10];
        for n in 0..10_000_u32 {
            buckets[(fraction(hash(1, &[&n.to_le_bytes()])) * 10.0) as usize] += 1;
        }
        assert!(
            buckets.iter().all(|count| (850..1150).contains(count)),
            "{buckets:?}"
        );
    }
}
