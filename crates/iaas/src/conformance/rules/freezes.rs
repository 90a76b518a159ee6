use std::time::Duration;

use stillpoint_core::{Consistency, ResourceKind};
use tokio::time::sleep;

use crate::conformance::bed::TestBed;
use crate::conformance::breach::{Held, Verdict, ensure};
use crate::conformance::trial::Trial;
use crate::observation::Observation;
use crate::operation::{Operation, OperationKind};

pub(in crate::conformance) async fn freeze_ends<B: TestBed>(trial: &mut Trial<'_, B>) -> Verdict {
    if trial.lacks(&[OperationKind::Freeze]) {
        return Ok(Held::NotPromised("it freezes nothing"));
    }
    let (instance, _) = trial.instance().await?;
    let at_most = Duration::from_secs(3);
    let (key, operation) = (
        trial.key(),
        Operation::Freeze {
            instance: instance.clone(),
            at_most,
        },
    );
    let ticket = trial.provider().submit(&key, &operation).await?;
    trial.done_as(&key, &operation, Some(&ticket)).await?;
    ensure!(
        trial.bed.is_frozen(&instance).await != Some(false),
        "{instance} was frozen, and is not"
    );
    sleep(at_most + Duration::from_secs(1)).await;
    ensure!(
        trial.bed.is_frozen(&instance).await != Some(true),
        "{instance} was frozen for at most {at_most:?}, and still is"
    );
    let seen = trial.provider().observe(&key, &operation, None).await?;
    ensure!(
        !matches!(seen, Observation::Done { .. } | Observation::Running { .. }),
        "{instance} is frozen no more, and by the key {seen:?}"
    );
    Ok(Held::Kept)
}

pub(in crate::conformance) async fn thawing_the_thawed<B: TestBed>(
    trial: &mut Trial<'_, B>,
) -> Verdict {
    if trial.lacks(&[OperationKind::Thaw]) {
        return Ok(Held::NotPromised("it thaws nothing"));
    }
    let (instance, _) = trial.instance().await?;
    trial.done(&Operation::Thaw { instance }).await?;
    Ok(Held::Kept)
}

pub(in crate::conformance) async fn quiesce_thaws<B: TestBed>(trial: &mut Trial<'_, B>) -> Verdict {
    let can = trial.can.snapshots.get(&ResourceKind::Instance);
    let quiesces = can.is_some_and(|can| can.composite && can.live > Some(Consistency::Crash));
    if !quiesces {
        return Ok(Held::NotPromised("it does not freeze inside a snapshot"));
    }
    let (instance, volumes) = trial.instance().await?;
    for cancelled in [false, true] {
        let mut take = trial.take(&instance, &volumes);
        take.group = true;
        take.quiesce = Some(Duration::from_secs(600));
        let (key, operation) = (trial.key(), Operation::Snapshot(take));
        let ticket = trial.provider().submit(&key, &operation).await?;
        if cancelled && trial.can.cancel {
            trial
                .provider()
                .cancel(&key, &operation, Some(&ticket))
                .await?;
            trial.wait(&key, &operation, Some(&ticket)).await?;
        } else {
            let output = trial.done_as(&key, &operation, Some(&ticket)).await?;
            if let crate::output::Output::Snapshot(taken) = output {
                ensure!(
                    taken.consistency >= Consistency::Filesystem,
                    "it was quiesced, and is {:?}",
                    taken.consistency
                );
            }
        }
        ensure!(
            trial.bed.is_frozen(&instance).await != Some(true),
            "{instance} is still frozen after its snapshot"
        );
    }
    Ok(Held::Kept)
}
