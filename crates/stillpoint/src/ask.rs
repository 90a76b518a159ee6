use std::future::IntoFuture;
use std::pin::Pin;
use std::time::Duration;

use stillpoint_core::{Consistency, JobId, Memory, ResourceRef, Result, Snapshot, SnapshotId};
use stillpoint_engine::{Engine, Job, JobPlan, Request, Restore, Scope, Take, Target};

use crate::handle::JobHandle;

/// A request that is being put together. Nothing happens before it is planned, started or awaited.
///
/// [`plan`](Self::plan) is the dry run, [`start`](Self::start) gives a durable job, and `.await`
/// does it all and gives the result.
#[derive(Debug)]
#[must_use = "a request does nothing before it is planned, started or awaited"]
pub struct Ask<W> {
    engine: Engine,
    wish: Result<W>,
    once: Option<String>,
}

/// A plan, and the engine that can start it.
#[derive(Clone, Debug)]
pub struct Planned {
    engine: Engine,
    plan: JobPlan,
    once: Option<String>,
}

/// What can be asked for, and what awaiting it gives.
pub trait Wish: sealed::Sealed + Send + 'static {
    /// What awaiting the request gives.
    type Output: Send;

    /// The request as data.
    fn request(&self) -> Request;

    #[doc(hidden)]
    fn output(engine: &Engine, job: Job) -> impl Future<Output = Result<Self::Output>> + Send;
}

/// A snapshot to delete.
#[derive(Clone, Copy, Debug)]
pub struct Delete {
    pub(crate) snapshot: SnapshotId,
}

/// A restore in place to undo or to accept.
#[derive(Clone, Copy, Debug)]
pub struct Settle {
    pub(crate) job: JobId,
    pub(crate) undo: bool,
}

impl<W: Wish> Ask<W> {
    pub(crate) fn new(engine: Engine, wish: Result<W>) -> Self {
        Self {
            engine,
            wish,
            once: None,
        }
    }

    /// Does it once for this key: whoever asks again, even after a restart, gets the same job.
    pub fn once(mut self, key: impl Into<String>) -> Self {
        self.once = Some(key.into());
        self
    }

    /// What it would do, with all that stands in the way. Changes nothing.
    ///
    /// # Errors
    ///
    /// Those of [`Engine::plan`].
    pub async fn plan(self) -> Result<Planned> {
        let plan = self.engine.plan(&self.wish?.request()).await?;
        Ok(Planned {
            engine: self.engine,
            plan,
            once: self.once,
        })
    }

    /// Makes it a durable job. Dropping the handle does not stop it.
    ///
    /// # Errors
    ///
    /// Those of [`Engine::start`] and [`Engine::start_once`].
    pub async fn start(self) -> Result<JobHandle> {
        let request = self.wish?.request();
        let id = match &self.once {
            Some(key) => self.engine.start_once(&request, key).await?,
            None => {
                let plan = self.engine.plan(&request).await?;
                self.engine.start(&plan).await?
            }
        };
        Ok(JobHandle::new(self.engine, id))
    }

    pub(crate) fn with(mut self, change: impl FnOnce(&mut W)) -> Self {
        if let Ok(wish) = &mut self.wish {
            change(wish);
        }
        self
    }

    /// A change that may be refused; planning and starting then say why.
    #[cfg(feature = "transfer")]
    pub(crate) fn try_with(mut self, change: impl FnOnce(&mut W) -> Result<()>) -> Self {
        self.wish = self
            .wish
            .and_then(|mut wish| change(&mut wish).map(|()| wish));
        self
    }
}

impl<W: Wish> IntoFuture for Ask<W> {
    type Output = Result<W::Output>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let engine = self.engine.clone();
            let job = self.start().await?.await?;
            W::output(&engine, job).await
        })
    }
}

/// A snapshot that is asked for.
impl Ask<Take> {
    /// Only these disks of the instance.
    pub fn disks<D: Into<String>>(self, disks: impl IntoIterator<Item = D>) -> Self {
        let disks = disks.into_iter().map(Into::into).collect();
        self.with(|take| take.disks = Some(disks))
    }

    /// The consistency wished for.
    pub fn prefer(self, level: Consistency) -> Self {
        self.with(|take| take.prefer = level)
    }

    /// The least consistency accepted: where it is out of reach, nothing is touched.
    pub fn at_least(self, level: Consistency) -> Self {
        self.with(|take| take.at_least = level)
    }

    /// What to hold of memory.
    pub fn memory(self, memory: Memory) -> Self {
        self.with(|take| take.memory = memory)
    }

    /// The instance may be powered off for as long as the work takes, and is powered on after it,
    /// whatever becomes of that. The budget is for powering it on: so long that is tried, and an
    /// hour at least, before a person is asked.
    pub fn may_power_off(self, budget: Duration) -> Self {
        self.with(|take| take.may_power_off = Some(budget))
    }

    /// The root disk as an image to launch instances from, instead of volumes.
    pub fn as_image(self) -> Self {
        self.with(|take| take.scope = Scope::Image)
    }

    /// Its name. Without one: the source's id and the time.
    pub fn named(self, name: impl Into<String>) -> Self {
        self.with(|take| take.name = Some(name.into()))
    }

    /// What it is, in words.
    pub fn describe(self, description: impl Into<String>) -> Self {
        self.with(|take| take.description = description.into())
    }

    /// A label, also set at the provider.
    pub fn label(self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.with(|take| {
            take.labels.insert(key.into(), value.into());
        })
    }

    /// Does not read the bytes back: it is then taken, but not verified.
    pub fn without_verification(self) -> Self {
        self.with(|take| take.verify = false)
    }
}

/// A restore that is asked for. Without a target it is one in place.
impl Ask<Restore> {
    /// Where to.
    pub fn to(self, target: Target) -> Self {
        self.with(|restore| restore.to = target)
    }

    /// To a new instance with new volumes, or for a volume's snapshot to a new volume.
    pub fn to_new(self, name: impl Into<String>) -> Self {
        self.to(Target::New { name: name.into() })
    }

    /// As an image that others may launch from.
    pub fn as_template(self, name: impl Into<String>) -> Self {
        self.to(Target::Template { name: name.into() })
    }

    /// Only these disks.
    pub fn disks<D: Into<String>>(self, disks: impl IntoIterator<Item = D>) -> Self {
        let disks = disks.into_iter().map(Into::into).collect();
        self.with(|restore| restore.disks = Some(disks))
    }

    /// The target may be powered off for as long as the work takes, its checks included, and is
    /// powered on after it, whatever becomes of that. The budget is for powering it on: so long
    /// that is tried, and an hour at least, before a person is asked.
    pub fn may_power_off(self, budget: Duration) -> Self {
        self.with(|restore| restore.may_power_off = Some(budget))
    }

    /// In place without a way back, where the provider leaves room for no safety snapshot.
    /// Elsewhere one is taken all the same.
    pub fn without_undo(self) -> Self {
        self.with(|restore| restore.without_undo = true)
    }
}

impl Planned {
    pub(crate) fn new(engine: Engine, plan: JobPlan) -> Self {
        Self {
            engine,
            plan,
            once: None,
        }
    }

    /// Everything that stands in the way; it starts only where there is nothing.
    pub fn blocked_by(&self) -> &[String] {
        &self.plan.blocked_by
    }

    /// The plan as a value: to store, to send, and to start later with
    /// [`Stillpoint::planned`](crate::Stillpoint::planned).
    pub fn as_plan(&self) -> &JobPlan {
        &self.plan
    }

    /// Runs just this plan; under the key of [`once`](Ask::once), if there is one.
    ///
    /// # Errors
    ///
    /// Those of [`Engine::start`]: among them that a target is no longer as it was.
    pub async fn start(&self) -> Result<JobHandle> {
        let id = match &self.once {
            Some(key) => self.engine.start_plan_once(&self.plan, key).await?,
            None => self.engine.start(&self.plan).await?,
        };
        Ok(JobHandle::new(self.engine.clone(), id))
    }
}

impl std::fmt::Display for Planned {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.plan.fmt(f)
    }
}

impl Wish for Delete {
    type Output = ();

    fn request(&self) -> Request {
        Request::Delete {
            snapshot: self.snapshot,
        }
    }

    async fn output(_: &Engine, _: Job) -> Result<()> {
        Ok(())
    }
}

impl Wish for Restore {
    type Output = Job;

    fn request(&self) -> Request {
        Request::Restore(self.clone())
    }

    async fn output(_: &Engine, job: Job) -> Result<Job> {
        Ok(job)
    }
}

impl Wish for Settle {
    type Output = ();

    fn request(&self) -> Request {
        match *self {
            Self { job, undo: true } => Request::Undo { job },
            Self { job, undo: false } => Request::Accept { job },
        }
    }

    async fn output(_: &Engine, _: Job) -> Result<()> {
        Ok(())
    }
}

impl Wish for Take {
    type Output = Snapshot;

    fn request(&self) -> Request {
        Request::Take(self.clone())
    }

    async fn output(engine: &Engine, job: Job) -> Result<Snapshot> {
        engine.snapshot_of(&job).await
    }
}

pub(crate) fn take(source: Result<ResourceRef>) -> Result<Take> {
    source.map(Take::of)
}

pub(crate) mod sealed {
    pub trait Sealed {}

    impl Sealed for super::Delete {}
    impl Sealed for super::Settle {}
    impl Sealed for stillpoint_engine::Restore {}
    impl Sealed for stillpoint_engine::Take {}
}
