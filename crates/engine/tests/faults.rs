//! Every fault at every call, on every sort of cloud: what is there afterwards is what the
//! catalogue says.

mod common;

use std::time::Duration;

use common::{Bench, Story};
use stillpoint_core::{Omission, OmissionReason, SnapshotState};
use stillpoint_iaas::OperationKind;
use stillpoint_iaas::sim::{At, Call, Fault, Personality};
use stillpoint_restore::Outcome;

/// More calls than any of these jobs makes.
const CALLS: u32 = 12;

fn faults() -> Vec<(Call, Fault)> {
    let minute = Duration::from_secs(60);
    let mut faults = vec![
        (Call::Observe, Fault::LostReply { done: false }),
        (Call::Observe, Fault::Unavailable),
        (Call::Submit, Fault::Fails { after: minute }),
        (Call::Submit, Fault::Late { by: minute }),
        (Call::Submit, Fault::QuotaShort),
        (
            Call::Submit,
            Fault::RateLimited {
                retry_after: Some(minute),
            },
        ),
        (Call::Submit, Fault::RateLimited { retry_after: None }),
        (Call::Submit, Fault::Slow { by: minute }),
        (Call::Submit, Fault::Stall { by: minute / 2 }),
        (Call::Submit, Fault::Unavailable),
    ];
    for done in [false, true] {
        faults.push((Call::Submit, Fault::LostReply { done }));
        faults.push((Call::Submit, Fault::TimedOut { done }));
        faults.push((
            Call::Submit,
            Fault::HalfDone {
                at: 1,
                leaves: done,
            },
        ));
    }
    faults
}

#[tokio::test(start_paused = true)]
async fn no_fault_leaves_an_orphan() {
    let mut tried = 0;
    for personality in Personality::ALL {
        for story in Story::ALL
            .into_iter()
            .filter(|story| story.works_on(personality))
        {
            for (call, fault) in faults() {
                // An effect may be late only where the system says so.
                if matches!(fault, Fault::Late { .. }) && personality != Personality::Rest {
                    continue;
                }
                for nth in 1..=CALLS {
                    if !meets(personality, story, call, fault, nth).await {
                        break;
                    }
                    tried += 1;
                }
            }
        }
    }
    println!("{tried} faults");
    assert!(tried > 1000, "{tried}");
}

/// Tells whether the job made so many calls that the fault met one.
async fn meets(personality: Personality, story: Story, call: Call, fault: Fault, nth: u32) -> bool {
    let what = format!("{personality:?}, {story:?}, {fault:?} at {call:?} {nth}");
    let bench = Bench::new(personality);
    let request = bench.set_up(story).await;
    let disks = ["root", "data"].map(|disk| bench.cloud.digest(&bench.disk(disk)));
    bench.cloud.fault(At::call(call).nth(nth), fault);
    let plan = bench.engine.plan(&request).await.expect(&what);
    let id = bench.engine.start(&plan).await.expect(&what);
    let job = bench.finish(id).await;
    if bench.cloud.faults_left() > 0 {
        return false;
    }
    let job = match &job.outcome {
        // Nobody but a person can tell what a lost call did.
        Some(Outcome::NeedsIntervention { .. }) if personality == Personality::Process => {
            return true;
        }
        // Past the point of no return: the person says that the cloud is well again.
        Some(Outcome::NeedsIntervention { .. }) => {
            bench.engine.resume(id).await.expect(&what);
            bench.finish(id).await
        }
        _ => job,
    };
    match &job.outcome {
        Some(Outcome::RolledBack { .. } | Outcome::Failed { .. }) => {
            let now = ["root", "data"].map(|disk| bench.cloud.digest(&bench.disk(disk)));
            assert_eq!(now, disks, "{what}: {:#?}", job.outcome);
        }
        Some(Outcome::PartiallyFailed { .. }) => {
            assert!(
                matches!(story, Story::Accept | Story::Delete),
                "{what}: {:#?}",
                job.outcome
            );
            let partial = bench.snapshots().await;
            let partial = partial.iter().find(|it| it.state == SnapshotState::Partial);
            let partial = partial.expect("what is left is listed as such");
            let deleted = |it: &&Omission| it.reason == OmissionReason::Deleted;
            let gone = partial.omitted.iter().filter(deleted);
            let disks = partial.parts.len() + gone.count();
            assert_eq!(disks, 2, "{what}: what went is said: {partial:?}");
        }
        outcome => assert!(job.is_good(), "{what}: {outcome:#?}"),
    }
    bench.check_no_orphans(&what).await;
    true
}

/// A system that breaks its promise of how late an effect may be: the second attempt has begun
/// when the first one's effect comes after all.
#[tokio::test(start_paused = true)]
async fn a_twin_is_removed() {
    let bench = Bench::new(Personality::Rest);
    let settle = bench.cloud.capabilities().identity.settle();
    let (soon, later) = (Duration::from_secs(10), Duration::from_secs(60));
    let submit = At::submit(OperationKind::Snapshot);
    let by = settle + soon;
    bench.cloud.fault(submit, Fault::PromiseBroken { by });
    bench.cloud.fault(submit.nth(2), Fault::Slow { by: later });
    let taken = bench.take().await.unwrap();
    assert_eq!(taken.parts.len(), 2);
    assert_eq!(bench.cloud.faults_left(), 0);
    bench.check_no_orphans("a twin").await;
}
