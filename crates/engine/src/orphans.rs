//! What a provider has, sorted by whose it is. It only looks.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use stillpoint_core::{ErrorKind, JobId, ResourceRef, Result};
use stillpoint_iaas::{Filter, Observation, Operation, OperationKey, ProviderExt, Ticket};
use stillpoint_restore::{Call, Event, Machine, Record};
use stillpoint_state::catalogue::Query;

use crate::action::{Action, StepOutput};
use crate::clock::within;
use crate::drive::operation_key;
use crate::engine::Engine;
use crate::job::{Job, JobQuery};
use crate::work::discarded;

/// All that a provider has, by whose it is.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Orphans {
    /// In the catalogue, made for a caller, or of a job that is not over.
    pub tracked: Vec<ResourceRef>,
    /// Made by a job that is over, as its journal and the provider agree, and known to nobody:
    /// what came late, or what an older copy of the state has forgotten.
    pub untracked: Vec<Untracked>,
    /// Nothing of ours says that it made these.
    pub foreign: Vec<ResourceRef>,
    /// Calls of which the provider cannot tell what became of them, or does not tell in time.
    pub unclear: Vec<Unclear>,
    /// Whether the provider lists what it has. One that does not has its own account of what is
    /// foreign, and what is untracked is told by the journals and its answers alone.
    pub listed: bool,
}

/// Something of ours that nobody knows of.
#[derive(Clone, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
pub struct Untracked {
    /// What.
    pub resource: ResourceRef,
    /// The job that made it.
    pub job: JobId,
    /// The durable key under which it was asked for.
    pub key: OperationKey,
}

/// A call that may have made something.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Unclear {
    /// The job that made the call.
    pub job: JobId,
    /// Its durable key.
    pub key: OperationKey,
    /// What was seen, for a person.
    pub evidence: String,
}

/// A call of a job that makes something, as its journal has it.
struct Making {
    key: OperationKey,
    operation: Operation,
    ticket: Option<Ticket>,
}

impl Engine {
    /// Sorts all that a provider has by whose it is: by the catalogue, and by asking for every
    /// key that a journal says was used. Changes nothing.
    ///
    /// What is untracked can be [removed](crate::Request::Remove); what is foreign never is.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`] where there is no such provider; those of the state and of the
    /// provider's answers.
    pub async fn orphans(&self, provider: &str) -> Result<Orphans> {
        let asked = self.provider(provider)?;
        let listed = match asked.list_all(&Filter::default()).await {
            Ok(listed) => Some(listed),
            Err(error) if error.kind() == ErrorKind::Unsupported => None,
            Err(error) => return Err(error),
        };
        let limit = asked.capabilities().await?.limits.call_timeout;
        let mut tracked = BTreeSet::new();
        let mut found = Orphans {
            listed: listed.is_some(),
            ..Orphans::default()
        };
        let (mut made, mut gone) = (BTreeMap::new(), BTreeSet::new());
        for job in self.jobs(&JobQuery::default()).await? {
            tracked.extend(job.made.iter().cloned());
            let makings = self.makings(&job, provider, &mut gone).await?;
            for Making {
                key,
                operation,
                ticket,
            } in makings
            {
                let seen = asked.observe(&key, &operation, ticket.as_ref());
                let seen = within(&*self.shared().clock, limit, seen).await;
                let named = match seen.map_or_else(|| Err(silent(limit)), told) {
                    Ok(named) => named,
                    Err(evidence) => {
                        found.unclear.push(Unclear {
                            job: job.id,
                            key,
                            evidence,
                        });
                        continue;
                    }
                };
                if job.is_over() {
                    made.extend(named.into_iter().map(|it| (it, (job.id, key.clone()))));
                } else {
                    tracked.extend(named);
                }
            }
        }
        // After the jobs: what one of them has just brought to its end is listed by now.
        tracked.extend(self.catalogued(provider).await?);
        let there: BTreeSet<ResourceRef> = match listed {
            Some(listed) => listed.into_iter().map(|it| it.reference).collect(),
            None => {
                let ours = made.keys().chain(&tracked).cloned();
                ours.filter(|it| it.provider() == provider && !gone.contains(it))
                    .collect()
            }
        };
        for resource in there {
            if tracked.contains(&resource) {
                found.tracked.push(resource);
            } else if let Some((job, key)) = made.remove(&resource) {
                found.untracked.push(Untracked { resource, job, key });
            } else {
                found.foreign.push(resource);
            }
        }
        Ok(found)
    }

    /// The parts of all snapshots that are listed.
    async fn catalogued(&self, provider: &str) -> Result<BTreeSet<ResourceRef>> {
        let mut parts = BTreeSet::new();
        let mut query = Query::default();
        loop {
            let page = self.catalogue().list(&query).await?;
            let of_page = page.rows.into_iter().flat_map(|row| row.snapshot.parts);
            parts.extend(of_page.map(|part| part.snapshot));
            match page.next {
                Some(next) => query.after = Some(next),
                None => break,
            }
        }
        parts.retain(|part| part.provider() == provider);
        Ok(parts)
    }

    /// The calls of a job that make something there; what it deleted goes to `gone`.
    async fn makings(
        &self,
        job: &Job,
        provider: &str,
        gone: &mut BTreeSet<ResourceRef>,
    ) -> Result<Vec<Making>> {
        let Some(steps) = self.plan_of(job.id).await?.steps else {
            return Ok(Vec::new());
        };
        let mut machine = Machine::new(steps);
        let mut makings: BTreeMap<Call, Making> = BTreeMap::new();
        let mut earlier = Vec::new();
        for record in self.journal(job.id).await? {
            match &record.event {
                Event::Begun { call, .. } => {
                    if let Some(making) = making(&machine, job.id, *call, provider)? {
                        let before = makings.insert(*call, making);
                        // Another attempt has the same key, another round one of its own.
                        let key = &makings[call].key;
                        earlier.extend(before.filter(|before| before.key != *key));
                    }
                }
                Event::Accepted { call, ticket } => {
                    if let Some(making) = makings.get_mut(call) {
                        making.ticket = Some(Ticket::new(ticket));
                    }
                }
                Event::Done { call, .. } => gone.extend(deleted(&machine, *call)),
                _ => {}
            }
            apply(&mut machine, &record, job.id)?;
        }
        earlier.extend(makings.into_values());
        Ok(earlier)
    }
}

/// What a call is about to make; none where it makes nothing, or nothing there.
fn making(
    machine: &Machine<Action, StepOutput>,
    job: JobId,
    call: Call,
    provider: &str,
) -> Result<Option<Making>> {
    let Some(Action::Ask {
        provider: of, ask, ..
    }) = machine.plan().action(call)
    else {
        return Ok(None);
    };
    if of != provider {
        return Ok(None);
    }
    let operation = ask.resolve(machine)?;
    let makes = matches!(
        operation,
        Operation::CreateImage { .. }
            | Operation::CreateInstance { .. }
            | Operation::CreateVolume { .. }
            | Operation::Snapshot(_)
    );
    if !makes {
        return Ok(None);
    }
    Ok(Some(Making {
        key: operation_key(&machine.key(&job.to_string(), call))?,
        operation,
        ticket: None,
    }))
}

/// What a call that is done has deleted.
fn deleted(machine: &Machine<Action, StepOutput>, call: Call) -> Vec<ResourceRef> {
    match machine.plan().action(call) {
        Some(Action::Delete { resources, .. }) => resources.clone(),
        Some(Action::Discard { step, .. }) => discarded(machine, call, step),
        _ => Vec::new(),
    }
}

fn apply(
    machine: &mut Machine<Action, StepOutput>,
    record: &Record<StepOutput>,
    job: JobId,
) -> Result<()> {
    machine.apply(record).map_err(|source| {
        let message = format!("the journal of job {job} does not fit its plan");
        stillpoint_core::Error::new(ErrorKind::Corrupt, message).because(source)
    })
}

fn silent(limit: Duration) -> String {
    format!("the provider did not tell within {limit:?}")
}

/// All that an observation names, or why it tells nothing.
fn told(seen: Result<Observation>) -> Result<Vec<ResourceRef>, String> {
    match seen.map_err(|error| error.to_string())? {
        Observation::Absent => Ok(Vec::new()),
        Observation::Cancelled { left } | Observation::Failed { left, .. } => Ok(left),
        Observation::Done { output, twins } => {
            Ok(output.created().into_iter().chain(twins).collect())
        }
        Observation::Running { .. } => Err("it is still going on".to_owned()),
        Observation::Unknown { evidence, .. } => Err(evidence),
        other => Err(format!("{other:?}")),
    }
}
