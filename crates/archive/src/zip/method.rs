use crate::Refusal;
use crate::deflate::{STREAM_END, stored};
use crate::seal::LAST_FRAME;

/// How an entry's bytes are packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Method {
    /// DEFLATE (8).
    Deflate,
    /// As they are (0).
    Store,
    /// Zstandard (93).
    Zstd,
}

impl Method {
    pub(crate) fn id(self) -> u16 {
        match self {
            Method::Deflate => 8,
            Method::Store => 0,
            Method::Zstd => 93,
        }
    }

    pub(super) fn from_id(id: u16) -> Result<Self, Refusal> {
        match id {
            0 => Ok(Method::Store),
            8 => Ok(Method::Deflate),
            93 if cfg!(feature = "zstd") => Ok(Method::Zstd),
            other => Err(Refusal::UnsupportedMethod(other)),
        }
    }

    /// Bytes an entry that is cut has after its last chunk.
    pub(crate) fn end_of_chunks(self, sealed: bool) -> u64 {
        let frame = match (sealed, self) {
            (false, _) => 0,
            (true, Method::Deflate) => stored::size(LAST_FRAME),
            (true, _) => LAST_FRAME,
        };
        let end = if self == Method::Deflate {
            STREAM_END.len()
        } else {
            0
        };
        (frame + end) as u64
    }
}
