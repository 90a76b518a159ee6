//! Code lengths for frequencies, and codes for lengths (RFC 1951 3.2.2).

/// Lengths of the codes for these frequencies, none longer than `limit`. Symbols that do not
/// occur have none.
pub(super) fn lengths(frequencies: &[u32], limit: usize, lengths: &mut [u8]) {
    lengths.fill(0);
    let mut symbols: Vec<(u32, u16)> = frequencies
        .iter()
        .enumerate()
        .filter(|(_, frequency)| **frequency > 0)
        .map(|(symbol, frequency)| (*frequency, symbol as u16))
        .collect();
    match symbols.len() {
        0 => return,
        // One code of one bit: an incomplete set, which the format allows only here.
        1 => return lengths[usize::from(symbols[0].1)] = 1,
        _ => {}
    }
    symbols.sort_unstable();
    let mut counts = counts(&symbols);
    keep_to(&mut counts, limit);
    // The longest codes go to the rarest symbols.
    let mut rarest = symbols.iter();
    for length in (1..=limit).rev() {
        for (_, symbol) in rarest.by_ref().take(counts[length] as usize) {
            lengths[usize::from(*symbol)] = length as u8;
        }
    }
}

/// How many codes of each length the best tree has.
fn counts(symbols: &[(u32, u16)]) -> [u32; 64] {
    let n = symbols.len();
    // Leaves, sorted, then inner nodes as they are made, sorted too.
    let mut weights: Vec<u64> = symbols
        .iter()
        .map(|(frequency, _)| u64::from(*frequency))
        .collect();
    let mut parents = vec![0usize; 2 * n - 1];
    let (mut leaf, mut inner) = (0, n);
    for node in n..2 * n - 1 {
        let mut take = || {
            let from_leaves =
                leaf < n && (inner >= weights.len() || weights[leaf] <= weights[inner]);
            let taken = if from_leaves { &mut leaf } else { &mut inner };
            *taken += 1;
            *taken - 1
        };
        let (a, b) = (take(), take());
        parents[a] = node;
        parents[b] = node;
        weights.push(weights[a] + weights[b]);
    }
    let mut depths = vec![0u8; 2 * n - 1];
    let mut counts = [0; 64];
    for node in (0..2 * n - 2).rev() {
        depths[node] = depths[parents[node]] + 1;
        if node < n {
            counts[usize::from(depths[node]).min(63)] += 1;
        }
    }
    counts
}

/// Shortens codes over the limit and lengthens others to make up for it.
fn keep_to(counts: &mut [u32; 64], limit: usize) {
    let over: u32 = counts[limit + 1..].iter().sum();
    counts[limit + 1..].fill(0);
    counts[limit] += over;
    let mut room: u64 = (1..=limit)
        .map(|n| u64::from(counts[n]) << (limit - n))
        .sum();
    while room > 1 << limit {
        counts[limit] -= 1;
        let shorter = (1..limit)
            .rev()
            .find(|n| counts[*n] > 0)
            .expect("a code to lengthen");
        counts[shorter] -= 1;
        counts[shorter + 1] += 2;
        room -= 1;
    }
}

/// The codes for these lengths, turned so that their first bit is the lowest.
pub(super) fn codes(lengths: &[u8], codes: &mut [u16]) {
    let mut counts = [0u16; 16];
    for length in lengths.iter().filter(|length| **length > 0) {
        counts[usize::from(*length)] += 1;
    }
    let mut next = [0u16; 16];
    let mut code = 0u16;
    for length in 1..16 {
        code = (code + counts[length - 1]) << 1;
        next[length] = code;
    }
    for (length, out) in lengths.iter().zip(codes) {
        let length = usize::from(*length);
        if length > 0 {
            *out = next[length].reverse_bits() >> (16 - length);
            next[length] += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn codes_are_complete_and_within_the_limit(
            frequencies in prop::collection::vec(prop_oneof![Just(0u32), 1u32..4, 1u32..1_000_000], 2..286),
        ) {
            for limit in [9usize, 15] {
                let used = frequencies.iter().filter(|f| **f > 0).count();
                let mut found = vec![0; frequencies.len()];
                lengths(&frequencies, limit, &mut found);
                let kraft: u64 =
                    found.iter().filter(|l| **l > 0).map(|l| 1u64 << (limit - usize::from(*l))).sum();
                prop_assert!(found.iter().all(|l| usize::from(*l) <= limit));
                prop_assert_eq!(found.iter().filter(|l| **l > 0).count(), used);
                match used {
                    0 => prop_assert_eq!(kraft, 0),
                    1 => prop_assert_eq!(kraft, 1 << (limit - 1)),
                    _ => prop_assert_eq!(kraft, 1 << limit),
                }
            }
        }
    }
}
