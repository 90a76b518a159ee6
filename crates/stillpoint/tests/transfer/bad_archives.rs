use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use stillpoint::{Error, ErrorKind, JobQuery, Stillpoint};
use stillpoint_archive::{Archive, EntryOptions, WriteOptions, create};

use crate::bed::Bed;
use crate::{backup, depot, end, exported, names, path_of, refused, with_snapshot};

/// A place to bring archives to, with nothing known there.
pub(crate) struct Elsewhere {
    pub(crate) bed: Bed,
    pub(crate) still: Stillpoint,
    pub(crate) whole: PathBuf,
}

impl Elsewhere {
    pub(crate) async fn new() -> Self {
        let (from, still, _, exported) = exported().await;
        end(still).await;
        let bed = Bed::empty_in(&std::env::temp_dir());
        let whole = bed.path().join("whole.zip");
        fs::copy(path_of(&exported), &whole).unwrap();
        drop(from);
        let still = bed.start();
        Self { bed, still, whole }
    }

    fn put(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.bed.path().join(name);
        fs::write(&path, bytes).unwrap();
        path
    }

    /// An archive with the same volumes, and another description of them.
    pub(crate) fn forge(&self, change: impl FnOnce(&mut Value)) -> PathBuf {
        let whole = Archive::open(&self.whole).unwrap();
        let mut document: Value =
            serde_json::from_slice(&whole.read("snapshot.json").unwrap()).unwrap();
        change(&mut document);
        let path = self.bed.path().join(format!("{}.zip", fastrand::u64(..)));
        create(&path, &WriteOptions::new(), |writer| {
            for name in ["volumes/0-root.img", "volumes/1-data.img"] {
                writer.bytes(name, whole.read(name)?, &EntryOptions::new())?;
            }
            let bytes = serde_json::to_vec(&document).unwrap();
            writer.bytes("snapshot.json", bytes, &EntryOptions::new())
        })
        .unwrap();
        path
    }

    /// Neither import nor restore begins with it.
    pub(crate) async fn refuses(&self, archive: &Path, kind: ErrorKind, says: &str) {
        let import = self.still.import(archive).await.map(drop).unwrap_err();
        let restore = self.still.restore_from(archive).to_new("web-2").on("here");
        let restore = restore.await.map(drop).unwrap_err();
        for error in [import, restore] {
            assert_eq!(error.kind(), kind, "{error}");
            assert!(
                error.to_string().contains(says),
                "`{says}` is not in: {error}"
            );
            assert!(error.advice().is_some(), "{error}");
        }
        assert!(
            self.still
                .jobs(&JobQuery::default())
                .await
                .unwrap()
                .is_empty()
        );
        self.expect_nothing().await;
    }

    /// A job begins, and leaves nothing.
    async fn fails(&self, archive: &Path, says: &str) -> Error {
        let asked = self.still.restore_from(archive).to_new("web-2").on("here");
        let error = asked.await.map(drop).unwrap_err();
        assert!(
            error.to_string().contains(says),
            "`{says}` is not in: {error}"
        );
        self.expect_nothing().await;
        error
    }

    async fn expect_nothing(&self) {
        let listed = self.still.snapshots(&Default::default()).await.unwrap();
        assert_eq!(listed.total, 0);
        assert_eq!(names(&self.bed.folder()), [".stillpoint"]);
        assert_eq!(
            names(&self.bed.folder().join(".stillpoint/volumes")),
            [""; 0]
        );
    }
}

#[tokio::test]
async fn what_is_no_whole_archive_of_ours_is_refused_before_anything() {
    let it = Elsewhere::new().await;
    let whole = fs::read(&it.whole).unwrap();
    for length in [0, 1, 100, whole.len() / 2, whole.len() - 1] {
        let cut = it.put("cut.zip", &whole[..length]);
        it.refuses(&cut, ErrorKind::Corrupt, "cut.zip").await;
    }
    let mut flipped = whole.clone();
    let near_the_end = flipped.len() - 30;
    flipped[near_the_end] ^= 1;
    let flipped = it.put("flipped.zip", &flipped);
    it.refuses(&flipped, ErrorKind::Corrupt, "flipped.zip")
        .await;

    let text = it.put("a.zip", b"not an archive at all");
    it.refuses(&text, ErrorKind::Corrupt, "no ZIP").await;
    let missing = it.bed.path().join("missing.zip");
    it.refuses(&missing, ErrorKind::NotFound, "missing.zip")
        .await;
    it.refuses(it.bed.path(), ErrorKind::Invalid, "directory")
        .await;
    let foreign = it.bed.path().join("foreign.zip");
    create(&foreign, &WriteOptions::new(), |writer| {
        writer.bytes("dump.sql", "CREATE TABLE t ();", &EntryOptions::new())
    })
    .unwrap();
    it.refuses(
        &foreign,
        ErrorKind::Invalid,
        "no snapshot that was exported",
    )
    .await;
    end(it.still).await;
}

#[tokio::test]
async fn a_description_that_lies_is_refused() {
    let it = Elsewhere::new().await;
    let part = |document: &mut Value, number: usize, key: &str, value: Value| {
        document["snapshot"]["parts"][number][key] = value;
    };
    for (says, change) in [
        (
            "of version 2",
            Box::new(|it: &mut Value| it["version"] = json!(2)) as Box<dyn FnOnce(&mut Value)>,
        ),
        (
            "cannot be read",
            Box::new(|it| it["snapshot"]["source"] = json!("nowhere")),
        ),
        ("cannot be read", Box::new(|it| *it = json!([]))),
        (
            "is missing",
            Box::new(|it| it["volumes"][1] = json!("../../etc/passwd")),
        ),
        (
            "stands twice",
            Box::new(|it| it["volumes"][1] = json!("volumes/0-root.img")),
        ),
        (
            "stands twice",
            Box::new(move |it| part(it, 1, "disk", json!("root"))),
        ),
        (
            "131072 bytes instead of 5",
            Box::new(move |it| part(it, 0, "size", json!(5))),
        ),
        (
            "no content digest",
            Box::new(move |it| part(it, 0, "digest", Value::Null)),
        ),
        (
            "control characters",
            Box::new(move |it| part(it, 0, "disk", json!("a\u{1b}[2J"))),
        ),
        (
            "control characters",
            Box::new(move |it| part(it, 0, "disk", json!(""))),
        ),
        (
            "control characters",
            Box::new(|it| it["snapshot"]["name"] = json!("n".repeat(256))),
        ),
        (
            "control characters",
            Box::new(|it| it["snapshot"]["labels"] = json!({ "a\nb": "c" })),
        ),
        (
            "0 parts in 0",
            Box::new(|it| {
                it["volumes"] = json!([]);
                it["snapshot"]["parts"] = json!([]);
            }),
        ),
        (
            "2 parts in 1",
            Box::new(|it| drop(it["volumes"].as_array_mut().unwrap().pop())),
        ),
    ] {
        let archive = it.forge(change);
        let kind = if says == "of version 2" {
            ErrorKind::Unsupported
        } else {
            ErrorKind::Invalid
        };
        it.refuses(&archive, kind, says).await;
    }
    end(it.still).await;
}

#[tokio::test]
async fn damage_inside_is_found_before_anything_is_made() {
    let it = Elsewhere::new().await;
    let mut damaged = fs::read(&it.whole).unwrap();
    // The first volume comes right after the metadata.
    damaged[2000] ^= 0x10;
    let damaged = it.put("damaged.zip", &damaged);
    let error = it.fails(&damaged, "damaged").await;
    assert_eq!(
        (error.kind(), error.world()),
        (ErrorKind::Corrupt, stillpoint::World::Untouched)
    );
    let error = it.still.import(&damaged).await.map(drop).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
    it.expect_nothing().await;
    end(it.still).await;
}

/// The manifest is right and the digest is not: only what was written can tell.
#[tokio::test]
async fn a_volume_that_is_not_what_it_should_be_is_taken_back() {
    let it = Elsewhere::new().await;
    let archive = it.forge(|it| {
        let other = it["snapshot"]["parts"][1]["digest"].clone();
        it["snapshot"]["parts"][0]["digest"] = other;
    });
    let error = it.fails(&archive, "not those of the archive").await;
    assert_eq!(error.world(), stillpoint::World::RolledBack);
    end(it.still).await;
}

#[tokio::test]
async fn an_archive_that_was_replaced_since_the_plan_is_not_used() {
    let it = Elsewhere::new().await;
    let plan = it
        .still
        .restore_from(&it.whole)
        .to_new("web-2")
        .plan()
        .await
        .unwrap();
    let import = it.still.import(&it.whole).plan().await.unwrap();
    let other = it.forge(|it| it["snapshot"]["name"] = json!("another"));
    fs::rename(other, &it.whole).unwrap();
    for plan in [plan, import] {
        let error = plan.start().await.unwrap().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
        assert!(
            error
                .to_string()
                .contains("not the archive that was planned with"),
            "{error}"
        );
    }
    it.expect_nothing().await;
    end(it.still).await;
}

#[tokio::test]
async fn an_id_with_other_content_is_not_listed_over() {
    let it = Elsewhere::new().await;
    let first = it.still.import(&it.whole).await.unwrap();
    let other = it.forge(|it| {
        it["snapshot"]["parts"][0]["digest"] = it["snapshot"]["parts"][1]["digest"].clone();
    });
    refused(
        it.still.import(&other),
        &["listed already, with other content"],
    )
    .await;
    assert_eq!(it.still.get(first.id).await.unwrap(), first);
    // The same content in another archive is one copy more.
    let twin = it.forge(|_| {});
    let listed = it.still.import(&twin).await.unwrap();
    assert_eq!(listed.exports.len(), 2);
    end(it.still).await;
}

#[tokio::test]
async fn all_that_stands_in_the_way_is_said_at_once() {
    let (bed, still, before, exported) = exported().await;
    let asked = still
        .export(before.id)
        .to("depot:nowhere")
        .seal_for("nobody");
    refused(asked, &["no depot `nowhere`", "no recipient `nobody`"]).await;
    let asked = still.export(before.id).to(bed.path().join("no/such"));
    refused(asked, &["no folder"]).await;
    refused(still.export(before.id), &["not said where"]).await;
    refused(
        still.export(before.id).to("depot:"),
        &["no place of archives"],
    )
    .await;

    fs::write(bed.file("web-root"), "taken").unwrap();
    let asked = still
        .restore_from(&exported.archive)
        .to_new("web")
        .disks(["root", "swap"]);
    refused(
        asked,
        &[
            "no disk `swap`",
            "web exists already",
            "web-root exists already",
        ],
    )
    .await;
    refused(still.restore_from(&exported.archive), &["not said what"]).await;
    let asked = still.restore_from(&exported.archive).to_new("x").on("mars");
    refused(asked, &["no provider `mars`, known: here"]).await;
    let asked = still.restore_from("/nowhere.zip").to_new("x").on("mars");
    refused(asked, &["/nowhere.zip", "no provider `mars`"]).await;
    refused(still.import("depot:nowhere/x"), &["no depot `nowhere`"]).await;

    // Bytes that rotted since they were verified go into no archive.
    let rotten = &before.parts[0].snapshot;
    let file = bed
        .folder()
        .join(format!(".stillpoint/snapshots/{}.raw", rotten.id()));
    let mut bytes = fs::read(&file).unwrap();
    bytes[7] ^= 1;
    fs::write(&file, bytes).unwrap();
    let error = still.export(before.id).to(backup(&bed)).await.unwrap_err();
    assert!(
        error.to_string().contains("not those that were verified"),
        "{error}"
    );
    assert_eq!(names(&backup(&bed)).len(), 1, "the export before");
    assert_eq!(still.get(before.id).await.unwrap().exports.len(), 1);
    end(still).await;
}

#[tokio::test]
async fn a_depot_has_only_what_was_put_there() {
    let depots = tempfile::tempdir().unwrap();
    let (_bed, still, before) = with_snapshot(|it| depot(it, depots.path())).await;
    let error = still
        .import("depot:offsite/nothing")
        .await
        .map(drop)
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
    let exported = still.export(before.id).to("depot:offsite").await.unwrap();
    // Damage in the depot is found by whoever reads it.
    let id = exported.archive.rsplit('/').next().unwrap();
    let file = depots
        .path()
        .join("store/archives")
        .join(id)
        .join("archive.zip");
    let mut bytes = fs::read(&file).unwrap();
    bytes[2000] ^= 1;
    fs::write(&file, bytes).unwrap();
    let error = still.import(&exported.archive).await.map(drop).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
    let asked = still.restore_from(&exported.archive).to_new("web-2");
    let error = asked.await.map(drop).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
    assert_eq!(names(&depots.path().join("staging")), [""; 0]);
    end(still).await;
}

/// A disk that is full is seen before anything begins; one that fills up meanwhile ends the job,
/// and has nothing of it.
#[tokio::test]
#[ignore = "mounts a tmpfs, as root; .ci/run runs it"]
async fn a_full_disk() {
    let depots = tempfile::tempdir().unwrap();
    let staging = depots.path().join("staging");
    let (bed, still, before) = with_snapshot(|it| depot(it, depots.path())).await;
    let mount = |arguments: &[&str], to: &Path| {
        let ran = Command::new("mount").args(arguments).arg(to).status();
        assert!(ran.unwrap().success());
    };
    let small = bed.path().join("small");
    fs::create_dir(&small).unwrap();
    mount(&["-t", "tmpfs", "-o", "size=16k", "none"], &small);
    let room = format!("too little room in {}: 16 KiB of ", small.display());
    refused(still.export(before.id).to(&small), &[&room]).await;

    mount(&["-o", "remount,size=1m"], &small);
    let plan = still.export(before.id).to(&small).plan().await.unwrap();
    fs::write(small.join("other"), vec![1; 1016 << 10]).unwrap();
    let error = plan.start().await.unwrap().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Quota, "{error}");
    assert_eq!(names(&small), ["other"]);
    assert!(still.get(before.id).await.unwrap().exports.is_empty());
    fs::remove_file(small.join("other")).unwrap();
    still.export(before.id).to(&small).await.unwrap();
    assert_eq!(names(&small).len(), 1);

    let exported = still.export(before.id).to("depot:offsite").await.unwrap();
    mount(&["-t", "tmpfs", "-o", "size=4k", "none"], &staging);
    let room = format!("too little room in {}: 4 KiB of ", staging.display());
    let back = still.restore_from(&exported.archive).to_new("web-2");
    refused(back, &[&room]).await;
    mount(&["-o", "remount,size=1m"], &staging);
    let back = still.restore_from(&exported.archive).to_new("web-2");
    back.await.unwrap();
    end(still).await;
    for folder in [small, staging] {
        let gone = Command::new("umount").arg(&folder).status().unwrap();
        assert!(gone.success());
    }
}
