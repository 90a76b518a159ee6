//! Killed with -9 before every change to the folder, and after the last; made to fail at every
//! one; the disk full from every one on. Then opened again: one truth by key alone, one effect
//! when it is asked for again, and nothing left over.
//!
//! Each run is this same program started again with an operation to carry out. It works in memory
//! where there is such a folder: a killed process loses nothing that a disk would have kept. With
//! `STILLPOINT_THOROUGH` it works on the disk, and kills every recovery of every operation too.

mod bed;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output as Ran};

use bed::{
    Bed, create_instance, create_volume, drive, instance, inventory, key, settle, snapshot, take,
    take_volume, volume,
};
use stillpoint_core::{Labels, ResourceRef};
use stillpoint_iaas::{Observation, Operation, Provider};
use stillpoint_local::{LocalProvider, failpoint};
use tempfile::TempDir;

const FAIL: &str = "STILLPOINT_LOCAL_FAIL";
const SIGKILL: i32 = 9;

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    let arguments: Vec<String> = std::env::args().collect();
    match arguments
        .iter()
        .map(String::as_str)
        .collect::<Vec<_>>()
        .as_slice()
    {
        [_, "victim", folder, name] => runtime.block_on(victim(Path::new(folder), name)),
        [_, "open", folder] => drop(open(Path::new(folder))),
        // `cargo test -- --list` and the like are for the harness that this is not.
        _ if arguments.iter().any(|argument| argument == "--list") => {}
        _ => runtime.block_on(all()),
    }
    if arguments.len() > 1 && ["victim", "open"].contains(&arguments[1].as_str()) {
        println!("passed {}", failpoint::passed());
    }
}

async fn all() {
    let mut tried = Tried::default();
    for name in OPERATIONS {
        killed(name, &mut tried).await;
        failed(name, "once", &mut tried).await;
        failed(name, "full", &mut tried).await;
    }
    println!(
        "{} operations; killed at {} points, and at {} of the recoveries from that; \
         failed at {}; disk full from {}",
        OPERATIONS.len(),
        tried.kills,
        tried.recoveries,
        tried.failures,
        tried.full
    );
    assert!(
        tried.kills > 150 && tried.recoveries > 300,
        "far fewer points than there are"
    );
}

#[derive(Debug, Default)]
struct Tried {
    kills: usize,
    recoveries: usize,
    failures: usize,
    full: usize,
}

const KEY: &str = "job.step";

/// Bytes of each volume: what is killed are changes, not copies.
const SIZE: u64 = 64 * 1024;

const OPERATIONS: [&str; 13] = [
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

fn operation(name: &str) -> Operation {
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
        other => panic!("no operation `{other}`"),
    }
}

/// An instance of two disks, a spare volume, a snapshot and an image; the root disk is damaged
/// since the snapshot.
async fn world() -> Bed {
    let bed = Bed::new_in(&place());
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

fn thorough() -> bool {
    std::env::var_os("STILLPOINT_THOROUGH").is_some()
}

fn place() -> PathBuf {
    let memory = PathBuf::from("/dev/shm");
    if memory.is_dir() && !thorough() {
        return memory;
    }
    std::env::temp_dir()
}

fn copy_of(bed: &Bed) -> TempDir {
    fn copy(from: &Path, to: &Path) {
        for entry in fs::read_dir(from).unwrap() {
            let entry = entry.unwrap();
            let target = to.join(entry.file_name());
            if entry.file_type().unwrap().is_dir() {
                fs::create_dir(&target).unwrap();
                copy(&entry.path(), &target);
            } else {
                fs::copy(entry.path(), target).unwrap();
            }
        }
    }
    let dir = TempDir::new_in(place()).unwrap();
    copy(bed.path(), dir.path());
    dir
}

fn open(folder: &Path) -> LocalProvider {
    LocalProvider::open("here", folder).unwrap()
}

/// Carries out the operation as an engine would, and says what came of it.
async fn victim(folder: &Path, name: &str) {
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

fn run(arguments: &[&str], fail: Option<String>) -> Ran {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(arguments).env_remove(FAIL);
    if let Some(fail) = fail {
        command.env(FAIL, fail);
    }
    command.output().unwrap()
}

fn text(ran: &Ran) -> String {
    let (out, error) = (&ran.stdout, &ran.stderr);
    format!(
        "{}{}",
        String::from_utf8_lossy(out),
        String::from_utf8_lossy(error)
    )
}

fn points(ran: &Ran) -> usize {
    assert!(ran.status.success(), "{}", text(ran));
    let text = text(ran);
    let passed = text.lines().find_map(|line| line.strip_prefix("passed "));
    passed.unwrap().trim().parse().unwrap()
}

/// The inventory without what differs from run to run: times, and what is computed from them.
fn shape(folder: &Path) -> BTreeMap<String, String> {
    let mut found = inventory(folder);
    for (name, value) in &mut found {
        if name.ends_with(".json") {
            let file = fs::read(folder.join(name)).unwrap();
            let mut sealed: serde_json::Value = serde_json::from_slice(&file).unwrap();
            let record = sealed["record"].as_object_mut().unwrap();
            record.retain(|key, _| {
                !["content_stamp", "created_at", "taken_at"].contains(&key.as_str())
            });
            *value = serde_json::to_string(record).unwrap();
        }
    }
    found
}

async fn killed(name: &str, tried: &mut Tried) {
    let bed = world().await;
    let before = shape(bed.path());
    let whole = copy_of(&bed);
    let folder = whole.path().to_str().unwrap();
    let points = points(&run(&["victim", folder, name], None));
    let after = shape(whole.path());
    assert_ne!((name, &before), (name, &after));

    for at in 1..=points {
        let dir = copy_of(&bed);
        let folder = dir.path().to_str().unwrap();
        let ran = run(&["victim", folder, name], Some(format!("kill:{at}")));
        assert_eq!(
            ran.status.signal(),
            Some(SIGKILL),
            "{name} at {at}: {}",
            text(&ran)
        );
        tried.kills += 1;
        for at in 1.. {
            if !thorough() && !["delete-volume", "group"].contains(&name) {
                break;
            }
            let ran = run(&["open", folder], Some(format!("kill:{at}")));
            if ran.status.signal() != Some(SIGKILL) {
                assert!(ran.status.success(), "{}", text(&ran));
                break;
            }
            tried.recoveries += 1;
        }
        one_truth(
            &format!("{name} killed at {at} of {points}"),
            dir.path(),
            name,
            &before,
            &after,
        )
        .await;
    }
}

/// Asked by the key alone it is done or was never there, and asked for again it is done once.
async fn one_truth(
    case: &str,
    folder: &Path,
    name: &str,
    before: &BTreeMap<String, String>,
    after: &BTreeMap<String, String>,
) {
    let provider = open(folder);
    let operation = operation(name);
    match provider.observe(&key(KEY), &operation, None).await.unwrap() {
        Observation::Absent => assert_eq!(&shape(folder), before, "{case}: absent"),
        Observation::Done { .. } => assert_eq!(&shape(folder), after, "{case}: done"),
        other => panic!("{case}: {other:?}"),
    }
    provider.cancel(&key(KEY), &operation, None).await.unwrap();
    for _ in 0..2 {
        drive(&provider, KEY, &operation).await.unwrap();
        assert_eq!(&shape(folder), after, "{case}: asked for again");
    }
}

async fn failed(name: &str, how: &str, tried: &mut Tried) {
    let bed = world().await;
    let before = shape(bed.path());
    let whole = copy_of(&bed);
    let folder = whole.path().to_str().unwrap();
    let points = points(&run(&["victim", folder, name], None));
    let after = shape(whole.path());

    for at in 1..=points {
        let dir = copy_of(&bed);
        let folder = dir.path().to_str().unwrap();
        let ran = run(&["victim", folder, name], Some(format!("{how}:{at}")));
        assert!(ran.status.success(), "{}", text(&ran));
        let text = text(&ran);
        let case = format!("{name}, {how} at {at} of {points}: {text}");
        if how == "full" && !text.starts_with("done") && !text.starts_with("unknown") {
            assert!(text.contains("Quota"), "{case}");
        }
        let told = text.split_whitespace().next().unwrap();
        let now = shape(dir.path());
        match told {
            "done" => {}
            // A full disk still lets everything be removed at once.
            "failed" | "refused" if how == "full" => assert_eq!(now, before, "{case}"),
            "failed" | "refused" | "unknown" => {}
            other => panic!("{case}: {other}"),
        }
        one_truth(&case, dir.path(), name, &before, &after).await;
        *(if how == "full" {
            &mut tried.full
        } else {
            &mut tried.failures
        }) += 1;
    }
}
