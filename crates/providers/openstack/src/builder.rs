use std::time::Duration;

use stillpoint_core::{ResourceKind, ResourceRef, Result};

use crate::carried::Carried;
use crate::cloud::Cloud;
use crate::config::CloudConfig;
use crate::launch::Launch;
use crate::leases::Leases;
use crate::provider::OpenStack;
use crate::session::Session;

/// Puts an [`OpenStack`] together.
#[derive(Clone, Debug)]
#[must_use]
pub struct Builder {
    name: String,
    config: CloudConfig,
    at_once: u32,
    settle: Duration,
    timeout: Duration,
    launch: Launch,
}

impl Builder {
    pub(crate) fn new(name: &str, config: CloudConfig) -> Self {
        Self {
            name: name.to_owned(),
            config,
            at_once: 8,
            settle: Duration::from_secs(120),
            timeout: Duration::from_secs(60),
            launch: Launch::default(),
        }
    }

    /// How many calls may be on their way at once, and operations run; 8 by default, and at
    /// least 1. Clouds answer too many with refusals.
    pub fn at_once(mut self, calls: u32) -> Self {
        self.at_once = calls.max(1);
        self
    }

    /// How long after a call that was cut off its effect may still show; 2 minutes by default.
    ///
    /// A shorter time makes recovery quicker, and a twin more likely where the cloud is slower.
    pub fn settle(mut self, time: Duration) -> Self {
        self.settle = time;
        self
    }

    /// How long to wait for the reply to one call; 1 minute by default. The bytes of images are
    /// given as long as they move, and what begins or ends slowly is given three times as long.
    pub fn timeout(mut self, time: Duration) -> Self {
        self.timeout = time;
        self
    }

    /// What new instances get: before what snapshots remember.
    pub fn launch(mut self, launch: Launch) -> Self {
        self.launch = launch;
        self
    }

    /// Puts it together. Nothing is called before something is asked.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`](stillpoint_core::ErrorKind::Invalid) where the name is no provider
    /// name or the file of certificates is none.
    pub fn build(self) -> Result<OpenStack> {
        ResourceRef::new(self.name.as_str(), ResourceKind::Volume, "x")?;
        let cloud = Cloud {
            session: Session::new(self.config, self.at_once, self.timeout)?,
            name: self.name,
            launch: self.launch,
            settle: self.settle,
            leases: Leases::default(),
            carried: Carried::default(),
        };
        Ok(OpenStack::of(cloud, self.at_once, self.timeout))
    }
}
