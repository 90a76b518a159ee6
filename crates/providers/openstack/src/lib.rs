//! OpenStack as a provider.

mod api;
mod builder;
mod carried;
mod cloud;
mod config;
mod describe;
mod failure;
mod keystone;
mod launch;
mod leases;
mod made;
mod marks;
mod ops;
mod provider;
mod session;
mod tls;
mod version;

pub use crate::builder::Builder;
pub use crate::config::{
    ApplicationCredential, CloudConfig, Credentials, Domain, Interface, Named, Service,
};
pub use crate::launch::{Launch, Networks};
pub use crate::provider::OpenStack;
