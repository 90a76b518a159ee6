//! A depot in memory and in a local folder: uploads that are cut off, ids that are taken, requests.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use object_store::local::LocalFileSystem;
use object_store::memory::InMemory;
use object_store::{ObjectStore, ObjectStoreExt as _, PutPayload};
use stillpoint_archive::depot::Depot;
use stillpoint_archive::{Archive, Assurance, EntryOptions, Error, WriteOptions, create};

fn archive(folder: &Path, name: &str, large: usize) -> PathBuf {
    let path = folder.join(name);
    create(&path, &WriteOptions::new().deterministic(), |writer| {
        writer.bytes(
            "greeting.txt",
            format!("hello from {name}"),
            &EntryOptions::new(),
        )?;
        let line = |n: usize| format!("{n} {:x}\n", n.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let text: String = (0..large / 20).map(line).collect();
        writer.bytes("pg_data", text, &EntryOptions::new())
    })
    .unwrap();
    path
}

#[tokio::test]
async fn archives_go_up_and_come_down() {
    let folder = tempfile::tempdir().unwrap();
    let path = archive(folder.path(), "a.zip", 3 << 20);
    let local = tempfile::tempdir().unwrap();
    let in_folder = LocalFileSystem::new_with_prefix(local.path()).unwrap();
    for (n, depot) in [
        Depot::multipart(Arc::new(InMemory::new()), "depot/x")
            .unwrap()
            .part_size(200_000),
        Depot::new(Arc::new(InMemory::new()), "depot").unwrap(),
        Depot::new(Arc::new(in_folder), "depot").unwrap(),
    ]
    .into_iter()
    .enumerate()
    {
        assert!(matches!(
            depot.open("one").await,
            Err(Error::NoSuchEntry(_))
        ));
        let receipt = depot.upload("one", &path).await.unwrap();
        assert_eq!(receipt.root, Archive::open(&path).unwrap().root());
        assert_eq!(depot.upload("one", &path).await.unwrap(), receipt);
        assert_eq!(depot.list().await.unwrap(), std::slice::from_ref(&receipt));
        let other = archive(folder.path(), &format!("b{n}.zip"), 100);
        assert!(matches!(
            depot.upload("one", &other).await,
            Err(Error::Exists(_))
        ));
        depot.upload("two", &other).await.unwrap();
        let report = depot.verify("one").await.unwrap();
        assert_eq!(report.assurance, Assurance::Verified);

        let back = folder.path().join(format!("back{n}.zip"));
        depot.download("one", &back).await.unwrap();
        assert!(std::fs::read(&back).unwrap() == std::fs::read(&path).unwrap());
        assert!(matches!(
            depot.download("one", &back).await,
            Err(Error::Exists(_))
        ));

        depot.delete("one").await.unwrap();
        depot.delete("one").await.unwrap();
        assert_eq!(depot.list().await.unwrap().len(), 1);
        assert!(matches!(
            depot.open("one").await,
            Err(Error::NoSuchEntry(_))
        ));
        depot.upload("one", &path).await.unwrap();
        assert!(matches!(
            depot.upload("../x", &path).await,
            Err(Error::Unsupported(_))
        ));
    }
}

#[tokio::test]
async fn one_entry_of_a_large_archive_takes_few_requests() {
    let folder = tempfile::tempdir().unwrap();
    let path = archive(folder.path(), "a.zip", 40 << 20);
    let depot = Depot::multipart(Arc::new(InMemory::new()), "depot").unwrap();
    depot.upload("one", &path).await.unwrap();
    let remote = depot.open("one").await.unwrap();
    assert_eq!(remote.archive().entries().len(), 5);
    assert_eq!(remote.requests(), 1);
    assert_eq!(
        remote.read("greeting.txt").await.unwrap(),
        b"hello from a.zip"
    );
    assert!(remote.requests() <= 3, "{}", remote.requests());
    let before = remote.requests();
    let part = remote
        .read_range("pg_data", 17 << 20..(17 << 20) + 9)
        .await
        .unwrap();
    assert_eq!(
        part,
        Archive::open(&path)
            .unwrap()
            .read_range("pg_data", 17 << 20..(17 << 20) + 9)
            .unwrap()
    );
    assert!(
        remote.requests() - before <= 3,
        "{}",
        remote.requests() - before
    );
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

/// Every prefix of the objects an upload puts is a place where it may have been cut off.
#[tokio::test]
async fn an_upload_that_was_cut_off_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let path = archive(folder.path(), "a.zip", 1 << 20);
    for records in 0..4 {
        let store = Arc::new(InMemory::new());
        let depot = Depot::multipart(store.clone(), "depot")
            .unwrap()
            .part_size(100_000);
        // Cut off by a limit on time: the future is dropped where it waits.
        for cut in 0..records * 3 {
            let upload = depot.upload("one", &path);
            let cut = std::time::Duration::from_micros(300 * cut);
            let _ = tokio::time::timeout(cut, upload).await;
            assert!(depot.list().await.unwrap().len() <= 1);
        }
        depot.upload("one", &path).await.unwrap();
        assert_eq!(
            depot.verify("one").await.unwrap().assurance,
            Assurance::Verified
        );
        let left: Vec<_> = futures_util::TryStreamExt::try_collect::<Vec<_>>(store.list(None))
            .await
            .unwrap()
            .into_iter()
            .map(|object| object.location.to_string())
            .collect();
        assert_eq!(left.len(), 3, "{left:?}");
    }
}
