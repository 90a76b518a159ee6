use stillpoint_core::{Error, ErrorKind, ResourceKind, ResourceRef, Result};
use stillpoint_iaas::{Observation, Ticket};

use super::Ask;
use crate::cloud::{done, found, running};
use crate::made::failed;

/// Longest tag of a device, in characters.
const LONGEST: usize = 60;

impl Ask<'_> {
    pub(super) async fn attach(
        self,
        instance: &ResourceRef,
        volume: &ResourceRef,
        disk: &str,
    ) -> Result<Ticket> {
        check_tag(disk).map_err(|error| error.on(instance.clone()))?;
        let server = self.cloud.id(instance, ResourceKind::Instance)?;
        let id = self.volume_id(volume)?;
        let session = &self.cloud.session;
        let there = session
            .attached(server)
            .await
            .map_err(|error| error.on(instance.clone()))?;
        if let Some(same) = there.iter().find(|one| one.name() == disk) {
            if same.volume == id {
                return Ok(self.ticket(id));
            }
            let what = format!("its disk `{disk}` is volume {} already", same.volume);
            return Err(Error::new(ErrorKind::Precondition, what)
                .on(instance.clone())
                .advise("Detach that, or choose another name"));
        }
        let seen = session
            .volume(id)
            .await
            .map_err(|error| error.on(volume.clone()))?;
        if let Some(other) = seen.servers().next() {
            let what = format!("it is attached to instance {other}");
            return Err(Error::new(ErrorKind::Precondition, what)
                .on(volume.clone())
                .advise("Detach it there first"));
        }
        session
            .attach(server, id, disk)
            .await
            .map_err(|error| error.on(instance.clone()))?;
        Ok(self.ticket(id))
    }

    pub(super) async fn detach(
        self,
        instance: &ResourceRef,
        volume: &ResourceRef,
    ) -> Result<Ticket> {
        let server = self.cloud.id(instance, ResourceKind::Instance)?;
        let id = self.volume_id(volume)?;
        let session = &self.cloud.session;
        let there = session
            .attached(server)
            .await
            .map_err(|error| error.on(instance.clone()))?;
        if there.iter().any(|one| one.volume == id) {
            session
                .detach(server, id)
                .await
                .map_err(|error| error.on(instance.clone()))?;
        } else {
            session
                .volume(id)
                .await
                .map_err(|error| error.on(volume.clone()))?;
        }
        Ok(self.ticket(id))
    }

    /// The attachment itself is the answer, whoever made it or took it away.
    pub(super) async fn observe_attached(
        self,
        instance: &ResourceRef,
        volume: &ResourceRef,
        wanted: bool,
    ) -> Result<Observation> {
        let server = self.cloud.id(instance, ResourceKind::Instance)?;
        let session = &self.cloud.session;
        let there = found(session.attached(server).await)?.unwrap_or_default();
        let id = self.volume_id(volume)?;
        let attached = there.iter().any(|one| one.volume == id);
        let Some(seen) = found(session.volume(id).await)? else {
            return Ok(Observation::Absent);
        };
        let noted = seen.servers().any(|it| it == server);
        Ok(match seen.status.as_str() {
            "attaching" | "detaching" | "reserved" => running(),
            // Nova and Cinder have to agree.
            _ if attached == wanted && noted == wanted => done(),
            _ if attached != noted => running(),
            _ if seen.has_failed() => Observation::Failed {
                error: failed(format!("it is in state `{}`", seen.status)).on(volume.clone()),
                left: Vec::new(),
            },
            _ if self.ticket.is_some() => Observation::Failed {
                error: failed("Nova began it, and gave it up".to_owned())
                    .on(instance.clone())
                    .advise("A guest that is up may not let go of a disk: power it off first"),
                left: Vec::new(),
            },
            _ => Observation::Absent,
        })
    }
}

/// Names of disks are kept as Nova's device tags.
pub(super) fn check_tag(disk: &str) -> Result<()> {
    if !disk.is_empty() && disk.chars().count() <= LONGEST && !disk.contains(['/', ',']) {
        return Ok(());
    }
    let shown: String = disk.chars().take(64).collect();
    let what = format!("`{}` cannot name a disk", shown.escape_debug());
    Err(Error::new(ErrorKind::Invalid, what)
        .advise("Use 1 to 60 characters other than `/` and `,`"))
}
