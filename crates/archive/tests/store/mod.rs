//! A store that counts what is asked of it, and can fail from one request on, as a process that is
//! killed does: before the request has its effect, or after it and before its answer.

// Each test that has this module uses a part of it, for itself.
#![allow(dead_code, unreachable_pub)]

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use futures_util::StreamExt as _;
use futures_util::stream::{self, BoxStream};
use object_store::multipart::{MultipartStore, PartId};
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartId, MultipartUpload,
    ObjectMeta, ObjectStore, PutMode, PutMultipartOptions, PutOptions, PutPayload, PutResult,
    Result,
};

/// What goes wrong, and at which request, counted from 0.
#[derive(Clone, Copy, Debug)]
pub enum Fault {
    /// The request has its effect, its answer is lost, and nothing gets through any more.
    AnswerLost(u64),
    /// Parts for an upload that is gone are refused as S3 does it.
    Forgets,
    /// The process ends, with nothing of it run to an end.
    Killed(u64),
    /// The condition of a conditional write is ignored.
    NoConditions,
    None,
    /// From here on nothing gets through.
    Unreachable(u64),
}

#[derive(Debug)]
pub struct Watched<S> {
    inner: Arc<S>,
    fault: Fault,
    requests: AtomicU64,
    parts: AtomicU64,
}

impl<S> Watched<S> {
    pub fn new(inner: Arc<S>, fault: Fault) -> Self {
        Watched {
            inner,
            fault,
            requests: AtomicU64::new(0),
            parts: AtomicU64::new(0),
        }
    }

    pub fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    /// Parts of multipart uploads that were sent.
    pub fn parts(&self) -> u64 {
        self.parts.load(Ordering::Relaxed)
    }

    async fn pass<T>(&self, request: impl Future<Output = Result<T>>) -> Result<T> {
        let number = self.requests.fetch_add(1, Ordering::Relaxed);
        match self.fault {
            Fault::Killed(at) if number >= at => std::process::abort(),
            Fault::Unreachable(at) if number >= at => Err(gone()),
            Fault::AnswerLost(at) if number > at => Err(gone()),
            Fault::AnswerLost(at) if number == at => request.await.and(Err(gone())),
            _ => request.await,
        }
    }
}

fn gone() -> Error {
    Error::Generic {
        store: "Watched",
        source: "the process is gone".into(),
    }
}

impl<S> fmt::Display for Watched<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Watched")
    }
}

#[async_trait]
impl<S: ObjectStore> ObjectStore for Watched<S> {
    async fn put_opts(
        &self,
        to: &Path,
        bytes: PutPayload,
        mut how: PutOptions,
    ) -> Result<PutResult> {
        if matches!(self.fault, Fault::NoConditions) {
            how.mode = PutMode::Overwrite;
        }
        self.pass(self.inner.put_opts(to, bytes, how)).await
    }

    async fn put_multipart_opts(
        &self,
        to: &Path,
        how: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.pass(self.inner.put_multipart_opts(to, how)).await
    }

    async fn get_opts(&self, from: &Path, how: GetOptions) -> Result<GetResult> {
        self.pass(self.inner.get_opts(from, how)).await
    }

    fn delete_stream(
        &self,
        keys: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        let number = self.requests.fetch_add(1, Ordering::Relaxed);
        match self.fault {
            Fault::Killed(at) if number >= at => std::process::abort(),
            Fault::Unreachable(at) if number >= at => stream::iter([Err(gone())]).boxed(),
            Fault::AnswerLost(at) if number > at => stream::iter([Err(gone())]).boxed(),
            Fault::AnswerLost(at) if number == at => {
                let deleted = self.inner.delete_stream(keys);
                deleted.map(|done| done.and(Err(gone()))).boxed()
            }
            _ => self.inner.delete_stream(keys),
        }
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.pass(self.inner.list_with_delimiter(prefix)).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, how: CopyOptions) -> Result<()> {
        self.pass(self.inner.copy_opts(from, to, how)).await
    }
}

#[async_trait]
impl<S: MultipartStore> MultipartStore for Watched<S> {
    async fn create_multipart(&self, to: &Path) -> Result<MultipartId> {
        self.pass(self.inner.create_multipart(to)).await
    }

    async fn put_part(
        &self,
        to: &Path,
        id: &MultipartId,
        number: usize,
        bytes: PutPayload,
    ) -> Result<PartId> {
        self.parts.fetch_add(1, Ordering::Relaxed);
        let put = self.inner.put_part(to, id, number, bytes);
        self.pass(put).await.map_err(|e| match self.fault {
            Fault::Forgets => Error::NotFound {
                path: to.to_string(),
                source: e.into(),
            },
            _ => e,
        })
    }

    async fn complete_multipart(
        &self,
        to: &Path,
        id: &MultipartId,
        parts: Vec<PartId>,
    ) -> Result<PutResult> {
        self.pass(self.inner.complete_multipart(to, id, parts))
            .await
    }

    async fn abort_multipart(&self, to: &Path, id: &MultipartId) -> Result<()> {
        self.pass(self.inner.abort_multipart(to, id)).await
    }
}
