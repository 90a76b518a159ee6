//! Killed with -9 before every change to the folder, and after the last; made to fail at every
//! one; the disk full from every one on. Then opened again: one truth by key alone, one effect
//! when it is asked for again, and nothing left over.
//!
//! Each run is this same program started again with an operation to carry out. It works in memory
//! where there is such a folder: a killed process loses nothing that a disk would have kept. With
//! `STILLPOINT_THOROUGH` it works on the disk, and kills every recovery of every operation too.

mod bed;
mod victim;

use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output as Ran};

use stillpoint_local::failpoint;
use victim::{
    LARGE, OPERATIONS, copy_of, one_truth, open, shape, text, tried_at, victim, world_of,
};

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
    for name in OPERATIONS.into_iter().chain([LARGE]) {
        killed(name, &mut tried).await;
        failed(name, "once", &mut tried).await;
        failed(name, "full", &mut tried).await;
    }
    println!(
        "{} operations; killed at {} points, and at {} of the recoveries from that; \
         failed at {}; disk full from {}",
        OPERATIONS.len() + 1,
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

fn run(arguments: &[&str], fail: Option<String>) -> Ran {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(arguments).env_remove(FAIL);
    if let Some(fail) = fail {
        command.env(FAIL, fail);
    }
    command.output().unwrap()
}

fn points(ran: &Ran) -> usize {
    assert!(ran.status.success(), "{}", text(ran));
    let text = text(ran);
    let passed = text.lines().find_map(|line| line.strip_prefix("passed "));
    passed.unwrap().trim().parse().unwrap()
}

async fn killed(name: &str, tried: &mut Tried) {
    let bed = world_of(name, &place()).await;
    let before = shape(bed.path());
    let whole = copy_of(&bed, &place());
    let folder = whole.path().to_str().unwrap();
    let points = points(&run(&["victim", folder, name], None));
    let after = shape(whole.path());
    assert_ne!((name, &before), (name, &after));

    for at in tried_at(name, points) {
        let dir = copy_of(&bed, &place());
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

async fn failed(name: &str, how: &str, tried: &mut Tried) {
    let bed = world_of(name, &place()).await;
    let before = shape(bed.path());
    let whole = copy_of(&bed, &place());
    let folder = whole.path().to_str().unwrap();
    let points = points(&run(&["victim", folder, name], None));
    let after = shape(whole.path());

    for at in tried_at(name, points) {
        let dir = copy_of(&bed, &place());
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
