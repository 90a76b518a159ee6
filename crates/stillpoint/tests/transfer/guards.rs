//! What a transfer holds against what it was planned with, each made wrong alone.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};
use stillpoint::iaas::ContentDigester;
use stillpoint::{ErrorKind, SnapshotState};
use stillpoint_archive::{Archive, EntryOptions, WriteOptions, create};

use crate::bad_archives::Elsewhere;
use crate::bed::{Bed, WEB, Watcher, watched_builder};
use crate::{backup, depot, end, exported, names, refused, with_snapshot};

/// A description has to fit into a plan; no archive decides how much of it is read.
#[tokio::test]
async fn a_description_without_end_is_not_read() {
    let it = Elsewhere::new().await;
    let long = it.forge(|it| it["snapshot"]["description"] = json!("d".repeat(300 << 10)));
    it.refuses(&long, ErrorKind::Corrupt, "snapshot.json").await;
    end(it.still).await;
}

/// Who keeps it, until when, and which schedule prunes it is a matter of the catalogue it is from.
#[tokio::test]
async fn what_only_its_own_catalogue_means_is_left_there() {
    let it = Elsewhere::new().await;
    let archive = it.forge(|it| {
        it["snapshot"]["pins"] = json!(["held for an audit"]);
        it["snapshot"]["schedule"] = json!("nightly");
        it["snapshot"]["expires_at"] = json!("2001-01-01T00:00:00Z");
        it["snapshot"]["state"] = json!("creating");
    });
    let imported = it.still.import(&archive).await.unwrap();
    assert_eq!(imported.state, SnapshotState::Archived);
    assert!(imported.pins.is_empty(), "{imported:?}");
    assert_eq!((imported.schedule, imported.expires_at), (None, None));
    end(it.still).await;
}

#[tokio::test]
async fn an_id_of_another_source_or_time_is_not_listed_over() {
    let it = Elsewhere::new().await;
    let first = it.still.import(&it.whole).await.unwrap();
    for (key, value) in [
        ("source", json!("here/instance/other")),
        ("taken_at", json!("2001-01-01T00:00:00Z")),
    ] {
        let other = it.forge(|it| it["snapshot"][key] = value);
        let says = ["listed already, with other content"];
        refused(it.still.import(&other), &says).await;
    }
    let other = it.forge(|it| it["snapshot"]["parts"][1]["disk"] = json!("swap"));
    let says = ["listed already, with other content"];
    refused(it.still.import(&other), &says).await;
    assert_eq!(it.still.get(first.id).await.unwrap(), first);
    // What is only in an archive is copied as one.
    let says = ["only archives hold it: copy one of those"];
    refused(it.still.export(first.id).to(backup(&it.bed)), &says).await;
    end(it.still).await;
}

#[tokio::test]
async fn what_is_gone_at_the_provider_is_not_exported() {
    let (bed, still, before, _) = exported().await;
    let id = before.parts[1].snapshot.id().to_owned();
    let snapshots = bed.folder().join(".stillpoint/snapshots");
    for name in names(&snapshots) {
        if name.contains(&id) {
            fs::remove_file(snapshots.join(name)).unwrap();
        }
    }
    let asked = still.export(before.id).to(backup(&bed));
    refused(asked, &["is gone at the provider"]).await;
    end(still).await;
}

/// Another whole archive in the place of the one that was planned with, receipt and all.
#[tokio::test]
async fn an_archive_that_was_replaced_in_its_depot_is_not_used() {
    let depots = tempfile::tempdir().unwrap();
    let (bed, still, before) = with_snapshot(|it| depot(it, depots.path())).await;
    bed.damage();
    let after = still.snapshot(WEB).await.unwrap();
    let planned = still.export(before.id).to("depot:offsite").await.unwrap();
    let other = still.export(after.id).to("depot:offsite").await.unwrap();
    end(still).await;

    let elsewhere = Bed::empty_in(&std::env::temp_dir());
    let still = elsewhere.start_with(|it| depot(it, depots.path()));
    let import = still.import(&planned.archive).plan().await.unwrap();
    let restore = still.restore_from(&planned.archive).to_new("web-2");
    let restore = restore.plan().await.unwrap();
    let [to, from] = [&planned, &other].map(|it| it.archive.rsplit('/').next().unwrap());
    let store = depots.path().join("store/archives");
    let file = |id: &str, name: &str| store.join(id).join(name);
    fs::copy(file(from, "archive.zip"), file(to, "archive.zip")).unwrap();
    let receipt = fs::read_to_string(file(from, "receipt.json")).unwrap();
    fs::write(file(to, "receipt.json"), receipt.replace(from, to)).unwrap();
    for plan in [import, restore] {
        let error = plan.start().await.unwrap().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
        let says = "not the archive that was planned with";
        assert!(error.to_string().contains(says), "{error}");
    }
    assert_eq!(names(&depots.path().join("staging")), [""; 0]);
    assert_eq!(names(&elsewhere.folder()), [".stillpoint"]);
    end(still).await;
}

/// A whole archive, and not of what was read: found when it is read back, before it has its name.
#[tokio::test]
async fn what_was_packed_is_what_was_read() {
    for and_says_so in [false, true] {
        let bed = Bed::new().await;
        let still = bed.start();
        // What was not verified has no digest but the one in the description.
        let ask = still.snapshot(WEB);
        let before = match and_says_so {
            true => ask.await.unwrap(),
            false => ask.without_verification().await.unwrap(),
        };
        end(still).await;
        let shelf = backup(&bed);
        let changed = AtomicBool::new(false);
        let folder = shelf.clone();
        let watcher = Watcher::new(move |_| {
            let staged = fs::read_dir(&folder).unwrap().next();
            let Some(staged) = staged.map(|it| it.unwrap().path().join("archive.zip")) else {
                return;
            };
            if staged.exists() && !changed.swap(true, Ordering::SeqCst) {
                forge(&staged, and_says_so);
            }
        });
        let still = watched_builder(bed.path(), &watcher).unwrap();
        let still = still.build().unwrap();
        tokio::spawn(still.run());
        let error = still.export(before.id).to(&shelf).await.unwrap_err();
        let says = "read back is not what was written";
        assert!(error.to_string().contains(says), "{error}");
        assert_eq!(names(&shelf), [""; 0]);
        assert!(still.get(before.id).await.unwrap().exports.is_empty());
        end(still).await;
    }
}

/// Changes a byte of the first volume, and what the description says of it if asked.
fn forge(staged: &Path, and_say_so: bool) {
    let whole = Archive::open(staged).unwrap();
    let [root, data] = ["volumes/0-root.img", "volumes/1-data.img"];
    let mut bytes = whole.read(root).unwrap();
    bytes[77] ^= 1;
    let mut document: Value =
        serde_json::from_slice(&whole.read("snapshot.json").unwrap()).unwrap();
    if and_say_so {
        let mut digester = ContentDigester::new(bytes.len() as u64);
        digester.update(0, &bytes);
        document["snapshot"]["parts"][0]["digest"] = json!(digester.finish());
    }
    let forged = staged.with_extension("forged");
    create(&forged, &WriteOptions::new(), |writer| {
        writer.bytes(root, bytes, &EntryOptions::new())?;
        writer.bytes(data, whole.read(data)?, &EntryOptions::new())?;
        let document = serde_json::to_vec(&document).unwrap();
        writer.bytes("snapshot.json", document, &EntryOptions::new())
    })
    .unwrap();
    fs::rename(forged, staged).unwrap();
}
