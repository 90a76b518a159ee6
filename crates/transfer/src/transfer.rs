use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use stillpoint_archive::depot::Depot;
use stillpoint_archive::{Identity, Recipient};
use stillpoint_core::{Error, ErrorKind, Result};
use stillpoint_engine::background::{Background, BackgroundWork, Line, Running};
use stillpoint_engine::{CustomPlanner, CustomRequest, CustomWork, EngineBuilder, JobPlan};
use stillpoint_iaas::{OperationKey, Provider};
use stillpoint_state::State;
use stillpoint_state::catalogue::Catalogue;

use crate::plan::Planner;
use crate::request::{NAME, Wish};
use crate::vault::{Registered, Vault};
use crate::work::{Bench, Work};

/// Plans and carries out exports, imports and restores from archives, for an
/// [`Engine`](stillpoint_engine::Engine). See the [crate's documentation](crate).
#[derive(Debug)]
pub struct Transfer {
    pub(crate) inner: Inner,
}

/// What is planned and worked with.
#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) catalogue: Catalogue,
    pub(crate) bench: Arc<Bench>,
}

/// Puts a [`Transfer`] together.
#[derive(Debug, Default)]
#[must_use]
pub struct TransferBuilder {
    providers: Vec<Arc<dyn Provider>>,
    vault: Vault,
}

impl Transfer {
    /// A builder of one.
    pub fn builder() -> TransferBuilder {
        TransferBuilder::default()
    }
}

impl TransferBuilder {
    /// Exports what this provider has, and restores on it. The engine needs it as well.
    pub fn provider(mut self, provider: Arc<dyn Provider>) -> Self {
        self.providers.push(provider);
        self
    }

    /// Exports to and imports from this depot, by this name. Archives on their way there and back
    /// are in the folder `staging` meanwhile, which must exist and have room for them.
    pub fn depot(
        mut self,
        name: impl Into<String>,
        depot: Depot,
        staging: impl Into<PathBuf>,
    ) -> Self {
        let staging = staging.into();
        let registered = Registered { depot, staging };
        self.vault.depots.insert(name.into(), registered);
        self
    }

    /// Somebody whom archives can be sealed for, by this name. The name stands in plans; the key
    /// does not.
    pub fn recipient(
        mut self,
        name: impl Into<String>,
        recipient: impl Recipient + 'static,
    ) -> Self {
        self.vault
            .recipients
            .insert(name.into(), Arc::new(recipient));
        self
    }

    /// A key that sealed archives are opened with. Each is tried.
    pub fn identity(mut self, identity: impl Identity + 'static) -> Self {
        self.vault.identities.push(Arc::new(identity));
        self
    }

    /// Registers it with an engine that keeps its catalogue in this state.
    pub fn register(self, state: Arc<dyn State>, engine: EngineBuilder) -> EngineBuilder {
        let providers = self.providers.into_iter();
        let bench = Bench {
            providers: providers
                .map(|it| (it.to_string(), it))
                .collect::<BTreeMap<_, _>>(),
            vault: self.vault,
        };
        let transfer = Arc::new(Transfer {
            inner: Inner {
                catalogue: Catalogue::new(state),
                bench: Arc::new(bench),
            },
        });
        engine
            .executor(NAME, Arc::new(Background::new(Arc::clone(&transfer))))
            .planner(NAME, transfer)
    }
}

impl Inner {
    pub(crate) fn provider(&self, name: &str) -> Result<&Arc<dyn Provider>> {
        self.bench.providers.get(name).ok_or_else(|| {
            let known: Vec<&str> = self.bench.providers.keys().map(String::as_str).collect();
            let message = format!("there is no provider `{name}`, known: {}", known.join(", "));
            Error::new(ErrorKind::NotFound, message)
                .advise("Register it with the builder, or correct the name")
        })
    }
}

#[async_trait]
impl CustomPlanner for Transfer {
    async fn plan(&self, request: &CustomRequest, now: Timestamp) -> Result<JobPlan> {
        let planner = Planner {
            inner: &self.inner,
            request,
            now,
        };
        match Wish::of(request)? {
            Wish::Export(wish) => planner.export(&wish).await,
            Wish::Import(wish) => planner.import(&wish).await,
            Wish::RestoreFrom(wish) => planner.restore_from(&wish).await,
        }
    }
}

impl BackgroundWork for Transfer {
    fn begin(&self, key: &OperationKey, work: &CustomWork, line: Line) -> Result<Running> {
        let does = Work::of(work)?;
        let (bench, inputs) = (Arc::clone(&self.inner.bench), work.inputs.clone());
        Ok(Box::pin(does.run(bench, key.clone(), inputs, line)))
    }

    /// What a step leaves it says itself. That the world is not known is then said of a volume,
    /// which is another step's.
    fn may_have_left(&self, _error: &Error) -> bool {
        false
    }
}
