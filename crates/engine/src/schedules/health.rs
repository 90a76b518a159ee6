//! How schedules are, worked out when somebody asks: alarms are levels, and none is stored.

use std::collections::BTreeMap;
use std::fmt;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use stillpoint_core::{ErrorKind, ErrorReport, ResourceRef, Result, Snapshot, SnapshotState};
use stillpoint_schedule::Run;
use stillpoint_schedule::policy::MissedRuns;
use stillpoint_schedule::schedule::Pause;
use stillpoint_state::catalogue::Query;

use super::ledger::{At, LastRun, Progress, Stored};
use super::run::RunState;
use crate::engine::Engine;

/// How all schedules are at an instant.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Health {
    /// That instant.
    pub at: Timestamp,
    /// Every schedule, by name.
    pub schedules: Vec<ScheduleHealth>,
}

/// How a schedule is.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct ScheduleHealth {
    /// Its name.
    pub name: String,
    /// Whether an operator paused it.
    pub paused: Option<Pause>,
    /// Its next run.
    pub next: Option<Run>,
    /// How its last run ended.
    pub last: Option<LastRun>,
    /// What it selects now, and how good the last snapshot of each is.
    pub sources: Vec<SourceHealth>,
    /// Everything that is wrong now. What is no longer wrong is no longer here.
    pub alarms: Vec<Alarm>,
}

/// What there is of a resource.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct SourceHealth {
    /// The resource.
    pub source: ResourceRef,
    /// The point in time of the last snapshot that this schedule took.
    pub taken_at: Option<Timestamp>,
    /// The point in time of the last one of them that is verified.
    pub verified_at: Option<Timestamp>,
}

/// Something that is wrong now.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Alarm {
    /// The last run broke off: a bug, or a ledger that cannot be read.
    Broken {
        /// The run.
        run: Run,
        /// What it broke off with.
        error: ErrorReport,
    },
    /// The last run could not take everything: the cloud's doing, or the request's.
    Failing {
        /// The run.
        run: Run,
        /// How many resources it could not take.
        failed: usize,
        /// Providers that could not say what they have.
        unreachable: Vec<ErrorReport>,
    },
    /// Runs were missed, we were down, and no good one has come since.
    Missed(MissedRuns),
    /// A run is due and nothing fires it: no engine runs, or it cannot reach the state.
    Overdue {
        /// The run.
        run: Run,
    },
    /// Nothing is selected, so nothing is taken.
    SelectsNothing,
    /// The last good snapshot of a resource is too old, or there never was one. Good is verified,
    /// where that is asked for and can be done.
    Stale {
        /// The resource.
        source: ResourceRef,
        /// The point in time of the last good one.
        last: Option<Timestamp>,
        /// How old that is; without one, for how long there has been the schedule.
        age: SignedDuration,
    },
    /// A provider cannot say what it has.
    Unreachable(ErrorReport),
}

impl Health {
    /// Whether nothing is wrong.
    pub fn is_good(&self) -> bool {
        self.schedules.iter().all(|it| it.alarms.is_empty())
    }

    /// Everything that is wrong, with the name of its schedule.
    pub fn alarms(&self) -> impl Iterator<Item = (&str, &Alarm)> {
        self.schedules
            .iter()
            .flat_map(|it| it.alarms.iter().map(|alarm| (&*it.name, alarm)))
    }
}

impl Engine {
    /// How all schedules are now.
    ///
    /// # Errors
    ///
    /// Those of the state.
    pub async fn health(&self) -> Result<Health> {
        let schedules = self.ledger().schedules().await?;
        let good = self.last_good().await?;
        let mut health = Vec::with_capacity(schedules.len());
        for stored in schedules {
            let progress = match self.ledger().progress(&stored.value.spec.name).await {
                // It was removed since the list was read.
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                progress => progress?.value,
            };
            health.push(self.health_of(&stored, progress, &good).await);
        }
        Ok(Health {
            at: self.shared().clock.now(),
            schedules: health,
        })
    }

    async fn health_of(
        &self,
        stored: &At<Stored>,
        progress: Progress,
        good: &LastGood,
    ) -> ScheduleHealth {
        let now = self.shared().clock.now();
        let Stored {
            spec,
            paused,
            created_at,
        } = &stored.value;
        let schedule = spec.effective(*paused);
        let mut alarms = Vec::new();
        alarms.extend(progress.last.as_ref().and_then(bad_end));
        alarms.extend(progress.missed.map(Alarm::Missed));
        if let Ok(Some(due)) = schedule.next_after(progress.since)
            && now.duration_since(due.at) > schedule.grace()
        {
            alarms.push(Alarm::Overdue { run: due });
        }
        let found = match spec.of.find(&self.shared().workshop.providers).await {
            Ok(found) => found,
            Err(error) => super::select::Found {
                unreachable: vec![error.to_report()],
                ..Default::default()
            },
        };
        if found.resources.is_empty() && found.unreachable.is_empty() {
            alarms.push(Alarm::SelectsNothing);
        }
        alarms.extend(found.unreachable.into_iter().map(Alarm::Unreachable));
        let mut sources = Vec::with_capacity(found.resources.len());
        for source in found.resources {
            let last = good.get(&(spec.name.clone(), source.clone()));
            let (taken_at, verified_at) = last.copied().unwrap_or_default();
            let provable = spec.manner.verify && self.can_verify(&source);
            let last = if provable { verified_at } else { taken_at };
            let age = now.duration_since(last.unwrap_or(*created_at));
            if spec.stale_after.is_some_and(|after| age > after) {
                alarms.push(Alarm::Stale {
                    source: source.clone(),
                    last,
                    age,
                });
            }
            sources.push(SourceHealth {
                source,
                taken_at,
                verified_at,
            });
        }
        ScheduleHealth {
            name: spec.name.clone(),
            paused: *paused,
            next: schedule.next_after(now).ok().flatten(),
            last: progress.last,
            sources,
            alarms,
        }
    }

    /// Whether snapshots of this can be read back.
    fn can_verify(&self, source: &ResourceRef) -> bool {
        match self.shared().workshop.providers.get(source.provider()) {
            Some(provider) => provider.bytes().is_some(),
            // A manager: its executor says what it verified.
            None => true,
        }
    }

    /// When each schedule last took each source, and last took one that is verified.
    async fn last_good(&self) -> Result<LastGood> {
        let query = Query {
            states: [SnapshotState::Taken].into(),
            ..Query::default()
        };
        let mut good = LastGood::new();
        for row in self.catalogue().list(&query).await?.rows {
            let Snapshot {
                schedule: Some(schedule),
                source,
                taken_at,
                verified,
                ..
            } = row.snapshot
            else {
                continue;
            };
            let last = good.entry((schedule, source)).or_default();
            last.0 = last.0.max(taken_at);
            if verified.is_some() {
                last.1 = last.1.max(taken_at);
            }
        }
        Ok(good)
    }
}

/// The alarm of a run that ended badly.
fn bad_end(last: &LastRun) -> Option<Alarm> {
    match &last.state {
        RunState::Broken { error, .. } => Some(Alarm::Broken {
            run: last.run,
            error: error.clone(),
        }),
        RunState::Failed {
            failed,
            unreachable,
            ..
        } => Some(Alarm::Failing {
            run: last.run,
            failed: *failed,
            unreachable: unreachable.clone(),
        }),
        _ => None,
    }
}

type LastGood = BTreeMap<(String, ResourceRef), (Option<Timestamp>, Option<Timestamp>)>;

impl fmt::Display for Alarm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Broken { run, error } => {
                write!(f, "the run of {} broke off: {}", run.at, error.message)
            }
            Self::Failing {
                run,
                failed,
                unreachable,
            } => {
                write!(f, "the run of {} could not take {failed} resources", run.at)?;
                match unreachable.len() {
                    0 => Ok(()),
                    count => write!(f, ", and {count} providers could not be asked"),
                }
            }
            Self::Missed(missed) => write!(
                f,
                "runs from {} to {} were missed: nothing ran here",
                missed.first.at, missed.last.at
            ),
            Self::Overdue { run } => write!(f, "the run of {} is due, nothing fires it", run.at),
            Self::SelectsNothing => f.write_str("it selects nothing"),
            Self::Stale {
                source,
                last: Some(last),
                ..
            } => write!(f, "the last good snapshot of {source} is of {last:.0}"),
            Self::Stale { source, .. } => write!(f, "there is no good snapshot of {source}"),
            Self::Unreachable(report) => write!(f, "it cannot be asked: {}", report.message),
        }
    }
}
