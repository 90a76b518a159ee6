//! Stores that are not what they should be, or whose contents somebody else has written.

use std::io::ErrorKind;
use std::sync::Arc;

use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStoreExt as _, PutPayload};
use serde_json::{Value, json};
use stillpoint_archive::depot::Depot;
use stillpoint_archive::{Error, Refusal};

use crate::store::{Fault, Watched};
use crate::{archive, listed};

/// An error that says which of the depot's records is wrong.
fn is_bad_record(error: &Error) -> bool {
    matches!(error.refusal(), Some(Refusal::BadDocument { .. }))
}

async fn put(store: &InMemory, key: &str, bytes: Vec<u8>) {
    store.put(&Path::from(key), bytes.into()).await.unwrap();
}

async fn get(store: &InMemory, key: &str) -> Value {
    let found = store.get(&Path::from(key)).await.unwrap();
    serde_json::from_slice(&found.bytes().await.unwrap()).unwrap()
}

#[tokio::test]
async fn a_changed_archive_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let path = archive(folder.path(), "a.zip", 1000);
    let store = Arc::new(InMemory::new());
    let depot = Depot::multipart(store.clone(), "depot").unwrap();
    depot.upload("one", &path).await.unwrap();
    let key = object_store::path::Path::from("depot/one/archive.zip");
    let mut bytes = store
        .get(&key)
        .await
        .unwrap()
        .bytes()
        .await
        .unwrap()
        .to_vec();
    let at = bytes.len() / 2;
    bytes[at] ^= 1;
    store.put(&key, PutPayload::from(bytes)).await.unwrap();
    assert!(depot.verify("one").await.unwrap_err().refusal().is_some());
    let back = folder.path().join("back.zip");
    assert!(
        depot
            .download("one", &back)
            .await
            .unwrap_err()
            .refusal()
            .is_some()
    );
    assert!(!back.exists());
}

/// A store that ignores "only if absent" would give one id to two archives.
#[tokio::test]
async fn a_store_without_conditional_writes_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = archive(folder.path(), "a.zip", 1000);
    let store = Arc::new(Watched::new(Arc::new(InMemory::new()), Fault::NoConditions));
    let depot = Depot::multipart(Arc::clone(&store), "depot").unwrap();
    // Again, too: the first leaves nothing that the second could take for its own.
    for _ in 0..2 {
        let refused = depot.upload("one", &path).await.unwrap_err();
        assert!(matches!(refused, Error::Unsupported(_)), "{refused}");
        assert!(refused.to_string().contains("only if absent"), "{refused}");
    }
    assert!(listed(&depot).await.is_empty());
}

#[tokio::test]
async fn without_its_receipt_an_archive_is_not_there() {
    let folder = tempfile::tempdir().unwrap();
    let path = archive(folder.path(), "a.zip", 1000);
    let store = Arc::new(InMemory::new());
    let depot = Depot::new(store.clone(), "depot").unwrap();
    depot.upload("one", &path).await.unwrap();
    let key = |id: &str| object_store::path::Path::from(format!("depot/{id}/archive.zip"));
    // Another whole archive in its place: shorter, longer, and perhaps as long.
    for (id, large) in [("short", 100), ("long", 5000), ("two", 1000)] {
        let other = archive(folder.path(), &format!("{id}.zip"), large);
        depot.upload(id, &other).await.unwrap();
        store.copy(&key(id), &key("one")).await.unwrap();
        for error in [
            depot.open("one").await.map(drop).unwrap_err(),
            depot.verify("one").await.map(drop).unwrap_err(),
        ] {
            assert!(error.refusal().is_some(), "{id}: {error}");
        }
    }
    let receipt = object_store::path::Path::from("depot/two/receipt.json");
    store.delete(&receipt).await.unwrap();
    for gone in [
        depot.open("two").await.map(drop),
        depot.verify("two").await.map(drop),
        depot
            .download("two", folder.path().join("x"))
            .await
            .map(drop),
    ] {
        assert!(matches!(gone, Err(Error::NoSuchEntry(_))), "{gone:?}");
    }
}

/// A store decides how much it sends, and not how much is written here.
#[tokio::test]
async fn a_store_that_sends_more_than_it_was_asked_for_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = archive(folder.path(), "a.zip", 1000);
    let store = Arc::new(InMemory::new());
    let depot = Depot::multipart(store.clone(), "depot").unwrap();
    depot.upload("one", &path).await.unwrap();
    let endless = Watched::new(store.clone(), Fault::SendsMore);
    let endless = Depot::new(Arc::new(endless), "depot").unwrap();
    let back = folder.path().join("back.zip");
    for error in [
        endless.verify("one").await.map(drop).unwrap_err(),
        endless.download("one", &back).await.map(drop).unwrap_err(),
        endless.open("one").await.map(drop).unwrap_err(),
    ] {
        assert!(is_bad_record(&error), "{error}");
    }
    assert!(!back.exists());
    // What is behind the archive's end in its object is not the archive.
    let mut longer = std::fs::read(&path).unwrap();
    longer.push(0);
    put(&store, "depot/one/archive.zip", longer).await;
    let error = depot.verify("one").await.unwrap_err();
    assert!(is_bad_record(&error), "{error}");
}

#[tokio::test]
async fn a_record_has_an_end() {
    let folder = tempfile::tempdir().unwrap();
    let path = archive(folder.path(), "a.zip", 1000);
    let store = Arc::new(InMemory::new());
    let depot = Depot::multipart(store.clone(), "depot").unwrap();
    depot.upload("one", &path).await.unwrap();
    let mut receipt = get(&store, "depot/one/receipt.json").await;
    receipt["more"] = json!("x".repeat(64 << 10));
    let receipt = serde_json::to_vec(&receipt).unwrap();
    put(&store, "depot/one/receipt.json", receipt).await;
    let error = depot.receipt("one").await.unwrap_err();
    assert!(is_bad_record(&error), "{error}");
}

/// Parts of no byte have no number, and parts of any size would be held in memory.
#[tokio::test]
async fn parts_of_a_size_that_no_upload_has_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = archive(folder.path(), "a.zip", 200_000);
    let (store, depot) = crate::cut_off(&path).await;
    let key = "depot/one/upload/started.json";
    let whole = get(&store, key).await;
    for size in [0, 1, (64 << 20) + 1, u64::MAX] {
        let mut started = whole.clone();
        started["part_size"] = json!(size);
        put(&store, key, serde_json::to_vec(&started).unwrap()).await;
        let error = depot(Fault::None).upload("one", &path).await.unwrap_err();
        assert!(is_bad_record(&error), "{size}: {error}");
    }
    put(&store, key, serde_json::to_vec(&whole).unwrap()).await;
    depot(Fault::None).upload("one", &path).await.unwrap();
}

/// What is below a depot's prefix may be anybody's; it hides no archive.
#[tokio::test]
async fn one_bad_receipt_hides_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let path = archive(folder.path(), "a.zip", 1000);
    let store = Arc::new(InMemory::new());
    let depot = Depot::multipart(store.clone(), "depot").unwrap();
    let good = depot.upload("one", &path).await.unwrap();
    put(&store, "depot/.trash/x", Vec::new()).await;
    put(&store, "depot/lost+found/receipt.json", Vec::new()).await;
    assert_eq!(listed(&depot).await, std::slice::from_ref(&good));
    put(&store, "depot/broken/receipt.json", b"{".to_vec()).await;
    // A good receipt, and another archive's.
    let receipt = serde_json::to_vec(&good).unwrap();
    put(&store, "depot/posing/receipt.json", receipt).await;
    let listing = depot.list().await.unwrap();
    assert_eq!(listing.archives, [good]);
    let refused = listing.refused.iter().map(|(id, _)| id.as_str());
    assert_eq!(refused.collect::<Vec<_>>(), ["broken", "posing"]);
    for (id, error) in &listing.refused {
        assert!(is_bad_record(error), "{id}: {error}");
    }
    assert!(is_bad_record(&depot.receipt("posing").await.unwrap_err()));
}

/// Who may do nothing there hears that, and not that the store is away.
#[tokio::test]
async fn what_a_person_has_to_mend_is_told_from_what_passes() {
    let folder = tempfile::tempdir().unwrap();
    let path = archive(folder.path(), "a.zip", 1000);
    let kind = |error: Error| match error {
        Error::Io { source, .. } => source.kind(),
        other => panic!("{other}"),
    };
    for (fault, wanted) in [
        (Fault::Denied, ErrorKind::PermissionDenied),
        (Fault::Unreachable(0), ErrorKind::Other),
    ] {
        let store = Arc::new(Watched::new(Arc::new(InMemory::new()), fault));
        let depot = Depot::multipart(store, "depot").unwrap();
        let errors = [
            depot.check().await.unwrap_err(),
            depot.upload("one", &path).await.unwrap_err(),
            depot.open("one").await.map(drop).unwrap_err(),
            depot.list().await.map(drop).unwrap_err(),
        ];
        for error in errors {
            assert_eq!(kind(error), wanted, "{fault:?}");
        }
    }
    let there = Depot::new(Arc::new(InMemory::new()), "depot").unwrap();
    there.check().await.unwrap();
}
