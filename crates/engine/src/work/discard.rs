use std::sync::Arc;
use std::time::Duration;

use stillpoint_core::{Error, ErrorKind, Progress, ResourceRef, Result, Retry, World};
use stillpoint_iaas::{OperationKey, Output};
use stillpoint_restore::{Call, Event, Left};
use tokio::sync::Notify;

use super::operation::{Ask, deletion};
use super::{Begun, Learned, Line, Workshop, failure};
use crate::action::StepOutput;
use crate::clock::Clock;

/// How often a delete is tried, and how long to wait before the second time.
const TRIES: u32 = 5;
const PAUSE: Duration = Duration::from_secs(1);

/// Deletes what a step brought about, the last made first.
///
/// Deleting is harmless to repeat, so after a crash it is simply done again from the start.
#[derive(Clone, Debug)]
pub(crate) struct Discard {
    deletions: Vec<(ResourceRef, Ask)>,
}

impl Discard {
    pub(crate) async fn new(
        workshop: &Workshop,
        provider: &str,
        resources: Vec<ResourceRef>,
    ) -> Result<Self> {
        let mut deletions = Vec::new();
        for resource in resources.into_iter().rev() {
            let ask = Ask::new(workshop, provider, deletion(resource.clone())?).await?;
            deletions.push((resource, ask));
        }
        Ok(Self { deletions })
    }

    pub(crate) async fn run(&self, call: Call, key: &OperationKey, clock: &dyn Clock) -> Learned {
        for (number, (resource, ask)) in self.deletions.iter().enumerate() {
            let deleted = match format!("{key}.{number}").parse() {
                Ok(own) => delete(ask, call, &own, clock).await,
                Err(error) => Err(error),
            };
            let Err(error) = deleted else { continue };
            let error = error.on(resource.clone());
            let rest = self.deletions[number..].iter().rev();
            let left = match call {
                // Nothing is gone yet, so this changed nothing.
                Call::Do(_) if number == 0 && error.world() == World::Untouched => Left::Nothing,
                // A step that deletes has happened in part: only forward leads to one truth.
                Call::Do(_) => Left::Unknown,
                _ => Left::Something(StepOutput::Left(rest.map(|(it, _)| it.clone()).collect())),
            };
            let event = Event::Failed {
                call,
                failure: failure(&error, left),
            };
            return Learned {
                event,
                error: Some(error),
            };
        }
        Learned::done(call, StepOutput::Operation(Output::Nothing), Vec::new())
    }
}

/// Deletes one thing. What fails for a while is tried again at once: nothing is lost by it.
async fn delete(ask: &Ask, call: Call, key: &OperationKey, clock: &dyn Clock) -> Result<()> {
    let mut tries = 0;
    loop {
        let error = match delete_once(ask, call, key, clock).await {
            Ok(()) => return Ok(()),
            Err(error) => error,
        };
        tries += 1;
        match error.retry() {
            Retry::After(wait) if tries < TRIES => clock.sleep(wait.max(PAUSE * tries)).await,
            _ => return Err(error),
        }
    }
}

async fn delete_once(ask: &Ask, call: Call, key: &OperationKey, clock: &dyn Clock) -> Result<()> {
    let ticket = match ask.begin(key, clock).await {
        Begun::Accepted(ticket) => ticket,
        Begun::Failed(error) => return Err(error),
        Begun::Lost(error) => {
            tracing::debug!(%key, %error, "no reply to a delete");
            None
        }
    };
    let quiet = Line {
        cancelled: Arc::new(Notify::new()),
        progress: Arc::new(ignore),
    };
    let learned = ask.watch(call, key, ticket, &quiet, clock).await;
    match (learned.event, learned.error) {
        (Event::Done { .. }, _) => Ok(()),
        (_, Some(error)) => Err(error),
        // It never arrived, or nobody can tell; another delete harms nothing.
        _ => Err(
            Error::new(ErrorKind::Unavailable, "it is not known to be deleted")
                .leaving(World::Unknown)
                .retry_with(Retry::After(PAUSE)),
        ),
    }
}

fn ignore(_: Progress) {}
