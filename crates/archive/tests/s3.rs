//! A depot on a real server that speaks S3, on loopback. `STILLPOINT_S3` is its URL, with a bucket
//! `stillpoint` in it. `.ci/run` does not start one yet.

use std::sync::Arc;

use object_store::aws::{AmazonS3Builder, S3ConditionalPut};
use stillpoint_archive::depot::Depot;
use stillpoint_archive::{Archive, Assurance, EntryOptions, Error, WriteOptions, create};

#[tokio::test]
#[ignore = "needs an S3 server: STILLPOINT_S3 names it"]
async fn archives_live_in_s3() {
    let url = std::env::var("STILLPOINT_S3").expect("STILLPOINT_S3 names the server");
    let store = AmazonS3Builder::new()
        .with_endpoint(url)
        .with_allow_http(true)
        .with_bucket_name("stillpoint")
        .with_region("us-east-1")
        .with_access_key_id("test")
        .with_secret_access_key("test")
        .with_conditional_put(S3ConditionalPut::ETagMatch)
        .build()
        .unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.zip");
    create(&path, &WriteOptions::new(), |writer| {
        writer.bytes("greeting.txt", "hello", &EntryOptions::new())?;
        let line = |n: usize| format!("{n} {:x}\n", n.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let text: String = (0..2_000_000).map(line).collect();
        writer.bytes("pg_data", text, &EntryOptions::new())
    })
    .unwrap();
    let depot = Depot::multipart(Arc::new(store), "depot")
        .unwrap()
        .part_size(5 << 20);
    depot.delete("one").await.unwrap();
    // Cut off again and again, then left alone.
    for millis in [20, 100, 300] {
        let limit = std::time::Duration::from_millis(millis);
        let _ = tokio::time::timeout(limit, depot.upload("one", &path)).await;
    }
    let receipt = depot.upload("one", &path).await.unwrap();
    assert_eq!(depot.list().await.unwrap(), [receipt]);
    let other = folder.path().join("b.zip");
    create(&other, &WriteOptions::new(), |_| Ok(())).unwrap();
    assert!(matches!(
        depot.upload("one", &other).await,
        Err(Error::Exists(_))
    ));
    let remote = depot.open("one").await.unwrap();
    assert_eq!(remote.read("greeting.txt").await.unwrap(), b"hello");
    assert!(remote.requests() <= 4, "{}", remote.requests());
    let local = Archive::open(&path).unwrap();
    let range = 5 << 20..(5 << 20) + 100;
    let part = remote.read_range("pg_data", range.clone()).await.unwrap();
    assert_eq!(part, local.read_range("pg_data", range).unwrap());
    assert_eq!(
        depot.verify("one").await.unwrap().assurance,
        Assurance::Verified
    );
    depot
        .download("one", folder.path().join("back.zip"))
        .await
        .unwrap();
    depot.delete("one").await.unwrap();
    assert_eq!(depot.list().await.unwrap(), []);
}
