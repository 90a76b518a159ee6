//! Drives one job: asks its machine what to do, does it, and records first what it does and then
//! what came of it.

mod live;
mod pace;
mod patience;
mod record;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::{AbortHandle, BoxFuture};
use futures_util::stream::FuturesUnordered;
use jiff::{SignedDuration, Timestamp};
use stillpoint_core::{Error, ErrorKind, ErrorReport, JobId, Result, World};
use stillpoint_iaas::{OperationKey, Ticket};
use stillpoint_restore::{Call, Directive, Event, Machine, Outcome, Record};
use stillpoint_state::Batch;
use stillpoint_state::lease::{Lease, Leases};
use tokio::sync::{mpsc, oneshot};

use self::live::{Heard, Live};
use self::pace::Pace;
use crate::action::{Action, StepOutput};
use crate::gate::{Pass, Turn};
use crate::meter::Meter;
use crate::plan::JobPlan;
use crate::shared::{Shared, lock};
use crate::store::{Logged, decode_bytes, lease_name};
use crate::work::{Begun, Learned, Work};

/// For how long a driver has a job without saying so again.
const LEASE: Duration = Duration::from_secs(60);

/// What a driver is asked while it drives.
#[derive(Debug)]
pub(crate) enum Order {
    /// Begin nothing new, and end when what runs is over.
    Pause,
    /// Stop the job.
    Stop(oneshot::Sender<Result<()>>),
}

/// A driver of one job.
pub(crate) struct Driver {
    shared: Arc<Shared>,
    id: JobId,
    plan: Arc<JobPlan>,
    machine: Machine<Action, StepOutput>,
    /// The number of the next record.
    seq: u64,
    lease: Lease,
    pace: Pace,
    errors: BTreeMap<Call, ErrorReport>,
    live: BTreeMap<Call, Live>,
    tasks: FuturesUnordered<BoxFuture<'static, Option<Heard>>>,
    orders: mpsc::UnboundedReceiver<Order>,
    meter: Arc<Mutex<Meter>>,
    pausing: bool,
    /// A person has looked, and the machine has still to be told.
    resuming: bool,
}

impl Driver {
    /// Takes the job over: its lease, its journal, and a record that says so. None where it has
    /// ended in the meantime.
    pub(crate) async fn take_over(
        shared: Arc<Shared>,
        id: JobId,
        orders: mpsc::UnboundedReceiver<Order>,
    ) -> Result<Option<Self>> {
        let row = match shared.store.job(id).await {
            // Its start was not acknowledged, and did not happen.
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Ok(row) if row.job.ended_at.is_some() => return Ok(None),
            row => row?,
        };
        // A grant that comes late, when the job has ended meanwhile, would stay for ever.
        let mut unchanged = Batch::new();
        shared.store.require_job(&mut unchanged, id, row.version);
        let leases = Leases::new(Arc::clone(&shared.store.state));
        let name = lease_name(id);
        let lease = leases
            .acquire_with(&name, &shared.holder, shared.clock.now(), LEASE, &unchanged)
            .await?;
        let row = row.job;
        let plan = shared.store.plan(id).await?;
        let steps = plan.steps.clone().ok_or_else(|| {
            Error::new(
                ErrorKind::Corrupt,
                format!("the plan of job {id} has no steps"),
            )
            .advise("Put back a copy of the state")
        })?;
        let meter = shared.meter(id, || Meter::new(&steps));
        let mut machine = Machine::new(steps);
        let mut errors = BTreeMap::new();
        let mut seq = 0;
        let mut records = shared.store.journal(id).read().await?;
        while let Some(stored) = records.next().await {
            let stored = stored?;
            let logged: Logged =
                decode_bytes(&stored.bytes, &format!("record {} of {id}", stored.seq))?;
            machine.apply(&logged.record).map_err(|source| {
                Error::new(
                    ErrorKind::Corrupt,
                    format!("record {} of job {id} cannot be", stored.seq),
                )
                .advise("Do not continue this job: settle it by hand from its journal")
                .because(source)
            })?;
            if let (Some(call), Some(error)) = (logged.record.event.call(), logged.error) {
                errors.insert(call, error);
            }
            if let Event::Done { call, .. } = logged.record.event {
                lock(&meter).done(call);
            }
            seq = stored.seq + 1;
        }
        // The row is that of a job that goes on, but the machine waits: only a resume does that.
        let waits = matches!(machine.outcome(), Some(Outcome::NeedsIntervention { .. }));
        let resuming = waits && row.outcome.is_none();
        let pace = Pace::new(&*shared.clock, machine.clock());
        let mut driver = Self {
            shared,
            id,
            plan: Arc::new(plan),
            machine,
            seq,
            lease,
            pace,
            errors,
            live: BTreeMap::new(),
            tasks: FuturesUnordered::new(),
            orders,
            meter,
            pausing: false,
            resuming,
        };
        driver.record(Event::Recovered, None).await?;
        Ok(Some(driver))
    }

    /// Drives until the job is over, waits for a person, or is paused.
    pub(crate) async fn drive(mut self) -> Result<()> {
        if self.resuming {
            self.resuming = false;
            self.record(Event::Resumed, None).await?;
        }
        loop {
            let now = self.now();
            if let Some(outcome) = self.machine.outcome() {
                self.refuse_orders();
                return match outcome {
                    Outcome::NeedsIntervention { .. } => self.release().await,
                    // Its lease has ended in the same batch.
                    _ => Ok(()),
                };
            }
            if self.follow(now).await? {
                continue;
            }
            if self.pausing && self.live.is_empty() {
                return self.release().await;
            }
            self.wait(now).await?;
        }
    }

    /// Does what is to be done now. Tells whether the machine has changed.
    async fn follow(&mut self, now: Timestamp) -> Result<bool> {
        let ready = self.machine.ready(now);
        // What waits at a gate and is not to begin any more has no reason to wait.
        self.live.retain(|call, live| {
            let keep = !live.waiting || ready.contains(&Directive::Begin(*call));
            if !keep {
                live.abort.abort();
            }
            keep
        });
        for directive in ready {
            let call = directive.call();
            match directive {
                Directive::Abandon(_) => {
                    if let Some(live) = self.live.remove(&call) {
                        live.abort.abort();
                    }
                    self.record_at(now, Event::Abandoned { call }, None).await?;
                    return Ok(true);
                }
                Directive::Begin(_) if self.pausing || self.live.contains_key(&call) => {}
                Directive::Begin(_) => {
                    let failed = self.admit(call, now).await?;
                    if failed {
                        return Ok(true);
                    }
                }
                Directive::Cancel(_) => {
                    self.record(Event::Cancelling { call }, None).await?;
                    self.cancel(call).await?;
                    return Ok(true);
                }
                Directive::Observe(_) if !self.live.contains_key(&call) => {
                    self.observe(call).await?;
                }
                _ => {}
            }
        }
        Ok(false)
    }

    /// Waits for whatever comes first.
    async fn wait(&mut self, now: Timestamp) -> Result<()> {
        let mut wait = self.lease.remaining(self.shared.clock.now()) / 2;
        if let Some(wakeup) = self.machine.wakeup(now) {
            wait = wait.min(Duration::try_from(now.duration_until(wakeup)).unwrap_or_default());
        }
        let clock = Arc::clone(&self.shared.clock);
        let heard = {
            let timer = clock.sleep(wait);
            tokio::select! {
                biased;
                Some(heard) = self.tasks.next() => Ok(heard),
                order = self.orders.recv(), if !self.orders.is_closed() => Err(order),
                () = timer => Ok(None),
            }
        };
        match heard {
            Ok(Some(heard)) => self.heard(heard).await,
            Ok(None) => self.renew_if_due().await,
            Err(order) => self.obey(order).await,
        }
    }

    /// Lets a call wait for its turn. Tells whether the machine has changed.
    async fn admit(&mut self, call: Call, now: Timestamp) -> Result<bool> {
        let work = match self.shared.workshop.work(&self.machine, call).await {
            Ok(work) => Arc::new(work),
            Err(error) => {
                // What cannot even be asked fails like any other call, and is seen in the journal.
                let attempt = self.machine.attempt(call);
                self.record_at(now, Event::Begun { call, attempt }, None)
                    .await?;
                self.learned(Learned::failed(call, error, Vec::new()))
                    .await?;
                return Ok(true);
            }
        };
        let (gate, urgency) = (work.gate(), self.urgency());
        let abort = self.spawn(async move {
            let admitted = match gate {
                Some(gate) => Some(gate.admit(urgency).await),
                None => None,
            };
            Heard::Admitted(call, admitted)
        });
        let live = self.live_call(call, work, abort, true)?;
        self.live.insert(call, live);
        Ok(false)
    }

    async fn heard(&mut self, heard: Heard) -> Result<()> {
        match heard {
            Heard::Admitted(call, admitted) => self.begin(call, admitted).await,
            Heard::Begun(call, Begun::Accepted(ticket), turn) => {
                if let Some(live) = self.live.get_mut(&call) {
                    live.turn = turn;
                }
                if let Some(ticket) = &ticket {
                    let ticket = ticket.as_str().to_owned();
                    self.record(Event::Accepted { call, ticket }, None).await?;
                }
                self.watch(call, ticket);
                Ok(())
            }
            Heard::Begun(call, Begun::Failed(error), _) => {
                let error = error.leaving(World::Untouched);
                let failed = Learned::failed(call, error, Vec::new());
                let patient = self.patient(failed, |work| matches!(work, Work::Ask(_)));
                self.learned(patient).await
            }
            Heard::Begun(call, Begun::Lost(error), _) => {
                self.live.remove(&call);
                self.record(Event::Lost { call }, Some(error)).await
            }
            Heard::Cancelled => Ok(()),
            Heard::Learned(learned) => {
                let patient = self.patient(learned, |work| matches!(work, Work::Discard(_)));
                self.learned(patient).await
            }
        }
    }

    /// Records that a call is about to be made, and makes it.
    async fn begin(&mut self, call: Call, admitted: Option<(Pass, Turn)>) -> Result<()> {
        let Some(live) = self.live.get(&call) else {
            return Ok(());
        };
        let (work, key) = (Arc::clone(&live.work), live.key.clone());
        let timeout = work
            .gate()
            .map_or(Duration::ZERO, |gate| gate.call_timeout());
        let clock = self.shared.clock.now();
        if !self.lease.allows(clock, timeout.min(LEASE / 2)) {
            self.renew().await?;
        }
        // What is asked and what is written is of one look at the time.
        let now = self.now();
        if self.pausing || !self.machine.ready(now).contains(&Directive::Begin(call)) {
            self.live.remove(&call);
            return Ok(());
        }
        let attempt = self.machine.attempt(call);
        self.record_at(now, Event::Begun { call, attempt }, None)
            .await?;
        let clock = Arc::clone(&self.shared.clock);
        let (pass, mut turn) = admitted.unzip();
        let abort = self.spawn(async move {
            let begun = work.begin(&key, turn.as_mut(), &*clock).await;
            Heard::Begun(call, begun, turn)
        });
        if let Some(live) = self.live.get_mut(&call) {
            (live.pass, live.waiting, live.abort) = (pass, false, abort);
        }
        Ok(())
    }

    /// Goes on waiting for the end of a call that was accepted.
    fn watch(&mut self, call: Call, ticket: Option<Ticket>) {
        let Some(live) = self.live.get_mut(&call) else {
            return;
        };
        let turn = live.turn.take();
        let (work, key, line) = (Arc::clone(&live.work), live.key.clone(), live.line.clone());
        let clock = Arc::clone(&self.shared.clock);
        let asked = ticket.clone();
        let abort = self.spawn(async move {
            Heard::Learned(work.watch(call, &key, asked, turn, &line, &*clock).await)
        });
        if let Some(live) = self.live.get_mut(&call) {
            (live.ticket, live.abort) = (ticket, abort);
        }
    }

    /// Asks what became of a call that nobody here made, or whose reply was lost.
    async fn observe(&mut self, call: Call) -> Result<()> {
        let work = Arc::new(self.shared.workshop.work(&self.machine, call).await?);
        let ticket = self.machine.ticket(call).map(Ticket::new);
        let live = self.live_call(call, work, AbortHandle::new_pair().0, false)?;
        self.live.insert(call, live);
        self.watch(call, ticket);
        Ok(())
    }

    async fn cancel(&mut self, call: Call) -> Result<()> {
        if !self.live.contains_key(&call) {
            self.observe(call).await?;
        }
        let Some(live) = self.live.get(&call) else {
            return Ok(());
        };
        let (work, key, line) = (Arc::clone(&live.work), live.key.clone(), live.line.clone());
        let ticket = live.ticket.clone();
        self.spawn(async move {
            work.cancel(&key, ticket, &line).await;
            Heard::Cancelled
        });
        Ok(())
    }

    async fn learned(&mut self, learned: Learned) -> Result<()> {
        let Some(call) = learned.event.call() else {
            return Ok(());
        };
        if let Some(live) = self.live.remove(&call) {
            live.abort.abort();
        }
        let learned = self.paced(self.check_consistency(call, learned));
        self.record(learned.event, learned.error).await
    }

    /// An instant of the clock becomes one of the job's own time, as far from now.
    fn paced(&self, mut learned: Learned) -> Learned {
        if let Event::Unknown { settles_at, .. } = &mut learned.event {
            let left = settles_at.duration_since(self.shared.clock.now());
            let left = left.max(SignedDuration::ZERO);
            *settles_at = self.now().saturating_add(left).unwrap_or(Timestamp::MAX);
        }
        learned
    }

    async fn obey(&mut self, order: Option<Order>) -> Result<()> {
        match order {
            None => {
                self.orders.close();
                Ok(())
            }
            Some(Order::Pause) => {
                self.pausing = true;
                Ok(())
            }
            Some(Order::Stop(reply)) => self.stop(reply).await,
        }
    }

    /// Records a stop, which the machine may refuse, and tells whoever asked for it.
    async fn stop(&mut self, reply: oneshot::Sender<Result<()>>) -> Result<()> {
        let record = self.at(self.now(), Event::StopRequested);
        let answer = match self.machine.check(&record) {
            Ok(()) => self.record(record.event, None).await,
            Err(refused) => {
                let error = Error::new(ErrorKind::Precondition, refused.to_string());
                // Nobody listening is no reason to fail.
                let _ = reply.send(Err(error));
                return Ok(());
            }
        };
        let _ = reply.send(answer.clone());
        answer
    }

    fn refuse_orders(&mut self) {
        self.orders.close();
        while let Ok(order) = self.orders.try_recv() {
            if let Order::Stop(reply) = order {
                let error = Error::new(ErrorKind::Precondition, "the job is over");
                let _ = reply.send(Err(error));
            }
        }
    }

    /// The time that the machine is told.
    fn now(&self) -> Timestamp {
        self.pace.now(&*self.shared.clock)
    }

    fn at(&self, at: Timestamp, event: Event<StepOutput>) -> Record<StepOutput> {
        Record {
            at,
            epoch: self.lease.epoch(),
            event,
        }
    }
}

/// A machine's key in the characters that every system takes.
pub(crate) fn operation_key(key: &str) -> Result<OperationKey> {
    key.replace('/', ".")
        .replace('~', "_")
        .to_ascii_lowercase()
        .parse()
}
