//! Snapshots of volumes: one, or all of an instance's as one.

use std::fs::File;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use jiff::Timestamp;
use stillpoint_core::{
    Capture, Consistency, CopyKind, Error, ErrorKind, Memory, ResourceKind, ResourceRef, Result,
    World,
};
use stillpoint_iaas::{Observation, OperationKey, Output, TakeSnapshot, TakenPart, TakenSnapshot};

use crate::claims::Claimed;
use crate::commit::{Move, publish};
use crate::copy::{Method, Over};
use crate::entity::{SnapshotRecord, data_file};
use crate::folder::{Area, Folder};
use crate::freezes::{Brief, Hold};
use crate::ids::part;
use crate::jobs::Job;
use crate::local::{Local, cancelled};
use crate::record::{encode, file_name};
use crate::source::{Source, written};
use crate::stamp::Stamp;

/// A snapshot that nothing stands in the way of.
#[derive(Debug)]
pub(crate) struct Take {
    key: OperationKey,
    take: TakeSnapshot,
    sources: Vec<Source>,
    still: Still,
    method: Method,
    _claimed: Claimed,
}

/// Why nothing writes the sources while they are copied.
#[derive(Debug)]
enum Still {
    /// It is to be frozen for the copying, for at most this long.
    Freeze(ResourceRef, Duration),
    /// It is frozen already.
    Held(ResourceRef, Hold),
    /// Nothing has them open for writing.
    Unwritten,
}

impl Still {
    fn of(local: &Local, take: &TakeSnapshot) -> Result<Self> {
        let instance = match take.source.kind() {
            ResourceKind::Instance => Some(take.source.clone()),
            _ => local.instance_of(&take.source)?,
        };
        match (take.quiesce, instance) {
            (Some(at_most), Some(instance)) if local.freezes.can(&instance) => {
                Ok(Self::Freeze(instance, at_most))
            }
            (Some(_), _) if local.freezes.consistency().is_none() => {
                Err(Error::new(ErrorKind::Unsupported, "nobody can freeze it")
                    .on(take.source.clone())
                    .advise(
                        "Open the folder with a Freezer, or stop what writes and don't quiesce",
                    ))
            }
            (_, Some(instance)) => Ok(match local.freezes.hold(&instance) {
                Some(hold) => Self::Held(instance, hold),
                None => Self::Unwritten,
            }),
            _ => Ok(Self::Unwritten),
        }
    }
}

impl Take {
    /// Looks at all there is to refuse, and changes nothing.
    pub(crate) fn prepare(local: &Local, key: &OperationKey, take: &TakeSnapshot) -> Result<Self> {
        if take.parts.is_empty() {
            return Err(
                Error::new(ErrorKind::Invalid, "no volume is named to snapshot")
                    .on(take.source.clone())
                    .advise("Name at least one"),
            );
        }
        if take.memory != Memory::No {
            return Err(
                Error::new(ErrorKind::Unsupported, "files have no memory to hold")
                    .on(take.source.clone())
                    .advise("Ask for a snapshot without memory"),
            );
        }
        require_attached(local, take)?;
        let volumes: Vec<_> = take.parts.iter().map(|part| &part.volume).collect();
        let claimed = local.claims.claim(&volumes, &[])?;
        let still = Still::of(local, take)?;
        let mut sources = Vec::new();
        let mut refused: Option<Error> = None;
        for part in &take.parts {
            let source = local
                .id(&part.volume, ResourceKind::Volume)
                .and_then(|_| Source::open(&local.folder, &part.volume));
            match source {
                Ok(source) => sources.push(source),
                Err(error) => refused = Some(collect(refused, error)),
            }
        }
        if matches!(still, Still::Unwritten) {
            for error in written(&local.folder, &sources)? {
                refused = Some(collect(refused, error));
            }
        }
        if let Some(error) = refused {
            return Err(error);
        }
        let method = Method::of(take.copy, local.reflinks);
        let bytes = sources.iter().map(|source| source.allocated).sum();
        local
            .require_space(bytes, method)
            .map_err(|error| error.on(take.source.clone()))?;
        Ok(Self {
            key: key.clone(),
            take: take.clone(),
            sources,
            still,
            method,
            _claimed: claimed,
        })
    }

    /// Bytes to go through.
    pub(crate) fn total(&self) -> u64 {
        self.sources.iter().map(|source| source.size).sum()
    }

    /// Copies and publishes: all parts or none.
    pub(crate) fn run(self, local: &Arc<Local>, job: &Job) -> Result<()> {
        let mut staged = Vec::new();
        self.copy_all(local, job, &mut staged)
            .map_err(|error| local.unstage(&staged, error))
    }

    fn copy_all(&self, local: &Local, job: &Job, staged: &mut Vec<String>) -> Result<()> {
        let point = self.fix(local, job, staged)?;
        self.settle(local, &point)?;
        let mut moves = Vec::new();
        for (index, source) in self.sources.iter().enumerate() {
            let record = self.record(source, &point, index);
            moves.extend(stage_part(local, &self.key, index, &record, staged)?);
        }
        job.go_on().map_err(|_| cancelled())?;
        let _records = local.records();
        publish(&local.folder, &self.key, moves)
    }

    /// Copies all sources while nothing writes them, and not longer: making the copies durable
    /// can wait until the instance is thawed.
    fn fix(&self, local: &Local, job: &Job, staged: &mut Vec<String>) -> Result<Point> {
        let folder = &local.folder;
        let brief = match &self.still {
            Still::Freeze(instance, at_most) => Some(Brief::freeze(
                &local.freezes,
                &self.key,
                instance,
                *at_most,
            )?),
            _ => None,
        };
        let held = match &self.still {
            Still::Freeze(instance, _) => Some((instance, local.freezes.hold(instance))),
            Still::Held(instance, hold) => Some((instance, Some(hold.clone()))),
            Still::Unwritten => None,
        };
        let mut stamps = Vec::new();
        for source in &self.sources {
            stamps.push(source.stamp(folder)?);
        }
        // Since nothing changes from here to the end, all parts are of this one instant.
        let taken_at = Timestamp::now();
        let over = match held {
            Some(_) => Over::Read,
            None => Over::Durable,
        };
        let mut copies = Vec::new();
        for (index, source) in self.sources.iter().enumerate() {
            let name = data_file(&part(&self.key, index));
            staged.push(name.clone());
            let copy = local.copy_staged(&source.file, &name, source.size, self.method, over, job);
            copies.push(copy.map_err(|error| {
                match error.kind() {
                    ErrorKind::Cancelled => error,
                    // Where it was cut, that is why its copying failed.
                    _ => source
                        .require_unchanged(folder, stamps[index])
                        .err()
                        .unwrap_or(error),
                }
            })?);
        }
        if let Some((instance, hold)) = &held {
            self.require_unchanged(folder, &stamps)?;
            if hold.is_none() || local.freezes.hold(instance) != *hold {
                return Err(
                    Error::new(ErrorKind::Timeout, "it thawed before all was copied")
                        .on((*instance).clone())
                        .advise(
                            "Freeze it for longer, or keep the folder where blocks can be shared",
                        ),
                );
            }
        }
        drop(brief);
        Ok(Point {
            taken_at,
            stamps,
            copies,
            live: held.is_some(),
            consistency: held
                .and_then(|_| local.freezes.consistency())
                .unwrap_or(Consistency::Filesystem),
        })
    }

    /// Makes the bytes of all parts durable, and finds out whether they are of one point in time
    /// where nobody was frozen for it.
    fn settle(&self, local: &Local, point: &Point) -> Result<()> {
        if point.live {
            return self.sync(local, point);
        }
        thread::scope(|scope| {
            // Both wait for the kernel, and neither for the other.
            let looking = thread::Builder::new()
                .name("stillpoint-look".to_owned())
                .spawn_scoped(scope, || self.require_still(local, point));
            let synced = self.sync(local, point);
            let still = match looking {
                Ok(looking) => looking.join().unwrap_or_else(|panic| resume_unwind(panic)),
                Err(_no_more_threads) => self.require_still(local, point),
            };
            // What ails the disk will ail it again; a writer may be gone the next time.
            synced.and(still)
        })
    }

    /// An error if anything wrote a source since the point in time, or could have: whoever opened
    /// it meanwhile may have mapped it, and what is written there shows in no time stamp until it
    /// is written back.
    fn require_still(&self, local: &Local, point: &Point) -> Result<()> {
        if let Some(error) = written(&local.folder, &self.sources)?.into_iter().next() {
            return Err(error);
        }
        self.require_unchanged(&local.folder, &point.stamps)
    }

    fn require_unchanged(&self, folder: &Folder, since: &[Stamp]) -> Result<()> {
        let mut pairs = self.sources.iter().zip(since);
        pairs.try_for_each(|(source, stamp)| source.require_unchanged(folder, *stamp))
    }

    /// Makes the bytes of all parts durable.
    fn sync(&self, local: &Local, point: &Point) -> Result<()> {
        for (index, (file, _)) in point.copies.iter().enumerate() {
            let data = data_file(&part(&self.key, index));
            local.folder.sync_file(file, Area::Staged, &data)?;
        }
        Ok(())
    }

    fn record(&self, source: &Source, point: &Point, index: usize) -> SnapshotRecord {
        SnapshotRecord {
            name: self.take.name.clone(),
            labels: self.take.labels.clone(),
            created_by: self.key.clone(),
            of: source.volume.id().to_owned(),
            size: source.size,
            content_stamp: point.stamps[index].to_string(),
            taken_at: point.taken_at,
            consistency: point.consistency,
            capture: if point.live {
                Capture::Live
            } else {
                Capture::Offline
            },
            copy: point.copies[index].1,
        }
    }
}

/// The point in time that was fixed, with the copies that hold it; they are not durable yet.
#[derive(Debug)]
struct Point {
    taken_at: Timestamp,
    stamps: Vec<Stamp>,
    copies: Vec<(File, CopyKind)>,
    live: bool,
    consistency: Consistency,
}

/// Makes the record of one part durable in `staged/`; its bytes are.
fn stage_part(
    local: &Local,
    key: &OperationKey,
    index: usize,
    record: &SnapshotRecord,
    staged: &mut Vec<String>,
) -> Result<[Move; 2]> {
    let id = part(key, index);
    let (data, json) = (data_file(&id), file_name(&id));
    staged.push(json.clone());
    local.folder.stage_bytes(&json, &encode(record)?)?;
    let to_snapshots =
        |name: String| Move::new(&local.folder, name.clone(), Area::Snapshots, name, false);
    Ok([to_snapshots(data)?, to_snapshots(json)?])
}

/// What became of it, by the folder alone.
pub(crate) fn observe(
    local: &Local,
    key: &OperationKey,
    take: &TakeSnapshot,
) -> Result<Observation> {
    let mut parts = Vec::new();
    let mut last: Option<SnapshotRecord> = None;
    for (index, asked) in take.parts.iter().enumerate() {
        let id = part(key, index);
        let Some(record) = local.folder.load::<SnapshotRecord>(&id)? else {
            continue;
        };
        if record.of != asked.volume.id() {
            return Err(Error::new(
                ErrorKind::Conflict,
                format!("`{key}` is the key of a snapshot of `{}`", record.of),
            )
            .on(asked.volume.clone())
            .advise("Give every intended effect a key of its own"));
        }
        parts.push(TakenPart {
            volume: asked.volume.clone(),
            snapshot: local.reference(ResourceKind::Snapshot, &id)?,
            size: record.size,
            copy: record.copy,
            content_stamp: Some(record.content_stamp.clone()),
        });
        last = Some(record);
    }
    let Some(record) = last else {
        return Ok(Observation::Absent);
    };
    if parts.len() < take.parts.len() {
        return Ok(Observation::Failed {
            error: Error::new(
                ErrorKind::Conflict,
                "some parts of the snapshot were deleted since it was taken",
            )
            .on(take.source.clone())
            .advise("Delete the others and take it again under another key")
            .leaving(World::Changed),
            left: parts.into_iter().map(|part| part.snapshot).collect(),
        });
    }
    Ok(Observation::Done {
        output: Output::Snapshot(TakenSnapshot {
            parts,
            taken_at: record.taken_at,
            consistency: record.consistency,
            capture: record.capture,
            memory: Memory::No,
        }),
        twins: Vec::new(),
    })
}

fn require_attached(local: &Local, take: &TakeSnapshot) -> Result<()> {
    if take.source.kind() == ResourceKind::Volume {
        local.id(&take.source, ResourceKind::Volume)?;
        return match take.parts.as_slice() {
            [only] if only.volume == take.source => Ok(()),
            _ => Err(Error::new(
                ErrorKind::Invalid,
                "a volume's snapshot has that volume as its only part",
            )
            .on(take.source.clone())
            .advise("Snapshot the instance to take several of its volumes")),
        };
    }
    let instance = local.describe(&take.source)?;
    let stillpoint_core::Detail::Instance { disks, .. } = &instance.detail else {
        return Err(Error::new(
            ErrorKind::Unsupported,
            "only instances and volumes have snapshots",
        )
        .on(take.source.clone())
        .advise("Name an instance or a volume"));
    };
    let strangers = take.parts.iter().filter(|part| {
        !disks
            .iter()
            .any(|disk| disk.volume.as_ref() == Some(&part.volume))
    });
    let refused = strangers.fold(None, |refused, part| {
        let error = Error::new(
            ErrorKind::Precondition,
            format!("{} is not a disk of it", part.volume),
        )
        .on(take.source.clone())
        .advise("Describe the instance and plan anew");
        Some(collect(refused, error))
    });
    refused.map_or(Ok(()), Err)
}

/// All reasons at once, the first one leading.
fn collect(refused: Option<Error>, error: Error) -> Error {
    match refused {
        None => error,
        Some(first) => {
            let on = error
                .resource()
                .map_or_else(String::new, |resource| format!("{resource}: "));
            first.reason(format!("{on}{}", error.message()))
        }
    }
}
