//! Drives all jobs: those that are found unfinished, and those that are started.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use stillpoint_core::{Error, ErrorKind, JobId, Result, Retry};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::caught::caught;
use crate::drive::{Driver, Order};
use crate::engine::Engine;
use crate::shared::{Phase, Shared, lock};

/// How long to wait before a job that could not be driven is tried again: this, doubled up to
/// [`SLOWEST`].
const SLOW: Duration = Duration::from_millis(500);
const SLOWEST: Duration = Duration::from_secs(60);

/// Claims the engine at once, so that who waits for a job sees that somebody drives.
pub(crate) fn run(shared: Arc<Shared>) -> impl Future<Output = Result<()>> + Send + 'static {
    let claimed = claim(&shared);
    async move {
        let (started, _running) = claimed?;
        drive_all(&shared, started).await
    }
}

/// Gives the engine back when its run ends, in whatever way.
struct Running {
    shared: Arc<Shared>,
}

type Starts = mpsc::UnboundedReceiver<JobId>;

fn claim(shared: &Arc<Shared>) -> Result<(StartsGuard, Running)> {
    if shared.read_only {
        return Err(
            Error::new(ErrorKind::Permission, "it was opened to look only")
                .advise("Open it without read_only()"),
        );
    }
    let started = lock(&shared.started).take();
    let started = started.ok_or_else(|| {
        Error::new(ErrorKind::Busy, "this engine runs already").advise("Spawn run() once")
    })?;
    shared.running.store(true, Ordering::SeqCst);
    shared.phase.send_replace(Phase::Driving);
    let guard = StartsGuard {
        shared: Arc::clone(shared),
        starts: Some(started),
    };
    Ok((
        guard,
        Running {
            shared: Arc::clone(shared),
        },
    ))
}

/// Gives the receiving end back, so that the engine can run again.
struct StartsGuard {
    shared: Arc<Shared>,
    starts: Option<Starts>,
}

impl Drop for StartsGuard {
    fn drop(&mut self) {
        *lock(&self.shared.started) = self.starts.take();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.shared.running.store(false, Ordering::SeqCst);
        self.shared.phase.send_replace(Phase::Ended);
    }
}

async fn drive_all(shared: &Arc<Shared>, mut guard: StartsGuard) -> Result<()> {
    let mut drivers = JoinSet::new();
    let mut phase = shared.phase.subscribe();
    let unfinished = tokio::select! {
        biased;
        jobs = unfinished(shared) => jobs?,
        _ = phase.wait_for(|phase| matches!(phase, Phase::Ending(_))) => return Ok(()),
    };
    for job in unfinished {
        spawn(shared, &mut drivers, job);
    }
    // On its own task: jobs must not wait for a plan over very many snapshots.
    let mut keeper = JoinSet::new();
    keeper.spawn(crate::schedules::keep(Engine::of(Arc::clone(shared))));
    let grace = loop {
        let starts = guard
            .starts
            .as_mut()
            .expect("it is given back only when dropped");
        tokio::select! {
            // In this order always: who simulates it gets equal runs of equal seeds.
            biased;
            ending = phase.wait_for(|phase| matches!(phase, Phase::Ending(_))) => {
                match ending.as_deref() {
                    Ok(Phase::Ending(grace)) => break *grace,
                    _ => break Duration::ZERO,
                }
            }
            Some(Err(error)) = keeper.join_next() => {
                // Its panic is a bug of ours; to go on without schedules would hide it.
                if error.is_panic() {
                    std::panic::resume_unwind(error.into_panic());
                }
            }
            Some(_) = drivers.join_next() => {}
            Some(job) = starts.recv() => spawn(shared, &mut drivers, job),
        }
    };
    keeper.shutdown().await;
    for driver in lock(&shared.drivers).values() {
        // One that is over needs no pause.
        let _ = driver.send(Order::Pause);
    }
    let all = async { while drivers.join_next().await.is_some() {} };
    if crate::clock::within(&*shared.clock, grace, all)
        .await
        .is_none()
    {
        tracing::warn!("jobs are left to the next run: the grace is over");
    }
    drivers.shutdown().await;
    lock(&shared.drivers).clear();
    Ok(())
}

/// The jobs that somebody has to drive. A state that cannot tell for a while is waited for: who
/// spawned the run may long have stopped looking at what becomes of it.
async fn unfinished(shared: &Arc<Shared>) -> Result<Vec<JobId>> {
    let mut wait = SLOW;
    loop {
        match shared.store.active().await {
            Err(error) if !is_lasting(&error) => {
                tracing::warn!(%error, "the unfinished jobs are looked up later");
                shared.clock.sleep(wait).await;
                wait = (wait * 2).min(SLOWEST);
            }
            jobs => return jobs,
        }
    }
}

/// Whether no time will mend it.
pub(crate) fn is_lasting(error: &Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::Corrupt | ErrorKind::Internal | ErrorKind::Invalid | ErrorKind::NotFound
    )
}

fn spawn(shared: &Arc<Shared>, drivers: &mut JoinSet<()>, job: JobId) {
    let (sender, orders) = mpsc::unbounded_channel();
    {
        let mut known = lock(&shared.drivers);
        if known.get(&job).is_some_and(|driver| !driver.is_closed()) {
            return;
        }
        known.insert(job, sender);
    }
    let shared = Arc::clone(shared);
    drivers.spawn(async move {
        let driven = drive_to_the_end(Arc::clone(&shared), job, orders);
        if let Err(error) = caught("its driver", driven).await {
            give_up(&shared, job, error);
        }
    });
}

/// Nobody hears the orders of this driver any more. Another may be there in its place already: a
/// job that waited for a person is resumed as soon as that is durable.
fn leave(shared: &Shared, job: JobId) {
    let mut drivers = lock(&shared.drivers);
    if drivers
        .get(&job)
        .is_some_and(mpsc::UnboundedSender::is_closed)
    {
        drivers.remove(&job);
    }
}

/// No driver of this run goes on with the job: whoever waits for it hears why.
fn give_up(shared: &Shared, job: JobId, error: Error) {
    tracing::error!(%job, %error, "this job cannot be driven");
    lock(&shared.given_up).insert(job, error);
    leave(shared, job);
    shared.gave_up.notify_waiters();
}

/// Drives a job until it is over; what stands in the way for a while is waited out.
async fn drive_to_the_end(
    shared: Arc<Shared>,
    job: JobId,
    mut orders: mpsc::UnboundedReceiver<Order>,
) {
    let mut wait = SLOW;
    loop {
        let driven = match Driver::take_over(Arc::clone(&shared), job, orders).await {
            Ok(Some(driver)) => driver.drive().await,
            Ok(None) => Ok(()),
            Err(error) => Err(error),
        };
        let Err(error) = driven else {
            leave(&shared, job);
            return;
        };
        if is_lasting(&error) {
            give_up(&shared, job, error);
            return;
        }
        tracing::warn!(%job, %error, "the job goes on later");
        // It is still driven here, by nobody else: two of one name would take each other's lease.
        let (sender, inbox) = mpsc::unbounded_channel();
        lock(&shared.drivers).insert(job, sender);
        orders = inbox;
        let after = match error.retry() {
            Retry::After(after) => after.min(SLOWEST),
            _ => wait,
        };
        shared.clock.sleep(after.max(SLOW)).await;
        wait = (wait * 2).min(SLOWEST);
    }
}
