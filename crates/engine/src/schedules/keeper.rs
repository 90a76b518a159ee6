//! The loop that fires schedules: sleeps until something is due, makes it durable, has it worked
//! off, and enforces expiries. Between that it goes on with what others left, and forgets.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;
use stillpoint_core::{Error, ErrorKind, Result};
use stillpoint_schedule::{RunKey, Timeline};
use stillpoint_state::Revision;
use tokio::task::JoinSet;

use super::adopt;
use super::attempt::{Attempted, attempt};
use super::expiry::Expiries;
use super::fire::fire;
use super::forget::forget;
use super::ledger::{At, Stored};
use crate::caught::caught;
use crate::engine::Engine;
use crate::run::is_lasting;

/// The longest sleep: by then a clock is seen that was set meanwhile, and an engine that is gone.
const LOOK: Duration = Duration::from_secs(60);

/// How often what is over for long is forgotten.
const FORGET: Duration = Duration::from_secs(24 * 60 * 60);

/// How long to wait before a state that was away is asked again.
const SLOW: Duration = Duration::from_secs(1);

/// Fires all schedules of the state, for ever. Dropping it is as safe as a crash.
pub(crate) async fn keep(engine: Engine) {
    let mut keeper = Keeper {
        expiries: Expiries::new(engine.clone()),
        engine,
        timeline: Timeline::new(),
        known: BTreeMap::new(),
        seen: None,
        runs: JoinSet::new(),
        going: BTreeSet::new(),
        looked: None,
        forgetting: JoinSet::new(),
        forgot: None,
    };
    loop {
        if let Err(error) = keeper.turn().await {
            tracing::warn!(%error, "schedules are looked after later");
            keeper.seen = None;
            keeper.engine.shared().clock.sleep(SLOW).await;
        }
    }
}

struct Keeper {
    engine: Engine,
    timeline: Timeline,
    known: BTreeMap<String, At<Stored>>,
    /// The revision of what is known; none where that has to be read again.
    seen: Option<Revision>,
    /// The runs that are worked off here, and what became of each.
    runs: JoinSet<(RunKey, Attempted)>,
    /// Their keys, and those of runs that were given up.
    going: BTreeSet<RunKey>,
    /// When, by the time that passed here, we last looked for what others left, and last forgot.
    looked: Option<Duration>,
    forgetting: JoinSet<()>,
    forgot: Option<Duration>,
    expiries: Expiries,
}

impl Keeper {
    async fn turn(&mut self) -> Result<()> {
        if self.seen.is_none() {
            self.read().await?;
        }
        self.look_around().await?;
        let now = self.engine.shared().clock.now();
        while let Some(firing) = self.timeline.pop(now) {
            let Some(stored) = self.known.get(&*firing.schedule) else {
                continue;
            };
            match fire(self.engine.ledger(), stored, &firing.due, now).await {
                Ok(begin) => begin.into_iter().for_each(|key| self.begin(key)),
                // It must not keep the others from theirs.
                Err(error) if is_lasting(&error) => {
                    self.timeline.remove(&firing.schedule);
                    set_aside(&firing.schedule, &error);
                }
                Err(error) => {
                    // What was popped counts as settled there, and is not: forget it.
                    self.known.remove(&*firing.schedule);
                    self.timeline.remove(&firing.schedule);
                    self.seen = None;
                    if error.kind() != ErrorKind::Conflict {
                        return Err(error);
                    }
                }
            }
        }
        if self.seen.is_none() {
            return Ok(());
        }
        let expires = self.expiries.look(now).await?;
        self.wait(now, expires).await
    }

    /// Reads the schedules, and puts those that are new or other than before into the timeline.
    async fn read(&mut self) -> Result<()> {
        let (schedules, revision) = self.engine.ledger().each_schedule().await?;
        let now = self.engine.shared().clock.now();
        let readable = |stored: Result<At<Stored>>| {
            stored
                .inspect_err(|error| tracing::error!(%error, "a schedule does not fire"))
                .ok()
        };
        let schedules: Vec<_> = schedules.into_iter().filter_map(readable).collect();
        let names: BTreeSet<_> = schedules.iter().map(|it| &it.value.spec.name).collect();
        let timeline = &mut self.timeline;
        self.known.retain(|name, _| {
            let stays = names.contains(name);
            if !stays {
                timeline.remove(name);
            }
            stays
        });
        for stored in schedules {
            let name = stored.value.spec.name.clone();
            let known = self.known.get(&name);
            if known.is_some_and(|known| known.version == stored.version) {
                continue;
            }
            let since = match self.engine.ledger().progress(&name).await {
                Ok(progress) => settled(progress.value.since, now),
                // It was removed since the list was read.
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                Err(error) if is_lasting(&error) => {
                    self.timeline.remove(&name);
                    set_aside(&name, &error);
                    self.known.insert(name, stored);
                    continue;
                }
                Err(error) => return Err(error),
            };
            let schedule = stored.value.spec.effective(stored.value.paused);
            self.timeline.remove(&name);
            if let Err(error) = self.timeline.insert(&name, schedule, since) {
                tracing::warn!(schedule = name, %error, "it never fires");
            }
            self.known.insert(name, stored);
        }
        self.seen = Some(revision);
        Ok(())
    }

    /// Now and then: goes on with what a crash left, of this engine or another, and forgets.
    async fn look_around(&mut self) -> Result<()> {
        let passed = self.engine.shared().clock.passed();
        let is_time = |last: Option<Duration>, every| {
            last.is_none_or(|last| passed.saturating_sub(last) >= every)
        };
        if is_time(self.looked, LOOK) {
            match self.adopt().await {
                // What cannot be read stays so: schedules fire all the same.
                Err(error) if is_lasting(&error) => {
                    tracing::error!(%error, "what others left stays as it is");
                }
                adopted => adopted?,
            }
            self.looked = Some(passed);
        }
        while self.forgetting.try_join_next().is_some() {}
        if is_time(self.forgot, FORGET) && self.forgetting.is_empty() {
            let engine = self.engine.clone();
            self.forgetting.spawn(async move {
                let forgot = caught("forgetting", forget(&engine)).await.flatten();
                if let Err(error) = forgot {
                    tracing::warn!(%error, "what is over for long is forgotten tomorrow");
                }
            });
            self.forgot = Some(passed);
        }
        Ok(())
    }

    async fn adopt(&mut self) -> Result<()> {
        for key in adopt::runs(&self.engine, &self.going).await? {
            tracing::debug!(%key, "this run goes on here");
            self.begin(key);
        }
        adopt::jobs(&self.engine).await
    }

    fn begin(&mut self, key: RunKey) {
        if !self.going.insert(key.clone()) {
            return;
        }
        let engine = self.engine.clone();
        self.runs.spawn(async move {
            let attempted = attempt(&engine, &key).await;
            (key, attempted)
        });
    }

    fn ended(&mut self, key: &RunKey, attempted: Attempted) {
        match attempted {
            // It stays among those that are going, so that it is not begun again for ever.
            Attempted::GivenUp => {}
            Attempted::Elsewhere => {
                self.going.remove(key);
            }
            Attempted::Over(begun) => {
                self.going.remove(key);
                begun.into_iter().for_each(|key| self.begin(key));
            }
        }
    }

    async fn wait(&mut self, now: Timestamp, expires: Option<Timestamp>) -> Result<()> {
        let shared = self.engine.shared();
        let wake = [self.timeline.wake_at(), expires].into_iter().flatten();
        let left = wake.min().map_or(LOOK, |wake| {
            Duration::try_from(wake.duration_since(now)).unwrap_or_default()
        });
        let sleep = shared.clock.sleep(left.min(LOOK));
        let seen = self.seen.unwrap_or(Revision::ZERO);
        tokio::select! {
            // In this order always: who simulates it gets equal runs of equal seeds.
            biased;
            changed = self.engine.ledger().changed(seen) => {
                changed?;
                self.seen = None;
            }
            changed = self.expiries.changed() => changed?,
            Some(ended) = self.runs.join_next() => match ended {
                Ok((key, attempted)) => self.ended(&key, attempted),
                Err(error) => tracing::error!(%error, "a run was dropped on the way"),
            },
            () = sleep => {}
        }
        Ok(())
    }
}

/// Until the schedule is changed.
fn set_aside(schedule: &str, error: &Error) {
    tracing::error!(schedule, %error, "it does not fire before it is changed");
}

/// Up to when runs are settled. A clock that was far ahead when it settled them was wrong: what
/// is really to come is open again, and what was done there has its key.
fn settled(since: Timestamp, now: Timestamp) -> Timestamp {
    if since.duration_since(now) > Timeline::STEP_BACK {
        now
    } else {
        since
    }
}
