use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use futures_core::future::BoxFuture;
use jiff::Timestamp;
use stillpoint_archive::depot::Depot;
use stillpoint_archive::{Identity, Recipient};
use stillpoint_core::{Error, ErrorKind, Result};
use stillpoint_engine::background::{Background, BackgroundWork, Line, Running, blocking};
use stillpoint_engine::{
    Clock, CustomPlanner, CustomRequest, CustomWork, EngineBuilder, JobPlan, ManagerWork,
    SystemClock,
};
use stillpoint_iaas::OperationKey;
use stillpoint_state::State;

use crate::archives::Archives;
use crate::component::Component;
use crate::failure::guarded;
use crate::keys::Keys;
use crate::levels::levels;
use crate::plan::Planner;
use crate::records::Records;
use crate::request::{NAME, Wish};
use crate::work::Work;

/// How long components may take to say how large they are.
const SIZE: Duration = Duration::from_secs(10);

/// A control plane that captures itself, and is restored from what it captured. See the
/// [crate's documentation](crate).
#[derive(Debug)]
pub struct Manager {
    inner: Arc<Inner>,
}

/// What is planned and worked with.
#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) product: String,
    pub(crate) version: String,
    /// In the order in which they are locked and restored.
    pub(crate) components: Vec<Named>,
    /// The numbers of the components, by level.
    pub(crate) levels: Vec<Vec<usize>>,
    pub(crate) depot: Depot,
    pub(crate) staging: PathBuf,
    pub(crate) keys: Keys,
    /// The networks that its agents are in.
    pub(crate) networks: Vec<String>,
    pub(crate) budget: Duration,
    pub(crate) state: Arc<dyn State>,
    pub(crate) records: Records,
    pub(crate) clock: Arc<dyn Clock>,
    /// The levels that this process has locked, by the jobs that they are locked for.
    pub(crate) held: Mutex<BTreeSet<(String, usize)>>,
    /// Held while locks are taken again: after a crash several steps may begin at once.
    pub(crate) locking: Mutex<()>,
}

/// A component, by its name.
#[derive(Clone, Debug)]
pub(crate) struct Named {
    pub(crate) name: String,
    pub(crate) component: Arc<dyn Component>,
}

impl Named {
    /// Bytes that a capture of it writes; 0 where that cannot be told.
    pub(crate) fn size(&self) -> u64 {
        let size = guarded(&self.name, || self.component.size());
        size.unwrap_or_else(|error| {
            tracing::debug!(name = %self.name, %error, "its size is not known");
            0
        })
    }
}

/// Puts a [`Manager`] together.
#[derive(Debug)]
#[must_use]
pub struct ManagerBuilder {
    product: String,
    version: String,
    components: Vec<Named>,
    depot: Option<(Depot, PathBuf)>,
    keys: Keys,
    networks: Vec<String>,
    budget: Duration,
    clock: Arc<dyn Clock>,
}

impl Manager {
    /// A builder of one: what the product is called, and its version. Archives of a later version
    /// are not restored.
    pub fn builder(product: impl Into<String>, version: impl Into<String>) -> ManagerBuilder {
        ManagerBuilder {
            product: product.into(),
            version: version.into(),
            components: Vec::new(),
            depot: None,
            keys: Keys::default(),
            networks: Vec::new(),
            budget: Duration::from_secs(60),
            clock: Arc::new(SystemClock),
        }
    }
}

impl ManagerBuilder {
    /// Adds a component under this name, of `a-z`, `0-9` and `-`: members of archives begin with it.
    pub fn component(mut self, name: impl Into<String>, component: impl Component) -> Self {
        self.components.push(Named {
            name: name.into(),
            component: Arc::new(component),
        });
        self
    }

    /// Where archives are kept. The folder `staging` has them on their way there and back, must
    /// exist and have room for them; reflinks need it on the file system of what they are of.
    pub fn depot(mut self, depot: Depot, staging: impl Into<PathBuf>) -> Self {
        self.depot = Some((depot, staging.into()));
        self
    }

    /// Seals what is secret for this recipient, and others that are named as well.
    pub fn seal_for(mut self, recipient: impl Recipient + 'static) -> Self {
        self.keys.recipients.push(Arc::new(recipient));
        self
    }

    /// Lets secrets stand in the archives in clear, for everyone who gets hold of one.
    pub fn danger_secrets_in_clear(mut self) -> Self {
        self.keys.in_clear = true;
        self
    }

    /// A key that sealed archives are opened with. Each is tried.
    pub fn identity(mut self, identity: impl Identity + 'static) -> Self {
        self.keys.identities.push(Arc::new(identity));
        self
    }

    /// The networks in which its agents reach it. An archive of a manager with others is not
    /// restored here: its agents would be lost.
    pub fn networks<N: Into<String>>(mut self, networks: impl IntoIterator<Item = N>) -> Self {
        self.networks.extend(networks.into_iter().map(Into::into));
        self
    }

    /// For how long a capture may keep the components locked; a minute, unless said otherwise.
    pub fn lock_at_most(mut self, budget: Duration) -> Self {
        self.budget = budget;
        self
    }

    /// The clock; the system's by default.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Registers it with an engine that keeps its catalogue in this state.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] where there is no depot or component, a name is taken or no name,
    /// components depend on each other in a circle, or it is not said who secrets are sealed for.
    pub fn register(
        self,
        state: Arc<dyn State>,
        engine: EngineBuilder,
    ) -> Result<(EngineBuilder, Archives)> {
        self.check()?;
        let Some((depot, staging)) = self.depot else {
            return Err(wrong(
                "it is not said where archives are kept",
                "Give it a depot",
            ));
        };
        let needs: Vec<(&str, &[String])> = self
            .components
            .iter()
            .map(|it| (&*it.name, it.component.depends_on()))
            .collect();
        let order = levels(&needs)?;
        let mut components = Vec::new();
        let mut numbered = Vec::new();
        for level in order {
            let first = components.len();
            components.extend(level.iter().map(|at| self.components[*at].clone()));
            numbered.push((first..components.len()).collect());
        }
        let records = Records::new(Arc::clone(&state));
        let archives = Archives {
            records: records.clone(),
            depot: depot.clone(),
            clock: Arc::clone(&self.clock),
        };
        let manager = Arc::new(Self::manager(Inner {
            product: self.product,
            version: self.version,
            components,
            levels: numbered,
            depot,
            staging,
            keys: self.keys,
            networks: self.networks,
            budget: self.budget,
            state,
            records,
            clock: self.clock,
            held: Mutex::default(),
            locking: Mutex::default(),
        }));
        let engine = engine
            .executor(NAME, Arc::new(Background::new(Arc::clone(&manager))))
            .planner(NAME, manager);
        Ok((engine, archives))
    }

    fn manager(inner: Inner) -> Manager {
        Manager {
            inner: Arc::new(inner),
        }
    }

    fn check(&self) -> Result<()> {
        let mut names = BTreeSet::new();
        for Named { name, .. } in &self.components {
            let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
            if name.is_empty() || name.len() > 40 || !name.chars().all(plain) {
                let message = format!("`{}` is no name of a component", name.escape_debug());
                return Err(wrong(&message, "Use a-z, 0-9 and `-`, at most 40"));
            }
            if !names.insert(name) {
                return Err(wrong(
                    &format!("two components are named {name}"),
                    "Rename one",
                ));
            }
        }
        if names.is_empty() {
            return Err(wrong("a manager without components is nothing", "Add one"));
        }
        if self.keys.recipients.is_empty() != self.keys.in_clear {
            let message = "it is not said what becomes of secrets";
            let advice = "Say seal_for, or danger_secrets_in_clear, and not both";
            return Err(wrong(message, advice));
        }
        Ok(())
    }
}

impl Inner {
    /// The components that are captured where these were asked for; none: all.
    pub(crate) fn captures(
        &self,
        with: Option<&Vec<String>>,
    ) -> Result<(Vec<&Named>, Vec<&Named>)> {
        let mut captured = Vec::new();
        let mut left_out = Vec::new();
        for it in &self.components {
            let asked = with.is_none_or(|with| with.contains(&it.name));
            if asked || !guarded(&it.name, || Ok(it.component.only_on_request()))? {
                captured.push(it);
            } else {
                left_out.push(it);
            }
        }
        Ok((captured, left_out))
    }

    /// Bytes that a capture of these writes, as near as can be told.
    pub(crate) fn size(&self, with: Option<&Vec<String>>) -> u64 {
        let captured = self.captures(with).map(|it| it.0).unwrap_or_default();
        captured.into_iter().map(Named::size).sum()
    }

    /// Bytes that a capture of all writes; 0 where a component does not say soon: it is for progress
    /// alone, and no plan waits for that.
    pub(crate) async fn size_soon(self: &Arc<Self>) -> u64 {
        let inner = Arc::clone(self);
        tokio::select! {
            size = blocking(move || Ok(inner.size(None))) => size.unwrap_or_default(),
            () = self.clock.sleep(SIZE) => 0,
        }
    }

    /// The component of that name.
    pub(crate) fn component(&self, name: &str) -> Result<&Named> {
        self.components
            .iter()
            .find(|it| it.name == name)
            .ok_or_else(|| {
                let known: Vec<&str> = self.components.iter().map(|it| &*it.name).collect();
                let message = format!("there is no component {name}, known: {}", known.join(", "));
                Error::new(ErrorKind::NotFound, message)
                    .advise("Register it with the builder, or leave it out")
            })
    }
}

fn wrong(message: &str, advice: &str) -> Error {
    Error::new(ErrorKind::Invalid, message).advise(advice)
}

#[async_trait]
impl CustomPlanner for Manager {
    async fn plan(&self, request: &CustomRequest, now: Timestamp) -> Result<JobPlan> {
        let planner = Planner {
            inner: &self.inner,
            request,
            now,
        };
        match Wish::of(request)? {
            Wish::Restore(wish) => planner.restore(&wish).await,
            Wish::Settle(wish) => planner.settle(&wish).await,
        }
    }
}

impl BackgroundWork for Manager {
    fn begin(&self, key: &OperationKey, work: &CustomWork, line: Line) -> Result<Running> {
        let does = Work::of(work)?;
        Ok(Box::pin(does.run(
            Arc::clone(&self.inner),
            key.clone(),
            line,
        )))
    }

    fn size(&self, work: &CustomWork) -> BoxFuture<'static, u64> {
        let inner = Arc::clone(&self.inner);
        let Ok(Work::OfEngine(ManagerWork::Capture { name })) = Work::of(work) else {
            return Box::pin(async { 0 });
        };
        Box::pin(async move {
            let record = inner.records.get(&name).await;
            let with = record.map(|it| it.with).unwrap_or_default();
            let sized = blocking(move || Ok(inner.size(Some(&with))));
            sized.await.unwrap_or_default()
        })
    }
}
