//! The next runs of any set of schedules, side by side.

use std::collections::VecDeque;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{run::Run, schedule::Schedule};

/// A schedule to look ahead for.
#[derive(Clone, Copy, Debug)]
pub struct Planned<'a> {
    /// Its name.
    pub name: &'a str,
    /// The schedule.
    pub schedule: &'a Schedule,
    /// How long its runs take, as measured; `None` if nobody knows.
    pub takes: Option<SignedDuration>,
}

/// A run that is coming.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Upcoming {
    /// The schedule's name.
    pub schedule: String,
    /// The run. Its [reason](Run::reason) says whether the clock changes.
    pub run: Run,
    /// Where it will still be going when this one is due, which one: the last before it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overlaps: Option<Overlapped>,
}

/// A run that another one overlaps.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Overlapped {
    /// The schedule's name; it may be the same schedule.
    pub schedule: String,
    /// When that run is due.
    pub at: Timestamp,
    /// How long both will be going.
    pub by: SignedDuration,
}

/// The next runs of all these schedules together, in order; at the same instant in the order given.
///
/// A run *overlaps* one that started before it, or with it, and will not be over by then, given how
/// long runs take.
///
/// ```
/// use jiff::SignedDuration;
/// use stillpoint_schedule::{Cron, Reason, Schedule, preview::{Planned, preview}};
///
/// let nightly = Schedule::cron(Cron::parse("30 2 * * * Europe/Berlin")?);
/// let hourly = Schedule::cron(Cron::parse("0 * * * *")?);
/// let takes = Some(SignedDuration::from_mins(45));
/// let planned = [
///     Planned { name: "nightly", schedule: &nightly, takes },
///     Planned { name: "hourly", schedule: &hourly, takes: None },
/// ];
/// let upcoming = preview(&planned, "2025-03-30T00:30:00Z".parse()?, 2);
/// // 02:30 does not exist that night, so that both start at the same time.
/// assert_eq!(upcoming[0].run.reason, Reason::GapShifted);
/// assert_eq!(upcoming[1].schedule, "hourly");
/// assert_eq!(upcoming[1].overlaps.as_ref().unwrap().schedule, "nightly");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn preview(planned: &[Planned<'_>], after: Timestamp, count: usize) -> Vec<Upcoming> {
    let mut next: Vec<Option<Run>> = planned
        .iter()
        .map(|planned| planned.schedule.next_after(after).ok().flatten())
        .collect();
    // What may still be going: runs that started before, with when they will be over.
    let mut going: VecDeque<(usize, Run, Timestamp)> = VecDeque::new();
    for (index, one) in planned.iter().enumerate() {
        going.extend(started_before(one, after).map(|(run, over)| (index, run, over)));
    }
    going.make_contiguous().sort_by_key(|(_, run, _)| run.at);

    let mut upcoming = Vec::new();
    while upcoming.len() < count {
        let due = next
            .iter()
            .enumerate()
            .filter_map(|(index, run)| Some((run.as_ref()?.at, index)));
        let Some((_, index)) = due.min() else { break };
        let Some(run) = next[index].take() else { break };
        next[index] = planned[index].schedule.next_after(run.at).ok().flatten();
        going.retain(|(.., over)| *over > run.at);
        let end = over(&planned[index], run);
        let overlaps = going.back().map(|(other, earlier, over)| Overlapped {
            schedule: planned[*other].name.to_owned(),
            at: earlier.at,
            by: run
                .at
                .duration_until(end.map_or(*over, |end| end.min(*over))),
        });
        upcoming.push(Upcoming {
            schedule: planned[index].name.to_owned(),
            run,
            overlaps,
        });
        going.extend(end.map(|end| (index, run, end)));
    }
    upcoming
}

/// When a run will be over, if that is known.
fn over(planned: &Planned<'_>, run: Run) -> Option<Timestamp> {
    let takes = planned.takes.filter(SignedDuration::is_positive)?;
    Some(run.at.checked_add(takes).unwrap_or(Timestamp::MAX))
}

/// The last run up to an instant, if it is still going then.
fn started_before(
    planned: &Planned<'_>,
    at: Timestamp,
) -> impl Iterator<Item = (Run, Timestamp)> + use<> {
    let just_after = at.checked_add(SignedDuration::from_nanos(1)).unwrap_or(at);
    let run = planned.schedule.prev_before(just_after).ok().flatten();
    let going = run.and_then(|run| Some((run, over(planned, run)?)));
    going.filter(|(_, over)| *over > at).into_iter()
}
