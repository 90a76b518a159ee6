mod check;
mod write;

use std::ops::Range;

use bytes::Bytes;
use futures_core::stream::BoxStream;
use futures_util::StreamExt;
use reqwest::header::{HeaderValue, RANGE};
use stillpoint_core::{Error, ErrorKind, ResourceKind, ResourceRef, Result, World};

use self::check::Passing;
pub use self::write::NewImage;
use crate::cloud::Cloud;
use crate::config::Service;
use crate::session::Call;

/// What is to be known of an image before its bytes are read.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct ImageBytes {
    /// How many there are, as the image is stored: not as large as the disk that is in them.
    pub size: u64,
    /// What they are, in Glance's words: `raw`, `qcow2`.
    pub format: String,
    /// The algorithm and value of their digest, in Glance's words; none where it has none.
    pub digest: Option<(String, String)>,
}

impl Cloud {
    pub(crate) async fn image_bytes(&self, image: &ResourceRef) -> Result<ImageBytes> {
        let id = self.id(image, ResourceKind::Image)?;
        let on = |error: Error| error.on(image.clone());
        let seen = self.session.image(id).await.map_err(on)?;
        let text = |name: &str| seen.property(name).map(ToOwned::to_owned);
        let Some(size) = seen.size.filter(|_| seen.status == "active") else {
            let what = format!("it has no bytes yet, in state `{}`", seen.status);
            return Err(on(
                Error::new(ErrorKind::Precondition, what).advise("Wait for it")
            ));
        };
        Ok(ImageBytes {
            size,
            format: text("disk_format").unwrap_or_default(),
            digest: text("os_hash_algo").zip(text("os_hash_value")),
        })
    }

    pub(crate) async fn download_image(
        &self,
        image: &ResourceRef,
    ) -> Result<BoxStream<'static, Result<Bytes>>> {
        let there = self.image_bytes(image).await?;
        let Some((algorithm, digest)) = there.digest else {
            let what = "Glance keeps no digest of it to check it by";
            return Err(Error::new(ErrorKind::Precondition, what)
                .on(image.clone())
                .advise("Read it as a range, unchecked"));
        };
        let Some(passing) = Passing::new(&algorithm) else {
            let what =
                format!("Glance's digest of it is of `{algorithm}`, which is not known here");
            return Err(Error::new(ErrorKind::Unsupported, what)
                .on(image.clone())
                .advise("Read it as a range, unchecked"));
        };
        let bytes = self.read_image(image, 0..there.size).await?;
        Ok(passing.against(bytes, digest, image.clone()))
    }

    pub(crate) async fn read_image(
        &self,
        image: &ResourceRef,
        range: Range<u64>,
    ) -> Result<BoxStream<'static, Result<Bytes>>> {
        let id = self.id(image, ResourceKind::Image)?;
        let on = |error: Error| error.on(image.clone());
        if range.is_empty() {
            return Ok(futures_util::stream::empty().boxed());
        }
        let wanted = range.end - range.start;
        let header = format!("bytes={}-{}", range.start, range.end - 1);
        let header = HeaderValue::from_str(&header).map_err(|error| {
            on(Error::new(ErrorKind::Internal, "a range that is no header").because(error))
        })?;
        let path = format!("/v2/images/{}/file", crate::api::id(id)?);
        let call = Call::get(Service::Image, path).header(RANGE, header);
        let (status, chunks) = self.session.stream(call).await.map_err(on)?;
        // A store that cannot seek gives all of it, from the start.
        let skip = if status.as_u16() == 206 {
            0
        } else {
            range.start
        };
        let about = image.clone();
        Ok(exactly(chunks, skip, wanted, about).boxed())
    }
}

/// So many bytes after so many others; fewer are an error.
fn exactly(
    chunks: BoxStream<'static, Result<Bytes>>,
    skip: u64,
    wanted: u64,
    about: ResourceRef,
) -> impl futures_core::Stream<Item = Result<Bytes>> + Send + 'static {
    let state = Some((chunks, skip, wanted));
    futures_util::stream::try_unfold(state, move |state| {
        let about = about.clone();
        async move {
            let Some((mut chunks, mut skip, wanted)) = state else {
                return Ok(None);
            };
            loop {
                if wanted == 0 {
                    return Ok(None);
                }
                let Some(chunk) = chunks.next().await else {
                    let what = format!("its bytes broke off, {wanted} before the end");
                    return Err(Error::new(ErrorKind::Unavailable, what)
                        .on(about)
                        .leaving(World::Untouched)
                        .advise("Read the rest again"));
                };
                let mut chunk = chunk?;
                let skipped = skip.min(chunk.len() as u64);
                skip -= skipped;
                let chunk_from = usize::try_from(skipped).unwrap_or(chunk.len());
                let mut rest = chunk.split_off(chunk_from);
                if let Ok(most) = usize::try_from(wanted) {
                    rest.truncate(most);
                }
                if rest.is_empty() {
                    continue;
                }
                let left = wanted - rest.len() as u64;
                return Ok(Some((rest, Some((chunks, skip, left)))));
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::TryStreamExt;
    use proptest::prelude::*;

    fn read(chunks: Vec<Vec<u8>>, skip: u64, wanted: u64) -> Result<Vec<u8>> {
        let chunks = chunks.into_iter().map(|chunk| Ok(Bytes::from(chunk)));
        let about = "prod/image/x".parse().unwrap();
        let stream = exactly(
            futures_util::stream::iter(chunks).boxed(),
            skip,
            wanted,
            about,
        );
        let all = stream.try_fold(Vec::new(), |mut all, chunk| async move {
            all.extend_from_slice(&chunk);
            Ok(all)
        });
        tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap()
            .block_on(all)
    }

    proptest! {
        #[test]
        fn a_range_is_that_range(chunks: Vec<Vec<u8>>, skip in 0u64..300, wanted in 1u64..300) {
            let whole = chunks.concat();
            let end = (skip + wanted) as usize;
            let got = read(chunks, skip, wanted);
            if end <= whole.len() {
                prop_assert_eq!(got.unwrap(), &whole[skip as usize..end]);
            } else {
                prop_assert_eq!(got.unwrap_err().kind(), ErrorKind::Unavailable);
            }
        }
    }
}
