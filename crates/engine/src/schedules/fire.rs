//! From what is due to what is durable: one batch says which runs there are, and that they are
//! settled. Whoever comes second finds them there.

use jiff::Timestamp;
use stillpoint_core::{Error, ErrorKind, Result};
use stillpoint_schedule::policy::{Admission, Due};
use stillpoint_schedule::{Run, RunKey, Schedule};
use stillpoint_state::lease::Lease;
use stillpoint_state::{Batch, Guard, MAX_BATCH_BYTES};

use super::ledger::{At, LastRun, Ledger, Stored};
use super::run::{RunState, ScheduledRun};
use super::spec::ScheduleSpec;
use crate::store::encode;

/// Runs that one batch makes durable at most: three keys each, and a batch has 64.
const AT_ONCE: usize = 16;

/// Bytes of a run besides its spec: keys, times and its state.
const RUN: usize = 2 << 10;

/// As many runs of this spec as one batch takes, and one more.
fn at_once(spec: &ScheduleSpec) -> Result<usize> {
    let run = encode(spec)?.len() + RUN;
    Ok((MAX_BATCH_BYTES / run).saturating_sub(1).clamp(1, AT_ONCE))
}

/// How many runs of a schedule are going and waiting.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Lane {
    pub(crate) going: u32,
    pub(crate) waiting: u32,
}

impl Lane {
    pub(crate) async fn of(ledger: &Ledger, name: &str) -> Result<Self> {
        let open = ledger.open(Some(name)).await?;
        let waiting = open.iter().filter(|(_, waits)| *waits).count() as u32;
        Ok(Self {
            going: open.len() as u32 - waiting,
            waiting,
        })
    }

    /// What becomes of the next run that is due. Those that are made up for together are one
    /// piece of work: once the first of them is admitted, the others come after it.
    fn admit(&mut self, schedule: &Schedule, first: bool) -> RunState {
        let admission = if first {
            schedule.admit(self.going, self.waiting)
        } else if self.waiting == 0 && schedule.admit(self.going, 0) == Admission::Start {
            Admission::Start
        } else {
            Admission::Queue
        };
        match admission {
            Admission::Queue => {
                self.waiting += 1;
                RunState::Waiting
            }
            Admission::Skip => RunState::Overlapped,
            Admission::Start => {
                self.going += 1;
                RunState::Going
            }
        }
    }
}

/// Makes what is due durable, and gives the runs that are to begin now.
///
/// `Conflict` where somebody changed the schedule or fired it meanwhile: what is due is to be
/// worked out anew then.
pub(crate) async fn fire(
    ledger: &Ledger,
    stored: &At<Stored>,
    due: &Due,
    now: Timestamp,
) -> Result<Vec<RunKey>> {
    let name = &stored.value.spec.name;
    // First the version that guards, then what is decided by it.
    let progress = ledger.progress(name).await?;
    let (mut progress, mut version) = (progress.value, progress.version);
    let mut lane = Lane::of(ledger, name).await?;
    let mut begin = Vec::new();
    let mut dropped = false;
    let at_once = at_once(&stored.value.spec)?;
    let last = due.runs.chunks(at_once).count().max(1) - 1;
    for (number, runs) in chunks(&due.runs, at_once).enumerate() {
        let mut batch = Batch::new();
        ledger.require(&mut batch, stored);
        progress.since = match runs.last() {
            Some(run) if number < last => run.at,
            _ => now,
        };
        if let Some(missed) = due.missed.filter(|_| number == 0) {
            progress.missed = Some(missed);
            let state = RunState::Missed {
                through: missed.last,
            };
            let missed = record(stored, missed.first, now, state);
            if ledger.run(&missed.key()).await?.is_none() {
                ledger.put_run(&mut batch, Guard::Absent, &missed)?;
            }
        }
        ledger.put_progress(&mut batch, name, Guard::At(version), &progress)?;
        for (place, run) in runs.iter().enumerate() {
            let key = run.key(name);
            if ledger.run(&key).await?.is_some() {
                // The clock went back, or a crash came between; it was fired then.
                tracing::debug!(%key, "this run was fired already");
                continue;
            }
            let first = number == 0 && place == 0;
            let state = if dropped {
                RunState::Overlapped
            } else {
                lane.admit(&stored.value.spec.when, first)
            };
            dropped = state == RunState::Overlapped;
            if state == RunState::Going {
                begin.push(key);
            }
            ledger.put_run(&mut batch, Guard::Absent, &record(stored, *run, now, state))?;
        }
        version = ledger.state.commit(batch).await?.revision;
    }
    Ok(begin)
}

/// The runs in pieces, of which there is at least one.
fn chunks(runs: &[Run], at_once: usize) -> impl Iterator<Item = &[Run]> {
    let none = runs.is_empty().then_some(runs);
    none.into_iter().chain(runs.chunks(at_once))
}

fn record(stored: &At<Stored>, run: Run, now: Timestamp, state: RunState) -> ScheduledRun {
    let over = !state.is_open();
    ScheduledRun {
        run,
        spec: stored.value.spec.clone(),
        fired_at: now,
        began_at: (state == RunState::Going).then_some(now),
        ended_at: over.then_some(now),
        state,
        pruned: None,
    }
}

/// Ends a run and its lease, and begins those that waited for it, in one batch; gives those.
pub(crate) async fn finish(
    ledger: &Ledger,
    key: &RunKey,
    lease: &Lease,
    end: impl Fn(&mut ScheduledRun),
) -> Result<Vec<RunKey>> {
    for _ in 0..crate::store::ATTEMPTS {
        let open = |run: &At<ScheduledRun>| run.value.state.is_open();
        let Some(mut run) = ledger.run(key).await?.filter(open) else {
            return give_back(ledger, lease).await.map(|()| Vec::new());
        };
        end(&mut run.value);
        let ended_at = run.value.ended_at.unwrap_or(run.value.fired_at);
        let mut batch = Batch::new();
        lease.end(&mut batch);
        ledger.put_run(&mut batch, Guard::At(run.version), &run.value)?;
        match ledger.progress(&key.schedule).await {
            Ok(progress) => {
                let mut next = progress.value;
                if matches!(run.value.state, RunState::Done { .. }) {
                    next.missed = None;
                }
                next.last = Some(LastRun {
                    run: run.value.run,
                    state: run.value.state.clone(),
                    ended_at,
                    took: ended_at.duration_since(run.value.began_at.unwrap_or(ended_at)),
                });
                let guard = Guard::At(progress.version);
                ledger.put_progress(&mut batch, &key.schedule, guard, &next)?;
            }
            // The schedule was removed meanwhile; its runs go on all the same.
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        let begun = promote(ledger, &mut batch, key, &run.value, ended_at).await?;
        match ledger.state.commit(batch).await {
            // Whoever has it now ends it.
            Err(error) if lease.is_lost(&error) => return Ok(Vec::new()),
            Err(error) if error.kind() == ErrorKind::Conflict => {}
            other => return other.map(|_| begun),
        }
    }
    Err(Error::new(
        ErrorKind::Busy,
        format!("run {key} is changed faster than it can end"),
    ))
}

/// Ends the lease of a run that was over when it was granted.
pub(crate) async fn give_back(ledger: &Ledger, lease: &Lease) -> Result<()> {
    let mut batch = Batch::new();
    lease.end(&mut batch);
    match ledger.state.commit(batch).await {
        Err(error) if lease.is_lost(&error) => Ok(()),
        other => other.map(|_| ()),
    }
}

/// Adds to the batch that runs begin which waited for the one that ends.
async fn promote(
    ledger: &Ledger,
    batch: &mut Batch,
    over: &RunKey,
    run: &ScheduledRun,
    now: Timestamp,
) -> Result<Vec<RunKey>> {
    let mut begun = Vec::new();
    let at_once = at_once(&run.spec)?;
    let open = ledger.open(Some(&over.schedule)).await?;
    let mut going = open
        .iter()
        .filter(|(key, waits)| !waits && key != over)
        .count() as u32;
    for (key, _) in open.iter().filter(|(_, waits)| *waits) {
        if run.spec.when.admit(going, 0) != Admission::Start || begun.len() == at_once {
            break;
        }
        if let Some(mut waiting) = ledger.run(key).await? {
            waiting.value.state = RunState::Going;
            waiting.value.began_at = Some(now);
            ledger.put_run(batch, Guard::At(waiting.version), &waiting.value)?;
            going += 1;
            begun.push(key.clone());
        }
    }
    Ok(begun)
}
