//! Workers whose results come back in the order the jobs went in.

use std::collections::VecDeque;
use std::fmt;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

type Task<J, R> = (J, Sender<R>);

pub(crate) struct Pool<J, R> {
    jobs: Option<Sender<Task<J, R>>>,
    results: VecDeque<Receiver<R>>,
    workers: Vec<JoinHandle<()>>,
}

impl<J: Send + 'static, R: Send + 'static> Pool<J, R> {
    /// `make` is called for each worker and gives the function that works.
    pub(crate) fn new<W: FnMut(J) -> R + Send + 'static>(
        workers: usize,
        make: impl Fn() -> W,
    ) -> Self {
        let (jobs, queue) = channel::<Task<J, R>>();
        let queue = Arc::new(Mutex::new(queue));
        let workers = (0..workers.max(1))
            .map(|_| {
                let (queue, mut work) = (Arc::clone(&queue), make());
                std::thread::spawn(move || {
                    loop {
                        let task = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
                        let Ok((job, done)) = task else { return };
                        // Nobody waits for it any more: fine.
                        let _ = done.send(work(job));
                    }
                })
            })
            .collect();
        Pool {
            jobs: Some(jobs),
            results: VecDeque::new(),
            workers,
        }
    }

    /// How many results are still to be taken.
    pub(crate) fn waiting(&self) -> usize {
        self.results.len()
    }

    /// How many jobs keep all workers busy without holding much memory.
    pub(crate) fn window(&self) -> usize {
        self.workers.len() * 2 + 2
    }

    pub(crate) fn push(&mut self, job: J) {
        let (done, result) = channel();
        self.results.push_back(result);
        let jobs = self.jobs.as_ref().expect("open until dropped");
        jobs.send((job, done))
            .expect("workers live as long as the pool");
    }

    /// The result of the oldest job, waiting for it.
    pub(crate) fn pop(&mut self) -> Option<R> {
        let result = self.results.pop_front()?;
        Some(result.recv().expect("a worker panicked"))
    }
}

impl<J, R> Drop for Pool<J, R> {
    fn drop(&mut self) {
        self.jobs = None;
        for worker in self.workers.drain(..) {
            // A panic there was already seen by whoever waited for its result.
            let _ = worker.join();
        }
    }
}

impl<J, R> fmt::Debug for Pool<J, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool")
            .field("workers", &self.workers.len())
            .field("waiting", &self.results.len())
            .finish_non_exhaustive()
    }
}

/// As many workers as make sense here: one a core.
pub(crate) fn default_workers() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}
