use std::collections::BTreeSet;
use std::time::Duration;

use stillpoint_core::ResourceRef;
use tokio::time::{sleep, timeout};

use crate::capabilities::Identity;
use crate::conformance::bed::TestBed;
use crate::conformance::breach::{Breach, Held, Verdict, ensure};
use crate::conformance::faulty::{Faulty, Trouble};
use crate::conformance::trial::Trial;
use crate::observation::Observation;
use crate::operation::{Operation, OperationKind};
use crate::provider::Provider;
use crate::sim::At;

/// After how long a submit is cut off: from before it left until after its reply.
const CUTS: [u64; 10] = [0, 1, 2, 5, 10, 25, 75, 100, 200, 1000];

pub(in crate::conformance) async fn second_submit_is_the_same<B: TestBed>(
    trial: &mut Trial<'_, B>,
) -> Verdict {
    if trial.can.identity != Identity::Enforced {
        return Ok(Held::NotPromised("its identity is not Enforced"));
    }
    let volume = trial.volume().await;
    for operation in [trial.create_volume(), trial.take_one(&volume)] {
        let before = trial.inventory().await;
        let key = trial.key();
        let ticket = trial.provider().submit(&key, &operation).await?;
        // Refused is as good as the same.
        let _ = trial.provider().submit(&key, &operation).await;
        let seen = trial.wait(&key, &operation, Some(&ticket)).await?;
        let (created, twins) = done(seen)?;
        let _ = trial.provider().submit(&key, &operation).await;
        trial.settle().await;
        let new = trial.new_since(&before).await;
        ensure!(
            twins.is_empty() && new == created,
            "three submits of {operation} under one key made {new:?}"
        );
    }
    Ok(Held::Kept)
}

pub(in crate::conformance) async fn twins_are_told<B: TestBed>(
    trial: &mut Trial<'_, B>,
) -> Verdict {
    if !matches!(trial.can.identity, Identity::Findable { .. }) {
        return Ok(Held::NotPromised("its identity is not Findable"));
    }
    let volume = trial.volume().await;
    for operation in [trial.create_volume(), trial.take_one(&volume)] {
        let before = trial.inventory().await;
        let key = trial.key();
        trial.provider().submit(&key, &operation).await?;
        trial.provider().submit(&key, &operation).await?;
        trial.settle().await;
        let (created, twins) = done(trial.wait(&key, &operation, None).await?)?;
        ensure!(
            created.is_disjoint(&twins),
            "{created:?} has itself for a twin"
        );
        let new = trial.new_since(&before).await;
        let told: BTreeSet<_> = created.union(&twins).cloned().collect();
        ensure!(
            new == told,
            "two submits of {operation} made {new:?}, and told of {told:?}"
        );
    }
    Ok(Held::Kept)
}

pub(in crate::conformance) async fn key_alone_is_enough<B: TestBed>(
    trial: &mut Trial<'_, B>,
) -> Verdict {
    let volume = trial.volume().await;
    for operation in [trial.create_volume(), trial.take_one(&volume)] {
        let key = trial.key();
        let ticket = trial.provider().submit(&key, &operation).await?;
        let output = trial.done_as(&key, &operation, Some(&ticket)).await?;
        trial.restart().await;
        let seen = trial.wait(&key, &operation, None).await?;
        if trial.answers_by_key() {
            let found = matches!(&seen, Observation::Done { output: same, .. } if *same == output);
            ensure!(
                found,
                "{operation} brought {output:?}, and by its key {seen:?}"
            );
        } else {
            ensure!(
                matches!(
                    seen,
                    Observation::Unknown {
                        settles_at: None,
                        ..
                    }
                ),
                "{operation} cannot be known by its key, and is {seen:?}"
            );
        }
    }
    Ok(Held::Kept)
}

pub(in crate::conformance) async fn never_asked_is_absent<B: TestBed>(
    trial: &mut Trial<'_, B>,
) -> Verdict {
    let volume = trial.volume().await;
    for operation in [trial.create_volume(), trial.take_one(&volume)] {
        let key = trial.key();
        let seen = trial.provider().observe(&key, &operation, None).await?;
        let right = match trial.can.identity {
            Identity::TicketOnly => matches!(seen, Observation::Unknown { .. }),
            _ => matches!(seen, Observation::Absent),
        };
        ensure!(right, "{operation} was never asked for, and is {seen:?}");
    }
    Ok(Held::Kept)
}

pub(in crate::conformance) async fn cut_off_is_found<B: TestBed>(
    trial: &mut Trial<'_, B>,
) -> Verdict {
    if !trial.answers_by_key() {
        return Ok(Held::NotPromised("its identity is TicketOnly"));
    }
    let before = trial.inventory().await;
    let mut asked = Vec::new();
    for cut in CUTS {
        let (key, operation) = (trial.key(), trial.create_volume());
        let submit = trial.provider().submit(&key, &operation);
        let _ = timeout(Duration::from_millis(cut), submit).await;
        asked.push((key, operation));
    }
    trial.restart().await;
    trial.settle().await;
    let mut told = BTreeSet::new();
    for (key, operation) in &asked {
        told.extend(trace(trial.wait(key, operation, None).await?)?);
    }
    let new = trial.new_since(&before).await;
    ensure!(
        new == told,
        "cut off submits made {new:?}, and told of {told:?}"
    );
    Ok(Held::Kept)
}

pub(in crate::conformance) async fn late_is_found<B: TestBed>(trial: &mut Trial<'_, B>) -> Verdict {
    let settle = trial.can.identity.settle();
    if settle.is_zero() {
        return Ok(Held::NotPromised("its effects are never late"));
    }
    let proxy = Faulty::new(trial.provider().clone());
    proxy.trouble(
        At::submit(OperationKind::CreateVolume),
        Trouble::Late { by: settle / 2 },
    );
    let (key, operation) = (trial.key(), trial.create_volume());
    let before = trial.inventory().await;
    let answer = proxy.submit(&key, &operation).await;
    ensure!(answer.is_err(), "the fault proxy lets {answer:?} through");
    let early = proxy.observe(&key, &operation, None).await?;
    ensure!(
        matches!(early, Observation::Absent | Observation::Unknown { .. }),
        "{operation} has not begun, and is {early:?}"
    );
    sleep(settle + Duration::from_secs(1)).await;
    let (created, _) = done(trial.wait(&key, &operation, None).await?)?;
    let new = trial.new_since(&before).await;
    ensure!(
        new == created,
        "{operation} made {new:?}, and told of {created:?}"
    );
    Ok(Held::Kept)
}

pub(in crate::conformance) async fn same_name_is_not_same_key<B: TestBed>(
    trial: &mut Trial<'_, B>,
) -> Verdict {
    let operation: Operation = trial.create_volume();
    let first = trial.created(&operation).await?;
    let key = trial.key();
    let seen = trial.provider().observe(&key, &operation, None).await?;
    ensure!(
        matches!(seen, Observation::Absent | Observation::Unknown { .. }),
        "{first} has the name, but another key: {seen:?}"
    );
    let second = trial.created(&operation).await?;
    ensure!(first != second, "two keys made one {first}");
    Ok(Held::Kept)
}

/// What a successful operation made, and its twins.
fn done(seen: Observation) -> Result<(BTreeSet<ResourceRef>, BTreeSet<ResourceRef>), Breach> {
    match seen {
        Observation::Done { output, twins } => Ok((
            output.created().into_iter().collect(),
            twins.into_iter().collect(),
        )),
        other => Err(Breach::new(format!("it ended as {other:?}"))),
    }
}

/// All that an operation which is over says that it made or left.
pub(super) fn trace(seen: Observation) -> Result<Vec<ResourceRef>, Breach> {
    match seen {
        Observation::Absent => Ok(Vec::new()),
        Observation::Cancelled { left } | Observation::Failed { left, .. } => Ok(left),
        Observation::Done { output, twins } => {
            Ok(output.created().into_iter().chain(twins).collect())
        }
        other => Err(Breach::new(format!("it ends as {other:?}"))),
    }
}
