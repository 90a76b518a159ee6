//! A depot in memory and in a local folder: uploads that are cut off, ids that are taken, requests.

mod store;
mod tree;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures_util::TryStreamExt as _;
use object_store::local::LocalFileSystem;
use object_store::memory::InMemory;
use object_store::multipart::MultipartStore as _;
use object_store::{ObjectStore, ObjectStoreExt as _, PutPayload};
use stillpoint_archive::depot::{Depot, Receipt};
use stillpoint_archive::{
    Archive, Assurance, Digest, EntryOptions, Error, WriteOptions, Writer, create,
};
use store::{Fault, Watched};

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
    let path = archive(folder.path(), "a.zip", 20 << 20);
    let store = Arc::new(Watched::new(Arc::new(InMemory::new()), Fault::None));
    let depot = Depot::multipart(Arc::clone(&store), "depot").unwrap();
    depot.upload("one", &path).await.unwrap();
    let local = Archive::open(&path).unwrap();
    let before = store.requests();
    let remote = depot.open("one").await.unwrap();
    assert_eq!(remote.archive().entries().len(), 5);
    assert_eq!(store.requests() - before, 2);
    let hello = remote.read("greeting.txt").await.unwrap();
    assert_eq!(hello, b"hello from a.zip");
    assert_eq!(store.requests() - before, 3);
    assert_eq!(remote.requests(), store.requests() - before);
    remote.read("greeting.txt").await.unwrap();
    assert_eq!(store.requests() - before, 3, "it is still at hand");
    let range = 9 << 20..(9 << 20) + 9;
    let part = remote.read_range("pg_data", range.clone()).await.unwrap();
    assert_eq!(part, local.read_range("pg_data", range).unwrap());
    // Its header, and the chunk.
    assert_eq!(store.requests() - before, 5);
}

/// A file of which zeros are not written.
struct Sparse(std::fs::File);

impl std::io::Write for Sparse {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        use std::io::Seek as _;

        let n = bytes.len().min(4096);
        if bytes[..n].iter().any(|byte| *byte != 0) {
            return self.0.write(&bytes[..n]);
        }
        self.0.seek_relative(n as i64)?;
        Ok(n)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
#[ignore = "hashes 10 GiB, two minutes: by hand"]
async fn one_entry_of_ten_gib_takes_four_requests() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("depot/one");
    std::fs::create_dir_all(&place).unwrap();
    let path = place.join("archive.zip");
    let sink = Sparse(std::fs::File::create(&path).unwrap());
    let mut writer = Writer::stream(sink, &WriteOptions::new()).unwrap();
    let mut disk = writer.entry("disk.img", &EntryOptions::new()).unwrap();
    // Zeros that are taken for noise, as it is looked for in three places, and stored.
    let mut chunk = vec![0; 1 << 20];
    let noise = tree::noise(16 << 10, 3);
    for at in [0, 504 << 10, 1008 << 10] {
        chunk[at..at + noise.len()].copy_from_slice(&noise);
    }
    for _ in 0..10 << 10 {
        std::io::Write::write_all(&mut disk, &chunk).unwrap();
    }
    disk.finish().unwrap();
    for n in 0..20_000 {
        let name = format!("configuration/{n}.yaml");
        let about = EntryOptions::new();
        writer.bytes(&name, format!("node: {n}"), &about).unwrap();
    }
    let finished = writer.finish().unwrap();
    assert!(finished.size > 10 << 30);
    let receipt = Receipt {
        id: "one".to_owned(),
        size: finished.size,
        sha256: Digest::of(b"not asked for"),
        root: Some(finished.root),
    };
    let receipt = serde_json::to_vec(&receipt).unwrap();
    std::fs::write(place.join("receipt.json"), receipt).unwrap();

    let files = LocalFileSystem::new_with_prefix(folder.path()).unwrap();
    let store = Arc::new(Watched::new(Arc::new(files), Fault::None));
    let depot = Depot::new(store.clone(), "depot").unwrap();
    let remote = depot.open("one").await.unwrap();
    let found = remote.read("configuration/19999.yaml").await.unwrap();
    assert_eq!(found, b"node: 19999");
    assert_eq!(store.requests(), 4);
    let part = remote.read_range("disk.img", 9 << 30..(9 << 30) + 16).await;
    assert_eq!(part.unwrap(), noise[..16]);
    // Its header, what a stream has behind its data, and the chunk.
    assert_eq!(store.requests(), 7);
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
            assert!(cut_off.is_err() && made > at, "{fault:?}");
            let depot = Depot::multipart(Arc::clone(&store), "depot").unwrap();
            for listed in depot.list().await.unwrap() {
                assert_eq!(listed, receipt, "{fault:?}");
                depot.verify("one").await.unwrap();
            }
            let (again, _) = upload(&store, Fault::None).await;
            assert_eq!(again.unwrap(), receipt, "{fault:?}");
            let verified = depot.verify("one").await.unwrap();
            assert_eq!(verified.assurance, Assurance::Verified);
            let left: Vec<_> = store.list(None).try_collect().await.unwrap();
            let tidy = matches!(left.len(), 3) || !depot.list().await.unwrap().is_empty();
            assert!(tidy, "{fault:?}: {left:?}");
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
    let store = Arc::new(InMemory::new());
    let depot = |fault| {
        let store = Arc::new(Watched::new(Arc::clone(&store), fault));
        let depot = Depot::multipart(store, "depot").unwrap();
        depot.part_size(20_000)
    };
    let cut = depot(Fault::Unreachable(20)).upload("one", &path).await;
    cut.unwrap_err();
    let started = object_store::path::Path::from("depot/one/upload/started.json");
    let record = store.get(&started).await.unwrap().bytes().await.unwrap();
    let record: serde_json::Value = serde_json::from_slice(&record).unwrap();
    let id = record["multipart_id"].as_str().unwrap().to_owned();
    store.abort_multipart(&started, &id).await.unwrap();
    let again = depot(Fault::Forgets).upload("one", &path).await.unwrap();
    assert_eq!(depot(Fault::None).list().await.unwrap(), [again]);
    depot(Fault::None).verify("one").await.unwrap();
}

/// A store that ignores "only if absent" would give one id to two archives.
#[tokio::test]
async fn a_store_without_conditional_writes_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = archive(folder.path(), "a.zip", 1000);
    let store = Arc::new(Watched::new(Arc::new(InMemory::new()), Fault::NoConditions));
    let depot = Depot::multipart(Arc::clone(&store), "depot").unwrap();
    let refused = depot.upload("one", &path).await.unwrap_err();
    assert!(matches!(refused, Error::Unsupported(_)), "{refused}");
    assert!(refused.to_string().contains("only if absent"), "{refused}");
    assert!(depot.list().await.unwrap().is_empty());
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
