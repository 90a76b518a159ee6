//! Very many schedules, and which of them is due next.

mod queue;

use std::hash::{BuildHasher, RandomState};

use hashbrown::HashTable;
use jiff::{SignedDuration, Timestamp};

use self::queue::Queue;
use crate::{
    civil::{datetime_of, wall_of},
    evaluate::SearchError,
    policy::Due,
    run::{Reason, Run},
    schedule::Schedule,
};

/// Schedules by name, ordered by when they are due. A million of them is fine.
///
/// It has no clock. Tell it the time with [`pop`](Self::pop) until that gives nothing more, then
/// sleep until [`wake_at`](Self::wake_at), or any shorter time.
///
/// Of every schedule it knows up to which instant its runs are settled: done, or given up as missed.
/// Store that [`since`](Self::since) with the record of the run, and give it back to
/// [`insert`](Self::insert) after a restart. If the service dies between a run and its record, the
/// same run comes again with the same [key](Run::key): look the key up before you begin.
///
/// ```
/// use stillpoint_schedule::{Cron, Schedule, Timeline};
///
/// let mut timeline = Timeline::new();
/// let nightly = Schedule::cron(Cron::parse("0 2 * * *")?);
/// timeline.insert("nightly", nightly, "2026-01-01T00:00:00Z".parse()?)?;
/// assert_eq!(timeline.wake_at(), Some("2026-01-01T02:00:00Z".parse()?));
///
/// let now = "2026-01-01T02:00:03Z".parse()?;
/// let firing = timeline.pop(now).unwrap();
/// assert_eq!(&*firing.schedule, "nightly");
/// assert_eq!(firing.due.runs[0].key("nightly").to_string(), "nightly@2026-01-01T02:00:00");
/// assert_eq!(timeline.pop(now), None);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # When the clock jumps
///
/// Forwards is like an outage: the schedule's [policy](crate::policy::Missed) says which runs are made
/// up for. Backwards by up to an hour changes nothing: what is settled stays settled, and the
/// next run is the one it was. Backwards by more, the clock was wrong before, and waiting for it to
/// come round again could take years: what lies ahead of the new time is open again. Runs that were
/// done there have the same keys as before, so that they are not done twice.
#[derive(Clone, Debug, Default)]
pub struct Timeline {
    entries: Vec<Option<Entry>>,
    free: Vec<u32>,
    // Places among the entries, by the hash of the name there.
    by_name: HashTable<u32>,
    hasher: RandomState,
    // Places among the entries, by the second since 1970 at which they are due.
    by_due: Queue,
    /// The latest time that was told.
    seen: Option<Timestamp>,
}

/// A schedule of which something is due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Firing {
    /// The schedule's name.
    pub schedule: Box<str>,
    /// What is due, and what was missed.
    pub due: Due,
}

// Two lines of a processor's cache, and not parts of three: a firing waits for little else.
#[derive(Clone, Debug)]
#[repr(align(64))]
struct Entry {
    name: Box<str>,
    schedule: Schedule,
    /// Runs are at whole seconds, so seconds will do.
    since: i64,
    next: Option<Next>,
}

/// A run in half the room.
#[derive(Clone, Copy, Debug)]
struct Next {
    at: i64,
    wall_ahead: i32,
    reason: Reason,
}

impl Timeline {
    /// How far the clock may go back without opening again what was settled.
    pub const STEP_BACK: SignedDuration = SignedDuration::from_hours(1);

    /// A timeline with no schedule.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a schedule whose runs up to and including `since` are settled, or puts it in the place
    /// of the one of that name, which it returns. The very same schedule once more changes nothing:
    /// what is missed stays missed.
    pub fn insert(
        &mut self,
        name: &str,
        schedule: Schedule,
        since: Timestamp,
    ) -> Result<Option<Schedule>, SearchError> {
        if self.get(name) == Some(&schedule) {
            return Ok(Some(schedule));
        }
        let next = schedule.next_after(since)?.map(Next::of);
        let old = self.remove(name);
        let place = self.free.pop().unwrap_or(self.entries.len() as u32);
        if let Some(next) = next {
            self.by_due.push(next.at, place);
        }
        let since = floor(since);
        let entry = Some(Entry {
            name: name.into(),
            schedule,
            since,
            next,
        });
        match self.entries.get_mut(place as usize) {
            Some(free) => *free = entry,
            None => self.entries.push(entry),
        }
        let (entries, hasher) = (&self.entries, &self.hasher);
        let hash_of = |place: &u32| hasher.hash_one(name_at(entries, *place));
        self.by_name
            .insert_unique(hasher.hash_one(name), place, hash_of);
        Ok(old)
    }

    /// Removes the schedule of that name.
    pub fn remove(&mut self, name: &str) -> Option<Schedule> {
        let (entries, hash) = (&self.entries, self.hasher.hash_one(name));
        let found = self
            .by_name
            .find_entry(hash, |place| name_at(entries, *place) == name)
            .ok()?;
        let (place, _) = found.remove();
        let entry = self.entries[place as usize].take()?;
        self.free.push(place);
        if let Some(next) = entry.next {
            self.by_due.remove(next.at, place);
        }
        Some(entry.schedule)
    }

    /// The schedule of that name.
    pub fn get(&self, name: &str) -> Option<&Schedule> {
        self.entry(name).map(|entry| &entry.schedule)
    }

    /// Up to which instant, to the second, the runs of that schedule are settled.
    pub fn since(&self, name: &str) -> Option<Timestamp> {
        self.entry(name)
            .and_then(|entry| Timestamp::from_second(entry.since).ok())
    }

    /// The names, in no order that could be relied on.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.entries.iter().flatten().map(|entry| &*entry.name)
    }

    /// How many schedules there are.
    pub fn len(&self) -> usize {
        self.by_name.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.by_name.is_empty()
    }

    /// When the next of them is due; `None` if none ever is.
    pub fn wake_at(&self) -> Option<Timestamp> {
        let (next, _) = self.by_due.first()?;
        Timestamp::from_second(next).ok()
    }

    /// The schedule that has been due for longest, if any is, with what is due of it. From then on
    /// that is settled.
    pub fn pop(&mut self, now: Timestamp) -> Option<Firing> {
        self.look_at_the_clock(now);
        let (next, place) = self.by_due.first()?;
        if next > floor(now) {
            return None;
        }
        self.by_due.remove(next, place);
        let entry = self.entries.get_mut(place as usize)?.as_mut()?;
        let first = entry.next?.run()?;
        // At the end of time there is no next run; what is due is due.
        let (due, next) = entry.schedule.due_from(first, now).unwrap_or_default();
        entry.since = floor(now);
        entry.next = next.map(Next::of);
        if let Some(next) = entry.next {
            self.by_due.push(next.at, place);
        }
        Some(Firing {
            schedule: entry.name.clone(),
            due,
        })
    }

    /// Opens what lies ahead, if the clock went back so far that it must have been wrong.
    fn look_at_the_clock(&mut self, now: Timestamp) {
        let seen = *self.seen.get_or_insert(now);
        if seen.duration_since(now) <= Self::STEP_BACK {
            self.seen = Some(seen.max(now));
            return;
        }
        self.seen = Some(now);
        for (place, entry) in (0..).zip(&mut self.entries) {
            let Some(entry) = entry.as_mut().filter(|entry| entry.since > floor(now)) else {
                continue;
            };
            if let Some(next) = entry.next {
                self.by_due.remove(next.at, place);
            }
            entry.since = floor(now);
            entry.next = entry.schedule.next_after(now).ok().flatten().map(Next::of);
            if let Some(next) = entry.next {
                self.by_due.push(next.at, place);
            }
        }
    }

    fn entry(&self, name: &str) -> Option<&Entry> {
        let is = |place: &u32| name_at(&self.entries, *place) == name;
        let place = self.by_name.find(self.hasher.hash_one(name), is)?;
        self.entries[*place as usize].as_ref()
    }
}

impl Next {
    fn of(run: Run) -> Self {
        let at = run.at.as_second();
        // A zone is never more than a day or two ahead of UTC or behind.
        Self {
            at,
            wall_ahead: (wall_of(run.wall) - at) as i32,
            reason: run.reason,
        }
    }

    fn run(self) -> Option<Run> {
        let at = Timestamp::from_second(self.at).ok()?;
        let wall = datetime_of(self.at + i64::from(self.wall_ahead))?;
        Some(Run {
            wall,
            at,
            reason: self.reason,
        })
    }
}

fn name_at(entries: &[Option<Entry>], place: u32) -> &str {
    entries[place as usize]
        .as_ref()
        .map_or("", |entry| &entry.name)
}

fn floor(at: Timestamp) -> i64 {
    at.as_second() - i64::from(at.subsec_nanosecond() < 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_two_lines_of_a_cache() {
        assert!(size_of::<Option<Entry>>() <= 128);
    }
}
