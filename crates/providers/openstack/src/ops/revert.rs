use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use stillpoint_core::{Error, ErrorKind, ResourceKind, ResourceRef, Result, World};
use stillpoint_iaas::{Observation, Ticket};

use super::{Ask, root_of};
use crate::api::cinder::REVERT;
use crate::api::nova::Server;
use crate::cloud::{done, found, running, time};
use crate::config::Service;
use crate::failure::PASSING;
use crate::leases::busy;
use crate::made::failed;
use crate::marks;

impl Ask<'_> {
    pub(super) async fn revert(self, volume: &ResourceRef, to: &ResourceRef) -> Result<Ticket> {
        let on = |error: Error| error.on(volume.clone());
        if let Some(server) = root_of(volume) {
            return self.rebuild(server, to).await.map_err(on);
        }
        let id = self.cloud.id(volume, ResourceKind::Volume)?;
        let snapshot = self.cloud.id(to, ResourceKind::Snapshot)?;
        let session = &self.cloud.session;
        if !session.speaks(Service::Volume, REVERT).await? {
            let what = "this cloud's Cinder is older than reverting (3.40)";
            return Err(on(
                Error::new(ErrorKind::Unsupported, what).advise("Restore to new")
            ));
        }
        let seen = session.volume(id).await.map_err(on)?;
        if let Some(server) = seen.servers().next() {
            let what = format!("instance {server} has it, and Cinder reverts only what is free");
            return Err(on(Error::new(ErrorKind::Precondition, what)
                .advise("Detach it first, or restore to new")));
        }
        check_available(&seen.status, "it").map_err(on)?;
        let all = session.snapshots_of(id).await.map_err(on)?;
        match all.last() {
            // Cinder looks at the volume first, and leaves it in `reverting` if the snapshot is not.
            Some(latest) if latest.id == snapshot => {
                check_available(&latest.status, "its snapshot").map_err(on)?;
            }
            Some(latest) if all.iter().any(|one| one.id == snapshot) => {
                let what = format!("{to} is not its latest snapshot, that is {}", latest.id);
                return Err(on(Error::new(ErrorKind::Precondition, what).advise(
                    "Cinder reverts to the latest alone: delete the later ones, or restore to new",
                )));
            }
            _ => {
                let what = format!("{to} is not a snapshot of it");
                return Err(on(
                    Error::new(ErrorKind::NotFound, what).advise("List its snapshots")
                ));
            }
        }
        let _lease = self.cloud.leases.read(snapshot).map_err(on)?;
        session.revert(id, snapshot).await.map_err(on)?;
        let mark = BTreeMap::from([(marks::REVERTED.to_owned(), self.key.to_string())]);
        // Without the mark a restarted client does it again, which gives the same bytes.
        if let Err(error) = session.add_metadata("volumes", id, &mark).await {
            tracing::warn!(volume = id, %error, "a revert could not be marked");
        }
        Ok(self.ticket(id))
    }

    pub(super) async fn observe_revert(
        self,
        volume: &ResourceRef,
        to: &ResourceRef,
    ) -> Result<Observation> {
        if let Some(server) = root_of(volume) {
            return self.observe_rebuild(server).await;
        }
        let id = self.cloud.id(volume, ResourceKind::Volume)?;
        let Some(seen) = found(self.cloud.session.volume(id).await)? else {
            return Ok(Observation::Absent);
        };
        let marked = seen
            .metadata
            .get(marks::REVERTED)
            .is_some_and(|it| it == self.key.as_str());
        Ok(match seen.status.as_str() {
            "reverting" => running(),
            _ if seen.has_failed() => Observation::Failed {
                error: failed(format!(
                    "reverting to {to} left it in state `{}`",
                    seen.status
                ))
                .on(volume.clone())
                .leaving(World::Unknown),
                left: Vec::new(),
            },
            _ if marked || self.ticket.is_some() => done(),
            _ => Observation::Absent,
        })
    }

    /// The root disk of an instance comes back by a rebuild, which keeps its ports and volumes.
    async fn rebuild(&self, server: &str, to: &ResourceRef) -> Result<Ticket> {
        let image = self.cloud.id(to, ResourceKind::Image)?;
        let session = &self.cloud.session;
        let seen = session.server(server).await?;
        if let Some(task) = &seen.task {
            return Err(busy(&format!("its instance is in task `{task}`")));
        }
        if !seen.is_off() {
            let what = "its instance runs";
            return Err(Error::new(ErrorKind::Precondition, what).advise("Power it off before"));
        }
        // The mark comes with the call, so that neither is there without the other.
        let mut metadata = seen.metadata.clone();
        metadata.insert(marks::REVERTED.to_owned(), self.key.to_string());
        session
            .act_with(
                server,
                json!({ "rebuild": { "imageRef": image, "metadata": metadata } }),
            )
            .await?;
        Ok(self.ticket(server))
    }

    async fn observe_rebuild(&self, server: &str) -> Result<Observation> {
        let Some(seen) = found(self.cloud.session.server(server).await)? else {
            return Ok(Observation::Absent);
        };
        let marked = seen
            .metadata
            .get(marks::REVERTED)
            .is_some_and(|it| it == self.key.as_str());
        Ok(match (marked, seen.task.is_some()) {
            (false, _) => Observation::Absent,
            (true, true) => running(),
            (true, false) if seen.has_failed() => Observation::Failed {
                error: failed(format!("rebuilding it failed: {}", seen.why()))
                    .leaving(World::Unknown),
                left: Vec::new(),
            },
            (true, false) if seen.status == "REBUILD" => running(),
            // Nova starts what it rebuilt, and only then stops it as it was.
            (true, false) if !seen.is_off() && changed_lately(&seen) => running(),
            (true, false) => done(),
        })
    }
}

/// Refuses what is in another state than Cinder reverts from, and to.
fn check_available(status: &str, what: &str) -> Result<()> {
    let why = format!("{what} is in state `{status}`, and not available");
    match status {
        "available" => Ok(()),
        passing if PASSING.contains(&passing) => Err(busy(&why)),
        _ => Err(Error::new(ErrorKind::Precondition, why).advise("Restore to new")),
    }
}

/// Whether Nova may not be done with it, though it says so. Later somebody else has started it.
fn changed_lately(server: &Server) -> bool {
    let at = time(server.updated.as_deref());
    at.is_some_and(|at| Timestamp::now().duration_since(at) < SignedDuration::from_mins(1))
}
