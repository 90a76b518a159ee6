use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use stillpoint_core::{JobId, Result, Snapshot, SnapshotId};
use stillpoint_engine::{Claim, Engine, Job, JobPlan, JobQuery};
use stillpoint_iaas::Identity;
use stillpoint_restore::{Machine, Outcome};
use stillpoint_state::catalogue::Query;
use stillpoint_state::{State, StateExt};

use crate::world::World;

/// Reads jobs from what is durable.
pub(crate) struct Jobs {
    state: Arc<dyn State>,
    engine: Engine,
}

/// All that is durable of jobs and snapshots.
pub(crate) struct Known {
    pub(crate) jobs: BTreeMap<JobId, (Job, JobPlan)>,
    pub(crate) snapshots: BTreeMap<SnapshotId, Snapshot>,
    /// How the machine of each job, made anew from its journal, says that it ended.
    pub(crate) replayed: BTreeMap<JobId, Option<Outcome>>,
}

impl Jobs {
    pub(crate) fn of(world: &World) -> Self {
        let state = world.state();
        let engine = Engine::builder(Arc::clone(&state)).read_only().build();
        Self {
            state,
            engine: engine.expect("an engine without providers can be built"),
        }
    }

    /// How many jobs somebody has to drive.
    pub(crate) async fn driven(&self) -> Result<usize> {
        let active = self.state.scan_prefix("active/").await?;
        Ok(active.collect().await?.len())
    }

    /// The jobs that wait for a person.
    pub(crate) async fn waiting(&self) -> Result<Vec<JobId>> {
        let query = JobQuery {
            unfinished: true,
            ..JobQuery::default()
        };
        let jobs = self.engine.jobs(&query).await?;
        let waiting = jobs.into_iter().filter(|job| job.outcome.is_some());
        Ok(waiting.map(|job| job.id).collect())
    }

    /// A page for each job that is not over.
    pub(crate) async fn describe_unfinished(&self) -> String {
        let query = JobQuery {
            unfinished: true,
            ..JobQuery::default()
        };
        let mut text = String::new();
        for job in self.engine.jobs(&query).await.unwrap_or_default() {
            let tree = self.engine.tree(job.id).await;
            let tree = tree.unwrap_or_else(|error| error.to_string());
            text.push_str(&format!("{} {}\n{tree}\n", job.id, job.request));
        }
        text
    }

    pub(crate) async fn known(&self) -> Result<Known> {
        let mut known = Known {
            jobs: BTreeMap::new(),
            snapshots: BTreeMap::new(),
            replayed: BTreeMap::new(),
        };
        for job in self.engine.jobs(&JobQuery::default()).await? {
            let plan = self.engine.plan_of(job.id).await?;
            let records = self.engine.journal(job.id).await?;
            let outcome = plan.steps.clone().and_then(|steps| {
                Machine::replay(steps, &records)
                    .ok()
                    .and_then(|machine| machine.outcome())
            });
            known.replayed.insert(job.id, outcome);
            known.jobs.insert(job.id, (job, plan));
        }
        let page = self.engine.catalogue().list(&Query::default()).await?;
        let snapshots = page
            .rows
            .into_iter()
            .map(|row| (row.snapshot.id, row.snapshot));
        known.snapshots.extend(snapshots);
        Ok(known)
    }
}

impl Known {
    /// The jobs that wait for a person: what they work with is uncertain.
    pub(crate) fn waiting(&self) -> BTreeSet<JobId> {
        let jobs = self.jobs.values();
        jobs.filter(|(job, _)| !job.is_over())
            .map(|(job, _)| job.id)
            .collect()
    }

    /// The snapshots that such jobs work with.
    pub(crate) fn uncertain(&self) -> BTreeSet<SnapshotId> {
        let mut uncertain = BTreeSet::new();
        for id in self.waiting() {
            let (job, plan) = &self.jobs[&id];
            uncertain.extend(job.snapshot);
            uncertain.extend(plan.claims.iter().filter_map(|claim| match claim {
                Claim::Delete(snapshot) | Claim::Keep(snapshot) => Some(*snapshot),
                _ => None,
            }));
        }
        uncertain
    }
}

/// Every job is over, as its journal says, or waits for a person where only one can tell.
pub(crate) fn ends(world: &World, known: &Known, violations: &mut Vec<String>) {
    let deaf: BTreeSet<String> = world
        .clouds()
        .iter()
        .map(|cloud| cloud.capabilities().identity)
        .zip(world.names())
        .filter(|(identity, _)| *identity == Identity::TicketOnly)
        .map(|(_, name)| name)
        .collect();
    for (id, (job, plan)) in &known.jobs {
        if known.replayed[id] != job.outcome {
            violations.push(format!(
                "job {id} ({}) is listed as {:?}, and its journal says {:?}",
                job.request, job.outcome, known.replayed[id]
            ));
        }
        match &job.outcome {
            None => violations.push(format!("job {id} ({}) is not over", job.request)),
            Some(Outcome::NeedsIntervention { troubles, .. }) => {
                let asked = plan.targets.iter().map(|bound| &bound.resource);
                let asked = asked.chain(&job.resources);
                if !asked.into_iter().any(|it| deaf.contains(it.provider())) {
                    violations.push(format!(
                        "job {id} ({}) still waits for a person, who has looked: {troubles:?}",
                        job.request
                    ));
                }
            }
            Some(_) => {}
        }
    }
}
