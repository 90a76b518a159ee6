//! A depot on a real server that speaks S3, on loopback: `lab/s3.sh` starts one. `STILLPOINT_S3` is
//! its URL, with a bucket `stillpoint` in it.

mod store;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::{ObjectStore as _, PutMode};
use stillpoint_archive::depot::{Depot, Receipt, s3};
use stillpoint_archive::{Archive, Assurance, EntryOptions, Error, WriteOptions, create};
use store::{Fault, Watched};

/// The least S3 takes.
const PART: usize = 5 << 20;

fn server() -> AmazonS3Builder {
    let url = std::env::var("STILLPOINT_S3").expect("STILLPOINT_S3 names the server");
    AmazonS3Builder::new()
        .with_endpoint(url)
        .with_allow_http(true)
        .with_bucket_name("stillpoint")
        .with_region("us-east-1")
        .with_access_key_id("test")
        .with_secret_access_key("test")
}

fn depot(name: &str, fault: Fault) -> (Depot, Arc<Watched<AmazonS3>>) {
    let store = Arc::new(Watched::new(Arc::new(s3(server()).unwrap()), fault));
    let depot = Depot::multipart(Arc::clone(&store), name).unwrap();
    (depot.part_size(PART), store)
}

/// What a depot lists, all of it good.
async fn listed(depot: &Depot) -> Vec<Receipt> {
    let listing = depot.list().await.unwrap();
    assert!(listing.refused.is_empty(), "{listing:?}");
    listing.archives
}

/// An archive of a little over two parts.
fn archive(folder: &Path, name: &str) -> PathBuf {
    let path = folder.join(name);
    create(&path, &WriteOptions::new().deterministic(), |writer| {
        let hello = format!("hello from {name}");
        writer.bytes("greeting.txt", hello, &EntryOptions::new())?;
        let line = |n: usize| format!("{n} {:x}\n", n.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let text: String = (0..1_000_000).map(line).collect();
        writer.bytes("pg_data", text, &EntryOptions::new())
    })
    .unwrap();
    let size = path.metadata().unwrap().len() as usize;
    assert!((2 * PART..3 * PART).contains(&size), "{size}");
    path
}

#[tokio::test]
#[ignore = "needs an S3 server: STILLPOINT_S3 names it; .ci/run starts one"]
async fn archives_live_in_s3() {
    let folder = tempfile::tempdir().unwrap();
    let path = archive(folder.path(), "a.zip");
    let (depot, store) = depot("live", Fault::None);
    depot.delete("one").await.unwrap();
    let receipt = depot.upload("one", &path).await.unwrap();
    assert_eq!(store.parts(), 3);
    assert_eq!(listed(&depot).await, [receipt]);
    let before = store.requests();
    let remote = depot.open("one").await.unwrap();
    let hello = remote.read("greeting.txt").await.unwrap();
    assert_eq!(hello, b"hello from a.zip");
    assert_eq!(store.requests() - before, 3);
    let local = Archive::open(&path).unwrap();
    let range = 5 << 20..(5 << 20) + 100;
    let part = remote.read_range("pg_data", range.clone()).await.unwrap();
    assert_eq!(part, local.read_range("pg_data", range).unwrap());
    assert_eq!(store.requests() - before, 5);
    let report = depot.verify("one").await.unwrap();
    assert_eq!(report.assurance, Assurance::Verified);
    let back = folder.path().join("back.zip");
    depot.download("one", &back).await.unwrap();
    assert!(std::fs::read(back).unwrap() == std::fs::read(path).unwrap());
    depot.delete("one").await.unwrap();
    assert_eq!(listed(&depot).await, []);
}

#[tokio::test]
#[ignore = "needs an S3 server: STILLPOINT_S3 names it; .ci/run starts one"]
async fn an_id_belongs_to_the_first_archive() {
    let folder = tempfile::tempdir().unwrap();
    let (a, b) = (
        archive(folder.path(), "a.zip"),
        archive(folder.path(), "b.zip"),
    );
    let (depot, store) = depot("first", Fault::None);
    depot.delete("one").await.unwrap();
    let (left, right) = tokio::join!(depot.upload("one", &a), depot.upload("one", &b));
    let (winner, loser) = match left {
        Ok(receipt) => (receipt, right),
        Err(_) => (right.unwrap(), left),
    };
    assert!(matches!(loser, Err(Error::Exists(_))), "{loser:?}");
    assert_eq!(listed(&depot).await, [winner]);
    // That is the server's doing.
    let key = object_store::path::Path::from("first/one/claim.json");
    let again = store.put_opts(&key, "other".into(), PutMode::Create.into());
    let again = again.await.unwrap_err();
    assert!(matches!(again, object_store::Error::AlreadyExists { .. }));
    depot.delete("one").await.unwrap();
}

#[tokio::test]
#[ignore = "needs an S3 server: STILLPOINT_S3 names it; .ci/run starts one"]
async fn a_server_without_conditional_writes_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = archive(folder.path(), "a.zip");
    let (depot, store) = depot("unconditional", Fault::NoConditions);
    depot.delete("one").await.unwrap();
    let refused = depot.upload("one", &path).await.unwrap_err();
    assert!(matches!(refused, Error::Unsupported(_)), "{refused}");
    assert_eq!(store.parts(), 0);
    depot.delete("one").await.unwrap();
}

/// An object that is absent and a bucket that is: only the second is to be mended by somebody.
#[tokio::test]
#[ignore = "needs an S3 server: STILLPOINT_S3 names it; .ci/run starts one"]
async fn a_bucket_that_is_not_there_is_found_before_an_upload() {
    let bucket = s3(server().with_bucket_name("nowhere")).unwrap();
    let nowhere = Depot::multipart(Arc::new(bucket), "x").unwrap();
    let error = nowhere.check().await.unwrap_err();
    let Error::Io { source, .. } = error else {
        panic!("{error}");
    };
    assert_eq!(source.kind(), std::io::ErrorKind::NotFound, "{source}");
    depot("never", Fault::None).0.check().await.unwrap();
}

/// A process is ended at each request its upload makes, and the next one goes on.
#[tokio::test]
#[ignore = "needs an S3 server: STILLPOINT_S3 names it; .ci/run starts one"]
async fn killed_at_any_request_an_upload_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let path = archive(folder.path(), "a.zip");
    let (counted, store) = depot("killed", Fault::None);
    counted.delete("one").await.unwrap();
    let before = store.requests();
    let receipt = counted.upload("one", &path).await.unwrap();
    let requests = store.requests() - before;
    counted.delete("one").await.unwrap();
    let mut saved = 0;
    for at in 0..requests {
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["--ignored", "--exact", "upload_until_killed"])
            .env("STILLPOINT_S3_VICTIM", &path)
            .env("STILLPOINT_S3_KILL_AT", at.to_string())
            .output()
            .unwrap();
        assert!(!child.status.success(), "request {at}");
        let listed = listed(&counted).await;
        assert!(
            listed.is_empty() || listed == [receipt.clone()],
            "request {at}"
        );
        let (next, sent) = depot("killed", Fault::None);
        assert_eq!(next.upload("one", &path).await.unwrap(), receipt);
        saved += 3 - sent.parts();
        let verified = next.verify("one").await.unwrap();
        assert_eq!(verified.assurance, Assurance::Verified);
        next.delete("one").await.unwrap();
    }
    assert!(requests > 20 && saved > 10, "{requests} {saved}");
}

/// Not a test: the process that the one above ends.
#[tokio::test]
#[ignore = "the victim of another test"]
async fn upload_until_killed() {
    let Some(path) = std::env::var_os("STILLPOINT_S3_VICTIM") else {
        return;
    };
    let at = std::env::var("STILLPOINT_S3_KILL_AT").unwrap();
    let (depot, _) = depot("killed", Fault::Killed(at.parse().unwrap()));
    depot.upload("one", path).await.unwrap();
}
