use stillpoint_core::{ErrorKind, ResourceRef, Result};
use stillpoint_iaas::ProviderExt;
use stillpoint_restore::{Phase, Plan};

use super::{Planner, bound, build};
use crate::orphans::Orphans;
use crate::plan::{Change, Claim, Effect, JobPlan};
use crate::request::Request;
use crate::work::deletion;

impl Planner<'_> {
    /// Removes what is ours and known to nobody; what is anybody else's is never touched.
    pub(crate) async fn remove(
        &self,
        request: Request,
        resource: &ResourceRef,
        orphans: &Orphans,
    ) -> Result<JobPlan> {
        let asked = self.ask(resource.provider()).await?;
        let mut blocked = Vec::new();
        if orphans.tracked.contains(resource) {
            blocked.push(format!(
                "{resource} is known: delete the snapshot that it is of, or whatever it was made for"
            ));
        } else if !orphans.untracked.iter().any(|it| it.resource == *resource) {
            blocked.push(format!("no journal of ours says that it made {resource}"));
        }
        let mut targets = Vec::new();
        match asked.provider.find(resource).await {
            Ok(found) => targets.extend(found.as_ref().map(bound)),
            // It has been seen by its key.
            Err(error) if error.kind() == ErrorKind::Unsupported => {}
            Err(error) => return Err(error),
        }
        asked.needs(&[deletion(resource.clone())?.kind()], &mut blocked);
        let step = asked
            .deletes("remove", resource.clone())
            .title(format!("remove {resource}"))
            .phase(Phase::CuttingOver)
            .pivot();
        Ok(JobPlan {
            request,
            made_at: self.now,
            targets,
            changes: vec![Change::Delete(resource.to_string())],
            omitted: Vec::new(),
            claims: vec![Claim::Change(resource.clone())],
            effect: Effect::None,
            steps: build(Plan::builder().step(step), &blocked)?,
            blocked_by: blocked,
        })
    }
}
