//! Schedules: when, in which zone, within which bounds, and under which policies.

mod bounds;
mod form;
mod when;

use std::num::NonZeroU32;

use jiff::{
    SignedDuration, Timestamp,
    civil::{Date, DateTime, Time, Weekday},
};
use serde::{Deserialize, Serialize};

use self::{bounds::Bounds, form::Form};
pub use self::{
    bounds::{Blackout, Pause},
    when::{DaysOfWeek, MonthDay, When},
};
use crate::{
    cron::Cron,
    daylight::DaylightSaving,
    evaluate::{Evaluator, SearchError},
    policy::{Admission, Jitter, Missed, Overlap},
    run::{HistoryChanged, Run},
    zone::{Zone, ZoneError},
};

/// When something runs: once, on days of the week or of the month, or by a cron expression; in a
/// time zone; within bounds; and what to do when runs are missed, overlap, or come all at once.
///
/// ```
/// use jiff::civil::{Weekday, date, time};
/// use stillpoint_schedule::{Schedule, policy::Missed};
///
/// let schedule = Schedule::weekly([Weekday::Tuesday, Weekday::Friday], time(2, 30, 0, 0))?
///     .tz("Europe/Berlin")?
///     .blackout(date(2026, 12, 24), date(2026, 12, 31))?
///     .on_missed(Missed::Latest);
/// let next = schedule.next_after("2026-12-22T12:00:00Z".parse()?)?.unwrap();
/// assert_eq!(next.wall, date(2027, 1, 1).at(2, 30, 0, 0));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # As JSON
///
/// The form is stable: what is stored today is read by later releases. Only `when` has to be there;
/// what is left out has its default, and what is not known is refused.
///
/// ```
/// # use stillpoint_schedule::Schedule;
/// let text = r#"{
///   "when": {"cron": "0 2 * * *"},
///   "zone": "Europe/Berlin",
///   "daylight_saving": "by_hour",
///   "from": "2026-01-01T00:00:00Z",
///   "until": "2027-01-01T00:00:00Z",
///   "blackouts": [{"first": "2026-12-24", "last": "2026-12-26"}],
///   "pause": {"until": "2026-02-01T00:00:00Z"},
///   "missed": {"within": {"window": "PT6H"}},
///   "grace": "PT5M",
///   "overlap": "queue",
///   "limit": 4,
///   "jitter": {"per_resource": {"at_most": "PT10M"}}
/// }"#;
/// let schedule: Schedule = serde_json::from_str(text)?;
/// let again: Schedule = serde_json::from_str(&serde_json::to_string(&schedule)?)?;
/// assert_eq!(again, schedule);
/// for when in [
///     r#"{"when": {"once": "2026-03-01T02:00:00"}}"#,
///     r#"{"when": {"weekly": {"days": ["mon", "fri"], "time": "02:00:00"}}}"#,
///     r#"{"when": {"monthly": {"day": "last", "time": "02:00:00"}}}"#,
/// ] {
///     serde_json::from_str::<Schedule>(when)?;
/// }
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Form", into = "Form")]
pub struct Schedule {
    when: When,
    zone: Zone,
    daylight_saving: DaylightSaving,
    overlap: Overlap,
    // What most schedules do not have; boxed, for a service may hold a million of them.
    bounds: Option<Box<Bounds>>,
}

/// A schedule that makes no sense.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ScheduleError {
    /// A blackout that ends before it begins.
    #[error("the blackout from {first} to {last} ends before it begins; swap the dates")]
    Blackout {
        /// Its first day.
        first: Date,
        /// Its last day.
        last: Date,
    },
    /// A day of the month that is not 1 to 31.
    #[error("{day} is no day of a month; use 1 to 31, or the last day")]
    DayOfMonth {
        /// The day.
        day: u8,
    },
    /// A duration below zero.
    #[error("a {what} of {duration:#} is below zero")]
    Negative {
        /// What it is for.
        what: &'static str,
        /// The duration.
        duration: SignedDuration,
    },
    /// A weekly schedule with no day.
    #[error("a weekly schedule needs at least one day")]
    NoDays,
    /// A policy that would do nothing.
    #[error("a limit of 0 runs nothing; pause the schedule instead")]
    NoRuns,
    /// A time with a fraction of a second.
    #[error("{time} has a fraction of a second; schedules count whole seconds")]
    Subsecond {
        /// The time.
        time: Time,
    },
    /// Bounds with nothing between them.
    #[error("nothing lies between {from} and {until}; the end must be after the start")]
    Window {
        /// The first instant.
        from: Timestamp,
        /// The instant after the last.
        until: Timestamp,
    },
    /// A time zone that is not one.
    #[error(transparent)]
    Zone(#[from] ZoneError),
}

impl From<Cron> for Schedule {
    fn from(cron: Cron) -> Self {
        Self::cron(cron)
    }
}

impl Schedule {
    /// How late a run may be found and still be on time, where nothing else is said: 5 minutes.
    pub const GRACE: SignedDuration = SignedDuration::from_mins(5);

    /// At the times of a cron expression.
    pub fn cron(cron: Cron) -> Self {
        Self::new(When::Cron(cron))
    }

    /// On a day of every month. A month that does not have the day has its last one instead, so
    /// that no month goes without.
    pub fn monthly(day: MonthDay, time: Time) -> Result<Self, ScheduleError> {
        whole_seconds(time)?;
        Ok(Self::new(When::Monthly { day, time }))
    }

    /// Once, at a time on the wall.
    pub fn once(at: DateTime) -> Result<Self, ScheduleError> {
        whole_seconds(at.time())?;
        Ok(Self::new(When::Once(at)))
    }

    /// On days of every week.
    pub fn weekly(
        days: impl IntoIterator<Item = Weekday>,
        time: Time,
    ) -> Result<Self, ScheduleError> {
        whole_seconds(time)?;
        let days: DaysOfWeek = days.into_iter().collect();
        if days.is_empty() {
            return Err(ScheduleError::NoDays);
        }
        Ok(Self::new(When::Weekly { days, time }))
    }

    fn new(when: When) -> Self {
        Self {
            when,
            zone: Zone::UTC,
            daylight_saving: DaylightSaving::default(),
            overlap: Overlap::default(),
            bounds: None,
        }
    }

    /// In the zone of that name. A zone inside a cron expression wins over it.
    pub fn tz(self, name: &str) -> Result<Self, ZoneError> {
        Zone::named(name).map(|zone| self.in_zone(zone))
    }

    /// In that zone. A zone inside a cron expression wins over it.
    pub fn in_zone(self, zone: Zone) -> Self {
        Self { zone, ..self }
    }

    /// What happens when the clock changes.
    pub fn on_clock_change(self, daylight_saving: DaylightSaving) -> Self {
        Self {
            daylight_saving,
            ..self
        }
    }

    /// What happens to runs that were missed.
    pub fn on_missed(self, missed: Missed) -> Self {
        self.bounded(|bounds| bounds.missed = missed)
    }

    /// What happens to a run while another is going.
    pub fn on_overlap(self, overlap: Overlap) -> Self {
        Self { overlap, ..self }
    }

    /// No run before `from`, none at or after `until`.
    pub fn between(
        self,
        from: Option<Timestamp>,
        until: Option<Timestamp>,
    ) -> Result<Self, ScheduleError> {
        if let (Some(from), Some(until)) = (from, until)
            && from >= until
        {
            return Err(ScheduleError::Window { from, until });
        }
        Ok(self.bounded(|bounds| (bounds.from, bounds.until) = (from, until)))
    }

    /// No run on these days, the last one included, by the wall clock of the schedule's zone.
    pub fn blackout(self, first: Date, last: Date) -> Result<Self, ScheduleError> {
        let blackout = Blackout::new(first, last)?;
        Ok(self.bounded(|bounds| bounds.blackouts.push(blackout)))
    }

    /// No run while it is paused. Runs that fall into a pause are not missed; nobody wants them.
    pub fn pause(self, pause: Pause) -> Self {
        self.bounded(|bounds| bounds.pause = Some(pause))
    }

    /// No pause any more. Tell a [`Timeline`](crate::Timeline) at once: it counts from then.
    pub fn resume(self) -> Self {
        self.bounded(|bounds| bounds.pause = None)
    }

    /// How late a run may be found and still be on time.
    pub fn with_grace(self, grace: SignedDuration) -> Result<Self, ScheduleError> {
        not_negative("grace", grace)?;
        Ok(self.bounded(|bounds| bounds.grace = Some(grace).filter(|grace| *grace != Self::GRACE)))
    }

    /// Starts are put off, so that not all resources begin at the same instant.
    pub fn with_jitter(self, jitter: Jitter) -> Result<Self, ScheduleError> {
        if let Jitter::PerResource { at_most } | Jitter::Random { at_most, .. } = jitter {
            not_negative("jitter", at_most)?;
        }
        Ok(self.bounded(|bounds| bounds.jitter = jitter))
    }

    /// At most so many runs go at once, where they may overlap at all.
    pub fn with_limit(self, limit: u32) -> Result<Self, ScheduleError> {
        let limit = NonZeroU32::new(limit).ok_or(ScheduleError::NoRuns)?;
        Ok(self.bounded(|bounds| bounds.limit = Some(limit)))
    }

    /// The times on the wall.
    pub fn when(&self) -> &When {
        &self.when
    }

    /// The zone: the expression's own, else the schedule's, else UTC.
    pub fn zone(&self) -> &Zone {
        match &self.when {
            When::Cron(cron) => cron.zone().unwrap_or(&self.zone),
            _ => &self.zone,
        }
    }

    /// How late a run may be found and still be on time.
    pub fn grace(&self) -> SignedDuration {
        self.bounds
            .as_ref()
            .and_then(|bounds| bounds.grace)
            .unwrap_or(Self::GRACE)
    }

    /// How starts are put off.
    pub fn jitter(&self) -> Jitter {
        self.bounds
            .as_ref()
            .map_or(Jitter::None, |bounds| bounds.jitter)
    }

    /// What happens to runs that were missed.
    pub fn missed(&self) -> Missed {
        self.bounds
            .as_ref()
            .map_or(Missed::Latest, |bounds| bounds.missed)
    }

    /// Whether it is paused, and until when.
    pub fn paused(&self) -> Option<Pause> {
        self.bounds.as_ref().and_then(|bounds| bounds.pause)
    }

    /// What becomes of a run that is due, given how many of this schedule are going and waiting.
    pub fn admit(&self, going: u32, waiting: u32) -> Admission {
        let limit = self.bounds.as_ref().and_then(|bounds| bounds.limit);
        self.overlap
            .admit(going, waiting, limit.map_or(u32::MAX, NonZeroU32::get))
    }

    /// The first run after an instant. `None` once there are no more: it ran once, its time is
    /// over, or it is paused until further notice.
    pub fn next_after(&self, after: Timestamp) -> Result<Option<Run>, SearchError> {
        let evaluator = self.evaluator();
        let Some(bounds) = &self.bounds else {
            return self.found(evaluator.next_after(after), after, 1);
        };
        let Some(mut after) = bounds.not_before(after) else {
            return Ok(None);
        };
        loop {
            let run = self.found(evaluator.next_after(after), after, 1)?;
            match run {
                Some(run) if bounds.over(run.at) => return Ok(None),
                Some(run) => match bounds.blackout_on(run.wall.date()) {
                    Some(blackout) => after = blackout.end(self.zone()).max(run.at),
                    None => return Ok(Some(run)),
                },
                None => return Ok(None),
            }
        }
    }

    /// The last run before an instant. `None` if there is none.
    pub fn prev_before(&self, before: Timestamp) -> Result<Option<Run>, SearchError> {
        let evaluator = self.evaluator();
        let Some(bounds) = &self.bounds else {
            return self.found(evaluator.prev_before(before), before, -1);
        };
        let Some(first) = bounds.first() else {
            return Ok(None);
        };
        let mut before = bounds.until.map_or(before, |until| until.min(before));
        loop {
            let run = self.found(evaluator.prev_before(before), before, -1)?;
            match run {
                Some(run) if run.at < first => return Ok(None),
                Some(run) => match bounds.blackout_on(run.wall.date()) {
                    Some(blackout) => before = blackout.start(self.zone()).min(run.at),
                    None => return Ok(Some(run)),
                },
                None => return Ok(None),
            }
        }
    }

    /// The runs after an instant, in order, until there are no more.
    pub fn runs_after(&self, after: Timestamp) -> impl Iterator<Item = Run> {
        let mut last = Some(after);
        std::iter::from_fn(move || {
            let run = self.next_after(last?).ok().flatten();
            last = run.map(|run| run.at);
            run
        })
    }

    /// Whether a run that was stored is still one of this schedule's, at the same instant: zones
    /// change their rules, and a release may bring new ones.
    ///
    /// Whether the run is within the schedule's bounds is not looked at.
    pub fn check(&self, run: &Run) -> Result<(), HistoryChanged> {
        let evaluator = self.evaluator();
        // A change of rules moves a run by hours; two days are more than any ever did.
        let mut from = run.at.saturating_sub(TWO_DAYS).unwrap_or(run.at);
        let until = run.at.saturating_add(TWO_DAYS).unwrap_or(run.at);
        if evaluator
            .next_after(just_before(run.at))
            .is_some_and(|found| found == *run)
        {
            return Ok(());
        }
        let mut now = None;
        while let Some(found) = evaluator.next_after(from).filter(|found| found.at <= until) {
            if found.key("") == run.key("") {
                now = Some(found.at);
                break;
            }
            from = found.at;
        }
        Err(HistoryChanged {
            zone: self.zone().clone(),
            wall: run.wall,
            recorded: run.at,
            now,
        })
    }

    fn evaluator(&self) -> Evaluator<'_, When> {
        let (gap, fold) = self
            .daylight_saving
            .resolve(self.when.hour_is_unrestricted());
        Evaluator {
            rule: &self.when,
            zone: self.zone().time_zone(),
            gap,
            fold,
        }
    }

    /// Nothing found is the end for a schedule that runs once, and an error for any other.
    fn found(
        &self,
        run: Option<Run>,
        from: Timestamp,
        direction: i32,
    ) -> Result<Option<Run>, SearchError> {
        match (run, &self.when) {
            (Some(run), _) => Ok(Some(run)),
            (None, When::Once(_)) => Ok(None),
            (None, _) => Err(SearchError::of(from, direction)),
        }
    }

    fn bounded(mut self, change: impl FnOnce(&mut Bounds)) -> Self {
        let mut bounds = self.bounds.take().unwrap_or_default();
        change(&mut bounds);
        self.bounds = (*bounds != Bounds::default()).then_some(bounds);
        self
    }
}

const TWO_DAYS: SignedDuration = SignedDuration::from_hours(48);

fn just_before(at: Timestamp) -> Timestamp {
    at.checked_sub(SignedDuration::from_nanos(1)).unwrap_or(at)
}

fn whole_seconds(time: Time) -> Result<(), ScheduleError> {
    if time.subsec_nanosecond() == 0 {
        Ok(())
    } else {
        Err(ScheduleError::Subsecond { time })
    }
}

fn not_negative(what: &'static str, duration: SignedDuration) -> Result<(), ScheduleError> {
    if duration.is_negative() {
        return Err(ScheduleError::Negative { what, duration });
    }
    Ok(())
}
