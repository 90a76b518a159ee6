//! A depot in a local folder.

use std::fs;

use stillpoint_archive::depot::Depot;

use crate::{archive, listed};

/// The store writes a file under its name and a number first; a killed process leaves that, and
/// nothing the store can do lists it or deletes it.
#[tokio::test]
async fn what_a_killed_process_left_is_removed() {
    let folder = tempfile::tempdir().unwrap();
    let path = archive(folder.path(), "a.zip", 1000);
    let top = folder.path().join("far/away");
    let depot = Depot::folder(&top, "depot").unwrap();
    let one = top.join("depot/one");
    fs::create_dir_all(&one).unwrap();
    let leave = |name: &str| fs::write(one.join(name), "half").unwrap();
    leave("archive.zip#1");
    leave("archive.zip#27");
    leave("archive.zip#mine");
    let receipt = depot.upload("one", &path).await.unwrap();
    let mut names: Vec<_> = fs::read_dir(&one)
        .unwrap()
        .map(|it| it.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    let whole = [
        "archive.zip",
        "archive.zip#mine",
        "claim.json",
        "receipt.json",
    ];
    assert_eq!(names, whole);
    assert_eq!(listed(&depot).await, [receipt]);
    leave("archive.zip#1");
    leave("receipt.json#2");
    depot.delete("one").await.unwrap();
    let left: Vec<_> = fs::read_dir(&one).unwrap().collect();
    assert_eq!(left.len(), 1, "{left:?}");
    assert!(one.join("archive.zip#mine").exists());
    depot.delete("none").await.unwrap();
}
