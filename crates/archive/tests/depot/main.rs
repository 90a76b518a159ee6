//! A depot in memory and in a local folder: uploads that are cut off, ids that are taken, requests.

#[path = "../store/mod.rs"]
mod store;
#[path = "../tree/mod.rs"]
mod tree;

mod cut_off;
mod distrust;
mod folder;
mod requests;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::store::{Fault, Watched};
use object_store::memory::InMemory;
use stillpoint_archive::depot::{Depot, Receipt};
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

/// A store to which an upload of `one` was begun and cut off, and the depot in it by what is wrong
/// with the store next.
async fn cut_off(path: &Path) -> (Arc<InMemory>, impl Fn(Fault) -> Depot) {
    let store = Arc::new(InMemory::new());
    let within = Arc::clone(&store);
    let depot = move |fault| {
        let store = Arc::new(Watched::new(Arc::clone(&within), fault));
        let depot = Depot::multipart(store, "depot").unwrap();
        depot.part_size(20_000)
    };
    let cut = depot(Fault::Unreachable(20)).upload("one", path).await;
    cut.unwrap_err();
    (store, depot)
}

/// What a depot lists, all of it good.
async fn listed(depot: &Depot) -> Vec<Receipt> {
    let listing = depot.list().await.unwrap();
    assert!(listing.refused.is_empty(), "{listing:?}");
    listing.archives
}

#[tokio::test]
async fn archives_go_up_and_come_down() {
    let folder = tempfile::tempdir().unwrap();
    let path = archive(folder.path(), "a.zip", 3 << 20);
    let local = tempfile::tempdir().unwrap();
    for (n, depot) in [
        Depot::multipart(Arc::new(InMemory::new()), "depot/x")
            .unwrap()
            .part_size(200_000),
        Depot::new(Arc::new(InMemory::new()), "depot").unwrap(),
        Depot::folder(local.path().join("made"), "depot").unwrap(),
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
        assert_eq!(listed(&depot).await, std::slice::from_ref(&receipt));
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
        assert_eq!(listed(&depot).await.len(), 1);
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
