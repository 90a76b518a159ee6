use std::fmt;
use std::future;
use std::ops::Bound;
use std::sync::Arc;

use async_trait::async_trait;
use futures_core::stream::BoxStream;
use futures_util::{StreamExt, TryStreamExt, stream};
use stillpoint_core::{
    Error, ErrorKind, Resource, ResourceKind, ResourceRef, Result, World as Left,
};

use super::cloud::SimCloud;
use super::fault::Fault;
use super::job::Fate;
use super::observe::Question;
use super::personality::Personality;
use super::refusal::{rate_limited, refusal, timed_out};
use super::script::Call;
use super::world::{Event, Submit, World};
use crate::bytes::VolumeBytes;
use crate::capabilities::Capabilities;
use crate::key::{OperationKey, Ticket};
use crate::observation::Observation;
use crate::operation::Operation;
use crate::outlook::Outlook;
use crate::provider::{Filter, Provider};

/// How many resources a page of a list has: few, so that tests turn pages.
const PAGE: usize = 3;

/// A client of a [`SimCloud`], which dies when its last clone is dropped.
#[derive(Clone)]
pub struct SimProvider {
    client: Arc<Client>,
}

struct Client {
    cloud: SimCloud,
    number: u64,
    name: String,
}

impl Drop for Client {
    fn drop(&mut self) {
        self.cloud.disconnect(self.number);
    }
}

impl SimProvider {
    pub(super) fn new(cloud: SimCloud, number: u64) -> Self {
        let name = cloud.with(|world, _| world.name.clone());
        Self {
            client: Arc::new(Client {
                cloud,
                number,
                name,
            }),
        }
    }

    pub(super) fn cloud(&self) -> &SimCloud {
        &self.client.cloud
    }

    fn personality(&self) -> Personality {
        self.cloud().personality()
    }

    /// A dead client reaches nothing.
    fn alive(&self) -> Result<()> {
        if self.cloud().is_connected(self.client.number) {
            return Ok(());
        }
        Err(Error::new(ErrorKind::Unavailable, "this client was killed").advise("Connect again"))
    }

    /// As [`alive`](Self::alive), where the call has arrived: the dead hear no answer.
    fn alive_to_hear(&self) -> Result<()> {
        self.alive().map_err(|error| error.leaving(Left::Unknown))
    }

    async fn travel(&self) {
        tokio::time::sleep(self.personality().latency()).await;
    }

    /// The way there, and what happens on it; gives the fault that is the system's own matter.
    pub(super) async fn reach(
        &self,
        call: Call,
        operation: Option<&Operation>,
    ) -> Result<Option<Fault>> {
        self.alive()?;
        let fault = self.cloud().draw(call, operation);
        self.travel().await;
        self.alive()?;
        match fault {
            Some(Fault::RateLimited { retry_after }) => {
                Err(rate_limited(self.personality(), retry_after))
            }
            Some(Fault::Unavailable) => Err(refusal(
                self.personality(),
                ErrorKind::Unavailable,
                None,
                "nobody answers",
            )),
            Some(Fault::TimedOut { done: false }) => Err(timed_out(self.personality())),
            Some(Fault::LostReply { done: false }) => future::pending().await,
            other => Ok(other),
        }
    }

    /// The way back.
    pub(super) async fn answer<T>(&self, fault: Option<Fault>, answer: Result<T>) -> Result<T> {
        match fault {
            Some(Fault::LostReply { .. }) => return future::pending().await,
            Some(Fault::Stall { by }) => tokio::time::sleep(by).await,
            Some(Fault::TimedOut { .. }) => return Err(timed_out(self.personality())),
            _ => {}
        }
        self.travel().await;
        self.alive_to_hear()?;
        answer
    }

    /// A call that only looks.
    async fn look<T>(
        &self,
        call: Call,
        operation: Option<&Operation>,
        look: impl FnOnce(&World, jiff::Timestamp) -> Result<T> + Send,
    ) -> Result<T>
    where
        T: Send,
    {
        let fault = self.reach(call, operation).await?;
        let answer = self.cloud().with(|world, now| look(world, now));
        self.answer(fault, answer).await
    }

    fn take_in(&self, submit: Submit, fault: Option<Fault>) -> Result<u64> {
        let late = match fault {
            Some(Fault::Late { by } | Fault::PromiseBroken { by }) => Some(by),
            _ => None,
        };
        self.cloud().with(|world, now| match late {
            Some(by) => {
                world.plan(now + by, Event::Submit { submit });
                Err(timed_out(world.personality))
            }
            None => world.submit(now, submit),
        })
    }

    /// Waits for the process that carries out a call, and gives what it says.
    async fn wait_for_process(&self, key: &OperationKey, number: u64) -> Result<Ticket> {
        while let Some(due) = self
            .cloud()
            .with(|world, _| world.jobs.get(&number).map(|job| job.due))
        {
            self.cloud().sleep_until(due).await;
            self.alive_to_hear()?;
        }
        self.cloud().with(|world, now| match world.ended.get(key) {
            Some(ended) => Err(ended
                .error
                .clone()
                .unwrap_or_else(|| timed_out(world.personality).leaving(Left::Unknown))),
            None => Ok(world.reply(now, number)),
        })
    }

    async fn page(
        &self,
        filter: &Filter,
        after: Option<ResourceRef>,
    ) -> Result<(Vec<Resource>, Option<ResourceRef>)> {
        self.look(Call::List, None, |world, _| {
            if world.personality == Personality::Process {
                return Err(world.unsupported("no CPI method lists anything"));
            }
            let from = match &after {
                Some(last) => Bound::Excluded(last.clone()),
                None => Bound::Unbounded,
            };
            let mut seen = world.things.range((from, Bound::Unbounded));
            let mut page = Vec::new();
            let mut last = None;
            for (reference, thing) in seen.by_ref() {
                last = Some(reference.clone());
                if world.is_visible(thing) {
                    let resource = world.described(reference)?;
                    if filter.matches(&resource) {
                        page.push(resource);
                    }
                }
                if page.len() == PAGE {
                    break;
                }
            }
            let more = seen.next().is_some();
            Ok((page, last.filter(|_| more)))
        })
        .await
    }
}

impl World {
    pub(super) fn described(&self, reference: &ResourceRef) -> Result<Resource> {
        Ok(self.thing(reference)?.describe(reference, self))
    }
}

#[async_trait]
impl Provider for SimProvider {
    async fn capabilities(&self) -> Result<Capabilities> {
        self.alive()?;
        Ok(self.cloud().capabilities())
    }

    async fn outlook(&self, _: &ResourceRef) -> Result<Outlook> {
        self.alive()?;
        Ok(Outlook {
            reverts: self.cloud().reverts(),
            snapshots_left: self.cloud().snapshots_left(),
            launch_blocked_by: self.cloud().launch_blocked_by(),
            ..Outlook::default()
        })
    }

    async fn describe(&self, resource: &ResourceRef) -> Result<Resource> {
        self.look(Call::Describe, None, |world, _| {
            let unasked = matches!(
                resource.kind(),
                ResourceKind::Image | ResourceKind::Snapshot
            );
            if world.personality == Personality::Process && unasked {
                return Err(
                    world.unsupported(format!("no CPI method tells of a {}", resource.kind()))
                );
            }
            let thing = world.thing(resource)?;
            if !world.is_visible(thing) {
                return Err(world.refuse(
                    ErrorKind::NotFound,
                    resource,
                    "there is no such resource",
                ));
            }
            world.described(resource)
        })
        .await
    }

    fn list(&self, filter: &Filter) -> BoxStream<'_, Result<Resource>> {
        let filter = filter.clone();
        let start = Some(None);
        stream::try_unfold((filter, start), move |(filter, at)| async move {
            let Some(after) = at else { return Ok(None) };
            let (page, last) = self.page(&filter, after).await?;
            let next = last.map(Some);
            Ok::<_, Error>(Some((page, (filter, next))))
        })
        .map_ok(|page| stream::iter(page.into_iter().map(Ok)))
        .try_flatten()
        .boxed()
    }

    async fn submit(&self, key: &OperationKey, operation: &Operation) -> Result<Ticket> {
        let fault = self.reach(Call::Submit, Some(operation)).await?;
        self.cloud().count_submit()?;
        if fault == Some(Fault::QuotaShort) {
            return Err(refusal(
                self.personality(),
                ErrorKind::Quota,
                None,
                "a quota is used up",
            ));
        }
        let fate = match fault {
            Some(Fault::Fails { after }) => Fate::Fails { after },
            Some(Fault::HalfDone { at, leaves }) => Fate::HalfDone { at, leaves },
            Some(Fault::Slow { by }) => Fate::Succeeds { late_by: by },
            _ => Fate::FINE,
        };
        let submit = Submit {
            client: self.client.number,
            key: key.clone(),
            operation: operation.clone(),
            fate,
        };
        let number = self
            .take_in(submit, fault)
            .inspect_err(|error| self.cloud().count_refusal(error))?;
        let lost = matches!(
            fault,
            Some(Fault::LostReply { .. } | Fault::TimedOut { .. })
        );
        let ticket = if self.personality() == Personality::Process && !lost {
            self.wait_for_process(key, number).await
        } else {
            Ok(World::ticket(number))
        };
        self.answer(fault, ticket).await
    }

    async fn observe(
        &self,
        key: &OperationKey,
        operation: &Operation,
        ticket: Option<&Ticket>,
    ) -> Result<Observation> {
        let ask = Question {
            client: self.client.number,
            key,
            operation,
            ticket,
        };
        self.look(Call::Observe, Some(operation), |world, now| {
            world.observe(now, ask)
        })
        .await
    }

    async fn cancel(
        &self,
        key: &OperationKey,
        operation: &Operation,
        _ticket: Option<&Ticket>,
    ) -> Result<()> {
        let fault = self.reach(Call::Cancel, Some(operation)).await?;
        let answer = self.cloud().with(|world, now| {
            if !world.capabilities.cancel {
                return Err(world.unsupported("nothing can be cancelled"));
            }
            world.cancel(now, key);
            Ok(())
        });
        self.answer(fault, answer).await
    }

    fn bytes(&self) -> Option<&dyn VolumeBytes> {
        // A CPI knows volumes by their ids alone.
        (self.personality() != Personality::Process).then_some(self)
    }
}

impl fmt::Debug for SimProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimProvider")
            .field("name", &self.client.name)
            .field("client", &self.client.number)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for SimProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.client.name)
    }
}
