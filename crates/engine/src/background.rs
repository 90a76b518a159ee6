//! Executors whose steps run in this process: [`Background`] keeps them by their keys, and only
//! what a step does is the embedder's to write.
//!
//! All of such work can be begun again under its key, and finds what it had done. So to observe
//! what does not run, after a crash, is to go on with it.

mod line;
mod stop;
mod tasks;

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use futures_core::future::BoxFuture;
use serde_json::Value;
use stillpoint_core::{Error, Result, World};
use stillpoint_iaas::{OperationKey, Ticket};

pub use self::line::{Line, Meter};
pub use self::stop::{Stop, stopped};
use self::tasks::Tasks;
use crate::executor::{CustomObservation, CustomWork, Executor};

/// What runs in the background of this process, as an embedder writes it.
pub trait BackgroundWork: fmt::Debug + Send + Sync + 'static {
    /// The work of this key, to be run; or begun again, and then it finds what it had done.
    ///
    /// # Errors
    /// Where there is no such work: nothing was changed.
    fn begin(&self, key: &OperationKey, work: &CustomWork, line: Line) -> Result<Running>;

    /// Bytes that this work would move: see [`Executor::size`].
    fn size(&self, _work: &CustomWork) -> BoxFuture<'static, u64> {
        Box::pin(async { 0 })
    }

    /// Whether work that failed so may have left something behind, where it did not say
    /// [itself](Failed::leaving). As a rule: where nobody knows.
    fn may_have_left(&self, error: &Error) -> bool {
        error.world() == World::Unknown
    }
}

impl<W: BackgroundWork> BackgroundWork for Arc<W> {
    fn begin(&self, key: &OperationKey, work: &CustomWork, line: Line) -> Result<Running> {
        (**self).begin(key, work, line)
    }

    fn size(&self, work: &CustomWork) -> BoxFuture<'static, u64> {
        (**self).size(work)
    }

    fn may_have_left(&self, error: &Error) -> bool {
        (**self).may_have_left(error)
    }
}

/// A piece of work on its way.
pub type Running = BoxFuture<'static, Result<Value, Failed>>;

/// Why a piece of work failed, and whether it left something behind.
#[derive(Clone, Debug)]
pub struct Failed {
    error: Error,
    left: Option<bool>,
}

/// An [`Executor`] of work in this process. Dropping it asks all of it to stop.
#[derive(Debug)]
pub struct Background<W> {
    does: W,
    tasks: Tasks,
}

impl Failed {
    /// It failed, and it is known whether something was left behind.
    pub fn leaving(error: Error, left: bool) -> Self {
        let left = Some(left);
        Self { error, left }
    }

    /// Why.
    pub fn error(&self) -> &Error {
        &self.error
    }

    /// The same, and something was left behind.
    #[must_use]
    pub fn and_left(self) -> Self {
        Self::leaving(self.error, true)
    }
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Self { error, left: None }
    }
}

impl<W: BackgroundWork> Background<W> {
    /// Nothing runs yet.
    pub fn new(does: W) -> Self {
        let tasks = Tasks::default();
        Self { does, tasks }
    }

    fn start(&self, key: &OperationKey, work: &CustomWork) -> Result<()> {
        self.tasks
            .start(key, |line| self.does.begin(key, work, line))
    }

    fn seen(&self, failed: Failed) -> CustomObservation {
        let Failed { error, left } = failed;
        let left = left.unwrap_or_else(|| self.does.may_have_left(&error));
        CustomObservation::Failed {
            error,
            left: left.then_some(Value::Null),
        }
    }
}

#[async_trait]
impl<W: BackgroundWork> Executor for Background<W> {
    async fn submit(&self, key: &OperationKey, work: &CustomWork) -> Result<Ticket> {
        self.start(key, work)?;
        Ok(Ticket::new(key.as_str()))
    }

    async fn observe(
        &self,
        key: &OperationKey,
        work: &CustomWork,
        _ticket: Option<&Ticket>,
    ) -> Result<CustomObservation> {
        loop {
            if let Some(known) = self.tasks.observe(key).await {
                return Ok(known.unwrap_or_else(|failed| self.seen(failed)));
            }
            if let Err(error) = self.start(key, work) {
                return Ok(CustomObservation::Failed { error, left: None });
            }
        }
    }

    async fn cancel(&self, key: &OperationKey, _work: &CustomWork) -> Result<()> {
        self.tasks.cancel(key);
        Ok(())
    }

    async fn size(&self, work: &CustomWork) -> u64 {
        self.does.size(work).await
    }
}

/// Does what blocks where that is allowed. A panic of it goes on here.
///
/// # Errors
/// Its own, and [`stopped`] where the runtime ends before it began.
pub async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        Err(_) => Err(stopped()),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;
    use stillpoint_core::{ErrorKind, Progress};

    use super::*;

    /// Does what the body of a step says.
    #[derive(Debug)]
    struct Told;

    impl BackgroundWork for Told {
        fn begin(&self, _: &OperationKey, work: &CustomWork, line: Line) -> Result<Running> {
            let unknown = Error::new(ErrorKind::Unavailable, "it broke").leaving(World::Unknown);
            match work.body.as_str() {
                Some("count") => Ok(Box::pin(async move {
                    let meter = line.meter(300);
                    for at in [100, 200, 150, 300] {
                        meter.reach(at);
                        tokio::time::sleep(Duration::from_secs(1)).await;
                    }
                    Ok(json!("counted"))
                })),
                Some("break") => Ok(Box::pin(async move { Err(unknown.into()) })),
                Some("clean up") => Ok(Box::pin(
                    async move { Err(Failed::leaving(unknown, false)) },
                )),
                Some("panic") => Ok(Box::pin(async { panic!("on purpose") })),
                Some("run on") => Ok(Box::pin(async move {
                    let meter = line.meter(300);
                    tokio::spawn(async move {
                        tokio::time::sleep(Duration::from_secs(1)).await;
                        meter.reach(200);
                    });
                    Err(unknown.into())
                })),
                Some("wait") => Ok(Box::pin(
                    async move { Err(line.stop().asked().await.into()) },
                )),
                _ => Err(Error::new(ErrorKind::Invalid, "nothing of the kind")),
            }
        }
    }

    async fn observed(body: &str) -> Vec<CustomObservation> {
        let background = Background::new(Told);
        let (key, work) = asked(body);
        background.submit(&key, &work).await.unwrap();
        let mut seen = Vec::new();
        loop {
            seen.push(background.observe(&key, &work, None).await.unwrap());
            if !matches!(seen.last(), Some(CustomObservation::Running { .. })) {
                return seen;
            }
        }
    }

    fn asked(body: &str) -> (OperationKey, CustomWork) {
        let work = CustomWork {
            body: body.into(),
            inputs: Vec::new(),
            output: None,
        };
        ("job.step.1".parse().unwrap(), work)
    }

    #[tokio::test(start_paused = true)]
    async fn it_tells_how_far_it_is_and_never_goes_back() {
        let seen = observed("count").await;
        let told: Vec<u64> = seen
            .iter()
            .filter_map(|it| match it {
                CustomObservation::Running { progress, .. } => {
                    progress.as_ref().map(Progress::done)
                }
                _ => None,
            })
            .collect();
        assert_eq!(told, [100, 200, 300]);
        assert!(matches!(seen.last(), Some(CustomObservation::Done(it)) if it == "counted"));
    }

    #[tokio::test(start_paused = true)]
    async fn what_may_have_been_left_is_told_where_the_work_does_not_know() {
        for (body, wanted, message) in [
            ("break", true, "it broke"),
            ("clean up", false, "it broke"),
            ("panic", true, "it ended without a word"),
        ] {
            match observed(body).await.last() {
                Some(CustomObservation::Failed { error, left }) => {
                    assert_eq!(
                        (left.is_some(), error.message()),
                        (wanted, message),
                        "{body}"
                    );
                }
                other => panic!("{body}: {other:?}"),
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_part_that_runs_on_does_not_hide_the_end() {
        let background = Background::new(Told);
        let (key, work) = asked("run on");
        background.submit(&key, &work).await.unwrap();
        tokio::time::sleep(Duration::from_secs(2)).await;
        match background.observe(&key, &work, None).await.unwrap() {
            CustomObservation::Failed { error, .. } => assert_eq!(error.message(), "it broke"),
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_stop_is_heard_whether_it_comes_before_the_work_or_after() {
        for before in [true, false] {
            let background = Background::new(Told);
            let (key, work) = asked("wait");
            if before {
                background.cancel(&key, &work).await.unwrap();
            }
            background.submit(&key, &work).await.unwrap();
            tokio::time::sleep(Duration::from_secs(1)).await;
            if !before {
                background.cancel(&key, &work).await.unwrap();
            }
            match background.observe(&key, &work, None).await.unwrap() {
                CustomObservation::Failed { error, left: None } => {
                    assert_eq!(error.kind(), ErrorKind::Cancelled);
                }
                other => panic!("{other:?}"),
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_cannot_be_begun_is_refused_at_once() {
        let background = Background::new(Told);
        let (key, work) = asked("dance");
        assert!(background.submit(&key, &work).await.is_err());
        let seen = background.observe(&key, &work, None).await.unwrap();
        assert!(matches!(seen, CustomObservation::Failed { left: None, .. }));
    }
}
