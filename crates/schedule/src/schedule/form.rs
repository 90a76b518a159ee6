//! The stable form of a schedule, and the checks on the way in.

use std::num::NonZeroU32;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{
    daylight::DaylightSaving,
    policy::{Jitter, Missed, Overlap},
    schedule::{Blackout, Pause, Schedule, ScheduleError, When},
    zone::Zone,
};

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Form {
    when: When,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    zone: Option<Zone>,
    #[serde(default, skip_serializing_if = "is_default")]
    daylight_saving: DaylightSaving,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    from: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    until: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    blackouts: Vec<Blackout>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pause: Option<Pause>,
    #[serde(default, skip_serializing_if = "is_default")]
    missed: Missed,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    grace: Option<SignedDuration>,
    #[serde(default, skip_serializing_if = "is_default")]
    overlap: Overlap,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    limit: Option<u32>,
    #[serde(default, skip_serializing_if = "is_default")]
    jitter: Jitter,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl From<Schedule> for Form {
    fn from(schedule: Schedule) -> Self {
        let bounds = schedule.bounds.unwrap_or_default();
        Self {
            when: schedule.when,
            zone: (schedule.zone != Zone::UTC).then_some(schedule.zone),
            daylight_saving: schedule.daylight_saving,
            from: bounds.from,
            until: bounds.until,
            blackouts: bounds.blackouts,
            pause: bounds.pause,
            missed: bounds.missed,
            grace: bounds.grace,
            overlap: schedule.overlap,
            limit: bounds.limit.map(NonZeroU32::get),
            jitter: bounds.jitter,
        }
    }
}

impl TryFrom<Form> for Schedule {
    type Error = ScheduleError;

    fn try_from(form: Form) -> Result<Self, ScheduleError> {
        let mut schedule = match form.when {
            When::Cron(cron) => Self::cron(cron),
            When::Monthly { day, time } => Self::monthly(day, time)?,
            When::Once(at) => Self::once(at)?,
            When::Weekly { days, time } => Self::weekly(days.iter(), time)?,
        }
        .in_zone(form.zone.unwrap_or(Zone::UTC))
        .on_clock_change(form.daylight_saving)
        .on_missed(form.missed)
        .on_overlap(form.overlap)
        .between(form.from, form.until)?
        .with_jitter(form.jitter)?;
        for Blackout { first, last } in form.blackouts {
            schedule = schedule.blackout(first, last)?;
        }
        if let Some(pause) = form.pause {
            schedule = schedule.pause(pause);
        }
        if let Some(grace) = form.grace {
            schedule = schedule.with_grace(grace)?;
        }
        if let Some(limit) = form.limit {
            schedule = schedule.with_limit(limit)?;
        }
        Ok(schedule)
    }
}
