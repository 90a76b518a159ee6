//! A panic below the engine, ours or an embedder's, as an error: what panicked fails, and whoever
//! waits for it is told; nothing else stops.

use std::any::Any;
use std::panic::AssertUnwindSafe;

use futures_util::FutureExt;
use stillpoint_core::{Error, ErrorKind, Result};

/// What the future gives; or [`ErrorKind::Internal`], with what was panicked with.
///
/// What it leaves behind is as after a crash at that point: nothing of it is used again but what
/// is durable, and what [`lock`](crate::shared::lock) guards.
pub(crate) async fn caught<T>(what: &str, future: impl Future<Output = T>) -> Result<T> {
    let output = AssertUnwindSafe(future).catch_unwind().await;
    output.map_err(|panic| {
        let message = format!("{what} panicked: {}", said(&*panic));
        Error::new(ErrorKind::Internal, message).advise(
            "Report it: it is a bug, here or in a provider. A job goes on with the next run",
        )
    })
}

fn said(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("nothing that could be shown")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_is_an_error_that_says_what_was_said() {
        let number = 7;
        for (future, says) in [
            (
                async { panic!("number {number}") }.boxed(),
                "it panicked: number 7",
            ),
            (async { panic!("plain") }.boxed(), "it panicked: plain"),
            (
                async { std::panic::panic_any(7) }.boxed(),
                "it panicked: nothing that could be shown",
            ),
        ] {
            let error = caught::<()>("it", future).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Internal);
            assert!(error.to_string().contains(says), "{error}");
        }
        assert_eq!(caught("it", async { number }).await.unwrap(), 7);
    }
}
