use std::sync::Arc;

use stillpoint_core::{Progress, ResourceRef, Result};
use stillpoint_iaas::{OperationKey, Output};
use stillpoint_restore::{Call, Event};
use tokio::sync::Notify;

use super::operation::{Ask, deletion};
use super::{Begun, Learned, Line, Workshop};
use crate::action::StepOutput;
use crate::clock::Clock;

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
            let left = || {
                let rest = self.deletions[number..].iter().rev();
                rest.map(|(resource, _)| resource.clone()).collect()
            };
            let own: OperationKey = match format!("{key}.{number}").parse() {
                Ok(own) => own,
                Err(error) => return Learned::failed(call, error, left()),
            };
            let ticket = match ask.begin(&own, clock).await {
                Begun::Accepted(ticket) => ticket,
                Begun::Failed(error) => {
                    return Learned::failed(call, error.on(resource.clone()), left());
                }
                Begun::Lost(error) => {
                    tracing::debug!(%own, %error, "no reply to a delete");
                    None
                }
            };
            let quiet = Line {
                cancelled: Arc::new(Notify::new()),
                progress: Arc::new(ignore),
            };
            let learned = ask.watch(call, &own, ticket, &quiet, clock).await;
            match learned.event {
                Event::Done { .. } => {}
                // Gone, or never asked for: the next attempt tells which, and harms nothing.
                _ => return learned,
            }
        }
        Learned::done(call, StepOutput::Operation(Output::Nothing), Vec::new())
    }
}

fn ignore(_: Progress) {}
