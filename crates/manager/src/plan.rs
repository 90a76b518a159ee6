//! From a wish to a plan: looks at the manager and at the archive, changes nothing of them.

use jiff::{SignedDuration, Timestamp};
use stillpoint_core::{
    ByteSize, Error, ErrorKind, Omission, OmissionReason, ResourceKind, ResourceRef, Result,
};
use stillpoint_engine::{Action, Change, Claim, CustomRequest, JobPlan};
use stillpoint_restore::{Bracket, Phase, Plan, PlanBuilder, Retry, Step};

use std::sync::Arc;

use crate::manager::Inner;
use crate::preflight::{Seen, preflight};
use crate::request::{NAME, RestoreManager, SettleManager};
use crate::work::place::kept_key;
use crate::work::settle::{Turn, out_of_turn};
use crate::work::{Kept, Work, token};

/// How long a step that moves bytes may take in all.
const MOVING: SignedDuration = SignedDuration::from_hours(24);

/// What a plan is made from.
pub(crate) struct Planner<'a> {
    pub(crate) inner: &'a Arc<Inner>,
    pub(crate) request: &'a CustomRequest,
    pub(crate) now: Timestamp,
}

impl Planner<'_> {
    pub(crate) async fn restore(&self, wish: &RestoreManager) -> Result<JobPlan> {
        let seen = preflight(self.inner, wish, self.now).await?;
        let left_out = seen.metadata.left_out.iter();
        let omitted = left_out
            .map(|it| Omission {
                what: format!("{}: {}", it.what, it.why),
                reason: OmissionReason::NotSelected,
            })
            .collect();
        let before = self.inner.size_soon().await;
        let changes = seen
            .chosen
            .iter()
            .map(|it| Change::Overwrite(format!("component {it} with {}", wish.archive)))
            .collect();
        Ok(JobPlan {
            changes,
            omitted,
            claims: vec![Claim::Change(own()?)],
            ..self.plan(self.restore_steps(wish, &seen, before), seen.blocked)?
        })
    }

    /// The steps, where what is there before has so many bytes.
    fn restore_steps(
        &self,
        wish: &RestoreManager,
        seen: &Seen,
        before: u64,
    ) -> PlanBuilder<Action> {
        let (archive, bound) = (&wish.archive, seen.bound);
        let fetch = Work::Fetch {
            archive: archive.clone(),
            bound,
        };
        let verify = Work::Verify {
            archive: archive.clone(),
            bound,
        };
        let check = Work::Check {
            restore: Box::new(wish.clone()),
        };
        let mut plan = Plan::builder()
            .step(
                step("fetch", &fetch, seen.size)
                    .title(format!("fetch {archive} ({})", ByteSize(seen.size)))
                    .phase(Phase::Fetching)
                    .undo(Work::Tidy { all: true }.action(0)),
            )
            .step(
                step("verify", &verify, seen.size)
                    .title("read all of it")
                    .phase(Phase::Verifying)
                    .needs("fetch")
                    .harmless(),
            )
            .step(
                step("check", &check, 0)
                    .title("look again, with all locked, at what stands in the way")
                    .phase(Phase::Planning)
                    .retry(Retry::ONCE)
                    .needs("verify")
                    .harmless(),
            );
        // The job's token is not known before it starts: every restore has one name for it.
        let safety = format!("before-restore-{}", self.now.strftime("%Y%m%d-%H%M%S-%6f"));
        let safeguard = Work::Safeguard {
            name: safety.clone(),
        };
        plan = plan.step(
            step("safeguard", &safeguard, before)
                .title(format!("capture what is there as `{safety}`"))
                .phase(Phase::Safeguarding)
                .needs("check")
                .undo(
                    Work::Unsafeguard {
                        name: safety.clone(),
                    }
                    .action(0),
                ),
        );
        let swap = Work::CutOver {
            components: seen.chosen.clone(),
            safety,
        };
        let mut cut_over = step("cut-over", &swap, 0)
            .title(format!("put {} in place", seen.chosen.join(", ")))
            .phase(Phase::CuttingOver)
            .pivot();
        let mut inside = vec!["check".to_owned(), "safeguard".into(), "cut-over".into()];
        let mut before = "safeguard".to_owned();
        for component in &seen.chosen {
            let name = format!("stage/{component}");
            let stage = Work::Stage {
                archive: archive.clone(),
                bound,
                component: component.clone(),
                tenants: wish.tenants.clone(),
            };
            let unstage = Work::Unstage {
                component: component.clone(),
            };
            let size = seen.sizes.get(component).copied().unwrap_or_default();
            plan = plan.step(
                step(&name, &stage, size)
                    .title(format!("make {component} ready beside what is there"))
                    .phase(Phase::Staging)
                    .needs(before)
                    .undo(unstage.action(0)),
            );
            cut_over = cut_over.needs(name.clone());
            inside.push(name.clone());
            before = name;
        }
        plan = plan.step(cut_over);
        for (verb, phase, title) in [
            ("reconnect", Phase::Reconnecting, "let others find"),
            ("validate", Phase::Validating, "check"),
        ] {
            for component in &seen.chosen {
                let name = format!("{verb}/{component}");
                let component = component.clone();
                let title = format!("{title} {component}");
                let work = match verb {
                    "reconnect" => Work::Reconnect { component },
                    _ => Work::Validate { component },
                };
                let item = step(&name, &work, 0).title(title).phase(phase);
                // One that fails is no reason not to try the next: each comes after the cut-over.
                plan = plan.step(item.needs("cut-over").harmless().item());
                inside.push(name);
            }
        }
        let account = Work::Account {
            components: seen.chosen.clone(),
        };
        plan = plan
            .step(
                step("account", &account, 0)
                    .title("account for what had no place")
                    .phase(Phase::Validating)
                    .retry(Retry::ONCE)
                    .needs("cut-over")
                    .harmless()
                    .item(),
            )
            .step(
                step("tidy", &Work::Tidy { all: false }, 0)
                    .title("remove what was fetched")
                    .phase(Phase::Unlocking)
                    .needs("cut-over")
                    .after("lock/0")
                    .harmless()
                    .optional(),
            );
        inside.push("account".into());
        self.locked(plan, &inside)
    }

    pub(crate) async fn settle(&self, wish: &SettleManager) -> Result<JobPlan> {
        let restore = token(&wish.restore.to_string());
        let found = self.inner.state.get(&kept_key(&restore)).await?;
        let entry = found.ok_or_else(|| {
            let message = format!("restore {} has kept nothing", wish.restore);
            Error::new(ErrorKind::NotFound, message)
                .advise("It did not come to its cut-over, or was settled before")
        })?;
        let kept: Kept = serde_json::from_slice(&entry.value).map_err(|source| {
            let message = format!("what restore {} has kept cannot be read", wish.restore);
            Error::new(ErrorKind::Corrupt, message)
                .advise("Put back a copy of the state")
                .because(source)
        })?;
        let components = kept.components.join(", ");
        let forget = step("forget", &Work::Forget { kept: kept.clone() }, 0)
            .title("remove what is not in place")
            .phase(Phase::Unlocking);
        let claims = vec![Claim::Change(own()?)];
        let turn = if wish.undo { Turn::Undo } else { Turn::Accept };
        let blocked = out_of_turn(self.inner, &restore, turn).await?;
        let blocked = blocked.into_iter().collect();
        if !wish.undo {
            let plan = Plan::builder().step(forget.pivot());
            return Ok(JobPlan {
                changes: vec![Change::Delete(format!("what {components} were before"))],
                claims,
                ..self.plan(plan, blocked)?
            });
        }
        let mut plan = Plan::builder().step(
            step("cut-back", &Work::CutBack { kept: kept.clone() }, 0)
                .title(format!("put the old {components} in place again"))
                .phase(Phase::CuttingOver)
                .pivot(),
        );
        let mut inside = vec!["cut-back".to_owned()];
        let mut forget = forget.needs("cut-back");
        for component in &kept.components {
            let name = format!("fail-back/{component}");
            let work = Work::FailBack {
                kept: kept.clone(),
                component: component.clone(),
            };
            let item = step(&name, &work, 0)
                .title(format!("let others find {component} again"))
                .phase(Phase::Reconnecting);
            plan = plan.step(item.needs("cut-back").harmless().item());
            // Whom they have to find stands in what is removed then.
            forget = forget.needs(name.clone());
            inside.push(name);
        }
        Ok(JobPlan {
            changes: vec![Change::Overwrite(format!(
                "{components} with what they were before"
            ))],
            claims,
            ..self.plan(self.locked(plan.step(forget), &inside), blocked)?
        })
    }

    /// A bracket for each level of components: the first is the outermost.
    fn locked(&self, plan: PlanBuilder<Action>, inside: &[String]) -> PlanBuilder<Action> {
        let levels = 0..self.inner.levels.len();
        levels.fold(plan, |plan, level| {
            let (lock, unlock) = (Work::Lock { level }, Work::Unlock { level });
            let names: Vec<&str> = self.inner.levels[level]
                .iter()
                .map(|at| &*self.inner.components[*at].name)
                .collect();
            let bracket = Bracket::new(format!("lock/{level}"), lock.action(0), unlock.action(0))
                .title(format!("lock {}", names.join(", ")));
            plan.bracket(
                inside
                    .iter()
                    .fold(bracket, |it, step| it.covers(step.as_str())),
            )
        })
    }

    fn plan(&self, steps: PlanBuilder<Action>, blocked: Vec<String>) -> Result<JobPlan> {
        JobPlan::custom(self.request, self.now, steps, blocked)
    }
}

fn step(name: &str, work: &Work, bytes: u64) -> Step<Action> {
    Step::new(name, work.action(bytes)).deadline(MOVING)
}

/// The manager itself, as the engine's captures claim it.
fn own() -> Result<ResourceRef> {
    ResourceRef::new(NAME, ResourceKind::Instance, "self")
}
