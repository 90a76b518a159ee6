/// What one block holds at most.
const MOST: usize = 0xffff;

/// Blocks that hold `input` as it is, each on byte borders and none of them the last.
pub(crate) fn blocks(input: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(size(input.len()));
    add(input, &mut out);
    out
}

/// Adds such blocks.
pub(crate) fn add(input: &[u8], out: &mut Vec<u8>) {
    for part in input.chunks(MOST) {
        let length = part.len() as u16;
        out.push(0);
        out.extend(length.to_le_bytes());
        out.extend((!length).to_le_bytes());
        out.extend(part);
    }
}

/// Bytes that [`blocks`] makes of `length` bytes.
pub(crate) const fn size(length: usize) -> usize {
    length + length.div_ceil(MOST) * 5
}

/// What [`blocks`] was given, out of nothing but such blocks.
pub(crate) fn contents(mut blocks: &[u8]) -> Option<Vec<u8>> {
    let mut contents = Vec::with_capacity(blocks.len());
    while let Some((header, rest)) = blocks.split_first_chunk::<5>() {
        let length = u16::from_le_bytes([header[1], header[2]]);
        let check = u16::from_le_bytes([header[3], header[4]]);
        if header[0] != 0 || check != !length {
            return None;
        }
        let (content, rest) = rest.split_at_checked(usize::from(length))?;
        contents.extend_from_slice(content);
        blocks = rest;
    }
    blocks.is_empty().then_some(contents)
}
