//! Bytes that are given as long as they move, however long all of them take.

use std::time::Duration;

use bytes::Bytes;
use futures_core::stream::BoxStream;
use futures_util::StreamExt;
use stillpoint_core::Result;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use crate::config::Service;
use crate::failure::late;

/// The bytes of a reply, and an error where the next do not come in time.
pub(crate) fn coming(
    service: Service,
    bytes: BoxStream<'static, Result<Bytes>>,
    patience: Duration,
) -> BoxStream<'static, Result<Bytes>> {
    let next = move |bytes: Option<BoxStream<'static, Result<Bytes>>>| async move {
        let mut bytes = bytes?;
        match timeout(patience, bytes.next()).await {
            Ok(chunk) => Some((chunk?, Some(bytes))),
            Err(_) => Some((Err(late(&service, false)), None)),
        }
    };
    futures_util::stream::unfold(Some(bytes), next).boxed()
}

/// The bytes of a request, and what tells that they go.
pub(crate) fn going(
    bytes: BoxStream<'static, Result<Bytes>>,
) -> (BoxStream<'static, Result<Bytes>>, Going) {
    let (gone, seen) = watch::channel(());
    let bytes = bytes.inspect(move |_| gone.send_replace(()));
    (bytes.boxed(), Going(seen))
}

/// Whether bytes go: changed by each chunk, and closed behind the last.
pub(crate) struct Going(watch::Receiver<()>);

impl Going {
    /// Ends when no chunk went for so long, or no answer came so long after the last.
    pub(crate) async fn stopped(mut self, each: Duration, answer: Duration) {
        while let Ok(went) = timeout(each, self.0.changed()).await {
            if went.is_err() {
                return sleep(answer).await;
            }
        }
    }
}
