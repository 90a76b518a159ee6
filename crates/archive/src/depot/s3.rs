use object_store::aws::{AmazonS3, AmazonS3Builder, S3ConditionalPut};

use super::failed;
use crate::Result;

/// The client of an S3 bucket, for [`Depot::multipart`](super::Depot::multipart).
///
/// Its TLS is ring's, which is installed as the process's provider of rustls unless there is one
/// already; without one the builder's own `build` panics. Conditional writes are on.
///
/// # Errors
/// [`Error::Io`](crate::Error::Io) with what the builder lacks.
///
/// ```
/// use std::sync::Arc;
///
/// use object_store::aws::AmazonS3Builder;
/// use stillpoint_archive::depot::{Depot, s3};
///
/// let bucket = AmazonS3Builder::new()
///     .with_bucket_name("snapshots")
///     .with_region("eu-central-1")
///     .with_access_key_id("key")
///     .with_secret_access_key("secret");
/// let depot = Depot::multipart(Arc::new(s3(bucket)?), "prod")?;
/// # let _ = depot;
/// # Ok::<(), stillpoint_archive::Error>(())
/// ```
pub fn s3(bucket: AmazonS3Builder) -> Result<AmazonS3> {
    // Somebody else's that was first is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    bucket
        .with_conditional_put(S3ConditionalPut::ETagMatch)
        .build()
        .map_err(failed("configuring S3"))
}
