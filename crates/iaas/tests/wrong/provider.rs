use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::StreamExt;
use jiff::Timestamp;
use stillpoint_core::{
    Consistency, Detail, Error, ErrorKind, Labels, Power, Progress, Resource, ResourceKind,
    ResourceRef, Result,
};
use stillpoint_iaas::sim::{SimCloud, SimProvider};
use stillpoint_iaas::{
    BoxStream, Capabilities, Filter, Observation, Operation, OperationKey, OperationKind, Outlook,
    Output, Provider, ProviderExt, Ticket, VolumeBytes,
};
use tokio::time::sleep;

use crate::bed::Marked;
use crate::flaw::Flaw;

/// A client of the simulated cloud that does everything right but one thing.
pub(crate) struct Wrong {
    right: SimProvider,
    cloud: SimCloud,
    flaw: Flaw,
    marked: Marked,
    seen: Mutex<Seen>,
    at_once: AtomicU32,
}

/// What a client remembers that should ask.
#[derive(Default)]
struct Seen {
    submitted: BTreeSet<OperationKey>,
    absent: BTreeSet<OperationKey>,
    labels: BTreeMap<ResourceRef, Labels>,
    numbers: u64,
}

impl Wrong {
    pub(crate) fn new(cloud: SimCloud, flaw: Flaw, marked: Marked) -> Self {
        Self {
            right: cloud.connect(),
            cloud,
            flaw,
            marked,
            seen: Mutex::default(),
            at_once: AtomicU32::new(0),
        }
    }

    pub(crate) fn has(&self, flaw: Flaw) -> bool {
        self.flaw == flaw
    }

    pub(crate) fn right(&self) -> &SimProvider {
        &self.right
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap()
    }

    /// A key of its own making.
    fn other_key(&self, key: &OperationKey) -> OperationKey {
        let mut seen = self.seen();
        seen.numbers += 1;
        format!("{key}.x{}", seen.numbers).parse().unwrap()
    }

    /// The operation as this provider carries it out.
    async fn twisted(&self, operation: &Operation) -> Operation {
        let mut operation = operation.clone();
        match (&mut operation, self.flaw) {
            (Operation::CreateVolume { labels, .. }, Flaw::TruncatesLabels) => {
                labels.values_mut().for_each(|value| value.truncate(20));
            }
            (Operation::CreateVolume { from, size, .. }, Flaw::VolumesAreEmpty) => {
                if let Some(snapshot) = from.as_ref() {
                    let fits = self.right.describe(snapshot).await.is_ok_and(
                        |it| matches!(it.detail, Detail::Snapshot { size: least, .. } if least <= *size),
                    );
                    if fits {
                        *from = None;
                    }
                }
            }
            (Operation::Freeze { at_most, .. }, Flaw::FreezesForLong) => *at_most *= 1000,
            (Operation::Snapshot(take), Flaw::ClaimsAtomicGroups) => take.group = false,
            _ => {}
        }
        operation
    }

    /// What it does beside, before the operation itself.
    async fn do_more(&self, key: &OperationKey, operation: &Operation) -> Result<()> {
        match (operation, self.flaw) {
            (Operation::DeleteSnapshot { snapshot }, Flaw::DeletesSiblings) => {
                if let Ok(Detail::Snapshot { of, .. }) =
                    self.right.describe(snapshot).await.map(|it| it.detail)
                {
                    self.remove_snapshots(of).await?;
                }
            }
            (Operation::DeleteVolume { volume }, Flaw::CascadesToSnapshots) => {
                self.remove_snapshots(volume.clone()).await?;
            }
            (Operation::DeleteVolume { volume }, Flaw::DeletesByForce) => {
                let found = self.right.find(volume).await?;
                if let Some(Detail::Volume { attached_to, .. }) = found.map(|it| it.detail) {
                    for instance in attached_to {
                        let volume = volume.clone();
                        let detach = Operation::Detach { instance, volume };
                        self.right.submit(&self.other_key(key), &detach).await?;
                        sleep(Duration::from_secs(10)).await;
                    }
                }
            }
            (Operation::DeleteInstance { instance }, Flaw::CascadesToVolumes) => {
                let found = self.right.describe(instance).await?;
                if let Detail::Instance { disks, .. } = found.detail {
                    disks
                        .iter()
                        .filter_map(|disk| disk.volume.as_ref())
                        .for_each(|volume| self.cloud.remove(volume));
                }
            }
            (Operation::SetLabels { resource, labels }, Flaw::ReplacesLabels) => {
                let (resource, labels) = (resource.clone(), labels.clone());
                self.seen().labels.insert(resource, labels);
            }
            (Operation::Snapshot(take), Flaw::StaysFrozen) if take.quiesce.is_some() => {
                let freeze = Operation::Freeze {
                    instance: take.source.clone(),
                    at_most: Duration::from_secs(3600),
                };
                self.right.submit(&self.other_key(key), &freeze).await?;
            }
            _ => {}
        }
        Ok(())
    }

    /// What it refuses though it should not.
    async fn refuse(&self, operation: &Operation) -> Result<()> {
        let (kind, what) = match (operation, self.flaw) {
            (
                Operation::DeleteSnapshot { snapshot: gone }
                | Operation::DeleteVolume { volume: gone },
                Flaw::MissesTheGone,
            ) if self.right.find(gone).await?.is_none() => (ErrorKind::NotFound, "it is gone"),
            (Operation::Thaw { instance }, Flaw::ThawsOnlyFrozen)
                if !self.cloud.is_frozen(instance) =>
            {
                (ErrorKind::Precondition, "it is not frozen")
            }
            _ => return Ok(()),
        };
        Err(Error::new(kind, what))
    }

    async fn remove_snapshots(&self, of: ResourceRef) -> Result<()> {
        let filter = Filter {
            of: Some(of),
            ..Filter::default()
        };
        for snapshot in self.right.list_all(&filter).await? {
            self.cloud.remove(&snapshot.reference);
        }
        Ok(())
    }

    async fn submit_wrongly(&self, key: &OperationKey, operation: &Operation) -> Result<Ticket> {
        self.refuse(operation).await?;
        self.do_more(key, operation).await?;
        if self.has(Flaw::RevertsNothing) && operation.kind() == OperationKind::Revert {
            return Ok(Ticket::new("of course"));
        }
        let again = !self.seen().submitted.insert(key.clone());
        if self.has(Flaw::NewObjectEachTime) && again {
            return self.right.submit(&self.other_key(key), operation).await;
        }
        let twisted = self.twisted(operation).await;
        let answer = self.right.submit(key, &twisted).await;
        match &answer {
            Ok(_) if self.has(Flaw::LabelsTheSource) => {
                if let Operation::Snapshot(take) = operation {
                    let label = ("last-snapshot".to_owned(), key.to_string());
                    let mark = Operation::SetLabels {
                        resource: take.parts[0].volume.clone(),
                        labels: Labels::from([label]),
                    };
                    self.right.submit(&self.other_key(key), &mark).await?;
                }
            }
            Ok(_) if self.has(Flaw::MarksTooLate) => {
                sleep(Duration::from_millis(30)).await;
                self.marked.lock().unwrap().insert(key.clone());
            }
            Err(error)
                if self.has(Flaw::WordsItsOwnErrors) && error.kind() == ErrorKind::Unsupported =>
            {
                return Err(Error::new(ErrorKind::Internal, error.message()));
            }
            Err(_) if self.has(Flaw::LeavesLitter) => {
                if let Operation::CreateVolume {
                    name, labels, size, ..
                } = operation
                {
                    let litter = Operation::CreateVolume {
                        name: name.clone(),
                        labels: labels.clone(),
                        size: *size,
                        from: None,
                    };
                    self.right.submit(&self.other_key(key), &litter).await?;
                }
            }
            _ => {}
        }
        answer
    }

    async fn observe_wrongly(
        &self,
        key: &OperationKey,
        operation: &Operation,
        ticket: Option<&Ticket>,
    ) -> Result<Observation> {
        let is_snapshot = operation.kind() == OperationKind::Snapshot;
        let mine = self.seen().submitted.contains(key);
        let blind = match self.flaw {
            Flaw::AbsentForEver => ticket.is_none() && self.seen().absent.contains(key),
            Flaw::ForgetsOnRestart => ticket.is_none() && is_snapshot && !mine,
            Flaw::MarksTooLate => !self.marked.lock().unwrap().contains(key),
            _ => false,
        };
        if blind {
            return Ok(Observation::Absent);
        }
        if self.has(Flaw::RevertsNothing) && operation.kind() == OperationKind::Revert {
            return Ok(Observation::Done {
                output: Output::Nothing,
                twins: Vec::new(),
            });
        }
        let twisted = self.twisted(operation).await;
        let mut seen = self.right.observe(key, &twisted, ticket).await?;
        match (&mut seen, self.flaw) {
            (Observation::Absent, Flaw::AbsentForEver) => {
                self.seen().absent.insert(key.clone());
            }
            (Observation::Absent, Flaw::FailsTheUnasked) if is_snapshot => {
                return Ok(Observation::Failed {
                    error: Error::new(ErrorKind::NotFound, "there is none"),
                    left: Vec::new(),
                });
            }
            (Observation::Absent, Flaw::MatchesByName) => {
                if let Some(namesake) = self.namesake(operation).await? {
                    return Ok(Observation::Done {
                        output: Output::Created(namesake),
                        twins: Vec::new(),
                    });
                }
            }
            (Observation::Running { .. }, Flaw::HidesRunning)
                if is_snapshot && ticket.is_none() =>
            {
                return Ok(Observation::Absent);
            }
            (Observation::Running { look_again_in, .. }, Flaw::LooksAgainAtOnce) => {
                *look_again_in = Duration::ZERO;
            }
            (
                Observation::Running {
                    progress: Some(progress),
                    ..
                },
                Flaw::ProgressGoesBack,
            ) => {
                let mut back = Progress::new(progress.unit(), progress.total());
                back.advance_to(progress.total() - progress.done());
                *progress = back;
            }
            (Observation::Done { twins, .. }, Flaw::HidesTwins) => twins.clear(),
            (
                Observation::Cancelled { left } | Observation::Failed { left, .. },
                Flaw::HidesWhatIsLeft,
            ) => left.clear(),
            (
                Observation::Done {
                    output: Output::Snapshot(taken),
                    ..
                },
                flaw,
            ) => match flaw {
                Flaw::ClaimsConsistency => taken.consistency = Consistency::Filesystem,
                Flaw::ReversesParts => taken.parts.reverse(),
                Flaw::TakenLongAgo => taken.taken_at = Timestamp::UNIX_EPOCH,
                _ => {}
            },
            _ => {}
        }
        Ok(seen)
    }

    async fn namesake(&self, operation: &Operation) -> Result<Option<ResourceRef>> {
        let Operation::CreateVolume { name, .. } = operation else {
            return Ok(None);
        };
        let volumes = Filter::kind(ResourceKind::Volume);
        let volumes = self.right.list_all(&volumes).await?;
        let found = volumes.into_iter().find(|volume| volume.name == *name);
        Ok(found.map(|volume| volume.reference))
    }
}

#[async_trait]
impl Provider for Wrong {
    async fn capabilities(&self) -> Result<Capabilities> {
        let mut can = self.right.capabilities().await?;
        match self.flaw {
            Flaw::ClaimsAtomicGroups => {
                can.snapshots
                    .values_mut()
                    .for_each(|can| can.atomic_group = true);
            }
            Flaw::ClaimsImages => {
                can.operations.insert(OperationKind::CreateImage);
            }
            _ => {}
        }
        Ok(can)
    }

    async fn outlook(&self, source: &ResourceRef) -> Result<Outlook> {
        self.right.outlook(source).await
    }

    async fn describe(&self, resource: &ResourceRef) -> Result<Resource> {
        let mut seen = match self.right.describe(resource).await {
            Err(error)
                if self.has(Flaw::WordsItsOwnMissing) && error.kind() == ErrorKind::NotFound =>
            {
                return Err(Error::new(ErrorKind::Internal, error.message()));
            }
            answer => answer?,
        };
        match (self.flaw, &mut seen.detail) {
            (Flaw::FingerprintsNothing, _) => seen.fingerprint = "same".to_owned(),
            (Flaw::FingerprintsPower, Detail::Instance { power, .. }) => {
                seen.fingerprint = format!("{} {power:?}", seen.fingerprint);
            }
            (Flaw::OnForEver, Detail::Instance { power, .. }) => *power = Power::On,
            (Flaw::ReplacesLabels, _) => {
                if let Some(last) = self.seen().labels.get(resource) {
                    seen.labels.clone_from(last);
                }
            }
            _ => {}
        }
        Ok(seen)
    }

    fn list(&self, filter: &Filter) -> BoxStream<'_, Result<Resource>> {
        let mut filter = filter.clone();
        if self.has(Flaw::IgnoresLabels) {
            filter.labels.clear();
        }
        let all = self.right.list(&filter);
        match self.flaw {
            Flaw::FirstPageOnly => all.take(5).boxed(),
            _ => all,
        }
    }

    async fn submit(&self, key: &OperationKey, operation: &Operation) -> Result<Ticket> {
        let _one_more = OneMore::new(&self.at_once);
        if self.has(Flaw::LimitsBelow) && self.at_once.load(Ordering::Relaxed) > 3 {
            return Err(Error::new(ErrorKind::RateLimited, "too many at once"));
        }
        self.submit_wrongly(key, operation).await
    }

    async fn observe(
        &self,
        key: &OperationKey,
        operation: &Operation,
        ticket: Option<&Ticket>,
    ) -> Result<Observation> {
        self.observe_wrongly(key, operation, ticket).await
    }

    async fn cancel(
        &self,
        key: &OperationKey,
        operation: &Operation,
        ticket: Option<&Ticket>,
    ) -> Result<()> {
        if self.has(Flaw::CancelMisses) && !self.seen().submitted.contains(key) {
            return Err(Error::new(
                ErrorKind::NotFound,
                "there is no such operation",
            ));
        }
        if self.has(Flaw::CancelDeletes) {
            let seen = self.right.observe(key, operation, ticket).await?;
            if let Observation::Done { output, .. } = seen {
                output
                    .created()
                    .iter()
                    .for_each(|made| self.cloud.remove(made));
            }
        }
        self.right.cancel(key, operation, ticket).await
    }

    fn bytes(&self) -> Option<&dyn VolumeBytes> {
        self.right.bytes().map(|_| self as _)
    }
}

/// Counts a call while it is under way, and no longer where it is cut off.
struct OneMore<'a>(&'a AtomicU32);

impl<'a> OneMore<'a> {
    fn new(count: &'a AtomicU32) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for OneMore<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl fmt::Debug for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Wrong({:?})", self.flaw)
    }
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.right, f)
    }
}
