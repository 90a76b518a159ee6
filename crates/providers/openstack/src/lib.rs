//! Snapshots in an OpenStack cloud: of Cinder's volumes, of Nova's instances and of the root disks
//! that those have of an image, by the cloud's own calls alone. No agent, no administrator.
//!
//! ```
//! use stillpoint_iaas::{Identity, OperationKind, Provider};
//! use stillpoint_openstack::{CloudConfig, Launch, Networks, OpenStack};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> stillpoint_core::Result<()> {
//! # let yaml = "clouds: {prod: {auth: {auth_url: 'https://identity.example/v3', \
//! #     application_credential_id: a, application_credential_secret: b}}}";
//! // As the `openstack` client: CloudConfig::named("prod")? or CloudConfig::from_env()?
//! let config = CloudConfig::from_yaml("prod", yaml, None)?;
//! let prod = OpenStack::builder("prod", config)
//!     .launch(Launch::default().flavor("m1.small").networks(Networks::None))
//!     .build()?;
//!
//! // Nothing is called before something is asked that the cloud must answer.
//! let can = prod.capabilities().await?;
//! assert!(can.can(OperationKind::Snapshot) && !can.can(OperationKind::Freeze));
//! assert!(matches!(can.identity, Identity::Findable { .. }));
//! # Ok(())
//! # }
//! ```
//!
//! # What it does not do
//!
//! - **A Cinder snapshot is no backup.** It is on the storage of its volume and shares fate with
//!   it. Only the snapshot of an image-backed root disk has bytes of its own, in Glance.
//! - **It does not freeze.** Nova has no call for it, so a source that runs is `Crash` consistent
//!   and a demand for more is refused at planning. Power it off for more
//!   (`may_power_off`). `createImage`'s own quiescing (`os_require_quiesce`) is not used.
//! - **Volumes of an instance are taken one after another**, each by itself: Cinder's group
//!   snapshots are not used.
//! - **It reverts to a volume's latest snapshot alone**, since Cinder does, and only while the
//!   volume is attached to nothing. A restore in place by the engine takes a safety snapshot
//!   first, which then is the latest: it is refused with that reason, and rolled back. Restore to
//!   new.
//! - Cinder's NFS driver, as of Zed, makes nothing from a snapshot any more once its volume was
//!   reverted to it: the new volume ends in `error`, and the operation fails with that.
//! - It reads no bytes of volumes and Cinder snapshots: no API gives them. What the engine takes
//!   here is *taken*, not *verified*.
//! - Ephemeral and swap disks are listed and not held; nor are ports, addresses, security groups
//!   and memory. A new instance gets new ports.
//! - Certificates are always verified: a private authority's go into `cacert`. No proxies, no
//!   `profile:` of `clouds-public.yaml`, no Keystone older than v3.
//!
//! # Configuring
//!
//! [`CloudConfig`] reads what the `openstack` client reads: `clouds.yaml` and `secure.yaml` in
//! their usual places, `OS_CLOUD`, `OS_CLIENT_CONFIG_FILE`, and the `OS_*` variables of an openrc
//! file. Prefer an application credential: it has one project, and can be revoked alone. Tokens
//! are renewed before they end, and when a service refuses one. The microversion is the best that
//! both sides speak, up to 3.66 of Cinder and 2.85 of Nova.
//!
//! # Names
//!
//! | resource | is |
//! |---|---|
//! | `prod/instance/<id>` | a server |
//! | `prod/volume/<id>` | a Cinder volume |
//! | `prod/volume/root-of-<server>` | the root disk of a server that was launched from an image |
//! | `prod/snapshot/<id>` | a Cinder snapshot |
//! | `prod/image/<id>` | a Glance image that the project owns |
//!
//! A disk is called by its device tag, or else by its device (`vda`). Sizes are in whole GiB: what
//! is made is rounded up.
//!
//! # Taking
//!
//! Volumes are taken while in use, too. The root disk of an image-backed server is taken by
//! `createImage`; it is complete when the image is active *and* the server's task is over. A
//! snapshot remembers its server's flavor, networks and key pair, for whoever launches from it.
//!
//! # Restoring
//!
//! New volumes come from snapshots and images, a new instance from volumes. Its flavor, networks
//! and key pair are those in the [`Launch`] that the provider was given, and else what the boot
//! volume's snapshot remembers. An image-backed root disk is reverted by `rebuild`, which keeps
//! ports and volumes.
//!
//! # Deleting
//!
//! A snapshot is kept while a volume is made from it: Cinder would delete it, and spoil the
//! volume. An image that Nova made of a server with volumes takes its Cinder snapshots along,
//! also after a crash in the middle. A volume outlives its server even where Nova was told to
//! delete both.
//!
//! # After a crash
//!
//! What is made carries the operation's key in its metadata (`stillpoint.key`), and is found by
//! that. A call that was cut off may show within [`settle`](Builder::settle). Making an image from
//! a Cinder snapshot takes several calls, with a volume between: a crash ends it, and what is left
//! is told.
//!
//! # Limits and errors
//!
//! No more calls are on their way than [`at_once`](Builder::at_once) says. Errors are told apart
//! by their words where codes mislead: 403, 413 and 400 may all be a quota, which no retry helps.
//!
//! # Testing
//!
//! `cargo test` needs no cloud: a server gives again what a real one was heard to say. `lab/test.sh`
//! starts a real one on a Debian 12 machine (Keystone, Nova with libvirt, Cinder, Glance; root, 2.5
//! GB of memory) and runs the conformance kit and whole jobs against it.

mod api;
mod builder;
mod carried;
mod cloud;
mod config;
mod describe;
mod failure;
mod images;
mod keystone;
mod launch;
mod leases;
mod made;
mod marks;
mod ops;
mod outlook;
mod provider;
mod session;
mod tls;
mod version;

pub use reqwest::Url;

pub use crate::builder::Builder;
pub use crate::config::{
    ApplicationCredential, CloudConfig, Credentials, Domain, Interface, Named, Service,
};
pub use crate::images::{ImageBytes, NewImage};
pub use crate::launch::{Launch, Networks};
pub use crate::provider::OpenStack;
