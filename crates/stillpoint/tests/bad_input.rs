//! What is asked wrongly, or of a world that is not as it should be: a typed error that says what,
//! where and what to do next, all reasons at once, and nothing was changed.

mod bed;

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bed::{Bed, Moment, WEB, Watcher, files, watched, web};
use stillpoint::iaas::{Operation, Provider};
use stillpoint::local::LocalProvider;
use stillpoint::state::Redb;
use stillpoint::{
    Clock, Consistency, Error, ErrorKind, JobId, JobQuery, Memory, SnapshotId, Stillpoint, World,
};

/// It has that kind, says all of this, says what to do next, and that nothing was changed.
#[track_caller]
fn says(error: &Error, kind: ErrorKind, words: &[&str]) {
    let text = format!("{error} {:?}", error.to_report().message);
    assert_eq!(error.kind(), kind, "{text}");
    for word in words {
        assert!(text.contains(word), "`{word}` is not in: {text}");
    }
    assert!(error.advice().is_some(), "no advice: {text}");
    assert_eq!(error.world(), World::Untouched, "{text}");
}

/// What may not change where something is refused.
async fn inventory(bed: &Bed, still: &Stillpoint) -> impl PartialEq + std::fmt::Debug + use<> {
    let snapshots = still.snapshots(&Default::default()).await.unwrap().rows;
    let snapshots: Vec<_> = snapshots.into_iter().map(|row| row.snapshot).collect();
    (
        files(&bed.folder()),
        snapshots,
        still.jobs(&JobQuery::default()).await.unwrap(),
    )
}

async fn end(still: Stillpoint) {
    still.shutdown(Duration::from_secs(10)).await;
}

fn multi() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_time()
        .build()
        .unwrap()
}

#[tokio::test]
async fn what_is_not_there() {
    let bed = Bed::new().await;
    let still = bed.start();
    let before = inventory(&bed, &still).await;
    let at = "2026-01-01T00:00:00Z".parse().unwrap();
    let (snapshot, job) = (SnapshotId::new(at, [7; 10]), JobId::new(at, [7; 10]));

    let error = still.snapshot("here/volume/nope.img").await.unwrap_err();
    says(&error, ErrorKind::NotFound, &["here/volume/nope.img"]);
    let error = still.snapshot("here/instance/nope").await.unwrap_err();
    says(&error, ErrorKind::NotFound, &["here/instance/nope"]);
    let error = still.snapshot("there/volume/root.img").await.unwrap_err();
    says(&error, ErrorKind::NotFound, &["there", "here"]);
    let error = still.snapshot("no reference").await.unwrap_err();
    says(&error, ErrorKind::Invalid, &["no reference"]);
    for error in [
        still.restore(snapshot).await.unwrap_err(),
        still.delete(snapshot).await.unwrap_err(),
        still.get(snapshot).await.unwrap_err(),
    ] {
        says(&error, ErrorKind::NotFound, &[&snapshot.to_string()]);
    }
    for error in [
        still.job(job).await.unwrap_err(),
        still.job(job).stop().await.unwrap_err(),
        still.job(job).plan().await.unwrap_err(),
    ] {
        says(&error, ErrorKind::NotFound, &[&job.to_string()]);
    }
    for error in [
        still.undo(job).await.unwrap_err(),
        still.accept(job).await.unwrap_err(),
    ] {
        says(&error, ErrorKind::Precondition, &[&job.to_string()]);
    }
    assert_eq!(inventory(&bed, &still).await, before);
    end(still).await;
}

#[tokio::test]
async fn all_that_stands_in_the_way_is_said_at_once() {
    let bed = Bed::new().await;
    let still = bed.start();
    let before = inventory(&bed, &still).await;
    let ask = || {
        still
            .snapshot(WEB)
            .disks(["root", "nope", "nada"])
            .at_least(Consistency::Application)
            .memory(Memory::Resumable)
    };
    let planned = ask().plan().await.unwrap();
    assert_eq!(planned.blocked_by().len(), 4, "{planned}");
    let error = ask().await.unwrap_err();
    says(
        &error,
        ErrorKind::Precondition,
        &[
            WEB,
            "`nope`",
            "`nada`",
            "it has root, data, scratch",
            "Application asked",
            "Resumable memory asked",
        ],
    );
    assert_eq!(error.reasons().len(), 3, "{error}");
    assert_eq!(inventory(&bed, &still).await, before);

    let taken = still.snapshot(WEB).await.unwrap();
    fs::write(bed.file("copy-root"), "in the way").unwrap();
    let before = inventory(&bed, &still).await;
    let error = still
        .restore(taken.id)
        .disks(["root", "nope"])
        .to_new("copy")
        .await
        .unwrap_err();
    says(
        &error,
        ErrorKind::Precondition,
        &["`nope`", "here/volume/copy-root exists already"],
    );
    assert_eq!(inventory(&bed, &still).await, before);
    end(still).await;
}

#[tokio::test]
async fn a_source_that_a_process_writes() {
    let bed = Bed::new().await;
    let still = bed.start();
    let before = files(&bed.folder());
    let file = OpenOptions::new()
        .append(true)
        .open(bed.file("data.img"))
        .unwrap();
    // It ends with its input, and that with this test.
    let mut writer = Command::new("cat")
        .stdin(Stdio::piped())
        .stdout(file)
        .spawn()
        .unwrap();
    let error = still.snapshot(WEB).await.unwrap_err();
    says(
        &error,
        ErrorKind::Busy,
        &["data.img", &writer.id().to_string()],
    );
    assert_eq!(files(&bed.folder()), before);
    drop(writer.stdin.take());
    writer.wait().unwrap();
    still.snapshot(WEB).await.unwrap();
    end(still).await;
}

#[tokio::test]
async fn a_source_that_grows() {
    let bed = Bed::new().await;
    let still = bed.start();
    let grows = Arc::new(AtomicBool::new(true));
    let appender = std::thread::spawn({
        let (grows, path) = (Arc::clone(&grows), bed.file("data.img"));
        move || {
            while grows.load(Ordering::SeqCst) {
                OpenOptions::new()
                    .append(true)
                    .open(&path)
                    .unwrap()
                    .write_all(b"more")
                    .unwrap();
            }
        }
    });
    let error = still.snapshot(WEB).await.unwrap_err();
    grows.store(false, Ordering::SeqCst);
    appender.join().unwrap();
    // It has grown since the plan was made, or while it was copied.
    let grown = error.kind() == ErrorKind::Conflict && error.to_string().contains(WEB);
    let busy = error.kind() == ErrorKind::Busy && error.to_string().contains("data.img");
    assert!(grown || busy, "{error}");
    assert!(error.advice().is_some(), "{error}");
    assert!(
        matches!(error.world(), World::Untouched | World::RolledBack),
        "{error}"
    );
    end(still.clone()).await;
    drop(still);
    let found = bed.found().await;
    assert_eq!(found.snapshots, []);
    found.check_files("after the refusal");
}

#[tokio::test]
async fn a_target_that_was_cut_or_has_grown() {
    for size in [4096, 200_000] {
        let bed = Bed::new().await;
        let still = bed.start();
        let taken = still.snapshot(WEB).await.unwrap();
        let planned = still.restore(taken.id).plan().await.unwrap();
        OpenOptions::new()
            .write(true)
            .open(bed.file("root.img"))
            .unwrap()
            .set_len(size)
            .unwrap();
        let before = inventory(&bed, &still).await;
        let error = planned.start().await.unwrap_err();
        says(
            &error,
            ErrorKind::Conflict,
            &["here/volume/root.img is not what it was"],
        );
        let error = still.restore(taken.id).await.unwrap_err();
        says(&error, ErrorKind::Precondition, &["`root`", "128 KiB"]);
        assert_eq!(inventory(&bed, &still).await, before);
        end(still).await;
    }
}

#[tokio::test]
async fn a_source_that_cannot_be_read() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let bed = Bed::new().await;
    symlink("root.img", bed.file("link.img")).unwrap();
    fs::create_dir(bed.file("folder.img")).unwrap();
    let still = bed.start();
    // Neither is a volume: what a link leads to may be outside of the folder.
    for name in ["link.img", "folder.img"] {
        let error = still
            .snapshot(format!("here/volume/{name}").as_str())
            .await
            .unwrap_err();
        says(&error, ErrorKind::NotFound, &[name]);
    }
    // Rights do not keep root out.
    if !rustix::process::geteuid().is_root() {
        fs::set_permissions(bed.file("data.img"), fs::Permissions::from_mode(0o000)).unwrap();
        let error = still.snapshot(WEB).await.unwrap_err();
        says(&error, ErrorKind::Permission, &["data.img"]);
        fs::set_permissions(bed.file("data.img"), fs::Permissions::from_mode(0o600)).unwrap();
    }
    assert!(
        still
            .snapshots(&Default::default())
            .await
            .unwrap()
            .rows
            .is_empty()
    );
    end(still).await;
}

#[tokio::test]
async fn a_place_that_cannot_be_written() {
    // Where even root makes no files.
    let bed = Bed::new().await;
    let error = bed.builder().folder("other", "/sys").build().unwrap_err();
    says(&error, ErrorKind::Permission, &["/sys/.stillpoint"]);
    let error = Stillpoint::builder()
        .state_file("/sys/state.redb")
        .build()
        .unwrap_err();
    says(&error, ErrorKind::Permission, &["/sys/state.redb"]);
    let missing = bed.file("nowhere");
    let error = bed.builder().folder("other", &missing).build().unwrap_err();
    says(&error, ErrorKind::NotFound, &["nowhere"]);
    let error = Stillpoint::builder()
        .state_file(missing.join("state.redb"))
        .build()
        .unwrap_err();
    says(&error, ErrorKind::NotFound, &["nowhere"]);
}

#[tokio::test]
async fn records_of_the_folder_that_are_damaged() {
    type Damage = fn(&mut Vec<u8>);
    let damages: [Damage; 2] = [
        |it| it.truncate(it.len() / 2),
        |it| {
            let middle = it.len() / 2;
            it[middle] ^= 4;
        },
    ];
    for damage in damages {
        let bed = Bed::new().await;
        let still = bed.start();
        let taken = still.snapshot(WEB).await.unwrap();
        let damaged = |name: &str| {
            let path = bed.file(name);
            let whole = fs::read(&path).unwrap();
            let mut bytes = whole.clone();
            damage(&mut bytes);
            fs::write(&path, bytes).unwrap();
            whole
        };
        let part = taken.parts[0].snapshot.id();
        let record = format!(".stillpoint/snapshots/{part}.json");
        let whole = damaged(&record);
        let before = inventory(&bed, &still).await;
        let error = still.restore(taken.id).await.unwrap_err();
        says(&error, ErrorKind::Corrupt, &[&record]);
        assert_eq!(inventory(&bed, &still).await, before);
        fs::write(bed.file(&record), whole).unwrap();

        let record = ".stillpoint/instances/web.json";
        let whole = damaged(record);
        let error = still.snapshot(WEB).await.unwrap_err();
        says(&error, ErrorKind::Corrupt, &[record]);
        fs::write(bed.file(record), whole).unwrap();
        still.restore(taken.id).await.unwrap();
        end(still).await;
    }
}

#[tokio::test]
async fn a_state_that_is_cut_or_flipped() {
    let bed = Bed::new().await;
    let still = bed.start();
    still.snapshot(WEB).await.unwrap();
    end(still.clone()).await;
    drop(still);
    tokio::task::yield_now().await;
    let path = bed.state_file();
    let whole = fs::read(&path).unwrap();
    let marker = whole.windows(4).rposition(|it| it == b"jobs").unwrap();
    let mut flipped = whole.clone();
    flipped[marker] ^= 1;
    for bytes in [whole[..whole.len() / 2].to_vec(), flipped] {
        fs::write(&path, &bytes).unwrap();
        let error = bed.builder().build().unwrap_err();
        says(&error, ErrorKind::Corrupt, &["state.redb"]);
        assert!(
            fs::read(&path).unwrap() == bytes,
            "what is damaged is left for a person to look at"
        );
    }
    fs::write(&path, &whole).unwrap();
    bed.builder().build().unwrap();
}

#[tokio::test]
async fn a_part_whose_file_is_gone() {
    let bed = Bed::new().await;
    let still = bed.start();
    let taken = still.snapshot(WEB).await.unwrap();
    let part = taken.parts[1].snapshot.clone();
    fs::remove_file(bed.file(&format!(".stillpoint/snapshots/{}.raw", part.id()))).unwrap();
    let before = inventory(&bed, &still).await;
    let error = still.restore(taken.id).await.unwrap_err();
    says(&error, ErrorKind::Corrupt, &[part.id(), ".raw"]);
    assert_eq!(inventory(&bed, &still).await, before);
    still.restore(taken.id).disks(["root"]).await.unwrap();
    end(still).await;
}

#[tokio::test]
async fn a_plan_for_another_target() {
    let bed = Bed::new().await;
    let still = bed.start();
    let planned = still.snapshot(WEB).plan().await.unwrap();
    let stored = serde_json::to_string(planned.as_plan()).unwrap();
    end(still).await;
    let other = Bed::new().await;
    let elsewhere = Stillpoint::builder()
        .folder("there", other.folder())
        .state_file(other.state_file())
        .build()
        .unwrap();
    let plan = serde_json::from_str(&stored).unwrap();
    let before = inventory(&other, &elsewhere).await;
    let error = elsewhere.planned(plan).start().await.unwrap_err();
    says(&error, ErrorKind::NotFound, &["`here`", "there"]);
    assert_eq!(inventory(&other, &elsewhere).await, before);
}

#[tokio::test]
async fn a_target_that_lost_a_disk() {
    let bed = Bed::new().await;
    let provider = Arc::new(LocalProvider::open("here", bed.folder()).unwrap());
    let still = Stillpoint::builder()
        .provider(Arc::clone(&provider) as Arc<_>)
        .state_file(bed.state_file())
        .build()
        .unwrap();
    tokio::spawn(still.run());
    let taken = still.snapshot(WEB).await.unwrap();
    let planned = still.restore(taken.id).plan().await.unwrap();
    let detach = Operation::Detach {
        instance: web(),
        volume: taken.parts[1].volume.clone(),
    };
    provider
        .submit(&"somebody".parse().unwrap(), &detach)
        .await
        .unwrap();
    let before = inventory(&bed, &still).await;
    let error = planned.start().await.unwrap_err();
    says(
        &error,
        ErrorKind::Conflict,
        &["here/instance/web is not what it was"],
    );
    let error = still.restore(taken.id).await.unwrap_err();
    says(
        &error,
        ErrorKind::Precondition,
        &["here/instance/web has no disk `data` any more"],
    );
    assert_eq!(inventory(&bed, &still).await, before);
    end(still).await;
}

#[tokio::test]
async fn a_snapshot_that_is_pinned_or_held() {
    let bed = Bed::new().await;
    let still = bed.start();
    let taken = still.snapshot(WEB).await.unwrap();
    still.catalogue().pin(taken.id, "audit").await.unwrap();
    let job = still.restore(taken.id).await.unwrap();
    let before = inventory(&bed, &still).await;
    let error = still.delete(taken.id).await.unwrap_err();
    says(
        &error,
        ErrorKind::Precondition,
        &["is pinned (audit): unpin it first"],
    );
    let safety = job.snapshot.unwrap();
    let error = still.delete(safety).await.unwrap_err();
    says(
        &error,
        ErrorKind::Precondition,
        &[&job.id.to_string(), "undo or accept"],
    );
    assert_eq!(inventory(&bed, &still).await, before);
    still.undo(job.id).await.unwrap();
    let before = inventory(&bed, &still).await;
    for error in [
        still.undo(job.id).await.unwrap_err(),
        still.accept(job.id).await.unwrap_err(),
    ] {
        says(
            &error,
            ErrorKind::Precondition,
            &[&job.id.to_string(), "only once"],
        );
    }
    assert_eq!(inventory(&bed, &still).await, before);
    end(still).await;
}

#[tokio::test]
async fn a_key_that_stands_for_something_else() {
    let bed = Bed::new().await;
    let still = bed.start();
    still.snapshot(WEB).once("schema-0042").await.unwrap();
    let before = inventory(&bed, &still).await;
    let error = still
        .snapshot(WEB)
        .named("other")
        .once("schema-0042")
        .await
        .unwrap_err();
    says(&error, ErrorKind::Conflict, &["schema-0042", WEB]);
    assert_eq!(inventory(&bed, &still).await, before);
    end(still).await;
}

#[tokio::test]
async fn nobody_drives_or_nobody_may() {
    let bed = Bed::new().await;
    let still = bed.builder().build().unwrap();
    let job = still.snapshot(WEB).start().await.unwrap();
    let error = job.clone().await.unwrap_err();
    says(
        &error,
        ErrorKind::Precondition,
        &[&job.id().to_string(), "run()"],
    );
    let error = job.stop().await.unwrap_err();
    says(&error, ErrorKind::Precondition, &["run()"]);
    let id = job.id();
    drop((still, job));
    tokio::task::yield_now().await;

    let looks = bed.builder().read_only().build().unwrap();
    let before = inventory(&bed, &looks).await;
    let errors = [
        looks.snapshot(WEB).start().await.unwrap_err(),
        looks.job(id).stop().await.unwrap_err(),
        looks.run().await.unwrap_err(),
    ];
    for error in &errors {
        says(error, ErrorKind::Permission, &["look only"]);
    }
    assert_eq!(inventory(&bed, &looks).await, before);
}

/// What is under way when a delete is asked for can be gone already: only forward leads to one
/// truth.
#[test]
fn a_stop_past_the_point_of_no_return() {
    multi().block_on(async {
        let bed = Bed::new().await;
        let (reached, mut is_reached) = tokio::sync::mpsc::unbounded_channel();
        let (go, may_go) = std::sync::mpsc::channel();
        let may_go = std::sync::Mutex::new(may_go);
        let watcher = Watcher::new(move |moment| {
            if let Moment::Submit(_, Operation::DeleteSnapshot { .. }) = moment {
                reached.send(()).unwrap();
                // Ends with an error once the test has let go for good.
                let _ = may_go.lock().unwrap().recv();
            }
        });
        let still = watched(bed.path(), &watcher).unwrap();
        tokio::spawn(still.run());
        let taken = still.snapshot(WEB).await.unwrap();
        let job = still.delete(taken.id).start().await.unwrap();
        is_reached.recv().await.unwrap();
        let stop = tokio::spawn({
            let job = job.clone();
            async move { job.stop().await }
        });
        // The first part is gone before the second delete begins, and nothing else is asked.
        go.send(()).unwrap();
        is_reached.recv().await.unwrap();
        drop(go);
        let error = stop.await.unwrap().unwrap_err();
        assert_eq!(
            (error.kind(), error.world()),
            (ErrorKind::Precondition, World::Untouched)
        );
        assert!(
            error
                .message()
                .contains("delete/0 has begun and can't be taken back"),
            "{error}"
        );
        job.await.unwrap();
        still.get(taken.id).await.unwrap_err();
        end(still).await;
    });
}

/// A clock that is turned by an hour forth and back all the time, or does not go at all.
#[derive(Debug)]
struct Odd {
    stopped: Option<jiff::Timestamp>,
    looks: AtomicI64,
}

#[async_trait]
impl Clock for Odd {
    fn now(&self) -> jiff::Timestamp {
        let looks = self.looks.fetch_add(1, Ordering::SeqCst);
        let turned = jiff::SignedDuration::from_hours(if (looks / 5) % 2 == 0 { 1 } else { -1 });
        self.stopped
            .unwrap_or_else(|| jiff::Timestamp::now() + turned)
    }

    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}

#[tokio::test]
async fn a_clock_that_stops_and_one_that_jumps() {
    for stopped in [Some(jiff::Timestamp::now()), None] {
        let bed = Bed::new().await;
        let original = bed.volumes();
        let clock = Arc::new(Odd {
            stopped,
            looks: AtomicI64::new(0),
        });
        let still = bed.start_with(|it| it.clock(clock));
        let all = async {
            let taken = still.snapshot(WEB).await.unwrap();
            bed.damage();
            let damaged = bed.volumes();
            let job = still.restore(taken.id).await.unwrap();
            assert_eq!(bed.volumes(), original);
            still.undo(job.id).await.unwrap();
            assert_eq!(bed.volumes(), damaged);
            still.delete(taken.id).await.unwrap();
        };
        let in_time = tokio::time::timeout(Duration::from_secs(50), all).await;
        let jobs = still.jobs(&JobQuery::default()).await.unwrap();
        assert!(in_time.is_ok(), "stopped: {stopped:?}: {jobs:#?}");
        end(still.clone()).await;
        drop(still);
        bed.found().await.check_files("after all");
    }
}

/// The other process of the next test: holds a bed until its input ends.
#[test]
#[ignore = "the other process of a test, which starts it"]
fn holder() {
    let Some(dir) = std::env::var_os("STILLPOINT_HELD") else {
        return;
    };
    let dir = std::path::Path::new(&dir);
    let provider = LocalProvider::open("here", bed::folder(dir)).unwrap();
    let state = Redb::open_or_create(bed::state_file(dir)).unwrap();
    println!("held");
    std::io::stdin().read_line(&mut String::new()).unwrap();
    drop((provider, state));
}

#[tokio::test]
async fn two_processes_on_one_folder_and_on_one_state() {
    let bed = Bed::new().await;
    let mut other = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "holder", "--nocapture"])
        .env("STILLPOINT_HELD", bed.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let told = std::io::BufReader::new(other.stdout.take().unwrap());
    let mut lines = std::io::BufRead::lines(told);
    assert!(lines.any(|line| line.unwrap().contains("held")));
    let pid = other.id().to_string();
    let before = files(&bed.folder());

    let error = bed.builder().build().unwrap_err();
    says(&error, ErrorKind::Busy, &[&pid]);
    let error = Stillpoint::builder()
        .state_file(bed.state_file())
        .build()
        .unwrap_err();
    says(&error, ErrorKind::Busy, &["state.redb", &pid]);
    let own = bed.path().join("own.redb");
    let error = Stillpoint::builder()
        .folder("here", bed.folder())
        .state_file(own)
        .build()
        .unwrap_err();
    says(&error, ErrorKind::Busy, &["volumes/.stillpoint/lock", &pid]);
    assert_eq!(files(&bed.folder()), before);
    drop(other.stdin.take());
    assert!(other.wait().unwrap().success());
    bed.builder().build().unwrap();
}

/// With this many KiB free and fewer, down to none: volumes, snapshots and state on one small
/// disk. Nothing is lost, and with room again the same job comes to its end.
#[tokio::test]
#[ignore = "needs root: mounts a tmpfs"]
async fn a_disk_that_is_full_at_every_write() {
    let mount = Mounted(tempfile::tempdir().unwrap());
    let tmpfs = ["-t", "tmpfs", "-o", "size=8m", "tmpfs"];
    assert!(
        Command::new("mount")
            .args(tmpfs)
            .arg(mount.0.path())
            .status()
            .unwrap()
            .success()
    );
    let (mut refused, mut late, mut done) = (0, 0, 0);
    for free in (0..=400).step_by(4) {
        let bed = Bed::new_in(mount.0.path()).await;
        let original = bed.volumes();
        let still = bed.start();
        let filler = mount.0.path().join("filler");
        fill_up(&filler, free << 10);
        let ask = || still.snapshot(WEB).once("full").start();
        match ask().await {
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Quota, "{free} KiB: {error}");
                assert!(error.advice().is_some(), "{error}");
                refused += 1;
            }
            Ok(job) => {
                match tokio::time::timeout(Duration::from_secs(3), job.clone().into_future()).await
                {
                    // It waits for room to write its journal.
                    Err(_) => late += 1,
                    Ok(Ok(_)) => done += 1,
                    Ok(Err(error)) => {
                        assert_eq!(error.kind(), ErrorKind::Quota, "{free} KiB: {error}");
                        refused += 1;
                    }
                }
            }
        }
        assert_eq!(bed.volumes(), original, "{free} KiB");
        fs::remove_file(&filler).unwrap();
        // Where the state failed as it began, the first run has ended with that; a second beside
        // the first is refused.
        tokio::spawn(still.run());
        let job = ask().await.unwrap();
        let job = tokio::time::timeout(Duration::from_secs(120), job.into_future())
            .await
            .unwrap();
        if job.is_err() {
            // The job of that key is over and failed: with room there is another.
            still.snapshot(WEB).await.unwrap();
        }
        end(still.clone()).await;
        drop(still);
        let found = bed.found().await;
        assert_eq!(found.snapshots.len(), 1, "{free} KiB");
        found.check_files(&format!("{free} KiB"));
        assert_eq!(bed.volumes(), original, "{free} KiB");
    }
    println!("full disks: {refused} refused, {late} waited for room, {done} had enough");
    assert!(refused > 5 && done > 0);
}

/// A file system of its own, which goes with it.
struct Mounted(tempfile::TempDir);

impl Drop for Mounted {
    fn drop(&mut self) {
        // Where nothing was mounted there is nothing to undo.
        let _ = Command::new("umount").arg(self.0.path()).status();
    }
}

/// A file that leaves so many bytes of its file system.
fn fill_up(path: &std::path::Path, leave: u64) {
    let file = fs::File::create(path).unwrap();
    let stat = rustix::fs::fstatvfs(&file).unwrap();
    let free = stat.f_bavail * stat.f_bsize;
    let take = free.saturating_sub(leave);
    rustix::fs::fallocate(&file, rustix::fs::FallocateFlags::empty(), 0, take.max(1)).unwrap();
}
