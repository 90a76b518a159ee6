use std::sync::Arc;

use stillpoint_core::{
    ByteSize, Error, ErrorKind, Labels, Part, ResourceKind, ResourceRef, Result, Snapshot,
};
use stillpoint_engine::{Action, Ask, Change, DiskFrom, Effect, JobPlan, Source};
use stillpoint_iaas::{Capabilities, Operation, OperationKind, Provider, ProviderExt};
use stillpoint_restore::{Phase, PlanBuilder, Step};

use super::{MOVING, Planner, room, step, steps, tidy};
use crate::place::{ArchiveRef, Shelf};
use crate::request::RestoreFrom;
use crate::vault::Seen;
use crate::work::{Work, bytes_of};

/// Where a snapshot is restored to, and how.
struct Target<'a> {
    wish: &'a RestoreFrom,
    name: String,
    provider: Arc<dyn Provider>,
    can: Capabilities,
    seen: &'a Seen,
    /// The numbers of the parts in the archive, and what their volumes are called.
    parts: Vec<(usize, &'a Part, String)>,
    instance: bool,
}

impl Planner<'_> {
    pub(crate) async fn restore_from(&self, wish: &RestoreFrom) -> Result<JobPlan> {
        if wish.name.is_empty() {
            let message = "it is not said what the new instance or volume is called";
            return Err(Error::new(ErrorKind::Invalid, message).advise("Say to_new(NAME)"));
        }
        // What stands in the way whatever is in the archive.
        let mut blocked = Vec::new();
        if let Some(name) = &wish.on {
            self.check_provider(name, &mut blocked);
        }
        let staging = match &wish.archive {
            ArchiveRef::Depot { depot, .. } => self.inner.bench.vault.depot(depot).ok(),
            ArchiveRef::File(_) => None,
        };
        let staging = staging.map(|registered| &registered.staging);
        if let Some(folder) = staging.filter(|folder| !folder.is_dir()) {
            blocked.push(format!("there is no folder {}: make it", folder.display()));
        }
        let seen = self.inner.bench.vault.look(&wish.archive).await;
        let seen = seen.map_err(|error| blocked.iter().fold(error, Error::reason))?;
        if let Some(folder) = staging.filter(|folder| folder.is_dir()) {
            room::check(folder, seen.size, &mut blocked)?;
        }
        let snapshot = &seen.document.snapshot;
        let name = wish.on.as_deref().unwrap_or(snapshot.source.provider());
        if wish.on.is_none() {
            self.check_provider(name, &mut blocked);
        }
        let Ok(provider) = self.inner.provider(name) else {
            return self.plan(steps(), Effect::None, blocked);
        };
        let instance = snapshot.source.kind() == ResourceKind::Instance && !wish.volumes_only;
        let target = Target {
            wish,
            name: name.to_owned(),
            provider: Arc::clone(provider),
            can: provider.capabilities().await?,
            parts: chosen(wish, snapshot, instance, &mut blocked),
            seen: &seen,
            instance,
        };
        target.check(&mut blocked).await?;
        Ok(JobPlan {
            changes: target.changes(),
            omitted: snapshot.omitted.clone(),
            ..self.plan(target.steps(), Effect::None, blocked)?
        })
    }

    fn check_provider(&self, name: &str, blocked: &mut Vec<String>) {
        let bytes = self.inner.provider(name).and_then(|it| bytes_of(&**it));
        if let Err(error) = bytes {
            blocked.push(error.message().to_owned());
        }
    }
}

/// The parts that are asked for.
fn chosen<'a>(
    wish: &RestoreFrom,
    snapshot: &'a Snapshot,
    instance: bool,
    blocked: &mut Vec<String>,
) -> Vec<(usize, &'a Part, String)> {
    let held: Vec<&str> = snapshot.parts.iter().map(|part| &*part.disk).collect();
    for disk in wish.disks.iter().flatten() {
        if !held.contains(&disk.as_str()) {
            let held = held.join(", ");
            blocked.push(format!("the archive has no disk `{disk}`, it holds {held}"));
        }
    }
    let wanted = |part: &Part| wish.disks.as_ref().is_none_or(|it| it.contains(&part.disk));
    let parts = snapshot.parts.iter().enumerate();
    let parts: Vec<_> = parts.filter(|(_, part)| wanted(part)).collect();
    if parts.is_empty() {
        blocked.push("no disk is left to restore".into());
    }
    let alone = parts.len() == 1 && !instance;
    let named = |part: &Part| match alone {
        true => wish.name.clone(),
        false => format!("{}-{}", wish.name, part.disk),
    };
    parts
        .into_iter()
        .map(|(number, part)| (number, part, named(part)))
        .collect()
}

impl Target<'_> {
    async fn check(&self, blocked: &mut Vec<String>) -> Result<()> {
        let mut needed = vec![OperationKind::CreateVolume];
        if self.instance {
            needed.push(OperationKind::CreateInstance);
            self.check_free(ResourceKind::Instance, &self.wish.name, blocked)
                .await?;
        }
        for operation in needed.into_iter().filter(|it| !self.can.can(*it)) {
            blocked.push(format!("provider {} has no {operation:?}", self.name));
        }
        for (_, _, volume) in &self.parts {
            self.check_free(ResourceKind::Volume, volume, blocked)
                .await?;
        }
        Ok(())
    }

    /// Whether a name may stand for a new resource, and is free as far as names are ids.
    async fn check_free(
        &self,
        kind: ResourceKind,
        name: &str,
        blocked: &mut Vec<String>,
    ) -> Result<()> {
        match ResourceRef::new(self.name.as_str(), kind, name) {
            Ok(resource) => match self.provider.find(&resource).await {
                Ok(Some(_)) => blocked.push(format!("{resource} exists already")),
                Ok(None) => {}
                // A name that this provider could never give.
                Err(error) if error.kind() == ErrorKind::Invalid => {
                    blocked.push(error.message().to_owned());
                }
                Err(error) => return Err(error),
            },
            Err(error) => blocked.push(error.message().to_owned()),
        }
        Ok(())
    }

    fn changes(&self) -> Vec<Change> {
        let instance = self
            .instance
            .then(|| Change::Create(format!("instance `{}` on {}", self.wish.name, self.name)));
        let volumes = self.parts.iter().map(|(_, part, volume)| {
            Change::Create(format!(
                "volume `{volume}` ({}) on {}",
                ByteSize(part.size),
                self.name
            ))
        });
        instance.into_iter().chain(volumes).collect()
    }

    fn steps(&self) -> PlanBuilder<Action> {
        let (archive, root) = (&self.wish.archive, self.seen.root);
        let stored = self.seen.size;
        let mut verify = step(
            "verify",
            &Work::Verify {
                archive: archive.clone(),
                root,
                fetched: true,
            },
            self.parts.iter().map(|(_, part, _)| part.size).sum(),
        )
        .title("read the whole archive")
        .phase(Phase::Verifying)
        .harmless();
        let mut plan = steps();
        let shelf = match archive {
            ArchiveRef::Depot { depot, .. } => Some(Shelf::Depot(depot.clone())),
            ArchiveRef::File(_) => None,
        };
        if let Some(shelf) = &shelf {
            let work = Work::Fetch {
                archive: archive.clone(),
                root,
            };
            let unstage = Work::Tidy {
                shelf: shelf.clone(),
            };
            plan = plan.step(
                step("fetch", &work, stored)
                    .title(format!("fetch {archive} ({})", ByteSize(stored)))
                    .phase(Phase::Fetching)
                    .undo(unstage.action(Vec::new(), 0)),
            );
            verify = verify.needs("fetch");
        }
        plan = plan.step(verify);
        let mut ready = Vec::new();
        for (number, part, volume) in &self.parts {
            plan = self.volume(plan, *number, part, volume);
            ready.push(format!("validate/{number}"));
        }
        if self.instance {
            let create = self.create_instance();
            plan = plan.step(
                ready
                    .iter()
                    .fold(create, |it, step| it.needs(step.as_str())),
            );
            ready = vec!["instance".to_owned()];
        }
        match &shelf {
            Some(shelf) => plan.step(
                ready
                    .iter()
                    .fold(tidy(shelf), |it, step| it.needs(step.as_str())),
            ),
            None => plan,
        }
    }

    /// Makes a volume, fills it and holds it against the archive.
    fn volume(
        &self,
        plan: PlanBuilder<Action>,
        number: usize,
        part: &Part,
        volume: &str,
    ) -> PlanBuilder<Action> {
        let made = format!("volume/{number}");
        let filled = format!("fill/{number}");
        let create = Operation::CreateVolume {
            name: volume.to_owned(),
            labels: Labels::new(),
            size: part.size,
            from: None,
        };
        let input = || vec![Source::output_of(made.as_str(), 0)];
        let fill = Work::Fill {
            archive: self.wish.archive.clone(),
            root: self.seen.root,
            part: number,
        };
        // A document without a digest was refused when it was read.
        let validate = part.digest.map(|digest| Work::Validate {
            size: part.size,
            digest,
        });
        let moves = |name: String, work: &Work| {
            Step::new(name, work.action(input(), part.size))
                .phase(Phase::Staging)
                .deadline(MOVING)
                .harmless()
        };
        let plan = plan
            .step(
                self.makes(&made, Ask::Ready(create))
                    .title(format!("make volume `{volume}`"))
                    .phase(Phase::Staging)
                    .needs("verify"),
            )
            .step(
                moves(filled.clone(), &fill)
                    .title(format!("write disk `{}` to it", part.disk))
                    .needs(made.as_str()),
            );
        match validate {
            Some(validate) => plan.step(
                moves(format!("validate/{number}"), &validate)
                    .title(format!("compare `{volume}` with the archive"))
                    .needs(filled),
            ),
            None => plan,
        }
    }

    fn create_instance(&self) -> Step<Action> {
        let disks = self.parts.iter().map(|(number, part, _)| DiskFrom {
            name: part.disk.clone(),
            volume: Source::output_of(format!("volume/{number}"), 0),
            boot: part.boot,
        });
        let create = Ask::CreateInstance {
            name: self.wish.name.clone(),
            labels: Labels::new(),
            disks: disks.collect(),
        };
        self.makes("instance", create)
            .title(format!("make instance `{}`", self.wish.name))
            .phase(Phase::Applying)
    }

    /// A step that asks the provider, and is taken back by discarding what it made.
    fn makes(&self, name: &str, ask: Ask) -> Step<Action> {
        let make = Action::Ask {
            provider: self.name.clone(),
            ask,
            bytes: 0,
        };
        let discard = Action::Discard {
            provider: self.name.clone(),
            step: name.to_owned(),
        };
        let settle = self.can.identity.settle();
        Step::new(name, make)
            .undo(discard)
            .settle(settle.try_into().unwrap_or(jiff::SignedDuration::MAX))
            .deadline(MOVING)
    }
}
