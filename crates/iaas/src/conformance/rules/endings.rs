use std::collections::BTreeSet;
use std::time::Duration;

use tokio::time::sleep;

use super::identity::trace;
use crate::conformance::bed::TestBed;
use crate::conformance::breach::{Held, Verdict, ensure};
use crate::conformance::trial::Trial;
use crate::observation::Observation;
use crate::operation::Operation;
use stillpoint_core::{Progress, ResourceKind};

pub(in crate::conformance) async fn running_is_seen<B: TestBed>(
    trial: &mut Trial<'_, B>,
) -> Verdict {
    if !trial.answers_by_key() {
        return Ok(Held::NotPromised("its identity is TicketOnly"));
    }
    let volume = trial.volume().await;
    let (key, operation) = (trial.key(), trial.take_one(&volume));
    trial.provider().submit(&key, &operation).await?;
    let may_be_late = !trial.can.identity.settle().is_zero();
    let mut began = false;
    let steps = trial.bed.patience().as_millis() / 10;
    for _ in 0..steps {
        match trial.provider().observe(&key, &operation, None).await? {
            Observation::Done { .. } => return Ok(Held::Kept),
            Observation::Running { .. } => began = true,
            Observation::Absent | Observation::Unknown { .. } if may_be_late && !began => {}
            other => {
                ensure!(false, "{operation} runs, and by its key is {other:?}");
            }
        }
        sleep(Duration::from_millis(10)).await;
    }
    ensure!(false, "{operation} is never over");
    Ok(Held::Kept)
}

pub(in crate::conformance) async fn progress_goes_on<B: TestBed>(
    trial: &mut Trial<'_, B>,
) -> Verdict {
    let mut last: Option<Progress> = None;
    for seen in watch(trial).await? {
        let Observation::Running { progress, .. } = seen else {
            continue;
        };
        if let (Some(last), Some(now)) = (last, progress) {
            ensure!(
                now.done() >= last.done(),
                "progress goes back from {last} to {now}"
            );
            ensure!(
                now.total() == last.total() && now.unit() == last.unit(),
                "progress counts first to {last}, then to {now}"
            );
        }
        last = progress.or(last);
    }
    Ok(Held::Kept)
}

pub(in crate::conformance) async fn looks_again_later<B: TestBed>(
    trial: &mut Trial<'_, B>,
) -> Verdict {
    for seen in watch(trial).await? {
        if let Observation::Running { look_again_in, .. } = seen {
            ensure!(!look_again_in.is_zero(), "it says to look again at once");
            ensure!(
                look_again_in <= trial.bed.patience(),
                "it says to look again in {look_again_in:?} only"
            );
        }
    }
    Ok(Held::Kept)
}

/// All that is seen of a snapshot, from its submit to its end.
async fn watch<B: TestBed>(
    trial: &Trial<'_, B>,
) -> Result<Vec<Observation>, crate::conformance::Breach> {
    let volume = trial.volume().await;
    let (key, operation) = (trial.key(), trial.take_one(&volume));
    let ticket = trial.provider().submit(&key, &operation).await?;
    let mut seen = Vec::new();
    for _ in 0..trial.bed.patience().as_millis() / 25 {
        let now = trial
            .provider()
            .observe(&key, &operation, Some(&ticket))
            .await?;
        let over = matches!(
            now,
            Observation::Done { .. } | Observation::Failed { .. } | Observation::Cancelled { .. }
        );
        seen.push(now);
        if over {
            break;
        }
        sleep(Duration::from_millis(25)).await;
    }
    Ok(seen)
}

pub(in crate::conformance) async fn cancel_names_what_is_left<B: TestBed>(
    trial: &mut Trial<'_, B>,
) -> Verdict {
    if !trial.can.cancel {
        return Ok(Held::NotPromised("nothing can be cancelled"));
    }
    let volume = trial.volume().await;
    let (instance, volumes) = trial.instance().await?;
    let mut operations = vec![trial.create_volume(), trial.take_one(&volume)];
    let of_instances = trial.can.snapshots.get(&ResourceKind::Instance);
    if of_instances.is_some_and(|can| can.composite) {
        operations.push(Operation::Snapshot(trial.take(&instance, &volumes)));
    }
    for operation in operations {
        let before = trial.inventory().await;
        let key = trial.key();
        let ticket = trial.provider().submit(&key, &operation).await?;
        trial
            .provider()
            .cancel(&key, &operation, Some(&ticket))
            .await?;
        let seen = trial.wait(&key, &operation, Some(&ticket)).await?;
        let done = matches!(seen, Observation::Done { .. });
        let told: BTreeSet<_> = trace(seen)?.into_iter().collect();
        let new = trial.new_since(&before).await;
        ensure!(
            new == told,
            "{operation} was cancelled and left {new:?}, and told of {told:?}"
        );
        for left in told {
            trial.delete(&left).await?;
        }
        let still = trial.new_since(&before).await;
        ensure!(
            still.is_empty(),
            "{still:?} cannot be removed (done: {done})"
        );
    }
    Ok(Held::Kept)
}

pub(in crate::conformance) async fn cancel_of_nothing<B: TestBed>(
    trial: &mut Trial<'_, B>,
) -> Verdict {
    if !trial.can.cancel {
        return Ok(Held::NotPromised("nothing can be cancelled"));
    }
    let volume = trial.volume().await;
    let before = trial.inventory().await;
    for operation in [trial.create_volume(), trial.take_one(&volume)] {
        trial
            .provider()
            .cancel(&trial.key(), &operation, None)
            .await?;
    }
    ensure!(
        trial.inventory().await == before,
        "cancelling what was never there has changed something"
    );
    Ok(Held::Kept)
}

pub(in crate::conformance) async fn cancel_is_no_undo<B: TestBed>(
    trial: &mut Trial<'_, B>,
) -> Verdict {
    if !trial.can.cancel {
        return Ok(Held::NotPromised("nothing can be cancelled"));
    }
    let volume = trial.volume().await;
    for operation in [trial.create_volume(), trial.take_one(&volume)] {
        let key = trial.key();
        let ticket = trial.provider().submit(&key, &operation).await?;
        trial.done_as(&key, &operation, Some(&ticket)).await?;
        let before = trial.inventory().await;
        trial
            .provider()
            .cancel(&key, &operation, Some(&ticket))
            .await?;
        trial.settle().await;
        ensure!(
            trial.inventory().await == before,
            "cancelling {operation} after its end has changed something"
        );
        trial.done_as(&key, &operation, Some(&ticket)).await?;
    }
    Ok(Held::Kept)
}
