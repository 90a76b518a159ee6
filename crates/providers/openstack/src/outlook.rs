//! What may come of one source: what its image lets Nova do, what its quota leaves, and what no
//! snapshot of it holds.

use stillpoint_core::{
    Consistency, CopyKind, ErrorKind, Memory, Omission, OmissionReason, ResourceKind, ResourceRef,
    Result,
};
use stillpoint_iaas::{Outlook, Reverts, SnapshotCapability};

use crate::api::nova::{Attached, Port, Server};
use crate::cloud::{Cloud, found};
use crate::ops::root_of;

/// Properties of an image without which Nova does not freeze, or goes on where that fails.
const FREEZES: [&str; 2] = ["hw_qemu_guest_agent", "os_require_quiesce"];

/// How snapshots are taken of anything here, if nothing more is known of it.
pub(crate) const EACH: SnapshotCapability = SnapshotCapability {
    live: Some(Consistency::Crash),
    offline: true,
    memory: Memory::No,
    disk_selection: true,
    // Cinder takes a server's volumes one after another, and so do we.
    atomic_group: false,
    composite: false,
    copy: CopyKind::Shallow,
};

/// How they are taken of an instance that Nova freezes: whole, by its own `createImage`.
const WHOLE: SnapshotCapability = SnapshotCapability {
    live: Some(Consistency::Filesystem),
    disk_selection: false,
    composite: true,
    ..EACH
};

/// How they are taken of an instance whose volumes are a group of Cinder's of which the snapshots
/// are of one instant.
const GROUP: SnapshotCapability = SnapshotCapability {
    disk_selection: false,
    composite: true,
    atomic_group: true,
    ..EACH
};

impl Cloud {
    pub(crate) async fn outlook(&self, source: &ResourceRef) -> Result<Outlook> {
        let id = self.id(source, source.kind())?;
        let outlook = async {
            match source.kind() {
                ResourceKind::Instance => self.of_instance(id).await,
                ResourceKind::Volume if root_of(source).is_some() => Ok(Outlook {
                    short_of: Some(ON_HYPERVISOR.to_owned()),
                    ..Outlook::default()
                }),
                ResourceKind::Volume => Ok(Outlook {
                    reverts: Reverts::ToLatest,
                    short_of: Some("Cinder freezes nothing".to_owned()),
                    snapshots_left: self.snapshots_left().await?,
                    ..Outlook::default()
                }),
                ResourceKind::Image | ResourceKind::Snapshot => Ok(Outlook {
                    launch_blocked_by: self.launch_blocked_by(source).await?,
                    ..Outlook::default()
                }),
                _ => Ok(Outlook::default()),
            }
        };
        outlook.await.map_err(|error| error.on(source.clone()))
    }

    async fn of_instance(&self, id: &str) -> Result<Outlook> {
        let server = self.session.server(id).await?;
        let mut attached = self.session.attached(id).await?;
        attached.sort_by_key(Attached::order);
        let ports = found(self.session.ports(id).await)?.unwrap_or_default();
        let on_hypervisor = server.image_id().is_some();
        let mut volumes = Vec::new();
        for one in &attached {
            volumes.extend(found(self.session.volume(&one.volume).await)?);
        }
        let short_of = match volumes.first() {
            _ if on_hypervisor => Some(ON_HYPERVISOR.to_owned()),
            Some(boots) if volumes.len() == attached.len() => {
                lacks(|name| boots.image_property(name))
            }
            _ => Some("one of its volumes is not in Cinder".to_owned()),
        };
        let can = if short_of.is_none() {
            Some(WHOLE)
        } else if on_hypervisor {
            None
        } else {
            let group = self.session.consistent_group(&volumes).await?;
            group.map(|_| GROUP)
        };
        let left = self.snapshots_left().await?;
        Ok(Outlook {
            can,
            short_of,
            omitted: omitted(&server, &ports),
            reverts: if attached.is_empty() {
                Reverts::ToAny
            } else {
                Reverts::ToLatest
            },
            // Cinder's quota is not for the disk on the hypervisor.
            snapshots_left: left.map(|left| left + u64::from(on_hypervisor)),
            launch_blocked_by: Vec::new(),
        })
    }

    /// How many snapshots of volumes the project may still have; none: as many as it likes.
    async fn snapshots_left(&self) -> Result<Option<u64>> {
        let limits = match self.session.volume_limits().await {
            Ok(limits) => limits,
            // A cloud without Cinder has no volumes either.
            Err(error) if error.kind() == ErrorKind::Unsupported => return Ok(None),
            Err(error) => return Err(error),
        };
        let left = limits.max_total_snapshots - limits.total_snapshots_used;
        let limited = limits.max_total_snapshots >= 0;
        Ok(limited.then(|| u64::try_from(left).unwrap_or(0)))
    }
}

/// Nova's libvirt driver mirrors that disk and asks the agent at the end, and where the agent does
/// not answer it goes on: <https://opendev.org/openstack/nova>, `_live_snapshot`.
const ON_HYPERVISOR: &str =
    "Nova takes a disk on the hypervisor whether or not freezing it succeeded";

/// Which of the properties are missing that make Nova freeze or fail, by what tells a property.
pub(crate) fn lacks<'a>(property: impl Fn(&str) -> Option<&'a str>) -> Option<String> {
    let missing: Vec<_> = FREEZES
        .into_iter()
        .filter(|name| !property(name).is_some_and(is_yes))
        .collect();
    (!missing.is_empty()).then(|| format!("its image lacks {}", missing.join(" and ")))
}

/// What `oslo.utils` takes for true.
fn is_yes(text: &str) -> bool {
    let yes = ["1", "on", "t", "true", "y", "yes"];
    yes.contains(&text.trim().to_ascii_lowercase().as_str())
}

fn omitted(server: &Server, ports: &[Port]) -> Vec<Omission> {
    let mut what = Vec::new();
    for port in ports {
        what.push(format!("port {}", port.id));
        let fixed = port.fixed.iter().map(|it| it.address.as_str());
        what.extend(fixed.map(|address| format!("address {address}")));
        let tag = port.tag.as_deref().filter(|tag| !tag.is_empty());
        what.extend(tag.map(|tag| format!("device tag `{tag}` of port {}", port.id)));
    }
    let floating = server.floating();
    what.extend(floating.map(|address| format!("floating address {address}")));
    let omission = |what| Omission {
        what,
        reason: OmissionReason::Unsupported,
    };
    what.into_iter().map(omission).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_properties_are_needed_and_named() {
        let said = |agent: Option<&'static str>, require: Option<&'static str>| {
            lacks(|name| if name == FREEZES[0] { agent } else { require })
        };
        for yes in ["yes", "True", "1"] {
            assert_eq!(said(Some(yes), Some("yes")), None);
        }
        assert_eq!(
            said(Some("yes"), Some("no")).unwrap(),
            "its image lacks os_require_quiesce"
        );
        let both = said(None, None).unwrap();
        assert!(both.contains(" and "), "{both}");
    }
}
