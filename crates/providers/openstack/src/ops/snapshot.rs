use std::collections::BTreeMap;

use jiff::Timestamp;
use stillpoint_core::{
    Capture, Consistency, CopyKind, Error, ErrorKind, Memory, ResourceKind, ResourceRef, Result,
};
use stillpoint_iaas::{Observation, Output, TakeSnapshot, TakenPart, TakenSnapshot, Ticket};

use super::remembered::disk_marks;
use super::volume::deleted;
use super::whole::is_whole;
use super::{Ask, root_of};
use crate::api::cinder::{Absolute, Snapshot, Volume};
use crate::api::nova::Server;
use crate::cloud::{GIB, found, time};
use crate::leases::{Lease, busy};
use crate::made::{Made, Stage, observe};
use crate::marks;

/// It ran, and Nova froze it meanwhile.
pub(super) const FROZEN: &str = "frozen";
const LIVE: &str = "live";
const OFFLINE: &str = "offline";

impl Ask<'_> {
    pub(super) async fn take(self, take: &TakeSnapshot) -> Result<Ticket> {
        if is_whole(take) {
            check_memory(take)?;
            return self.take_whole(take).await;
        }
        check(take)?;
        let volume = &take.parts[0].volume;
        let on = |error: Error| error.on(volume.clone());
        let mut metadata = marks::metadata(self.key, &take.labels)?;
        if let Some(server) = root_of(volume) {
            marks::check_image(&take.labels)?;
            return self.take_root(volume, server, &take.name, metadata).await;
        }
        let id = self.cloud.id(volume, ResourceKind::Volume)?;
        let session = &self.cloud.session;
        let seen = session.volume(id).await.map_err(on)?;
        check_limits(&session.volume_limits().await?, &[seen.size]).map_err(on)?;
        metadata.extend(self.source_marks(&seen).await.map_err(on)?);
        let snapshot = session
            .create_snapshot(id, &take.name, &metadata)
            .await
            .map_err(on)?;
        Ok(self.ticket(&snapshot.id))
    }

    pub(super) async fn observe_taken(self, take: &TakeSnapshot) -> Result<Observation> {
        if is_whole(take) {
            return self.observe_whole(take).await;
        }
        check(take)?;
        if let Some(server) = root_of(&take.parts[0].volume) {
            return self.observe_root(&take.parts[0].volume, server).await;
        }
        let marked = self
            .cloud
            .session
            .snapshots_marked(marks::KEY, self.key.as_str())
            .await?;
        let made = marked.into_iter().map(|snapshot| {
            Ok(Made {
                reference: self.cloud.reference(ResourceKind::Snapshot, &snapshot.id)?,
                stage: stage(&snapshot),
                thing: snapshot,
            })
        });
        observe(made.collect::<Result<_>>()?, self.ticket, |made| {
            self.taken(made)
        })
    }

    fn taken(&self, made: &Made<Snapshot>) -> Result<Output> {
        let snapshot = &made.thing;
        let part = TakenPart {
            volume: self
                .cloud
                .reference(ResourceKind::Volume, &snapshot.volume_id)?,
            snapshot: made.reference.clone(),
            size: snapshot.size.saturating_mul(GIB),
            copy: CopyKind::Shallow,
            content_stamp: None,
        };
        let taken_at = time(snapshot.created_at.as_deref());
        Ok(output(
            vec![part],
            taken_at,
            snapshot.metadata.get(marks::CAPTURE),
        ))
    }

    /// What a snapshot remembers of its source: whether anything wrote, and what an instance that
    /// is made from it needs.
    async fn source_marks(&self, volume: &Volume) -> Result<BTreeMap<String, String>> {
        let mut marks = BTreeMap::new();
        let mut still = true;
        for server in volume.servers() {
            // A server that we may not see may write.
            let Some(server) = found(self.cloud.session.server(server).await)? else {
                still = false;
                continue;
            };
            still &= server.is_off();
            marks.extend(self.server_marks(&server).await?);
            let attached = found(self.cloud.session.attached(&server.id).await)?;
            marks.extend(disk_marks(
                &server,
                &attached.unwrap_or_default(),
                &volume.id,
            ));
        }
        still &= volume.attachments.is_empty() == (volume.status != "in-use");
        marks.insert(marks::CAPTURE.into(), mark_of(still).into());
        Ok(marks)
    }

    pub(super) async fn delete_snapshot(self, snapshot: &ResourceRef) -> Result<Ticket> {
        let id = self.cloud.id(snapshot, ResourceKind::Snapshot)?;
        let on = |error: Error| error.on(snapshot.clone());
        let Some((lease, seen)) = self.hold(id).await.map_err(on)? else {
            return Ok(self.ticket(id));
        };
        if let Some(of) = &seen.group_snapshot_id {
            return self.delete_member(of, &seen).await.map_err(on);
        }
        let deleted = self.cloud.session.delete_snapshot(id).await;
        drop(lease);
        match deleted {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(self.ticket(id)),
            Err(error) => Err(on(error)),
            Ok(()) => Ok(self.ticket(id)),
        }
    }

    /// Holds a snapshot that is to be deleted; none where it is gone or goes already. Refused while
    /// anything is made of it.
    pub(super) async fn hold(&self, id: &str) -> Result<Option<(Lease, Snapshot)>> {
        let session = &self.cloud.session;
        let lease = self.cloud.leases.delete(id)?;
        let Some(seen) = found(session.snapshot(id).await)? else {
            return Ok(None);
        };
        match seen.status.as_str() {
            "deleting" => return Ok(None),
            "creating" => return Err(busy("it is still being taken")),
            _ => {}
        }
        // Cinder itself would spoil the volumes that are being made from it.
        let volumes = session.volumes().await?;
        let making = |volume: &&Volume| {
            volume.snapshot_id.as_deref() == Some(id)
                && matches!(volume.status.as_str(), "creating" | "downloading")
        };
        if let Some(volume) = volumes.iter().find(making) {
            return Err(busy(&format!("volume {} is being made from it", volume.id)));
        }
        Ok(Some((lease, seen)))
    }

    pub(super) async fn observe_deleted_snapshot(
        self,
        snapshot: &ResourceRef,
    ) -> Result<Observation> {
        let id = self.cloud.id(snapshot, ResourceKind::Snapshot)?;
        let seen = found(self.cloud.session.snapshot(id).await)?;
        if let Some((of, seen)) = seen
            .clone()
            .and_then(|seen| Some((seen.group_snapshot_id.clone()?, seen)))
        {
            return self.observe_deleted_member(snapshot, &of, seen).await;
        }
        let said = deleted(snapshot, seen.map(|seen| seen.status), self.ticket);
        let Observation::Failed { left, error } = said else {
            return Ok(said);
        };
        let mut volumes = self.cloud.session.volumes().await?;
        volumes.retain(|it| it.snapshot_id.as_deref() == Some(id));
        if volumes.is_empty() {
            return Ok(Observation::Failed { left, error });
        }
        let ids: Vec<_> = volumes.iter().map(|it| it.id.as_str()).collect();
        let what = format!(
            "its storage keeps it for what is made from it: volume {}",
            ids.join(", ")
        );
        let needed = Error::new(ErrorKind::Precondition, what)
            .on(snapshot.clone())
            .leaving(error.world())
            .advise("Delete those volumes first, or make them independent of it");
        Ok(Observation::Failed {
            left,
            error: needed,
        })
    }
}

pub(super) fn stage(snapshot: &Snapshot) -> Stage {
    match snapshot.status.as_str() {
        _ if snapshot.has_failed() => Stage::Failed(format!(
            "Cinder took it, and it is in state `{}`",
            snapshot.status
        )),
        "available" | "in-use" => Stage::Ready,
        "creating" => {
            let total = snapshot.size.saturating_mul(GIB);
            let percent = snapshot
                .progress
                .as_deref()
                .and_then(|it| it.strip_suffix('%'));
            let percent: Option<u64> = percent.and_then(|it| it.trim().parse().ok());
            Stage::Running(percent.map(|percent| (total / 100 * percent.min(100), total)))
        }
        _ => Stage::Running(None),
    }
}

/// What is said of parts that were taken, by the mark they carry.
pub(super) fn output(
    parts: Vec<TakenPart>,
    at: Option<Timestamp>,
    capture: Option<&String>,
) -> Output {
    let (consistency, capture) = match capture.map(String::as_str) {
        Some(FROZEN) => (Consistency::Filesystem, Capture::Live),
        Some(OFFLINE) => (Consistency::Filesystem, Capture::Offline),
        _ => (Consistency::Crash, Capture::Live),
    };
    Output::Snapshot(TakenSnapshot {
        parts,
        taken_at: at.unwrap_or(Timestamp::UNIX_EPOCH),
        consistency,
        capture,
        memory: Memory::No,
    })
}

/// The mark of a server's state.
pub(super) fn capture_of(server: &Server) -> (String, String) {
    (marks::CAPTURE.into(), mark_of(server.is_off()).into())
}

/// The mark of what nothing wrote meanwhile, or something may have.
pub(super) fn mark_of(still: bool) -> &'static str {
    if still { OFFLINE } else { LIVE }
}

fn check_memory(take: &TakeSnapshot) -> Result<()> {
    if take.memory == Memory::No {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Unsupported,
        "OpenStack holds no memory in a snapshot",
    )
    .on(take.source.clone())
    .advise("Ask for the disks alone"))
}

fn check(take: &TakeSnapshot) -> Result<()> {
    let refuse = |what: &str, advice: &str| {
        Err(Error::new(ErrorKind::Unsupported, what)
            .on(take.source.clone())
            .advise(advice))
    };
    check_memory(take)?;
    if take.quiesce.is_some() {
        return refuse(
            "Filesystem asked, Crash reachable: OpenStack has no call that freezes a volume",
            "Power it off before, or ask at_least(Crash)",
        );
    }
    match take.parts.as_slice() {
        [_] => Ok(()),
        [] => Err(Error::new(ErrorKind::Invalid, "no volume is asked for")
            .on(take.source.clone())
            .advise("Name one")),
        _ => refuse(
            "Cinder takes one volume a call",
            "Ask for each volume by itself",
        ),
    }
}

/// Whether the quota leaves room for snapshots of volumes of these sizes in GiB.
pub(super) fn check_limits(limits: &Absolute, sizes: &[u64]) -> Result<()> {
    let free = |most: i64, used: i64| (most >= 0).then(|| most.saturating_sub(used).max(0));
    let size = i64::try_from(sizes.iter().sum::<u64>()).unwrap_or(i64::MAX);
    let wanted = i64::try_from(sizes.len()).unwrap_or(i64::MAX);
    let quota = |what: String| {
        Err(Error::new(ErrorKind::Quota, what)
            .advise("Delete snapshots, or have the project's quota raised"))
    };
    let (most, used) = (limits.max_total_snapshots, limits.total_snapshots_used);
    if free(most, used).is_some_and(|free| free < wanted) {
        return quota(format!(
            "{wanted} more asked, and {used} of {most} snapshots are there already"
        ));
    }
    let (most, used) = (
        limits.max_total_volume_gigabytes,
        limits.total_gigabytes_used,
    );
    // Some clouds do not count the gigabytes of snapshots: those take it, and others say no.
    if free(most, used).is_some_and(|free| free < size) {
        tracing::debug!(used, most, size, "perhaps too few gigabytes are left");
    }
    Ok(())
}
