use serde_json::json;
use stillpoint_core::{Error, ResourceKind, ResourceRef, Result};
use stillpoint_iaas::{Observation, Ticket};

use super::Ask;
use crate::api::nova::Server;
use crate::cloud::{done, found, running};
use crate::leases::busy;
use crate::made::failed;

impl Ask<'_> {
    pub(super) async fn power(self, instance: &ResourceRef, on: bool) -> Result<Ticket> {
        let about = |error: Error| error.on(instance.clone());
        let id = self.cloud.id(instance, ResourceKind::Instance)?;
        let session = &self.cloud.session;
        let seen = session.server(id).await.map_err(about)?;
        if is_so(&seen, on) {
            return Ok(self.ticket(id));
        }
        if let Some(task) = &seen.task {
            return Err(about(busy(&format!("it is in task `{task}`"))));
        }
        let action = match (on, seen.status.as_str()) {
            (true, "PAUSED") => "unpause",
            (true, "SUSPENDED") => "resume",
            (true, _) => "os-start",
            (false, _) => "os-stop",
        };
        session
            .act_with(id, json!({ action: null }))
            .await
            .map_err(about)?;
        Ok(self.ticket(id))
    }

    /// The instance's power is the answer, whoever switched it.
    pub(super) async fn observe_power(
        self,
        instance: &ResourceRef,
        on: bool,
    ) -> Result<Observation> {
        let id = self.cloud.id(instance, ResourceKind::Instance)?;
        let Some(seen) = found(self.cloud.session.server(id).await)? else {
            return Ok(Observation::Absent);
        };
        Ok(if is_so(&seen, on) {
            done()
        } else if seen.task.is_some() {
            running()
        } else if self.ticket.is_some() {
            let what = format!("Nova left it in state `{}`: {}", seen.status, seen.why());
            Observation::Failed {
                error: failed(what).on(instance.clone()),
                left: Vec::new(),
            }
        } else {
            Observation::Absent
        })
    }
}

fn is_so(server: &Server, on: bool) -> bool {
    if on {
        server.status == "ACTIVE" && server.task.is_none()
    } else {
        server.is_off()
    }
}
