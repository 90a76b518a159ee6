use stillpoint_core::{ResourceKind, ResourceRef};

use crate::conformance::bed::TestBed;
use crate::conformance::breach::{Breach, Held, Verdict, ensure};
use crate::conformance::trial::{Trial, delete};
use crate::observation::Observation;
use crate::operation::{Operation, OperationKind};

pub(in crate::conformance) async fn deleting_the_gone<B: TestBed>(
    trial: &mut Trial<'_, B>,
) -> Verdict {
    let volume = trial.created(&trial.create_volume()).await?;
    let source = trial.volume().await;
    let snapshot = trial.snapshot_of(&source).await?;
    for gone in [volume, snapshot] {
        trial.delete(&gone).await?;
        trial.delete(&gone).await?;
    }
    Ok(Held::Kept)
}

pub(in crate::conformance) async fn deletes_only_that<B: TestBed>(
    trial: &mut Trial<'_, B>,
) -> Verdict {
    let volume = trial.volume().await;
    let first = trial.snapshot_of(&volume).await?;
    trial.snapshot_of(&volume).await?;
    let spare = trial.created(&trial.create_volume()).await?;
    for gone in [first, spare] {
        let mut expected = trial.inventory().await;
        trial.delete(&gone).await?;
        let deleted = expected.remove(&gone);
        ensure!(deleted.is_some(), "{gone} was not there");
        let now = trial.inventory().await;
        ensure!(
            now == expected,
            "deleting {gone} should leave {expected:?}, and left {now:?}"
        );
    }
    Ok(Held::Kept)
}

pub(in crate::conformance) async fn attached_is_kept<B: TestBed>(
    trial: &mut Trial<'_, B>,
) -> Verdict {
    let (_, volumes) = trial.instance().await?;
    let before = trial.inventory().await;
    let deleted = try_delete(trial, &volumes[1]).await?;
    ensure!(!deleted, "{} was attached, and is deleted", volumes[1]);
    ensure!(
        trial.inventory().await == before,
        "refusing to delete {} has changed something",
        volumes[1]
    );
    Ok(Held::Kept)
}

pub(in crate::conformance) async fn snapshot_outlives_its_volume<B: TestBed>(
    trial: &mut Trial<'_, B>,
) -> Verdict {
    let volume = trial.volume().await;
    let snapshot = trial.snapshot_of(&volume).await?;
    let before = trial.inventory().await;
    let deleted = try_delete(trial, &volume).await?;
    let now = trial.inventory().await;
    ensure!(
        now.get(&snapshot) == before.get(&snapshot),
        "deleting {volume} has changed its snapshot {snapshot}"
    );
    ensure!(
        deleted || now == before,
        "refusing to delete {volume} has changed something"
    );
    Ok(Held::Kept)
}

pub(in crate::conformance) async fn volumes_outlive_their_instance<B: TestBed>(
    trial: &mut Trial<'_, B>,
) -> Verdict {
    if trial.lacks(&[OperationKind::DeleteInstance]) {
        return Ok(Held::NotPromised("it deletes no instances"));
    }
    let (instance, volumes) = trial.instance().await?;
    trial.done(&Operation::DeleteInstance { instance }).await?;
    let now = trial.inventory().await;
    for volume in volumes {
        ensure!(now.contains_key(&volume), "{volume} went with its instance");
    }
    Ok(Held::Kept)
}

/// Whether it could be deleted.
async fn try_delete<B: TestBed>(trial: &Trial<'_, B>, what: &ResourceRef) -> Result<bool, Breach> {
    debug_assert_eq!(what.kind(), ResourceKind::Volume);
    let (key, operation) = (trial.key(), delete(what));
    match trial.provider().submit(&key, &operation).await {
        Err(_) => Ok(false),
        Ok(ticket) => {
            let seen = trial.wait(&key, &operation, Some(&ticket)).await?;
            Ok(matches!(seen, Observation::Done { .. }))
        }
    }
}
