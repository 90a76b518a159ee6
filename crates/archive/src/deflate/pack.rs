use flate2::{Compress, Compression, FlushCompress};

use super::stored;
use crate::chunk::is_noise;

/// Packs; kept by a worker, so that its tables are made once.
#[derive(Debug)]
pub(crate) struct Packer {
    engine: Compress,
}

impl Packer {
    pub(crate) fn new(level: u32) -> Self {
        Packer {
            engine: Compress::new(Compression::new(level), false),
        }
    }

    /// Adds a whole stream to `out`.
    pub(crate) fn whole(&mut self, input: &[u8], out: &mut Vec<u8>) {
        self.run(input, out, FlushCompress::Finish);
    }

    /// Adds blocks to `out` that need nothing before them and end on a byte; streams are joined
    /// of these and [`STREAM_END`].
    pub(crate) fn chunk(&mut self, input: &[u8], out: &mut Vec<u8>) {
        let start = out.len();
        if is_noise(input) {
            return stored::blocks(input, out);
        }
        self.run(input, out, FlushCompress::Full);
        if out.len() - start > stored::size(input.len()) {
            out.truncate(start);
            stored::blocks(input, out);
        }
    }

    fn run(&mut self, input: &[u8], out: &mut Vec<u8>, flush: FlushCompress) {
        self.engine.reset();
        out.reserve(input.len() / 2 + 64);
        loop {
            let done = self.engine.total_in() as usize;
            self.engine
                .compress_vec(&input[done..], out, flush)
                .expect("compressing has no error but a wrong call");
            // Room left over means that nothing is held back.
            if self.engine.total_in() as usize == input.len() && out.len() < out.capacity() {
                return;
            }
            out.reserve(out.len().max(4096));
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::deflate::{Inflater, STREAM_END};

    proptest! {
        #[test]
        fn chunks_join_to_a_stream(
            parts in prop::collection::vec(prop::collection::vec(0u8..9, 0..5000), 0..4),
            level in 0u32..=9,
        ) {
            let mut packer = Packer::new(level);
            let (mut joined, mut out) = (Vec::new(), Vec::new());
            for part in &parts {
                let start = joined.len();
                packer.chunk(part, &mut joined);
                Inflater::new().chunk(&joined[start..], part.len(), &mut out).unwrap();
                prop_assert_eq!(&out, part);
            }
            joined.extend(STREAM_END);
            let whole = parts.concat();
            Inflater::new().whole(&joined, whole.len(), &mut out).unwrap();
            prop_assert_eq!(&out, &whole);
            let mut once = Vec::new();
            packer.whole(&whole, &mut once);
            Inflater::new().whole(&once, whole.len(), &mut out).unwrap();
            prop_assert_eq!(&out, &whole);
        }
    }
}
