use flate2::{Decompress, FlushDecompress, Status};

use crate::Refusal;

/// Unpacks what is in memory; kept by a worker.
#[derive(Debug)]
pub(crate) struct Inflater {
    engine: Decompress,
}

impl Inflater {
    pub(crate) fn new() -> Self {
        Inflater {
            engine: Decompress::new(false),
        }
    }

    /// Unpacks a whole stream of exactly `size` bytes, with nothing after it.
    pub(crate) fn whole(
        &mut self,
        packed: &[u8],
        size: usize,
        out: &mut Vec<u8>,
    ) -> Result<(), Refusal> {
        self.run(packed, size, out, true)
    }

    /// Unpacks one chunk, whose blocks go on in the next one.
    pub(crate) fn chunk(
        &mut self,
        packed: &[u8],
        size: usize,
        out: &mut Vec<u8>,
    ) -> Result<(), Refusal> {
        self.run(packed, size, out, false)
    }

    fn run(
        &mut self,
        packed: &[u8],
        size: usize,
        out: &mut Vec<u8>,
        ends: bool,
    ) -> Result<(), Refusal> {
        self.engine.reset(false);
        out.clear();
        // One byte of room too many: data that goes on past `size` shows itself.
        out.resize(size + 1, 0);
        let status = self
            .engine
            .decompress(packed, out, FlushDecompress::None)
            .map_err(|e| Refusal::DamagedData(e.to_string()))?;
        let (read, made) = (
            self.engine.total_in() as usize,
            self.engine.total_out() as usize,
        );
        out.truncate(made);
        if made > size {
            return Err(Refusal::SizeMismatch {
                found: made as u64,
                recorded: size as u64,
            });
        }
        if (status == Status::StreamEnd) != ends {
            let what = if ends {
                "its end is missing"
            } else {
                "it ends inside the entry"
            };
            return Err(Refusal::DamagedData(what.to_owned()));
        }
        if read != packed.len() {
            return Err(Refusal::TrailingData((packed.len() - read) as u64));
        }
        if made < size {
            return Err(Refusal::SizeMismatch {
                found: made as u64,
                recorded: size as u64,
            });
        }
        Ok(())
    }
}
