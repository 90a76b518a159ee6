use std::fmt::Write as _;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures_core::stream::BoxStream;
use futures_util::{StreamExt, TryStreamExt};
use ring::digest::{Algorithm, Context, SHA256, SHA384, SHA512};
use stillpoint_core::{Error, ErrorKind, ResourceRef, Result};

/// A digest, and how many bytes it is of, while they pass.
#[derive(Clone)]
pub(super) struct Passing(Arc<Mutex<(Context, u64)>>);

impl Passing {
    /// One of the algorithm that Glance uses by itself.
    pub(super) fn sha512() -> Self {
        Self::of(&SHA512)
    }

    /// One of this algorithm, by Glance's word for it; none where it is not known here.
    pub(super) fn new(algorithm: &str) -> Option<Self> {
        match algorithm {
            "sha256" => Some(Self::of(&SHA256)),
            "sha384" => Some(Self::of(&SHA384)),
            "sha512" => Some(Self::sha512()),
            _ => None,
        }
    }

    fn of(algorithm: &'static Algorithm) -> Self {
        Self(Arc::new(Mutex::new((Context::new(algorithm), 0))))
    }

    /// The same bytes, which are counted in as they pass.
    pub(super) fn over(
        &self,
        bytes: BoxStream<'static, Result<Bytes>>,
    ) -> BoxStream<'static, Result<Bytes>> {
        let held = self.clone();
        bytes
            .inspect_ok(move |chunk| {
                let mut held = held.0.lock().unwrap_or_else(PoisonError::into_inner);
                held.0.update(chunk);
                held.1 += chunk.len() as u64;
            })
            .boxed()
    }

    /// The digest of all that passed, as Glance writes it, and how many bytes that were.
    pub(super) fn so_far(&self) -> (String, u64) {
        let held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut text = String::new();
        for byte in held.0.clone().finish().as_ref() {
            let _ = write!(text, "{byte:02x}");
        }
        (text, held.1)
    }

    /// The bytes, and an error behind the last where they are not those of this digest.
    pub(super) fn against(
        &self,
        bytes: BoxStream<'static, Result<Bytes>>,
        digest: String,
        about: ResourceRef,
    ) -> BoxStream<'static, Result<Bytes>> {
        let held = self.clone();
        let end = futures_util::stream::once(async move {
            let (got, length) = held.so_far();
            if got.eq_ignore_ascii_case(&digest) {
                return Ok(Bytes::new());
            }
            Err(not_as_written(&format!(
                "its {length} bytes have digest {got}, not {digest}"
            ))
            .on(about))
        });
        let end = end.try_filter(|chunk| std::future::ready(!chunk.is_empty()));
        self.over(bytes).chain(end).boxed()
    }
}

pub(super) fn not_as_written(what: &str) -> Error {
    Error::new(ErrorKind::Corrupt, what)
        .advise("Do not use what came; try again, and look at the store if it stays so")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn through(passing: &Passing, digest: &str) -> Result<Vec<Bytes>> {
        let chunks = ["ab", "", "c"].map(|it| Ok(Bytes::from_static(it.as_bytes())));
        let bytes = futures_util::stream::iter(chunks).boxed();
        let about = "prod/image/x".parse().unwrap();
        let all = passing.against(bytes, digest.to_owned(), about);
        tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap()
            .block_on(all.try_collect())
    }

    #[test]
    fn bytes_that_are_not_those_of_the_digest_are_an_error_at_the_end() {
        // FIPS 180-2, appendix B.1.
        let right = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        let sha256 = || Passing::new("sha256").unwrap();
        let passing = sha256();
        assert_eq!(through(&passing, right).unwrap().concat(), b"abc");
        assert_eq!(passing.so_far(), (right.to_owned(), 3));
        let error = through(&sha256(), &right.replace('b', "c")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt);
        assert!(Passing::new("md5").is_none());
    }
}
