//! The calls that a driver is doing something about.

use std::sync::{Arc, PoisonError};

use futures_util::FutureExt;
use futures_util::future::{AbortHandle, Abortable};
use stillpoint_core::Result;
use stillpoint_iaas::{OperationKey, Ticket};
use stillpoint_restore::Call;
use tokio::sync::Notify;

use super::{Driver, operation_key};
use crate::event::What;
use crate::gate::{Pass, Turn};
use crate::line::Urgency;
use crate::work::{Begun, Learned, Line, Work};

/// A call that something is being done about.
pub(super) struct Live {
    pub(super) work: Arc<Work>,
    pub(super) key: OperationKey,
    pub(super) line: Line,
    pub(super) ticket: Option<Ticket>,
    pub(super) pass: Option<Pass>,
    pub(super) turn: Option<Turn>,
    /// Whether it waits to begin, and has no effect yet.
    pub(super) waiting: bool,
    pub(super) abort: AbortHandle,
}

/// What a task of a driver came back with.
pub(super) enum Heard {
    Admitted(Call, Option<(Pass, Turn)>),
    Begun(Call, Begun, Option<Turn>),
    Cancelled,
    Learned(Learned),
}

impl Driver {
    pub(super) fn live_call(
        &self,
        call: Call,
        work: Arc<Work>,
        abort: AbortHandle,
        waiting: bool,
    ) -> Result<Live> {
        let key = operation_key(&self.machine.key(&self.id.to_string(), call))?;
        let (shared, job, meter) = (Arc::clone(&self.shared), self.id, Arc::clone(&self.meter));
        let progress = Arc::new(move |part| {
            let moved = meter
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .moved(call, part);
            if let Some(progress) = moved {
                shared.tell(job, What::Progress { progress });
            }
        });
        let line = Line {
            cancelled: Arc::new(Notify::new()),
            progress,
        };
        Ok(Live {
            work,
            key,
            line,
            ticket: None,
            pass: None,
            turn: None,
            waiting,
            abort,
        })
    }

    /// A job that has frozen or stopped something goes before others.
    pub(super) fn urgency(&self) -> Urgency {
        let plan = self.machine.plan();
        let mut brackets = plan.brackets().iter();
        let holds = brackets.any(|bracket| {
            let ix = plan.find_bracket(bracket.name.as_str());
            ix.is_some_and(|ix| self.machine.held(ix).is_some())
        });
        if holds {
            Urgency::Holding
        } else {
            Urgency::Usual
        }
    }

    pub(super) fn spawn(
        &mut self,
        task: impl Future<Output = Heard> + Send + 'static,
    ) -> AbortHandle {
        let (abort, registration) = AbortHandle::new_pair();
        let task = Abortable::new(task, registration).map(Result::ok);
        self.tasks.push(task.boxed());
        abort
    }
}
