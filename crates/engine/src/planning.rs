//! From a request to a plan: looks at the world, changes nothing.

mod anew;
mod capture;
mod delete;
mod in_place;
mod manner;
mod one_way;
mod remove;
mod selection;
mod take;
mod taking;
mod template;

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use stillpoint_core::{
    ByteSize, Error, ErrorKind, Part, Power, Resource, ResourceKind, ResourceRef, Result, Snapshot,
    SnapshotState,
};
use stillpoint_iaas::{Capabilities, Operation, OperationKind, Provider, ProviderExt};
use stillpoint_restore::{Bracket, Phase, Plan, PlanBuilder, Step};

use crate::action::{Action, Ask, Source};
use crate::plan::{Bound, Effect, JobPlan};
use crate::request::{Request, Restore, Target};
use crate::work::Workshop;

/// How long a step that moves bytes may take in all.
const MOVING: SignedDuration = SignedDuration::from_hours(24);

/// How long any other step may take in all.
const QUICK: SignedDuration = SignedDuration::from_hours(1);

/// The providers by name.
pub(crate) type Providers = BTreeMap<String, Arc<dyn Provider>>;

/// What planning looks at.
pub(crate) struct Planner<'a> {
    pub(crate) workshop: &'a Workshop,
    pub(crate) now: Timestamp,
}

/// A provider, and what it can do.
struct Asked<'a> {
    name: &'a str,
    provider: &'a dyn Provider,
    can: Capabilities,
}

/// A restore, or the undo of one.
pub(crate) struct Restoring<'a> {
    pub(crate) request: Request,
    pub(crate) ask: &'a Restore,
    pub(crate) snapshot: &'a Snapshot,
    /// Where it undoes a restore: that one.
    pub(crate) undoes: Option<stillpoint_core::JobId>,
}

impl Planner<'_> {
    /// The plan of a restore to wherever it goes.
    pub(crate) async fn restore(&self, restoring: &Restoring<'_>) -> Result<JobPlan> {
        if restoring.snapshot.state == SnapshotState::Archived {
            return Ok(self.only_archived(restoring));
        }
        match &restoring.ask.to {
            Target::InPlace => self.in_place(restoring).await,
            Target::New { name } => self.anew(restoring, name).await,
            Target::Template { name } => self.template(restoring, name).await,
        }
    }

    /// Whatever its provider has now, it is not this snapshot.
    fn only_archived(&self, restoring: &Restoring<'_>) -> JobPlan {
        let exports = restoring.snapshot.exports.iter();
        let archives: Vec<&str> = exports.map(|it| &*it.archive).collect();
        let archives = archives.join(" or ");
        JobPlan {
            request: restoring.request.clone(),
            made_at: self.now,
            targets: Vec::new(),
            blocked_by: vec![format!("only archives hold it: restore it from {archives}")],
            changes: Vec::new(),
            omitted: restoring.snapshot.omitted.clone(),
            claims: Vec::new(),
            effect: Effect::None,
            steps: None,
        }
    }

    async fn ask(&self, name: &str) -> Result<Asked<'_>> {
        let (name, provider) = find_entry(&self.workshop.providers, name)?;
        let can = provider.capabilities().await?;
        Ok(Asked {
            name,
            provider: &**provider,
            can,
        })
    }

    /// The parts of a snapshot that are to be restored; what stands in the way goes to `blocked`.
    async fn parts(
        &self,
        asked: &Asked<'_>,
        restoring: &Restoring<'_>,
        blocked: &mut Vec<String>,
    ) -> Result<Vec<Part>> {
        let Restoring { ask, snapshot, .. } = restoring;
        match snapshot.state {
            SnapshotState::Partial if ask.disks.is_none() => blocked.push(
                "disks of the snapshot were deleted; name those that are wanted of the others"
                    .into(),
            ),
            SnapshotState::Partial | SnapshotState::Taken => {}
            SnapshotState::Creating => blocked.push("the snapshot is still being taken".into()),
            _ => blocked.push("the snapshot is being deleted".into()),
        }
        let wanted = |part: &&Part| {
            ask.disks
                .as_ref()
                .is_none_or(|disks| disks.contains(&part.disk))
        };
        let parts: Vec<Part> = snapshot.parts.iter().filter(wanted).cloned().collect();
        for disk in ask.disks.iter().flatten() {
            if !snapshot.parts.iter().any(|part| part.disk == *disk) {
                let held: Vec<&str> = snapshot.parts.iter().map(|part| &*part.disk).collect();
                blocked.push(format!(
                    "the snapshot has no disk `{disk}`, it holds {}",
                    held.join(", ")
                ));
            }
        }
        if parts.is_empty() {
            blocked.push("no disk is left to restore".into());
        }
        for part in &parts {
            if asked.provider.find(&part.snapshot).await?.is_none() {
                blocked.push(format!("{} is gone at the provider", part.snapshot));
            }
        }
        Ok(parts)
    }
}

impl Asked<'_> {
    fn bytes(&self) -> bool {
        self.provider.bytes().is_some()
    }

    /// Notes each operation that the provider does not have.
    fn needs(&self, operations: &[OperationKind], blocked: &mut Vec<String>) {
        for operation in operations {
            if !self.can.can(*operation) {
                blocked.push(format!("provider {} has no {operation:?}", self.name));
            }
        }
    }

    fn settle(&self) -> SignedDuration {
        SignedDuration::try_from(self.can.identity.settle()).unwrap_or(SignedDuration::MAX)
    }

    /// A step that asks this provider, and is taken back by discarding what it made.
    fn makes(&self, name: impl Into<String>, ask: Ask, bytes: u64) -> Step<Action> {
        let name = name.into();
        let discard = Action::Discard {
            provider: self.name.to_owned(),
            step: name.clone(),
        };
        self.changes(name, ask, bytes).undo(discard)
    }

    /// A step that asks this provider, and how it is taken back is still to be said.
    fn changes(&self, name: impl Into<String>, ask: Ask, bytes: u64) -> Step<Action> {
        let action = Action::Ask {
            provider: self.name.to_owned(),
            ask,
            bytes,
        };
        Step::new(name.into(), action)
            .settle(self.settle())
            .deadline(MOVING)
    }

    /// The step that compares a part's volume with its snapshot, after that was put there.
    fn compared(&self, part: &Part, number: usize, after: String) -> Step<Action> {
        let compare = Action::Compare {
            provider: self.name.to_owned(),
            made: Source::Resource(part.volume.clone()),
            from: Source::Resource(part.snapshot.clone()),
            digest: part.digest,
            bytes: part.size,
        };
        Step::new(format!("validate/{number}"), compare)
            .title(format!("compare `{}` with the snapshot", part.disk))
            .phase(Phase::Validating)
            .deadline(MOVING)
            .needs(after)
            .harmless()
    }

    /// A step that deletes something. There is no way back from it.
    fn deletes(&self, name: impl Into<String>, resource: ResourceRef) -> Step<Action> {
        let provider = self.name.to_owned();
        let action = Action::Delete {
            provider,
            resources: vec![resource],
        };
        Step::new(name.into(), action).deadline(QUICK)
    }

    /// A bracket that asks this provider both times.
    fn bracket(&self, name: &str, acquire: Operation, release: Operation) -> Bracket<Action> {
        let ask = |operation| Action::Ask {
            provider: self.name.to_owned(),
            ask: Ask::Ready(operation),
            bytes: 0,
        };
        Bracket::new(name, ask(acquire), ask(release))
            .settle(self.settle())
            .deadline(QUICK)
    }

    /// The power-off bracket of a running instance, covering what is added to it.
    fn power(&self, instance: &ResourceRef, budget: std::time::Duration) -> Bracket<Action> {
        let off = Operation::PowerOff {
            instance: instance.clone(),
        };
        let on = Operation::PowerOn {
            instance: instance.clone(),
        };
        self.bracket("power", off, on)
            .title(format!("{instance} is off"))
            .release_within(SignedDuration::try_from(budget).unwrap_or(QUICK).max(QUICK))
    }
}

/// The provider of that name.
pub(crate) fn find<'a>(providers: &'a Providers, name: &str) -> Result<&'a Arc<dyn Provider>> {
    Ok(find_entry(providers, name)?.1)
}

fn find_entry<'a>(
    providers: &'a Providers,
    name: &str,
) -> Result<(&'a String, &'a Arc<dyn Provider>)> {
    providers.get_key_value(name).ok_or_else(|| {
        let known: Vec<&str> = providers.keys().map(String::as_str).collect();
        let known = if known.is_empty() {
            "none".into()
        } else {
            known.join(", ")
        };
        Error::new(
            ErrorKind::NotFound,
            format!("there is no provider `{name}`, known: {known}"),
        )
        .advise("Register it with the builder, or correct the name")
    })
}

fn bound(resource: &Resource) -> Bound {
    Bound {
        resource: resource.reference.clone(),
        fingerprint: resource.fingerprint.clone(),
    }
}

/// The steps, or none where something stands in the way.
fn build(steps: PlanBuilder<Action>, blocked: &[String]) -> Result<Option<Plan<Action>>> {
    if !blocked.is_empty() {
        return Ok(None);
    }
    steps.build().map(Some).map_err(|source| {
        Error::new(
            ErrorKind::Internal,
            "the request was compiled to a plan that is not valid",
        )
        .advise("Report the request and the reasons")
        .because(source)
    })
}

/// How a person names a size.
fn size(bytes: u64) -> String {
    ByteSize(bytes).to_string()
}

/// Bytes of all the parts.
fn total(parts: &[Part]) -> u64 {
    parts.iter().map(|part| part.size).sum()
}

fn is_running(resource: &Resource) -> bool {
    matches!(
        resource.detail,
        stillpoint_core::Detail::Instance {
            power: Power::On,
            ..
        }
    )
}

/// Whether a name may stand for a new resource of this kind, and is free as far as names are ids.
async fn check_free(
    asked: &Asked<'_>,
    kind: ResourceKind,
    name: &str,
    blocked: &mut Vec<String>,
) -> Result<()> {
    match ResourceRef::new(asked.name, kind, name) {
        Ok(resource) => {
            if asked.provider.find(&resource).await?.is_some() {
                blocked.push(format!("{resource} exists already"));
            }
        }
        Err(error) => blocked.push(error.message().to_owned()),
    }
    Ok(())
}
