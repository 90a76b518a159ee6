//! Runs that nobody looked for in time: the service was down, or the clock was put forward.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{evaluate::SearchError, run::Run, schedule::Schedule};

/// What to do with runs that are found too late: *missed*, because we were down. (A run that was
/// tried and did not succeed has *failed*, and is none of this.)
///
/// A run is late once the schedule's [grace](Schedule::grace) is over; and of several runs that are
/// found at once, all but the last are missed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Missed {
    /// The last so many of them run, oldest first.
    All {
        /// How many at most, 1 to [`Missed::MOST`].
        at_most: u32,
    },
    /// The last one runs. What it makes is as good as what the others would have made.
    #[default]
    Latest,
    /// None runs; the next one is the next one.
    Skip,
    /// Those run, oldest first, that are not older than this; [`Missed::MOST`] at most.
    Within {
        /// The greatest age, inclusive.
        window: SignedDuration,
    },
}

impl Missed {
    /// The most runs that are made up for at once.
    pub const MOST: u32 = 1000;
}

/// What is due: the runs to do, and those that will not be done.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Due {
    /// The runs to do now, in order.
    pub runs: Vec<Run>,
    /// The runs that were missed and are not made up for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub missed: Option<MissedRuns>,
}

/// Runs that were missed and are not made up for: the first and the last of them, for there may
/// be millions. [`Schedule::runs_after`] gives those between.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MissedRuns {
    /// The first of them.
    pub first: Run,
    /// The last of them, which may be the first.
    pub last: Run,
}

impl Schedule {
    /// What is due now, where everything up to and including `since` is settled. After this
    /// everything up to and including `now` is.
    ///
    /// ```
    /// use stillpoint_schedule::{Cron, Schedule};
    ///
    /// // Down for three days; one run makes up for them.
    /// let schedule = Schedule::cron(Cron::parse("0 2 * * *")?);
    /// let due = schedule.due("2026-01-01T02:00:00Z".parse()?, "2026-01-04T12:00:00Z".parse()?)?;
    /// assert_eq!(due.runs.len(), 1);
    /// assert_eq!(due.runs[0].at.to_string(), "2026-01-04T02:00:00Z");
    /// assert_eq!(due.missed.unwrap().last.at.to_string(), "2026-01-03T02:00:00Z");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn due(&self, since: Timestamp, now: Timestamp) -> Result<Due, SearchError> {
        match self.next_after(since)? {
            Some(first) if first.at <= now => self.due_from(first, now).map(|(due, _)| due),
            _ => Ok(Due::default()),
        }
    }

    /// What is due now, where `first` is the first run that is, and the first run after now.
    pub(crate) fn due_from(
        &self,
        first: Run,
        now: Timestamp,
    ) -> Result<(Due, Option<Run>), SearchError> {
        // Nearly always there is but one: nobody was late.
        let mut next = self.next_after(first.at)?;
        if next.is_none_or(|next| next.at > now)
            && !matches!(self.missed(), Missed::Skip | Missed::Within { .. })
        {
            return Ok((
                Due {
                    runs: vec![first],
                    missed: None,
                },
                next,
            ));
        }
        if next.is_some_and(|next| next.at <= now) {
            next = self.next_after(now)?;
        }
        let mut newest = self
            .newest(now)
            .take_while(|run| run.at >= first.at)
            .peekable();
        let not_before = |age: SignedDuration| now.checked_sub(age).unwrap_or(Timestamp::MIN);
        let (most, oldest) = match self.missed() {
            Missed::All { at_most } => (at_most.clamp(1, Missed::MOST), Timestamp::MIN),
            Missed::Latest => (1, Timestamp::MIN),
            Missed::Skip => (1, not_before(self.grace())),
            Missed::Within { window } => (Missed::MOST, not_before(window.max(self.grace()))),
        };
        let mut runs = Vec::new();
        while runs.len() < most as usize
            && let Some(run) = newest.next_if(|run| run.at >= oldest)
        {
            runs.push(run);
        }
        let missed = newest.next().map(|last| MissedRuns { first, last });
        runs.reverse();
        Ok((Due { runs, missed }, next))
    }

    /// The runs up to and including an instant, newest first.
    fn newest(&self, now: Timestamp) -> impl Iterator<Item = Run> {
        let just_after = now.checked_add(SignedDuration::from_nanos(1));
        let mut before = Some(just_after.unwrap_or(Timestamp::MAX));
        std::iter::from_fn(move || {
            let run = self.prev_before(before?).ok().flatten();
            before = run.map(|run| run.at);
            run
        })
    }
}
