use stillpoint_core::{JobId, ResourceKind, Result, Snapshot, SnapshotState};
use stillpoint_iaas::OperationKind;
use stillpoint_restore::{Phase, Plan, Step};

use super::{Planner, build, size};
use crate::action::Action;
use crate::plan::{Change, Claim, Effect, JobPlan};
use crate::request::Request;

impl Planner<'_> {
    /// Deletes every part of a snapshot; `releases` is the restore that held it as its way back.
    ///
    /// The first delete is the point of no return: a part that is gone cannot be brought back.
    pub(crate) async fn delete(
        &self,
        request: Request,
        snapshot: &Snapshot,
        releases: Option<JobId>,
    ) -> Result<JobPlan> {
        if snapshot.state == SnapshotState::Archived {
            return self.forget(request, snapshot);
        }
        let asked = self.ask(snapshot.source.provider()).await?;
        let mut blocked = pinned(snapshot);
        if matches!(
            snapshot.state,
            SnapshotState::Creating | SnapshotState::Deleting
        ) {
            blocked.push(format!(
                "a job is still working on snapshot {}",
                snapshot.id
            ));
        }
        let mut plan = Plan::builder();
        for (number, part) in snapshot.parts.iter().enumerate() {
            let gone = part.snapshot.clone();
            let operation = match gone.kind() {
                ResourceKind::Image => OperationKind::DeleteImage,
                _ => OperationKind::DeleteSnapshot,
            };
            asked.needs(&[operation], &mut blocked);
            let step = asked
                .deletes(format!("delete/{number}"), gone)
                .title(format!("delete `{}`", part.disk))
                .phase(Phase::CuttingOver);
            plan = plan.step(if number == 0 {
                step.pivot()
            } else {
                step.needs("delete/0").item()
            });
        }
        let mine = match releases {
            // Held by the restore whose safety snapshot it is; this job acts for it.
            Some(job) => Claim::Settle(job),
            None => Claim::Delete(snapshot.id),
        };
        let bytes = snapshot.parts.iter().map(|part| part.size).sum();
        Ok(JobPlan {
            request,
            made_at: self.now,
            targets: Vec::new(),
            changes: vec![Change::Delete(format!(
                "`{}` of {} ({})",
                snapshot.name,
                snapshot.source,
                size(bytes)
            ))],
            omitted: Vec::new(),
            claims: vec![mine],
            effect: Effect::Delete {
                snapshot: snapshot.id,
                was: snapshot.state,
                releases,
            },
            steps: build(plan, &blocked)?,
            blocked_by: blocked,
        })
    }

    /// Takes a snapshot that only archives hold off the list: its provider has nothing of it, and
    /// may not be there at all.
    fn forget(&self, request: Request, snapshot: &Snapshot) -> Result<JobPlan> {
        let blocked = pinned(snapshot);
        let nothing = Action::Delete {
            provider: snapshot.source.provider().to_owned(),
            resources: Vec::new(),
        };
        let step = Step::new("forget", nothing)
            .title(format!("take `{}` off the list", snapshot.name))
            .phase(Phase::CuttingOver)
            .pivot();
        Ok(JobPlan {
            request,
            made_at: self.now,
            targets: Vec::new(),
            changes: vec![Change::Delete(format!(
                "`{}` from the list; its archives stay",
                snapshot.name
            ))],
            omitted: Vec::new(),
            claims: vec![Claim::Delete(snapshot.id)],
            effect: Effect::Delete {
                snapshot: snapshot.id,
                was: snapshot.state,
                releases: None,
            },
            steps: build(Plan::builder().step(step), &blocked)?,
            blocked_by: blocked,
        })
    }
}

pub(super) fn pinned(snapshot: &Snapshot) -> Vec<String> {
    let because = |pin| format!("snapshot {} is pinned ({pin}): unpin it first", snapshot.id);
    snapshot.pins.iter().map(because).collect()
}
