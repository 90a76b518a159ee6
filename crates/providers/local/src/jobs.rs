use std::collections::{HashMap, VecDeque};
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use stillpoint_core::{Error, ErrorKind, Progress, Result, Unit, World};
use stillpoint_iaas::{Observation, Operation, OperationKey};

/// The copies of this process: those that run, and how the last others ended.
///
/// Nothing here is durable, and need not be: after a crash none runs, and the folder tells what
/// was published.
#[derive(Debug, Default)]
pub(crate) struct Jobs {
    table: Mutex<Table>,
    /// Told whenever one has ended.
    ended: Condvar,
}

#[derive(Debug, Default)]
struct Table {
    jobs: HashMap<OperationKey, Entry>,
    /// Keys of those that ended without success, the oldest first.
    ended: VecDeque<OperationKey>,
    /// The provider is gone: nothing new begins.
    closed: bool,
}

#[derive(Debug)]
struct Entry {
    operation: Operation,
    job: Arc<Job>,
    end: Option<Error>,
    thread: Option<JoinHandle<()>>,
}

/// Ends remembered for who has not asked yet; one forgotten is observed as absent.
const ENDS: usize = 1024;

/// For how long who asks after a copy waits for its end. Most that share blocks end within it, and
/// who would look again after a while would learn of it late.
pub(crate) const PATIENCE: Duration = Duration::from_millis(100);

/// What a running copy and those who ask after it share.
#[derive(Debug)]
pub(crate) struct Job {
    total: AtomicU64,
    done: AtomicU64,
    stop: AtomicBool,
    since: Instant,
}

impl Job {
    pub(crate) fn new() -> Self {
        Self {
            total: AtomicU64::new(0),
            done: AtomicU64::new(0),
            stop: AtomicBool::new(false),
            since: Instant::now(),
        }
    }

    pub(crate) fn expect(&self, total: u64) {
        self.total.store(total, Ordering::Relaxed);
    }

    pub(crate) fn advance(&self, bytes: u64) {
        self.done.fetch_add(bytes, Ordering::Relaxed);
    }

    #[cfg(test)]
    pub(crate) fn done(&self) -> u64 {
        self.done.load(Ordering::Relaxed)
    }

    /// An error of kind [`io::ErrorKind::Interrupted`] once somebody wants it stopped.
    pub(crate) fn go_on(&self) -> io::Result<()> {
        if self.stop.load(Ordering::Relaxed) {
            return Err(io::Error::new(io::ErrorKind::Interrupted, "stopped"));
        }
        Ok(())
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Has it stop soon.
    pub(crate) fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    fn observe(&self) -> Observation {
        let mut progress = Progress::new(Unit::Bytes, self.total.load(Ordering::Relaxed));
        progress.advance_to(self.done.load(Ordering::Relaxed));
        Observation::Running {
            progress: Some(progress),
            // What took long will take long: asking costs little beside it.
            look_again_in: (self.since.elapsed() / 16)
                .clamp(Duration::from_millis(1), Duration::from_millis(250)),
        }
    }
}

impl Jobs {
    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Enters the operation as running; none where it runs already.
    pub(crate) fn enter(
        &self,
        key: &OperationKey,
        operation: &Operation,
    ) -> Result<Option<Arc<Job>>> {
        let mut table = self.table();
        if table.closed {
            return Err(
                Error::new(ErrorKind::Unavailable, "the folder was closed").advise("Open it again")
            );
        }
        if let Some(entry) = table.jobs.get(key)
            && entry.end.is_none()
        {
            if entry.operation != *operation {
                return Err(Error::new(
                    ErrorKind::Conflict,
                    format!(
                        "`{key}` is the key of another operation: {}",
                        entry.operation
                    ),
                )
                .advise("Give every intended effect a key of its own"));
            }
            return Ok(None);
        }
        let job = Arc::new(Job::new());
        table.ended.retain(|ended| ended != key);
        table.jobs.insert(
            key.clone(),
            Entry {
                operation: operation.clone(),
                job: Arc::clone(&job),
                end: None,
                thread: None,
            },
        );
        Ok(Some(job))
    }

    /// Takes back an entry whose work was refused before it began.
    pub(crate) fn forget(&self, key: &OperationKey) {
        self.table().jobs.remove(key);
        self.ended.notify_all();
    }

    /// Runs an entered operation on a thread of its own, which is not an executor's: copying
    /// takes as long as it takes, and a runtime that ends must not wait for it.
    pub(crate) fn run(
        self: &Arc<Self>,
        key: &OperationKey,
        work: impl FnOnce() -> Result<()> + Send + 'static,
    ) -> Result<()> {
        let (jobs, name) = (Arc::clone(self), key.clone());
        // Held so that whoever ends all jobs sees this one's thread.
        let mut table = self.table();
        let thread = thread::Builder::new()
            .name("stillpoint-copy".to_owned())
            .spawn(move || {
                // Dropped by a panic too.
                let mut end = End {
                    jobs,
                    key: name,
                    result: Err(
                        Error::new(ErrorKind::Internal, "the copying thread panicked")
                            .leaving(World::Unknown),
                    ),
                };
                end.result = work();
            });
        match thread {
            Ok(thread) => {
                if let Some(entry) = table.jobs.get_mut(key) {
                    entry.thread = Some(thread);
                }
                Ok(())
            }
            Err(source) => {
                table.jobs.remove(key);
                Err(
                    Error::new(ErrorKind::Unavailable, "no thread could be started to copy")
                        .because(source),
                )
            }
        }
    }

    /// What is known of it here; none where the folder has to tell. For its end it waits so long.
    pub(crate) fn observe(&self, key: &OperationKey, patience: Duration) -> Option<Observation> {
        let runs = |table: &mut Table| table.jobs.get(key).is_some_and(|it| it.end.is_none());
        let waited = self.ended.wait_timeout_while(self.table(), patience, runs);
        let (table, _) = waited.unwrap_or_else(PoisonError::into_inner);
        let entry = table.jobs.get(key)?;
        Some(match &entry.end {
            None => entry.job.observe(),
            Some(error) if error.kind() == ErrorKind::Cancelled => {
                Observation::Cancelled { left: Vec::new() }
            }
            // Only the folder can tell.
            Some(error) if error.world() == World::Unknown => return None,
            Some(error) => Observation::Failed {
                error: error.clone(),
                left: Vec::new(),
            },
        })
    }

    /// Has it stop soon; false where it does not run.
    pub(crate) fn stop(&self, key: &OperationKey) -> bool {
        match self.table().jobs.get(key) {
            Some(entry) if entry.end.is_none() => {
                entry.job.stop();
                true
            }
            _ => false,
        }
    }

    /// Stops all and returns when none runs any more.
    pub(crate) fn end(&self) {
        let threads: Vec<_> = {
            let mut table = self.table();
            table.closed = true;
            table
                .jobs
                .values_mut()
                .filter_map(|entry| {
                    entry.job.stop();
                    entry.thread.take()
                })
                .collect()
        };
        for thread in threads {
            // A panic is its operation's failure already.
            let _ = thread.join();
        }
    }
}

struct End {
    jobs: Arc<Jobs>,
    key: OperationKey,
    result: Result<()>,
}

impl Drop for End {
    fn drop(&mut self) {
        let mut table = self.jobs.table();
        // Who waits gets on once the table is let go.
        self.jobs.ended.notify_all();
        let Err(error) = &self.result else {
            table.jobs.remove(&self.key);
            return;
        };
        if let Some(entry) = table.jobs.get_mut(&self.key) {
            entry.end = Some(error.clone());
        }
        table.ended.push_back(self.key.clone());
        if table.ended.len() > ENDS
            && let Some(oldest) = table.ended.pop_front()
        {
            table.jobs.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{self, Receiver};

    use super::*;

    /// Longer than any test takes: who is not woken is late.
    const LONG: Duration = Duration::from_secs(3600);
    const LATE: Duration = Duration::from_secs(20);

    fn detach() -> Operation {
        Operation::Detach {
            instance: "here/instance/web".parse().unwrap(),
            volume: "here/volume/disk.raw".parse().unwrap(),
        }
    }

    #[test]
    fn who_asks_after_a_copy_is_told_of_its_end_when_it_comes() {
        let broken = || Error::new(ErrorKind::Unavailable, "it broke");
        for end in [Ok(()), Err(broken())] {
            let (jobs, key) = (Arc::new(Jobs::default()), "job.take".parse().unwrap());
            jobs.enter(&key, &detach()).unwrap().unwrap();
            let (finish, finished) = mpsc::channel();
            jobs.run(&key, move || finished.recv().unwrap()).unwrap();
            assert!(matches!(
                jobs.observe(&key, Duration::ZERO),
                Some(Observation::Running { .. })
            ));
            let (asking, seen) = ask(&jobs, &key);
            // It most likely waits by then; where it does not yet, this shows less.
            asking.recv().unwrap();
            thread::sleep(Duration::from_millis(50));
            finish.send(end.clone()).unwrap();
            match (end, seen.recv_timeout(LATE).unwrap()) {
                (Ok(()), None) => {}
                (Err(_), Some(Observation::Failed { error, .. })) => {
                    assert_eq!(error.message(), "it broke");
                }
                (end, seen) => panic!("{end:?}: {seen:?}"),
            }
        }
    }

    #[test]
    fn who_asks_after_what_is_refused_need_not_wait() {
        let (jobs, key) = (Arc::new(Jobs::default()), "job.take".parse().unwrap());
        jobs.enter(&key, &detach()).unwrap().unwrap();
        let (asking, seen) = ask(&jobs, &key);
        asking.recv().unwrap();
        thread::sleep(Duration::from_millis(50));
        jobs.forget(&key);
        assert!(seen.recv_timeout(LATE).unwrap().is_none());
    }

    /// Asks on a thread of its own, which says before that it does.
    fn ask(jobs: &Arc<Jobs>, key: &OperationKey) -> (Receiver<()>, Receiver<Option<Observation>>) {
        let (begin, asking) = mpsc::channel();
        let (tell, seen) = mpsc::channel();
        let (jobs, key) = (Arc::clone(jobs), key.clone());
        thread::spawn(move || {
            begin.send(()).unwrap();
            tell.send(jobs.observe(&key, LONG)).unwrap();
        });
        (asking, seen)
    }
}
