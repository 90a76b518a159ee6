use stillpoint_core::{Labels, ResourceKind, Result};
use stillpoint_iaas::OperationKind;
use stillpoint_restore::{Phase, Plan, Step};

use super::{MOVING, Planner, Restoring, build, check_free, size};
use crate::action::{Action, Ask, Source};
use crate::plan::{Change, Claim, Effect, JobPlan};

impl Planner<'_> {
    /// To an image of the boot disk, for others to launch from.
    pub(super) async fn template(&self, restoring: &Restoring<'_>, name: &str) -> Result<JobPlan> {
        let snapshot = restoring.snapshot;
        let asked = self.ask(snapshot.source.provider()).await?;
        let mut blocked = Vec::new();
        let mut parts = self.parts(&asked, restoring, &mut blocked).await?;
        if parts.len() > 1 {
            parts.retain(|part| part.boot);
        }
        asked.needs(&[OperationKind::CreateImage], &mut blocked);
        check_free(&asked, ResourceKind::Image, name, &mut blocked).await?;
        let mut plan = Plan::builder();
        let mut changes = Vec::new();
        match parts.as_slice() {
            [root] => {
                changes.push(Change::Create(format!(
                    "image `{name}` ({})",
                    size(root.size)
                )));
                let from = Source::Resource(root.snapshot.clone());
                let create = Ask::CreateImage {
                    name: name.to_owned(),
                    labels: Labels::new(),
                    from: from.clone(),
                };
                let image = asked
                    .makes("image", create, root.size)
                    .title(format!("make image `{name}`"));
                plan = plan.step(image.phase(Phase::Applying));
                if asked.bytes() {
                    let compare = Action::Compare {
                        provider: asked.name.to_owned(),
                        made: Source::output_of("image", 0),
                        from,
                        digest: root.digest,
                        bytes: root.size,
                    };
                    let compare = Step::new("validate", compare)
                        .title("compare the image with the snapshot")
                        .phase(Phase::Validating)
                        .deadline(MOVING)
                        .needs("image")
                        .harmless();
                    plan = plan.step(compare);
                }
            }
            _ => blocked
                .push("the snapshot has no boot disk to make a template of; name one disk".into()),
        }
        Ok(JobPlan {
            request: restoring.request.clone(),
            made_at: self.now,
            targets: Vec::new(),
            changes,
            omitted: snapshot.omitted.clone(),
            claims: vec![Claim::Keep(snapshot.id)],
            effect: Effect::None,
            steps: build(plan, &blocked)?,
            blocked_by: blocked,
        })
    }
}
