//! Requests that are wrong, or come at the wrong time.

use std::fs;

use stillpoint::iaas::Operation;
use stillpoint::{Consistency, ErrorKind, JobId, Memory, SnapshotId, World};

use crate::bed::{Bed, Moment, WEB, Watcher, watched};
use crate::{end, inventory, multi, says};

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
async fn a_snapshot_that_is_pinned_or_held() {
    let bed = Bed::new().await;
    let still = bed.start();
    let taken = still.snapshot(WEB).await.unwrap();
    still.by("anna").pin(taken.id, "audit").await.unwrap();
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
async fn a_key_stands_for_a_plan_as_well() {
    let bed = Bed::new().await;
    let still = bed.start();
    let first = still
        .snapshot(WEB)
        .once("schema-0043")
        .plan()
        .await
        .unwrap();
    let job = first.start().await.unwrap().await.unwrap();
    // Whoever asks again has planned again.
    let again = still
        .snapshot(WEB)
        .once("schema-0043")
        .plan()
        .await
        .unwrap();
    for planned in [first, again] {
        assert_eq!(planned.start().await.unwrap().id(), job.id);
    }
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
