//! A store that counts what is asked of it, and can fail from one request on, as a process that is
//! killed does: before the request has its effect, or after it and before its answer.

// Each test that has this module uses a part of it, for itself.
#![allow(dead_code, unreachable_pub)]

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::stream::{self, BoxStream};
use futures_util::{FutureExt as _, StreamExt as _};
use object_store::multipart::{MultipartStore, PartId};
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, GetResultPayload, ListResult, MultipartId,
    MultipartUpload, ObjectMeta, ObjectStore, PutMode, PutMultipartOptions, PutOptions, PutPayload,
    PutResult, Result,
};

/// What goes wrong, and at which request, counted from 0.
#[derive(Clone, Copy, Debug)]
pub enum Fault {
    /// The request has its effect, its answer is lost, and nothing gets through any more.
    AnswerLost(u64),
    /// Only this request does not get through.
    Away(u64),
    /// The keys that were given may do nothing.
    Denied,
    /// Parts for an upload that is gone are refused as S3 does it.
    Forgets,
    /// The process ends, with nothing of it run to an end.
    Killed(u64),
    /// Multipart uploads cannot be ended.
    NoAborts,
    /// The condition of a conditional write is ignored.
    NoConditions,
    /// No part arrives.
    NoParts,
    /// The record of an upload does not arrive.
    NoRecord,
    None,
    /// More than was asked for.
    SendsMore,
    /// From here on nothing gets through.
    Unreachable(u64),
}

pub struct Watched<S> {
    inner: Arc<S>,
    fault: Fault,
    requests: AtomicU64,
    parts: AtomicU64,
    largest: AtomicU64,
    begun: AtomicU64,
    aborted: AtomicU64,
    meanwhile: Mutex<Option<(u64, BoxFuture<'static, ()>)>>,
    before_begin: Mutex<Option<BoxFuture<'static, ()>>>,
}

impl<S> Watched<S> {
    pub fn new(inner: Arc<S>, fault: Fault) -> Self {
        Watched {
            inner,
            fault,
            requests: AtomicU64::new(0),
            parts: AtomicU64::new(0),
            largest: AtomicU64::new(0),
            begun: AtomicU64::new(0),
            aborted: AtomicU64::new(0),
            meanwhile: Mutex::new(None),
            before_begin: Mutex::new(None),
        }
    }

    /// What happens elsewhere before this request has its effect.
    pub fn meanwhile(self, at: u64, what: impl Future<Output = ()> + Send + 'static) -> Self {
        let what = Mutex::new(Some((at, what.boxed())));
        Watched {
            meanwhile: what,
            ..self
        }
    }

    /// What happens elsewhere before a multipart upload begins.
    pub fn before_begin(self, what: impl Future<Output = ()> + Send + 'static) -> Self {
        let before_begin = Mutex::new(Some(what.boxed()));
        Watched {
            before_begin,
            ..self
        }
    }

    /// Bytes of the largest answer.
    pub fn largest(&self) -> u64 {
        self.largest.load(Ordering::Relaxed)
    }

    /// Multipart uploads that were begun.
    pub fn begun(&self) -> u64 {
        self.begun.load(Ordering::Relaxed)
    }

    /// Multipart uploads that were ended without their object.
    pub fn aborted(&self) -> u64 {
        self.aborted.load(Ordering::Relaxed)
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
        let meanwhile = self
            .meanwhile
            .lock()
            .unwrap()
            .take_if(|(at, _)| *at == number);
        if let Some((_, meanwhile)) = meanwhile {
            meanwhile.await;
        }
        match self.fault {
            Fault::Away(at) if number == at => Err(gone()),
            Fault::Denied => Err(denied()),
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

fn denied() -> Error {
    Error::PermissionDenied {
        path: "everything".to_owned(),
        source: "these keys may not".into(),
    }
}

impl<S> fmt::Debug for Watched<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Watched")
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
        if matches!(self.fault, Fault::NoRecord) && to.as_ref().ends_with("started.json") {
            return Err(gone());
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
        let mut found = self.pass(self.inner.get_opts(from, how)).await?;
        let sent = found.range.end - found.range.start;
        self.largest.fetch_max(sent, Ordering::Relaxed);
        if matches!(self.fault, Fault::SendsMore) && from.as_ref().ends_with("archive.zip") {
            let more = stream::repeat_with(|| Ok(Bytes::from_static(&[0; 4096])));
            // Far more than is asked for, and an end: what is wrong is not to hang the test.
            found.payload = GetResultPayload::Stream(more.take(10_000).boxed());
        }
        Ok(found)
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
            Fault::Denied => stream::iter([Err(denied())]).boxed(),
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
        let before = self.before_begin.lock().unwrap().take();
        if let Some(before) = before {
            before.await;
        }
        self.begun.fetch_add(1, Ordering::Relaxed);
        self.pass(self.inner.create_multipart(to)).await
    }

    async fn put_part(
        &self,
        to: &Path,
        id: &MultipartId,
        number: usize,
        bytes: PutPayload,
    ) -> Result<PartId> {
        if matches!(self.fault, Fault::NoParts) {
            return Err(gone());
        }
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
        if matches!(self.fault, Fault::NoAborts) {
            return Err(gone());
        }
        self.aborted.fetch_add(1, Ordering::Relaxed);
        self.pass(self.inner.abort_multipart(to, id)).await
    }
}
