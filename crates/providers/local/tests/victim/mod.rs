//! The operations that are cut off, the world they work in, and what must be true afterwards.
#![allow(dead_code, reason = "each test file uses its own part")]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Output as Ran};

use stillpoint_core::{CopyKind, Labels, ResourceRef};
use stillpoint_iaas::{Observation, Operation, Provider, TakeSnapshot};
use stillpoint_local::LocalProvider;
use tempfile::TempDir;

use crate::bed::{
    self, Bed, create_instance, create_volume, drive, instance, inventory, key, settle, snapshot,
    take, take_volume, volume,
};

pub(crate) const KEY: &str = "job.step";

/// Bytes of each volume: what is killed are changes, not copies.
pub(crate) const SIZE: u64 = 8 * 1024;

pub(crate) const OPERATIONS: [&str; 13] = [
    "attach",
    "create-image",
    "create-instance",
    "create-volume",
    "create-volume-from",
    "delete-image",
    "delete-snapshot",
    "delete-volume",
    "detach",
    "group",
    "revert",
    "set-labels",
    "take",
];

/// A snapshot of the only volume of [`large_world`]; not among the others, for its size.
pub(crate) const LARGE: &str = "take-large";

pub(crate) fn operation(name: &str) -> Operation {
    let kept: ResourceRef = "here/snapshot/kept.0".parse().unwrap();
    match name {
        "attach" => Operation::Attach {
            instance: instance("web"),
            volume: volume("spare.raw"),
            disk: "spare".to_owned(),
        },
        "create-image" => Operation::CreateImage {
            name: "golden".to_owned(),
            labels: Labels::new(),
            from: kept,
        },
        "create-instance" => create_instance("new", &[&volume("spare.raw")]),
        "create-volume" => create_volume("new.raw", SIZE, None),
        "create-volume-from" => create_volume("new.raw", 2 * SIZE, Some(&kept)),
        "delete-image" => Operation::DeleteImage {
            image: "here/image/old".parse().unwrap(),
        },
        "delete-snapshot" => Operation::DeleteSnapshot { snapshot: kept },
        "delete-volume" => Operation::DeleteVolume {
            volume: volume("spare.raw"),
        },
        "detach" => Operation::Detach {
            instance: instance("web"),
            volume: volume("data.raw"),
        },
        "group" => Operation::Snapshot(take(
            &instance("web"),
            &[&volume("root.raw"), &volume("data.raw")],
        )),
        "revert" => Operation::Revert {
            volume: volume("root.raw"),
            to: kept,
        },
        "set-labels" => Operation::SetLabels {
            resource: volume("data.raw"),
            labels: Labels::from([("a".to_owned(), "b".to_owned())]),
        },
        "take" => take_volume(&volume("root.raw")),
        // Where blocks could be shared, too.
        LARGE => Operation::Snapshot(TakeSnapshot {
            copy: CopyKind::Full,
            ..take(&volume("large.raw"), &[&volume("large.raw")])
        }),
        other => panic!("no operation `{other}`"),
    }
}

/// An instance of two disks, a spare volume, a snapshot and an image; the root disk is damaged
/// since the snapshot.
pub(crate) async fn world(place: &Path) -> Bed {
    let bed = Bed::new_in(place);
    let root = bed.volume("root.raw", SIZE, 1);
    let data = bed.volume("data.raw", SIZE, 2);
    bed.volume("spare.raw", SIZE, 3);
    let provider = bed.open();
    let web = create_instance("web", &[&root, &data]);
    drive(&provider, "web", &web).await.unwrap();
    let kept = snapshot(&provider, "kept", &root).await;
    let image = Operation::CreateImage {
        name: "old".to_owned(),
        labels: Labels::new(),
        from: kept.parts[0].snapshot.clone(),
    };
    drive(&provider, "old", &image).await.unwrap();
    bed::fill(&bed.file("root.raw"), SIZE, 99);
    drop(provider);
    bed
}

/// The world that the operation works in.
pub(crate) async fn world_of(name: &str, place: &Path) -> Bed {
    match name {
        LARGE => large_world(place),
        _ => world(place).await,
    }
}

/// Where to try an operation that has so many points. Nearly all of a large copy are the same, the
/// next piece, and only some of those are taken.
pub(crate) fn tried_at(name: &str, points: usize) -> Vec<usize> {
    let all = 1..=points;
    match name {
        LARGE => all.filter(|at| at % 12 == 0 || at + 15 > points).collect(),
        _ => all.collect(),
    }
}

/// One large volume and nothing else.
fn large_world(place: &Path) -> Bed {
    let bed = Bed::new_in(place);
    bed.large_volume("large.raw");
    drop(bed.open());
    bed
}

/// With its holes: they decide which way the data of a large file goes.
pub(crate) fn copy_of(bed: &Bed, place: &Path) -> TempDir {
    let dir = TempDir::new_in(place).unwrap();
    let copied = Command::new("cp")
        .args(["--recursive", "--sparse=always"])
        .args([&bed.path().join("."), dir.path()])
        .status();
    assert!(copied.unwrap().success());
    dir
}

pub(crate) fn open(folder: &Path) -> LocalProvider {
    LocalProvider::open("here", folder).unwrap()
}

/// Carries out the operation as an engine would, and says what came of it.
pub(crate) async fn victim(folder: &Path, name: &str) {
    let provider = match LocalProvider::open("here", folder) {
        Ok(provider) => provider,
        Err(error) => return println!("refused {:?} {error}", error.kind()),
    };
    let operation = operation(name);
    if let Err(error) = provider.submit(&key(KEY), &operation).await {
        return println!("refused {:?} {error}", error.kind());
    }
    match settle(&provider, KEY, &operation).await {
        Observation::Done { .. } => println!("done"),
        Observation::Failed { error, left } => {
            assert!(left.is_empty());
            println!("failed {:?} {error}", error.kind());
        }
        Observation::Unknown { evidence, .. } => println!("unknown {evidence}"),
        other => println!("{other:?}"),
    }
}

pub(crate) fn text(ran: &Ran) -> String {
    let (out, error) = (&ran.stdout, &ran.stderr);
    format!(
        "{}{}",
        String::from_utf8_lossy(out),
        String::from_utf8_lossy(error)
    )
}

/// The inventory without what differs from run to run: times, and what is computed from them.
pub(crate) fn shape(folder: &Path) -> BTreeMap<String, String> {
    let mut found = inventory(folder);
    for (name, value) in &mut found {
        if name.ends_with(".json") {
            let file = fs::read(folder.join(name)).unwrap();
            // A cut one is what its bytes are.
            let Ok(mut sealed) = serde_json::from_slice::<serde_json::Value>(&file) else {
                continue;
            };
            let record = sealed["record"].as_object_mut().unwrap();
            record.retain(|key, _| {
                !["content_stamp", "created_at", "taken_at"].contains(&key.as_str())
            });
            *value = serde_json::to_string(record).unwrap();
        }
    }
    found
}

/// Asked by the key alone it is done or was never there, and asked for again it is done once.
/// Says which it was.
pub(crate) async fn one_truth(
    case: &str,
    folder: &Path,
    name: &str,
    before: &BTreeMap<String, String>,
    after: &BTreeMap<String, String>,
) -> bool {
    let provider = open(folder);
    let operation = operation(name);
    let done = match provider.observe(&key(KEY), &operation, None).await.unwrap() {
        Observation::Absent => {
            assert_eq!(&shape(folder), before, "{case}: absent");
            false
        }
        Observation::Done { .. } => {
            assert_eq!(&shape(folder), after, "{case}: done");
            true
        }
        other => panic!("{case}: {other:?}"),
    };
    provider.cancel(&key(KEY), &operation, None).await.unwrap();
    for _ in 0..2 {
        drive(&provider, KEY, &operation).await.unwrap();
        assert_eq!(&shape(folder), after, "{case}: asked for again");
    }
    done
}
