/// Adds blocks that hold `input` as it is, each on byte borders and none of them the last.
pub(super) fn blocks(input: &[u8], out: &mut Vec<u8>) {
    for part in input.chunks(usize::from(u16::MAX)) {
        let length = part.len() as u16;
        out.push(0);
        out.extend(length.to_le_bytes());
        out.extend((!length).to_le_bytes());
        out.extend(part);
    }
}

/// Bytes [`blocks`] makes of `length` bytes.
pub(super) fn size(length: usize) -> usize {
    length + length.div_ceil(usize::from(u16::MAX)) * 5
}
