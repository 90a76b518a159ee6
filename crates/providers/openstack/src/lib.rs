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
//! - **It freezes only what Nova freezes**: an instance that boots from a volume whose image has
//!   `hw_qemu_guest_agent` *and* `os_require_quiesce`. Any other that runs is `Crash` consistent,
//!   and a demand for more is refused at planning, with what its image lacks. Power it off for
//!   more (`may_power_off`). For a disk on the hypervisor both properties are not enough: there
//!   Nova (seen in Zed's code) goes on where freezing fails.
//! - **Volumes of an instance are taken one after another**, unless Nova freezes it meanwhile, or
//!   they are just the volumes of a group whose type has `consistent_group_snapshot_enabled`, and
//!   we may see that: Cinder shows it to administrators alone, unless the deployer lets others
//!   (`group:access_group_types_specs`).
//! - **It reverts to a volume's latest snapshot alone**, since Cinder does, and only while the
//!   volume is attached to nothing. So there is room for no safety snapshot: a restore in place
//!   has to be asked for `without_undo`, and one to an older snapshot is refused with the later
//!   one's name. Disks of an instance are detached for it and attached again; the volume that it
//!   boots from cannot be. A disk on the hypervisor has images for snapshots: it goes back to any,
//!   with a safety snapshot as everywhere.
//! - Cinder's NFS driver, as of Zed, destroys the snapshot that it reverts to (it writes over the
//!   top of the chain). Ask your operator which driver it is.
//! - It reads no bytes of volumes and Cinder snapshots: no API gives them. What the engine takes
//!   here is *taken*, not *verified*.
//! - Ephemeral and swap disks are listed and not held; nor are memory, ports, their addresses and
//!   device tags, each by its name. A new instance gets new ports. Tags of disks are held: they
//!   are the disks' names.
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
//! The quota of snapshots is looked at for all volumes of an instance before the first is taken.
//! Volumes are taken while in use, too. The root disk of an image-backed server is taken by
//! `createImage`; it is complete when the image is active *and* the server's task is over. A
//! snapshot remembers its server's flavor, networks and key pair, for whoever launches from it, and
//! which disk it was there, though the image is gone that listed it (`stillpoint.instance`, `.disk`,
//! `.boot`).
//!
//! An instance that is to be frozen is taken whole, by `createImage`, too: Nova thaws it when Cinder
//! has all of its volumes. What need not be frozen is taken by Cinder: where the agent in a guest is
//! down, Nova would take nothing. (A Cinder that has Nova take snapshots, as its NFS driver does,
//! cannot take such an instance either while it runs.) Whether it was to be frozen is read from the image that Nova makes,
//! which has the properties of the instance as it was launched, and not from what is said of its
//! image today. That image is only a list, and is deleted again.
//!
//! # Restoring
//!
//! New volumes come from snapshots and images, a new instance from volumes. Its flavor, networks
//! and key pair are those in the [`Launch`] that the provider was given, and else what the snapshot
//! or image remembers that the boot volume is made of; whether they are there is looked at when the
//! restore is planned. An image-backed root disk is reverted by `rebuild`, which keeps ports and
//! volumes.
//!
//! # Bytes of images
//!
//! [`download_image`](OpenStack::download_image) streams an image whole and checks it by Glance's
//! digest; [`read_image`](OpenStack::read_image) reads a range;
//! [`upload_image`](OpenStack::upload_image) streams one in, checks what is there then, and deletes
//! what is not whole.
//!
//! # Deleting
//!
//! Of snapshots that Cinder took together one alone cannot go: it is marked and shown no more, and
//! the last takes all of them along.
//!
//! A snapshot is kept while a volume is made from it: Cinder would delete it, and spoil the
//! volume. An image that Nova made of a server with volumes takes its Cinder snapshots along,
//! also after a crash in the middle. A volume outlives its server even where Nova was told to
//! delete both.
//!
//! # After a crash
//!
//! What is made carries the operation's key in its metadata (`stillpoint.key`), and is found by
//! that. A call that was cut off may show within [`settle`](Builder::settle). Making an image takes
//! several calls, with a volume between, and so does taking an instance
//! that is frozen, where the key is in the names of what has no metadata yet: a crash ends it, and
//! what is left is told.
//!
//! # Limits and errors
//!
//! No more calls are on their way than [`at_once`](Builder::at_once) says. Errors are told apart
//! by their words where codes mislead: 403, 413 and 400 may all be a quota, which no retry helps.
//! A service that is restarted under a job is waited for by the engine.
//!
//! # Testing
//!
//! `cargo test` needs no cloud: a server gives again what a real one was heard to say. `lab/test.sh`
//! starts a real one on a Debian 12 machine (Keystone, Nova with libvirt, Cinder, Glance, Neutron;
//! root, 2.5 GB of memory, loopback alone) and runs the conformance kit, whole jobs, faults, the
//! stock client and the example against it. `.ci/run` does that with a part of the kit.

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
mod moving;
mod ops;
mod outlook;
mod preflight;
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
