use std::time::Duration;

use stillpoint_core::{
    Consistency, Digest, Error, ErrorKind, Labels, ResourceKind, ResourceRef, World,
};
use tokio::time::sleep;

use crate::conformance::bed::TestBed;
use crate::conformance::breach::{Breach, Held, Verdict, ensure};
use crate::conformance::trial::Trial;
use crate::content_digest::content_digest;
use crate::operation::{Operation, OperationKind};
use crate::output::Output;

/// By how much a remote clock may be wrong.
const SKEW: Duration = Duration::from_secs(5);

pub(in crate::conformance) async fn snapshot_stays<B: TestBed>(
    trial: &mut Trial<'_, B>,
) -> Verdict {
    let volume = trial.volume().await;
    let Some(was) = digest(trial, &volume).await? else {
        return Ok(Held::NotPromised("nobody can read bytes"));
    };
    let snapshot = trial.snapshot_of(&volume).await?;
    trial.bed.fill(&volume, 2).await;
    ensure!(
        digest(trial, &volume).await? != Some(was),
        "the bed has not written to {volume}"
    );
    ensure!(
        digest(trial, &snapshot).await? == Some(was),
        "{snapshot} changed with its volume"
    );
    Ok(Held::Kept)
}

pub(in crate::conformance) async fn volume_from_snapshot<B: TestBed>(
    trial: &mut Trial<'_, B>,
) -> Verdict {
    let volume = trial.volume().await;
    let size = trial.bed.volume_size();
    let length = usize::try_from(size).unwrap_or(usize::MAX);
    let Some(was) = trial.bed.read(&volume, 0, length).await else {
        return Ok(Held::NotPromised("the bed cannot read bytes by itself"));
    };
    let snapshot = trial.snapshot_of(&volume).await?;
    trial.bed.fill(&volume, 2).await;
    let (key, operation) = (
        trial.key(),
        Operation::CreateVolume {
            name: trial.name(),
            labels: Labels::new(),
            size: size * 2,
            from: Some(snapshot.clone()),
        },
    );
    let ticket = match trial.provider().submit(&key, &operation).await {
        Err(error) if error.kind() == ErrorKind::Unsupported => {
            return Ok(Held::NotPromised("it makes no volume from a snapshot"));
        }
        answer => answer?,
    };
    let output = trial.done_as(&key, &operation, Some(&ticket)).await?;
    for made in output.created() {
        let bytes = trial
            .bed
            .read(&made, 0, length * 2)
            .await
            .unwrap_or_default();
        ensure!(
            bytes.len() == length * 2,
            "{made} has {} bytes, {} were asked",
            bytes.len(),
            length * 2
        );
        ensure!(
            bytes[..length] == was,
            "{made} does not have the bytes of {snapshot}"
        );
        ensure!(
            bytes[length..].iter().all(|&byte| byte == 0),
            "{made} has other bytes than zeros behind those of {snapshot}"
        );
    }
    Ok(Held::Kept)
}

pub(in crate::conformance) async fn revert_gives_bytes<B: TestBed>(
    trial: &mut Trial<'_, B>,
) -> Verdict {
    if trial.lacks(&[OperationKind::Revert]) {
        return Ok(Held::NotPromised("it reverts nothing"));
    }
    let volume = trial.volume().await;
    let Some(was) = trial.bed.digest(&volume).await else {
        return Ok(Held::NotPromised("the bed cannot read bytes by itself"));
    };
    let to = trial.snapshot_of(&volume).await?;
    trial.bed.fill(&volume, 2).await;
    let revert = Operation::Revert {
        volume: volume.clone(),
        to: to.clone(),
    };
    trial.done(&revert).await?;
    ensure!(
        trial.bed.digest(&volume).await == Some(was),
        "{volume} does not have the bytes of {to}"
    );
    Ok(Held::Kept)
}

pub(in crate::conformance) async fn taken_at_is_true<B: TestBed>(
    trial: &mut Trial<'_, B>,
) -> Verdict {
    let volume = trial.volume().await;
    // So that the epoch, or the time of the volume, would be seen.
    sleep(SKEW + Duration::from_secs(1)).await;
    let from = trial.bed.now() - SKEW;
    let taken = trial.taken(&trial.take_one(&volume)).await?;
    let until = trial.bed.now() + SKEW;
    ensure!(
        (from..=until).contains(&taken.taken_at),
        "it was taken between {from} and {until}, and says {}",
        taken.taken_at
    );
    Ok(Held::Kept)
}

pub(in crate::conformance) async fn parts_are_in_order<B: TestBed>(
    trial: &mut Trial<'_, B>,
) -> Verdict {
    if !composite(trial) {
        return Ok(Held::NotPromised("it takes one volume a call"));
    }
    let (instance, mut volumes) = trial.instance().await?;
    volumes.reverse();
    let take = Operation::Snapshot(trial.take(&instance, &volumes));
    let taken = trial.taken(&take).await?;
    let of: Vec<_> = taken.parts.iter().map(|part| part.volume.clone()).collect();
    ensure!(of == volumes, "asked for {volumes:?}, and got {of:?}");
    for part in &taken.parts {
        let seen = trial.provider().describe(&part.snapshot).await?;
        let right = matches!(
            &seen.detail,
            stillpoint_core::Detail::Snapshot { of, size } if *of == part.volume && *size == part.size
        );
        ensure!(right, "{part:?} is described as {:?}", seen.detail);
    }
    Ok(Held::Kept)
}

pub(in crate::conformance) async fn group_is_of_one_instant<B: TestBed>(
    trial: &mut Trial<'_, B>,
) -> Verdict {
    let atomic = trial
        .can
        .snapshots
        .get(&ResourceKind::Instance)
        .is_some_and(|can| can.atomic_group && can.composite);
    if !atomic {
        return Ok(Held::NotPromised("its groups are not of one instant"));
    }
    let Some((instance, volumes)) = counting(trial).await? else {
        return Ok(Held::NotPromised("the bed has no counting guests"));
    };
    let mut take = trial.take(&instance, &volumes);
    take.group = true;
    let (key, mut operation) = (trial.key(), Operation::Snapshot(take.clone()));
    let ticket = match trial.provider().submit(&key, &operation).await {
        Err(error) if refuses_writers(&error) => {
            if !can_quiesce(trial) {
                return Ok(Held::NotPromised("it takes nothing that is written"));
            }
            take.quiesce = Some(Duration::from_secs(60));
            operation = Operation::Snapshot(take);
            trial.provider().submit(&key, &operation).await?
        }
        answer => answer?,
    };
    let output = trial.done_as(&key, &operation, Some(&ticket)).await?;
    let Output::Snapshot(taken) = output else {
        return Err(Breach::new(format!("{operation} brought {output:?}")));
    };
    let mut counts = Vec::new();
    for part in &taken.parts {
        counts.push(trial.bed.read(&part.snapshot, part.size - 8, 8).await);
    }
    ensure!(
        counts.windows(2).all(|pair| pair[0] == pair[1]),
        "its parts are of different instants: the guest had counted to {counts:?}"
    );
    Ok(Held::Kept)
}

pub(in crate::conformance) async fn consistency_is_earned<B: TestBed>(
    trial: &mut Trial<'_, B>,
) -> Verdict {
    let Some((_, volumes)) = counting(trial).await? else {
        return Ok(Held::NotPromised("the bed has no counting guests"));
    };
    let (key, operation) = (trial.key(), trial.take_one(&volumes[0]));
    let ticket = match trial.provider().submit(&key, &operation).await {
        Err(error) if refuses_writers(&error) => return Ok(Held::Kept),
        answer => answer?,
    };
    match trial.done_as(&key, &operation, Some(&ticket)).await? {
        Output::Snapshot(taken) => ensure!(
            taken.consistency == Consistency::Crash,
            "a guest wrote all the time, and {:?} is claimed",
            taken.consistency
        ),
        other => ensure!(false, "{operation} brought {other:?}"),
    }
    Ok(Held::Kept)
}

/// Whether it takes no source that something writes, and said so in time.
fn refuses_writers(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Busy | ErrorKind::Precondition)
        && error.world() == World::Untouched
}

fn can_quiesce<B: TestBed>(trial: &Trial<'_, B>) -> bool {
    let can = trial.can.snapshots.get(&ResourceKind::Instance);
    can.is_some_and(|can| can.composite && can.live > Some(Consistency::Crash))
}

fn composite<B: TestBed>(trial: &Trial<'_, B>) -> bool {
    let can = trial.can.snapshots.get(&ResourceKind::Instance);
    can.is_some_and(|can| can.composite)
}

/// An instance whose guest has counted for a while, and its volumes.
async fn counting<B: TestBed>(
    trial: &Trial<'_, B>,
) -> Result<Option<(ResourceRef, Vec<ResourceRef>)>, Breach> {
    let size = trial.bed.volume_size();
    let disks = [("root", size), ("data", size)];
    let Some(instance) = trial
        .bed
        .make_counting_instance(&trial.name(), &disks)
        .await
    else {
        return Ok(None);
    };
    let volumes = trial.volumes_of(&instance).await?;
    sleep(Duration::from_secs(2)).await;
    Ok(Some((instance, volumes)))
}

/// By the provider where it reads bytes, else by the bed.
async fn digest<B: TestBed>(
    trial: &Trial<'_, B>,
    of: &ResourceRef,
) -> Result<Option<Digest>, Breach> {
    match trial.provider().bytes() {
        Some(bytes) => Ok(Some(content_digest(bytes, of, |_| {}).await?)),
        None => Ok(trial.bed.digest(of).await),
    }
}
