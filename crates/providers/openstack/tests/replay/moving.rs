//! What takes long and moves, and what does not move.

use std::time::Duration;

use bytes::Bytes;
use futures_core::stream::BoxStream;
use futures_util::{StreamExt, TryStreamExt};
use serde_json::{Value, json};
use stillpoint_core::{ErrorKind, Result, World};
use stillpoint_openstack::{NewImage, OpenStack};

use crate::bed::{config, key, reference, submit, take};
use crate::server::{Answer, Replay};
use crate::servers::{SERVER, on_server, with_server};

const PATIENCE: Duration = Duration::from_secs(1);

/// Longer than one call is waited for, and shorter than a slow one.
const LONG: Duration = Duration::from_millis(1700);

const IMAGE: &str = "/image/v2/images/i";

fn provider(replay: &Replay) -> OpenStack {
    let builder = OpenStack::builder("prod", config(&replay.url));
    builder.timeout(PATIENCE).build().unwrap()
}

fn image(size: usize) -> Answer {
    let body = json!({"id": "i", "status": "active", "size": size, "disk_format": "raw"});
    Answer::new(200, body)
}

/// So many chunks, one each time.
fn chunks(each: &'static str, count: usize, every: Duration) -> BoxStream<'static, Result<Bytes>> {
    let chunks = futures_util::stream::iter(0..count).then(move |_| async move {
        tokio::time::sleep(every).await;
        Ok(Bytes::from_static(each.as_bytes()))
    });
    chunks.boxed()
}

async fn with_upload() -> Replay {
    let replay = Replay::new().await;
    let none = json!({"images": []});
    replay.on("GET", "/image/v2/images", Answer::new(200, none));
    replay.on("POST", "/image/v2/images", image(0));
    replay.on("DELETE", IMAGE, Answer::new(204, Value::Null));
    replay
}

#[tokio::test]
async fn an_upload_that_moves_takes_as_long_as_it_takes() {
    let replay = with_upload().await;
    let mut stored = Answer::new(204, Value::Null);
    stored.after = LONG;
    replay.on("PUT", &format!("{IMAGE}/file"), stored);
    // Glance knows no digest of its own, so what is there is read back.
    replay.on("GET", IMAGE, image(7));
    replay.on(
        "GET",
        &format!("{IMAGE}/file"),
        Answer::new(200, json!(1234567)),
    );
    let new = NewImage::new("in", "raw");
    let bytes = chunks("1", 1, PATIENCE / 2)
        .chain(chunks("2", 1, PATIENCE / 2))
        .chain(chunks("3", 1, PATIENCE / 2))
        .chain(chunks("4567", 1, PATIENCE / 2));
    let prod = provider(&replay);
    let made = prod.upload_image(&key(), &new, bytes.boxed()).await;
    assert_eq!(made.unwrap(), reference("image/i"));
    assert!(replay.asked("DELETE", IMAGE).is_empty());
}

#[tokio::test]
async fn an_upload_that_stops_ends_and_leaves_nothing() {
    for (every, stored) in [
        (PATIENCE * 100, Duration::ZERO),
        (Duration::ZERO, PATIENCE * 100),
    ] {
        let replay = with_upload().await;
        let mut answer = Answer::new(204, Value::Null);
        answer.after = stored;
        replay.on("PUT", &format!("{IMAGE}/file"), answer);
        let new = NewImage::new("in", "raw");
        let (prod, key) = (provider(&replay), key());
        let made = prod.upload_image(&key, &new, chunks("1", 3, every));
        let ended = tokio::time::timeout(PATIENCE * 20, made).await;
        let error = ended.expect("it ends").unwrap_err();
        assert_eq!(
            (error.kind(), error.world()),
            (ErrorKind::Timeout, World::RolledBack)
        );
        assert_eq!(replay.asked("DELETE", IMAGE).len(), 1);
    }
}

#[tokio::test]
async fn a_download_that_stops_ends() {
    let replay = Replay::new().await;
    let mut stops = Answer::new(200, json!(1234567));
    stops.between = PATIENCE * 100;
    replay.on("GET", &format!("{IMAGE}/file"), stops);
    let prod = provider(&replay);
    let bytes = prod.read_image(&reference("image/i"), 0..7).await.unwrap();
    let ended = tokio::time::timeout(PATIENCE * 20, bytes.try_collect::<Vec<_>>()).await;
    let error = ended.expect("it ends").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
}

#[tokio::test]
async fn a_slow_call_is_given_longer_than_others() {
    let replay = Replay::new().await;
    with_server(&replay, "ACTIVE", None, Value::Null);
    let mut slow = Answer::recorded("02-image-backed-snapshot", 2);
    slow.after = LONG;
    replay.on("POST", &on_server("/action"), slow);
    let take = take(&format!("root-of-{SERVER}"));
    let made = submit(&provider(&replay), &take).await.unwrap();
    assert_eq!(made, "fc1d8c31-e678-4f6a-a4bd-0e603c5586ee");
}
