//! Uploads that are cut off, overtaken or taken back, and go on.

use std::sync::Arc;

use futures_util::TryStreamExt as _;
use object_store::memory::InMemory;
use object_store::multipart::MultipartStore as _;
use object_store::{ObjectStore as _, ObjectStoreExt as _};
use stillpoint_archive::Assurance;
use stillpoint_archive::depot::Depot;

use crate::store::{Fault, Watched};
use crate::{archive, listed};

/// At each request an upload makes, once before its effect and once after it.
#[tokio::test]
async fn an_upload_that_was_cut_off_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let path = archive(folder.path(), "a.zip", 200_000);
    let upload = async |store: &Arc<InMemory>, fault| {
        let store = Arc::new(Watched::new(Arc::clone(store), fault));
        let depot = Depot::multipart(Arc::clone(&store), "depot").unwrap();
        let uploaded = depot.part_size(20_000).upload("one", &path).await;
        (uploaded, store.requests())
    };
    let (whole, requests) = upload(&Arc::new(InMemory::new()), Fault::None).await;
    let receipt = whole.unwrap();
    assert!(requests > 20, "{requests}");
    for at in 0..requests {
        for fault in [Fault::Unreachable(at), Fault::AnswerLost(at)] {
            let store = Arc::new(InMemory::new());
            let (cut_off, made) = upload(&store, fault).await;
            assert!(made > at, "{fault:?}");
            let depot = Depot::multipart(Arc::clone(&store), "depot").unwrap();
            let there = listed(&depot).await;
            match cut_off {
                // Cut off after its receipt, which is all that counts.
                Ok(cut_off) => assert_eq!(there, [cut_off], "{fault:?}"),
                // The receipt is there, and nobody has heard.
                Err(_) if matches!(fault, Fault::AnswerLost(_)) => {}
                Err(_) => assert!(there.is_empty(), "{fault:?}"),
            }
            for listed in there {
                assert_eq!(listed, receipt, "{fault:?}");
                depot.verify("one").await.unwrap();
            }
            let (again, _) = upload(&store, Fault::None).await;
            assert_eq!(again.unwrap(), receipt, "{fault:?}");
            let verified = depot.verify("one").await.unwrap();
            assert_eq!(verified.assurance, Assurance::Verified);
            let left: Vec<_> = store.list(None).try_collect().await.unwrap();
            assert_eq!(left.len(), 3, "{fault:?}: {left:?}");
        }
    }
}

#[tokio::test]
async fn parts_the_store_has_are_not_sent_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = archive(folder.path(), "a.zip", 1 << 20);
    let store = Arc::new(InMemory::new());
    let part_size = 100_000;
    let depot = |fault| {
        let store = Arc::new(Watched::new(Arc::clone(&store), fault));
        let depot = Depot::multipart(Arc::clone(&store), "depot").unwrap();
        (depot.part_size(part_size), store)
    };
    let parts = path.metadata().unwrap().len().div_ceil(part_size as u64);
    let (first, _) = depot(Fault::Unreachable(20));
    first.upload("one", &path).await.unwrap_err();
    let recorded: Vec<_> = store.list(None).try_collect().await.unwrap();
    let is_part = |key: &object_store::path::Path| key.as_ref().contains("/part-");
    let recorded = recorded.iter().filter(|o| is_part(&o.location)).count() as u64;
    assert!((2..parts).contains(&recorded), "{recorded} of {parts}");
    let (second, watched) = depot(Fault::None);
    second.upload("one", &path).await.unwrap();
    assert_eq!(watched.parts(), parts - recorded);
}

/// S3 drops uploads that were left alone, where a rule of the bucket says so.
#[tokio::test]
async fn an_upload_the_store_forgot_begins_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = archive(folder.path(), "a.zip", 200_000);
    let (store, depot) = crate::cut_off(&path).await;
    let started = object_store::path::Path::from("depot/one/upload/started.json");
    let record = store.get(&started).await.unwrap().bytes().await.unwrap();
    let record: serde_json::Value = serde_json::from_slice(&record).unwrap();
    let id = record["multipart_id"].as_str().unwrap().to_owned();
    store.abort_multipart(&started, &id).await.unwrap();
    let again = depot(Fault::Forgets).upload("one", &path).await.unwrap();
    assert_eq!(listed(&depot(Fault::None)).await, [again]);
    depot(Fault::None).verify("one").await.unwrap();
}

/// An engine that stood still wakes in the middle of an upload, which another one has ended.
#[tokio::test]
async fn an_upload_that_another_ended_meanwhile_is_done() {
    let folder = tempfile::tempdir().unwrap();
    let path = archive(folder.path(), "a.zip", 200_000);
    let counted = Arc::new(Watched::new(Arc::new(InMemory::new()), Fault::None));
    let depot = Depot::multipart(Arc::clone(&counted), "depot").unwrap();
    let receipt = depot.part_size(20_000).upload("one", &path).await.unwrap();
    for at in 0..counted.requests() {
        let store = Arc::new(InMemory::new());
        let other = Depot::multipart(Arc::clone(&store), "depot").unwrap();
        let other = other.part_size(20_000);
        let (ends, from) = (other.clone(), path.clone());
        let slow = Watched::new(Arc::clone(&store), Fault::Forgets);
        let slow = slow.meanwhile(at, async move {
            ends.upload("one", from).await.unwrap();
        });
        let slow = Depot::multipart(Arc::new(slow), "depot").unwrap();
        let woke = slow.part_size(20_000).upload("one", &path).await;
        assert_eq!(woke.unwrap(), receipt, "request {at}");
        assert_eq!(
            listed(&other).await,
            std::slice::from_ref(&receipt),
            "request {at}"
        );
        other.verify("one").await.unwrap();
        let left: Vec<_> = store.list(None).try_collect().await.unwrap();
        assert_eq!(left.len(), 3, "request {at}: {left:?}");
    }
}

/// What the store has of an upload is known by its record alone.
#[tokio::test]
async fn the_record_of_an_upload_stays_until_it_is_ended() {
    let folder = tempfile::tempdir().unwrap();
    let path = archive(folder.path(), "a.zip", 200_000);
    let (store, depot) = crate::cut_off(&path).await;
    let before: Vec<_> = store.list(None).try_collect().await.unwrap();
    depot(Fault::NoAborts).delete("one").await.unwrap_err();
    let after: Vec<_> = store.list(None).try_collect().await.unwrap();
    assert_eq!(after, before);
    depot(Fault::None).delete("one").await.unwrap();
    let left: Vec<_> = store.list(None).try_collect().await.unwrap();
    assert!(left.is_empty(), "{left:?}");
}

/// An upload that has no record is ended at once: nobody could do so later on.
#[tokio::test]
async fn an_upload_that_was_not_recorded_is_ended() {
    let folder = tempfile::tempdir().unwrap();
    let path = archive(folder.path(), "a.zip", 1000);
    let store = Arc::new(Watched::new(Arc::new(InMemory::new()), Fault::NoRecord));
    let depot = Depot::multipart(Arc::clone(&store), "depot").unwrap();
    depot.upload("one", &path).await.unwrap_err();
    assert_eq!((store.begun(), store.aborted()), (1, 1));
    // Somebody else was first: theirs goes on.
    let shared = Arc::new(InMemory::new());
    let first = Depot::multipart(Arc::clone(&shared), "depot").unwrap();
    let cut = Watched::new(Arc::clone(&shared), Fault::NoParts);
    let cut = Depot::multipart(Arc::new(cut), "depot").unwrap();
    let from = path.clone();
    let second = Watched::new(Arc::clone(&shared), Fault::None);
    let second = Arc::new(second.before_begin(async move {
        cut.upload("one", from).await.unwrap_err();
    }));
    let joined = Depot::multipart(Arc::clone(&second), "depot").unwrap();
    joined.upload("one", &path).await.unwrap();
    assert_eq!((second.begun(), second.aborted()), (1, 1));
    first.verify("one").await.unwrap();
}
