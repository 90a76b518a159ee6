use std::sync::Arc;

use stillpoint_core::{Error, ErrorKind, Result};
use stillpoint_engine::{Clock, Engine, Executor};
use stillpoint_iaas::Provider;
use stillpoint_state::State;

use crate::Stillpoint;

/// Puts a [`Stillpoint`] together.
///
/// What is wrong with a part of it is said by [`build`](Self::build).
#[derive(Debug, Default)]
#[must_use]
pub struct Builder {
    state: Option<Arc<dyn State>>,
    #[cfg(feature = "redb")]
    state_file: Option<std::path::PathBuf>,
    providers: Vec<Result<Arc<dyn Provider>>>,
    executors: Vec<(String, Arc<dyn Executor>)>,
    #[cfg(feature = "manager")]
    manager: Option<stillpoint_manager::ManagerBuilder>,
    #[cfg(feature = "transfer")]
    transfer: stillpoint_transfer::TransferBuilder,
    clock: Option<Arc<dyn Clock>>,
    node: Option<String>,
    ids_from_seed: Option<u64>,
    read_only: bool,
}

impl Builder {
    /// Keeps everything durable here. The last word counts, here or by `state_file`.
    pub fn state(mut self, state: Arc<dyn State>) -> Self {
        #[cfg(feature = "redb")]
        {
            self.state_file = None;
        }
        self.state = Some(state);
        self
    }

    /// Keeps everything durable in this file, which is made where there is none and nobody only
    /// wants to [look](Self::read_only).
    #[cfg(feature = "redb")]
    pub fn state_file(mut self, path: impl AsRef<std::path::Path>) -> Self {
        self.state_file = Some(path.as_ref().to_owned());
        self
    }

    /// Takes snapshots of what this provider has, under the name that it displays as.
    pub fn provider(mut self, provider: Arc<dyn Provider>) -> Self {
        self.providers.push(Ok(provider));
        self
    }

    /// Takes snapshots of the raw images in a folder, under this provider name.
    #[cfg(feature = "local")]
    pub fn folder(mut self, name: &str, folder: impl AsRef<std::path::Path>) -> Self {
        let provider = stillpoint_local::LocalProvider::open(name, folder);
        self.providers
            .push(provider.map(|provider| Arc::new(provider) as Arc<_>));
        self
    }

    /// Takes snapshots of what a project in an OpenStack cloud has, under this provider name.
    ///
    /// [`OpenStack::builder`](stillpoint_openstack::OpenStack::builder) has more to choose.
    #[cfg(feature = "openstack")]
    pub fn openstack(mut self, name: &str, cloud: stillpoint_openstack::CloudConfig) -> Self {
        let provider = stillpoint_openstack::OpenStack::new(name, cloud);
        self.providers
            .push(provider.map(|provider| Arc::new(provider) as Arc<_>));
        self
    }

    /// Carries out the custom steps of that name.
    pub fn executor(mut self, name: impl Into<String>, executor: Arc<dyn Executor>) -> Self {
        self.executors.push((name.into(), executor));
        self
    }

    /// Captures this control plane itself, and restores it.
    #[cfg(feature = "manager")]
    pub fn manager(mut self, manager: stillpoint_manager::ManagerBuilder) -> Self {
        self.manager = Some(manager);
        self
    }

    /// Exports to and imports from this depot, by this name. Archives on their way there and back
    /// are in the folder `staging` meanwhile, which must exist and have room for them.
    #[cfg(feature = "transfer")]
    pub fn depot(
        mut self,
        name: impl Into<String>,
        depot: stillpoint_transfer::depot::Depot,
        staging: impl Into<std::path::PathBuf>,
    ) -> Self {
        self.transfer = self.transfer.depot(name, depot, staging);
        self
    }

    /// Somebody whom exports can be [sealed for](crate::Ask::seal_for), by this name.
    #[cfg(feature = "transfer")]
    pub fn recipient(
        mut self,
        name: impl Into<String>,
        recipient: impl stillpoint_transfer::Recipient + 'static,
    ) -> Self {
        self.transfer = self.transfer.recipient(name, recipient);
        self
    }

    /// A key that sealed archives are opened with. Each is tried.
    #[cfg(feature = "transfer")]
    pub fn identity(mut self, identity: impl stillpoint_transfer::Identity + 'static) -> Self {
        self.transfer = self.transfer.identity(identity);
        self
    }

    /// The clock; the system's by default.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = Some(clock);
        self
    }

    /// What this node is called, where several share a state. It must be different for each and
    /// stay the same over a restart: by it a node knows the work that it had before as its own,
    /// and two of one name would take each other's.
    pub fn node(mut self, name: impl Into<String>) -> Self {
        self.node = Some(name.into());
        self
    }

    /// Makes ids from a seed instead of the system's entropy, for simulations: equal runs have
    /// equal ids. Two of one seed on one state would clash.
    pub fn ids_from_seed(mut self, seed: u64) -> Self {
        self.ids_from_seed = Some(seed);
        self
    }

    /// Only looks: every start, stop and change is refused.
    pub fn read_only(mut self) -> Self {
        self.read_only = true;
        self
    }

    /// Puts it together. It drives nothing before [`Stillpoint::run`].
    ///
    /// # Errors
    ///
    /// Whatever opening its parts gave, and [`ErrorKind::Invalid`] where there is no state or two
    /// providers have one name.
    pub fn build(self) -> Result<Stillpoint> {
        let state = self.open_state()?;
        let mut engine = Engine::builder(Arc::clone(&state));
        #[cfg(feature = "transfer")]
        let mut transfer = self.transfer;
        for provider in self.providers {
            let provider = provider?;
            #[cfg(feature = "transfer")]
            {
                transfer = transfer.provider(Arc::clone(&provider));
            }
            engine = engine.provider(provider);
        }
        #[cfg(feature = "manager")]
        let mut archives = None;
        #[cfg(feature = "manager")]
        if let Some(manager) = self.manager {
            let (with, its) = manager.register(Arc::clone(&state), engine)?;
            (engine, archives) = (with, Some(its));
        }
        #[cfg(feature = "transfer")]
        {
            engine = transfer.register(state, engine);
        }
        for (name, executor) in self.executors {
            engine = engine.executor(name, executor);
        }
        if let Some(clock) = self.clock {
            engine = engine.clock(clock);
        }
        if let Some(node) = self.node {
            engine = engine.node(node);
        }
        if let Some(seed) = self.ids_from_seed {
            engine = engine.ids_from_seed(seed);
        }
        if self.read_only {
            engine = engine.read_only();
        }
        let still = Stillpoint::new(engine.build()?);
        #[cfg(feature = "manager")]
        let still = still.with_archives(archives);
        Ok(still)
    }

    fn open_state(&self) -> Result<Arc<dyn State>> {
        #[cfg(feature = "redb")]
        if let Some(path) = &self.state_file {
            use stillpoint_state::Redb;
            let state = if self.read_only {
                Redb::open_read_only(path)?
            } else {
                Redb::open_or_create(path)?
            };
            return Ok(Arc::new(state));
        }
        self.state.clone().ok_or_else(|| {
            Error::new(
                ErrorKind::Invalid,
                "there is nowhere to keep what is durable",
            )
            .advise("Give the builder a state, or a state_file")
        })
    }
}
