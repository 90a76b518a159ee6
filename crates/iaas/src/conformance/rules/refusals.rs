use std::time::Duration;

use futures_util::future::join_all;
use stillpoint_core::{ErrorKind, Labels, Memory, ResourceKind, ResourceRef, World};

use crate::conformance::bed::TestBed;
use crate::conformance::breach::{Breach, Held, Verdict, ensure};
use crate::conformance::trial::{Trial, delete};
use crate::observation::Observation;
use crate::operation::{NewDisk, Operation, OperationKind};

/// What the limits are tried with, where they allow more.
const AT_ONCE: u32 = 8;

pub(in crate::conformance) async fn refused_is_untouched<B: TestBed>(
    trial: &mut Trial<'_, B>,
) -> Verdict {
    let volume = trial.volume().await;
    let (instance, volumes) = trial.instance().await?;
    let snapshot = trial.snapshot_of(&volume).await?;
    let name = trial.provider().to_string();
    let missing = |kind| ResourceRef::new(name.clone(), kind, trial.name());
    let new_volume = |size, from| Operation::CreateVolume {
        name: trial.name(),
        labels: Labels::new(),
        size,
        from: Some(from),
    };
    let impossible = [
        new_volume(trial.bed.volume_size(), missing(ResourceKind::Snapshot)?),
        new_volume(4096, snapshot),
        trial.take_one(&missing(ResourceKind::Volume)?),
        Operation::Attach {
            instance: instance.clone(),
            volume: missing(ResourceKind::Volume)?,
            disk: "more".to_owned(),
        },
        Operation::Attach {
            instance,
            volume,
            disk: "root".to_owned(),
        },
        Operation::CreateInstance {
            name: trial.name(),
            labels: Labels::new(),
            disks: vec![NewDisk {
                name: "root".to_owned(),
                volume: volumes[0].clone(),
                boot: true,
            }],
        },
    ];
    for operation in impossible {
        refused(trial, &operation, None).await?;
    }
    Ok(Held::Kept)
}

pub(in crate::conformance) async fn unsupported_is_typed<B: TestBed>(
    trial: &mut Trial<'_, B>,
) -> Verdict {
    let volume = trial.volume().await;
    let (instance, volumes) = trial.instance().await?;
    let snapshot = trial.snapshot_of(&volume).await?;
    let mut tried = false;
    for operation in everything(trial, &instance, &volumes, &volume, &snapshot)? {
        if !trial.can.can(operation.kind()) {
            refused(trial, &operation, Some(ErrorKind::Unsupported)).await?;
            tried = true;
        }
    }
    let can = trial.can.snapshots.get(&ResourceKind::Volume);
    if can.is_some_and(|can| can.memory == Memory::No) {
        let mut take = trial.take(&volume, std::slice::from_ref(&volume));
        take.memory = Memory::Resumable;
        let operation = Operation::Snapshot(take);
        refused(trial, &operation, Some(ErrorKind::Unsupported)).await?;
        tried = true;
    }
    Ok(if tried {
        Held::Kept
    } else {
        Held::NotPromised("it supports everything")
    })
}

pub(in crate::conformance) async fn supported_is_done<B: TestBed>(
    trial: &mut Trial<'_, B>,
) -> Verdict {
    let volume = trial.volume().await;
    let (instance, volumes) = trial.instance().await?;
    let snapshot = trial.snapshot_of(&volume).await?;
    for operation in everything(trial, &instance, &volumes, &volume, &snapshot)? {
        if trial.can.can(operation.kind()) {
            let made = trial.done(&operation).await?.created();
            // What the next operations need stays; the rest is in their way.
            for gone in made.iter().filter(|one| one.kind() == ResourceKind::Image) {
                trial.done(&delete(gone)).await?;
            }
        }
    }
    Ok(Held::Kept)
}

pub(in crate::conformance) async fn foreign_is_untouched<B: TestBed>(
    trial: &mut Trial<'_, B>,
) -> Verdict {
    let volume = trial.volume().await;
    trial.instance().await?;
    let before = trial.inventory().await;
    let snapshot = trial.snapshot_of(&volume).await?;
    let spare = trial.created(&trial.create_volume()).await?;
    for made in [snapshot, spare] {
        trial.delete(&made).await?;
    }
    let now = trial.inventory().await;
    ensure!(
        now == before,
        "what was made is deleted, and of {before:?} there is {now:?}"
    );
    Ok(Held::Kept)
}

/// Every operation there is, in an order in which all of them can be done.
fn everything<B: TestBed>(
    trial: &Trial<'_, B>,
    instance: &ResourceRef,
    volumes: &[ResourceRef],
    volume: &ResourceRef,
    snapshot: &ResourceRef,
) -> Result<Vec<Operation>, Breach> {
    let instance = instance.clone();
    let name = trial.provider().to_string();
    let gone = |kind| ResourceRef::new(name.clone(), kind, trial.name());
    Ok(vec![
        Operation::SetLabels {
            resource: volume.clone(),
            labels: Labels::from([("tried".to_owned(), "yes".to_owned())]),
        },
        Operation::Freeze {
            instance: instance.clone(),
            at_most: Duration::from_secs(60),
        },
        Operation::Thaw {
            instance: instance.clone(),
        },
        trial.create_volume(),
        Operation::CreateImage {
            name: trial.name(),
            labels: Labels::new(),
            from: snapshot.clone(),
        },
        // While it is the latest snapshot: some systems revert to no other.
        Operation::Revert {
            volume: volume.clone(),
            to: snapshot.clone(),
        },
        trial.take_one(volume),
        Operation::PowerOff {
            instance: instance.clone(),
        },
        Operation::Detach {
            instance: instance.clone(),
            volume: volumes[1].clone(),
        },
        Operation::Attach {
            instance: instance.clone(),
            volume: volumes[1].clone(),
            disk: "data".to_owned(),
        },
        Operation::PowerOn {
            instance: instance.clone(),
        },
        Operation::CreateInstance {
            name: trial.name(),
            labels: Labels::new(),
            disks: vec![NewDisk {
                name: "root".to_owned(),
                volume: volume.clone(),
                boot: true,
            }],
        },
        Operation::DeleteImage {
            image: gone(ResourceKind::Image)?,
        },
        Operation::DeleteSnapshot {
            snapshot: snapshot.clone(),
        },
        Operation::DeleteInstance { instance },
        Operation::DeleteVolume {
            volume: volumes[1].clone(),
        },
    ])
}

/// Holds where the operation is not done, as this kind of error, and nothing is changed.
async fn refused<B: TestBed>(
    trial: &Trial<'_, B>,
    operation: &Operation,
    kind: Option<ErrorKind>,
) -> Result<(), Breach> {
    let before = trial.inventory().await;
    let key = trial.key();
    let error = match trial.provider().submit(&key, operation).await {
        Err(error) => error,
        Ok(ticket) => match trial.wait(&key, operation, Some(&ticket)).await? {
            Observation::Failed { error, left } if kind.is_none() => {
                for left in left {
                    trial.delete(&left).await?;
                }
                error
            }
            other => {
                return Err(Breach::new(format!(
                    "{operation} cannot be done, and ended as {other:?}"
                )));
            }
        },
    };
    if let Some(kind) = kind {
        ensure!(
            error.kind() == kind,
            "{operation} should be {kind:?}, and is {:?}: {error}",
            error.kind()
        );
        ensure!(
            error.world() == World::Untouched,
            "{operation} is {kind:?}, and not Untouched: {error}"
        );
    }
    if error.world() == World::Untouched {
        trial.settle().await;
        ensure!(
            trial.inventory().await == before,
            "{operation} was refused as `{error}`, and has changed something"
        );
    }
    Ok(())
}

pub(in crate::conformance) async fn limits_are_true<B: TestBed>(
    trial: &mut Trial<'_, B>,
) -> Verdict {
    let limits = trial.can.limits;
    let calls = limits.rate.map_or(AT_ONCE, |rate| rate.calls);
    let count = limits.at_once.min(calls).min(AT_ONCE);
    let asked: Vec<_> = (0..count)
        .map(|_| (trial.key(), trial.create_volume()))
        .collect();
    let submits = asked
        .iter()
        .map(|(key, operation)| trial.provider().submit(key, operation));
    for (answer, (key, operation)) in join_all(submits).await.into_iter().zip(&asked) {
        let ticket = answer?;
        trial.done_as(key, operation, Some(&ticket)).await?;
    }
    ensure!(
        trial.lacks(&[OperationKind::CreateVolume]) || count > 0,
        "its limits allow nothing at all"
    );
    Ok(Held::Kept)
}
