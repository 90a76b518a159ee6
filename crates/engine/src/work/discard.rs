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
use crate::gate::{Gate, Turn};
use crate::line::Urgency;

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

    /// The gate that it has to pass, where it deletes anything.
    pub(crate) fn gate(&self) -> Option<Arc<Gate>> {
        self.deletions.first().map(|(_, ask)| ask.gate())
    }

    /// Without a turn, since nobody here began it, it first waits for one.
    pub(crate) async fn run(
        &self,
        call: Call,
        key: &OperationKey,
        turn: Option<Turn>,
        clock: &dyn Clock,
    ) -> Learned {
        let nothing = || Learned::done(call, StepOutput::Operation(Output::Nothing), Vec::new());
        let Some(gate) = self.gate() else {
            return nothing();
        };
        // Who only looks after a discard that another began cannot know what that has deleted.
        let begun_here = turn.is_some();
        let (_pass, mut turn) = match turn {
            Some(turn) => (None, turn),
            None => {
                let (pass, turn) = gate.admit(Urgency::Usual).await;
                (Some(pass), turn)
            }
        };
        for (number, (resource, ask)) in self.deletions.iter().enumerate() {
            let deleted = match format!("{key}.{number}").parse() {
                Ok(own) => delete(ask, call, &own, &mut turn, clock).await,
                Err(error) => Err(error),
            };
            let Err(error) = deleted else { continue };
            let error = error.on(resource.clone());
            let rest = self.deletions[number..].iter().rev();
            let left = match call {
                // Nothing is gone yet, so this changed nothing.
                Call::Do(_) if begun_here && number == 0 && error.world() == World::Untouched => {
                    Left::Nothing
                }
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
        nothing()
    }
}

/// Deletes one thing. What fails for a while is tried again at once: nothing is lost by it.
async fn delete(
    ask: &Ask,
    call: Call,
    key: &OperationKey,
    turn: &mut Turn,
    clock: &dyn Clock,
) -> Result<()> {
    let mut tries = 0;
    let mut untouched = true;
    loop {
        let error = match delete_once(ask, call, key, turn, clock).await {
            Ok(()) => return Ok(()),
            Err(error) => error,
        };
        untouched &= error.world() == World::Untouched;
        tries += 1;
        match error.retry() {
            Retry::After(wait) if tries < TRIES => clock.sleep(wait.max(PAUSE * tries)).await,
            _ if untouched => return Err(error),
            // The last try changed nothing, but one before it may have.
            _ => return Err(error.leaving(World::Unknown)),
        }
    }
}

async fn delete_once(
    ask: &Ask,
    call: Call,
    key: &OperationKey,
    turn: &mut Turn,
    clock: &dyn Clock,
) -> Result<()> {
    let ticket = match ask.begin(key, turn, clock).await {
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
