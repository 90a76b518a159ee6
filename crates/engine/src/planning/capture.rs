//! The control plane itself, as an executor captures it and forgets it again.

use stillpoint_core::{
    ConsistencyRecord, JobId, Memory, Result, Snapshot, SnapshotId, SnapshotState,
};
use stillpoint_restore::{Phase, Plan, Step};

use super::delete::pinned;
use super::{MOVING, Planner, build};
use crate::action::Action;
use crate::executor::{CustomWork, ManagerWork};
use crate::instant::Instant;
use crate::plan::{Change, Claim, Effect, JobPlan};
use crate::request::Request;
use crate::schedules::manager;
use crate::store::encode_value;

impl Planner<'_> {
    /// One step, which is discarded again where it cannot be finished.
    pub(crate) async fn capture(
        &self,
        request: Request,
        executor: &str,
        name: &str,
        schedule: Option<&str>,
    ) -> Result<JobPlan> {
        self.workshop.check_manager(executor)?;
        let source = manager(executor)?;
        let capture = ManagerWork::Capture {
            name: name.to_owned(),
        };
        let discard = ManagerWork::Discard {
            captured: serde_json::Value::Null,
        };
        let mut does = action(executor, &capture)?;
        if let Action::Custom { body, bytes, .. } = &mut does {
            let work = CustomWork {
                body: body.clone(),
                inputs: Vec::new(),
                output: None,
            };
            *bytes = self.workshop.size(executor, &work).await;
        }
        let step = Step::new("capture", does)
            .title(format!("capture the manager by `{executor}`"))
            .phase(Phase::Applying)
            .deadline(MOVING)
            .undo(action(executor, &discard)?);
        let entry = Snapshot {
            id: SnapshotId::new(self.now, [0; 10]),
            source: source.clone(),
            name: name.to_owned(),
            description: String::new(),
            labels: Default::default(),
            state: SnapshotState::Creating,
            parts: Vec::new(),
            omitted: Vec::new(),
            consistency: ConsistencyRecord::default(),
            memory: Memory::No,
            created_at: self.now,
            taken_at: None,
            verified: None,
            pins: std::collections::BTreeSet::new(),
            schedule: schedule.map(str::to_owned),
            expires_at: None,
            exports: Vec::new(),
            job: JobId::new(self.now, [0; 10]),
        };
        Ok(JobPlan {
            request,
            made_at: self.now,
            targets: Vec::new(),
            blocked_by: Vec::new(),
            changes: vec![Change::Create(format!("snapshot `{name}` of the manager"))],
            omitted: Vec::new(),
            claims: vec![Claim::Read(source)],
            effect: Effect::Take {
                entry: Box::new(entry),
                instant: Instant::One,
                steps: vec!["capture".into()],
                proof: None,
            },
            steps: build(Plan::builder().step(step), &[])?,
        })
    }

    /// Has an executor delete what it captured.
    pub(crate) fn discard_captured(
        &self,
        request: Request,
        snapshot: &Snapshot,
        captured: serde_json::Value,
    ) -> Result<JobPlan> {
        let mut blocked = pinned(snapshot);
        if snapshot.state != SnapshotState::Taken {
            blocked.push(format!(
                "a job is still working on snapshot {}",
                snapshot.id
            ));
        }
        let executor = snapshot.source.provider();
        let discard = action(executor, &ManagerWork::Discard { captured })?;
        let step = Step::new("discard", discard)
            .title(format!("discard what `{executor}` captured"))
            .phase(Phase::CuttingOver)
            .deadline(MOVING)
            .pivot();
        Ok(JobPlan {
            request,
            made_at: self.now,
            targets: Vec::new(),
            changes: vec![Change::Delete(format!(
                "`{}` of the manager",
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

fn action(executor: &str, work: &ManagerWork) -> Result<Action> {
    Ok(Action::Custom {
        executor: executor.to_owned(),
        body: encode_value(work)?,
        inputs: Vec::new(),
        bytes: 0,
    })
}
