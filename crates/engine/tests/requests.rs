//! What is refused, why, and that nothing was touched by then.

mod common;

use std::sync::Arc;
use std::time::Duration;

use common::{Bench, CHUNK, Fuse, Story};
use stillpoint_core::{Consistency, ErrorKind, Memory, SnapshotState, World};
use stillpoint_engine::{JobQuery, Request, Restore, Take, Target};
use stillpoint_iaas::sim::{At, Fault, NewInstance, Personality, SimCloud};
use stillpoint_iaas::{Operation, OperationKind, Provider};
use stillpoint_restore::Outcome;

#[tokio::test(start_paused = true)]
async fn all_reasons_stand_in_one_plan() {
    let bench = Bench::with(Personality::Process, |instance| instance);
    let submits = bench.cloud.calls().submits;
    let take = Take {
        disks: Some(vec!["root".into(), "nope".into()]),
        at_least: Consistency::Application,
        memory: Memory::Resumable,
        ..Take::of(bench.web.clone())
    };
    let plan = bench.engine.plan(&Request::Take(take)).await.unwrap();
    let reasons = plan.blocked_by.join("\n");
    assert!(
        reasons.contains("there is no disk `nope`, it has root, data"),
        "{reasons}"
    );
    assert!(
        reasons.contains("Resumable memory asked, No is what can be held"),
        "{reasons}"
    );
    assert!(
        reasons.contains("Application asked, Filesystem reachable"),
        "{reasons}"
    );
    let refused = bench.engine.start(&plan).await.unwrap_err();
    assert_eq!(
        (refused.kind(), refused.world()),
        (ErrorKind::Precondition, World::Untouched)
    );
    assert_eq!(refused.reasons().len(), 2, "{refused}");
    assert_eq!(
        bench.cloud.calls().submits,
        submits,
        "planning asks, and submits nothing"
    );
}

#[tokio::test(start_paused = true)]
async fn a_plan_is_bound_to_its_target() {
    let bench = Bench::new(Personality::Declarative);
    let restore = bench.set_up(Story::InPlace).await;
    let plan = bench.engine.plan(&restore).await.unwrap();
    let stored = serde_json::to_string(&plan).unwrap();
    let plan = serde_json::from_str(&stored).unwrap();
    let extra = bench.cloud.add_volume("extra", CHUNK);
    let attach = Operation::Attach {
        instance: bench.web.clone(),
        volume: extra,
        disk: "extra".into(),
    };
    bench
        .cloud
        .connect()
        .submit(&"somebody".parse().unwrap(), &attach)
        .await
        .unwrap();
    bench.cloud.settle().await;
    let refused = bench.engine.start(&plan).await.unwrap_err();
    assert_eq!(
        (refused.kind(), refused.world()),
        (ErrorKind::Conflict, World::Untouched)
    );
    assert!(
        refused
            .to_string()
            .contains("prod/instance/web-1 is not what it was"),
        "{refused}"
    );
}

#[tokio::test(start_paused = true)]
async fn two_jobs_do_not_work_on_one_target() {
    let bench = Bench::new(Personality::Declarative);
    let restore = bench.set_up(Story::InPlace).await;
    let plan = bench.engine.plan(&restore).await.unwrap();
    let first = bench.engine.start(&plan).await.unwrap();
    let refused = bench.engine.start(&plan).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Busy);
    assert!(
        refused.to_string().contains(&first.to_string()),
        "{refused}"
    );
    assert!(bench.finish(first).await.is_good());
}

#[tokio::test(start_paused = true)]
async fn a_safety_snapshot_stays_until_it_is_undone_or_accepted() {
    let bench = Bench::new(Personality::Declarative);
    let restore = bench.set_up(Story::InPlace).await;
    let job = bench.run(restore).await.unwrap();
    let safety = job.snapshot.unwrap();
    let delete = Request::Delete { snapshot: safety };
    let plan = bench.engine.plan(&delete).await.unwrap();
    assert!(
        plan.blocked_by[0].contains("keeps it as its way back"),
        "{:?}",
        plan.blocked_by
    );
    bench.run(Request::Undo { job: job.id }).await.unwrap();
    bench.engine.catalogue().get(safety).await.unwrap_err();
    let again = bench
        .engine
        .plan(&Request::Undo { job: job.id })
        .await
        .unwrap_err();
    assert_eq!(again.kind(), ErrorKind::Precondition);
}

#[tokio::test(start_paused = true)]
async fn a_pinned_snapshot_is_not_deleted() {
    let bench = Bench::new(Personality::Rest);
    let taken = bench.take().await.unwrap();
    bench
        .engine
        .by("anna")
        .pin(taken.id, "audit")
        .await
        .unwrap();
    let delete = Request::Delete { snapshot: taken.id };
    let plan = bench.engine.plan(&delete).await.unwrap();
    assert!(
        plan.blocked_by[0].contains("is pinned (audit): unpin it first"),
        "{plan}"
    );
    bench
        .engine
        .by("anna")
        .unpin(taken.id, "audit")
        .await
        .unwrap();
    bench.run(delete).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_pin_between_plan_and_start_counts() {
    let bench = Bench::new(Personality::Rest);
    let taken = bench.take().await.unwrap();
    let plan = bench
        .engine
        .plan(&Request::Delete { snapshot: taken.id })
        .await
        .unwrap();
    bench
        .engine
        .by("anna")
        .pin(taken.id, "audit")
        .await
        .unwrap();
    let refused = bench.engine.start(&plan).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Precondition, "{refused}");
    assert_eq!(bench.snapshot(taken.id).await.state, SnapshotState::Taken);
}

#[tokio::test(start_paused = true)]
async fn once_is_once() {
    let bench = Bench::new(Personality::Rest);
    let take = Request::Take(Take::of(bench.web.clone()));
    let first = bench.engine.start_once(&take, "schema-0042").await.unwrap();
    let second = bench.engine.start_once(&take, "schema-0042").await.unwrap();
    assert_eq!(first, second);
    let other = Take {
        name: Some("other".into()),
        ..Take::of(bench.web.clone())
    };
    let refused = bench
        .engine
        .start_once(&Request::Take(other), "schema-0042")
        .await
        .unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Conflict);
    bench.finish(first).await;
    assert_eq!(
        bench.engine.jobs(&JobQuery::default()).await.unwrap().len(),
        1
    );
}

#[tokio::test(start_paused = true)]
async fn a_start_that_nobody_acknowledged_is_driven_if_it_was_made() {
    let mut bench = Bench::new(Personality::Rest);
    let fuse = Fuse::losing(Arc::clone(&bench.state), 1);
    bench.drive_on(fuse);
    let take = Request::Take(Take::of(bench.web.clone()));
    let plan = bench.engine.plan(&take).await.unwrap();
    let lost = bench.engine.start(&plan).await.unwrap_err();
    assert_eq!(lost.world(), World::Unknown, "{lost}");
    let jobs = bench.engine.jobs(&JobQuery::default()).await.unwrap();
    assert!(bench.finish(jobs[0].id).await.is_good());
}

#[tokio::test(start_paused = true)]
async fn an_instance_that_runs_is_powered_off_only_where_that_was_said() {
    let bench = Bench::with(Personality::Rest, NewInstance::without_agent);
    let take = Take {
        at_least: Consistency::Filesystem,
        ..Take::of(bench.web.clone())
    };
    let refused = bench.run(Request::Take(take.clone())).await;
    let budget = Some(Duration::from_secs(300));
    let take = Take {
        may_power_off: budget,
        prefer: Consistency::Application,
        ..take
    };
    let plan = bench
        .engine
        .plan(&Request::Take(take.clone()))
        .await
        .unwrap();
    assert!(
        plan.to_string().contains("is powered off meanwhile"),
        "{plan}"
    );
    let taken = bench
        .run(Request::Take(take))
        .await
        .unwrap()
        .snapshot
        .unwrap();
    let taken = bench.snapshot(taken).await;
    assert_eq!(taken.consistency.reached, Some(Consistency::Filesystem));
    assert!(
        bench.cloud.inventory().items[&bench.web]
            .state
            .starts_with("on")
    );
    assert!(
        refused.is_err(),
        "without an agent Filesystem is out of reach while it runs"
    );
}

#[tokio::test(start_paused = true)]
async fn what_no_instance_can_be_launched_from_is_known_before_a_volume_is_made() {
    let cloud = SimCloud::builder(Personality::Rest).launches_nothing("there is no flavor `m1`");
    let bench = Bench::on(cloud, NewInstance::off);
    let taken = bench.take().await.unwrap();
    let to = |to| {
        Request::Restore(Restore {
            to,
            ..Restore::in_place(taken.id)
        })
    };
    let new = to(Target::New {
        name: "web-2".into(),
    });
    let plan = bench.engine.plan(&new).await.unwrap();
    assert_eq!(plan.blocked_by, ["there is no flavor `m1`"]);
    // Only where something is to be launched.
    bench
        .run(Request::Restore(Restore::in_place(taken.id)))
        .await
        .unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_restore_over_an_instance_that_runs_is_refused() {
    let bench = Bench::with(Personality::Declarative, |instance| instance);
    let taken = bench.take().await.unwrap();
    let restore = Request::Restore(Restore::in_place(taken.id));
    let plan = bench.engine.plan(&restore).await.unwrap();
    assert!(
        plan.blocked_by[0].contains("prod/instance/web-1 runs"),
        "{:?}",
        plan.blocked_by
    );
    let allowed = Restore {
        may_power_off: Some(Duration::from_secs(300)),
        ..Restore::in_place(taken.id)
    };
    bench.run(Request::Restore(allowed)).await.unwrap();
    assert!(
        bench.cloud.inventory().items[&bench.web]
            .state
            .starts_with("on")
    );
}

#[tokio::test(start_paused = true)]
async fn chosen_disks_only() {
    for personality in Personality::ALL {
        let bench = Bench::new(personality);
        let take = Take {
            disks: Some(vec!["data".into()]),
            ..Take::of(bench.web.clone())
        };
        let taken = bench
            .run(Request::Take(take))
            .await
            .unwrap()
            .snapshot
            .unwrap();
        let taken = bench.snapshot(taken).await;
        assert_eq!(taken.parts.len(), 1);
        let omitted: Vec<_> = taken.omitted.iter().map(ToString::to_string).collect();
        assert_eq!(
            omitted,
            ["disk `root` (not selected)", "disk `scratch` (ephemeral)"]
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_name_that_is_taken_stands_in_the_way() {
    let bench = Bench::new(Personality::Files);
    let taken = bench.take().await.unwrap();
    let name = bench.web.id().to_owned();
    let restore = Restore {
        to: Target::New { name },
        ..Restore::in_place(taken.id)
    };
    let plan = bench.engine.plan(&Request::Restore(restore)).await.unwrap();
    assert!(
        plan.blocked_by[0].contains("exists already"),
        "{:?}",
        plan.blocked_by
    );
}

#[tokio::test(start_paused = true)]
async fn what_nobody_can_tell_waits_for_a_person() {
    let bench = Bench::new(Personality::Process);
    bench.cloud.fault(
        At::submit(OperationKind::Snapshot),
        Fault::LostReply { done: true },
    );
    let plan = bench
        .engine
        .plan(&Request::Take(Take::of(bench.web.clone())))
        .await
        .unwrap();
    let id = bench.engine.start(&plan).await.unwrap();
    let job = bench.finish(id).await;
    assert!(
        matches!(job.outcome, Some(Outcome::NeedsIntervention { .. })),
        "{job:#?}"
    );
    assert!(!job.is_over());
    let error = job.into_result().unwrap_err();
    assert_eq!(
        (error.kind(), error.world()),
        (ErrorKind::NeedsIntervention, World::Unknown)
    );
    let unfinished = JobQuery {
        unfinished: true,
        resource: Some(bench.web.clone()),
    };
    assert_eq!(bench.engine.jobs(&unfinished).await.unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn nothing_waits_for_an_engine_that_does_not_run() {
    let bench = Bench::new(Personality::Rest);
    bench.engine.shutdown(Duration::from_secs(10)).await;
    let plan = bench
        .engine
        .plan(&Request::Take(Take::of(bench.web.clone())))
        .await
        .unwrap();
    let id = bench.engine.start(&plan).await.unwrap();
    let refused = bench.engine.wait(id).await.unwrap_err();
    assert!(refused.to_string().contains("Spawn run()"), "{refused}");
    let again = tokio::spawn(bench.engine.run());
    assert!(bench.finish(id).await.is_good(), "the next run drives it");
    again.abort();
}

#[tokio::test(start_paused = true)]
async fn a_snapshot_below_the_minimum_is_a_failed_one() {
    // A CPI takes one volume a call and never says more than Crash: nobody knows before it has answered.
    let bench = Bench::new(Personality::Process);
    let take = Take {
        at_least: Consistency::Filesystem,
        ..Take::of(bench.web.clone())
    };
    let before = bench.cloud.inventory();
    let error = bench.run(Request::Take(take)).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.world()),
        (ErrorKind::Precondition, World::RolledBack)
    );
    assert!(
        error
            .to_string()
            .contains("Filesystem asked, PerVolume reached"),
        "{error}"
    );
    assert!(bench.snapshots().await.is_empty());
    bench.cloud.settle().await;
    assert!(before.diff(&bench.cloud.inventory()).is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_snapshot_that_rotted_is_not_restored() {
    let bench = Bench::new(Personality::Declarative);
    let restore = bench.set_up(Story::InPlace).await;
    let damaged = ["root", "data"].map(|disk| bench.cloud.digest(&bench.disk(disk)));
    let taken = bench.snapshots().await.remove(0);
    bench.cloud.rot(&taken.parts[1].snapshot);
    let error = bench.run(restore).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.world()),
        (ErrorKind::Corrupt, World::RolledBack),
        "{error}"
    );
    let now = ["root", "data"].map(|disk| bench.cloud.digest(&bench.disk(disk)));
    assert_eq!(now, damaged, "the disks are as before the restore");
    bench.check_no_orphans("rotted").await;
}
