//! What is asked of a store, and in how many requests.

use std::sync::Arc;

use object_store::local::LocalFileSystem;
use object_store::memory::InMemory;
use stillpoint_archive::depot::{Depot, Receipt};
use stillpoint_archive::{Archive, Digest, EntryOptions, WriteOptions, Writer};

use crate::store::{Fault, Watched};
use crate::{archive, tree};

/// A request that sends all of an archive would be cut off by the client, however fast it is.
#[tokio::test]
async fn no_request_is_for_more_than_a_piece() {
    let folder = tempfile::tempdir().unwrap();
    let path = archive(folder.path(), "a.zip", 60 << 20);
    let size = path.metadata().unwrap().len();
    assert!(size > 20 << 20, "{size}");
    let store = Arc::new(Watched::new(Arc::new(InMemory::new()), Fault::None));
    let depot = Depot::multipart(Arc::clone(&store), "depot").unwrap();
    depot.upload("one", &path).await.unwrap();
    depot.verify("one").await.unwrap();
    let back = folder.path().join("back.zip");
    depot.download("one", &back).await.unwrap();
    assert!(std::fs::read(&back).unwrap() == std::fs::read(&path).unwrap());
    assert_eq!(store.largest(), 8 << 20);
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
