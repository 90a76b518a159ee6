use std::fmt;

use jiff::{SignedDuration, Timestamp};
use stillpoint_core::ResourceRef;

/// A time in which an instance could not write.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct FreezeInterval {
    /// The instance.
    pub instance: ResourceRef,
    /// Since when.
    pub from: Timestamp,
    /// Until when; none while it holds.
    pub until: Option<Timestamp>,
    /// Whether it ended because its time was over, and nobody thawed it.
    pub thawed_itself: bool,
}

impl FreezeInterval {
    /// How long it held; none while it does.
    pub fn duration(&self) -> Option<SignedDuration> {
        self.until.map(|until| until.duration_since(self.from))
    }
}

impl fmt::Display for FreezeInterval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} frozen at {}", self.instance, self.from)?;
        match self.duration() {
            None => f.write_str(", and still is"),
            Some(time) if self.thawed_itself => write!(f, " for {time:#}, thawed itself"),
            Some(time) => write!(f, " for {time:#}"),
        }
    }
}

/// All freezes there were. One that is extended stays one.
#[derive(Debug, Default)]
pub(super) struct Freezes(Vec<FreezeInterval>);

impl Freezes {
    pub(super) fn begin(&mut self, now: Timestamp, instance: &ResourceRef) {
        if self.open(instance).is_none() {
            self.0.push(FreezeInterval {
                instance: instance.clone(),
                from: now,
                until: None,
                thawed_itself: false,
            });
        }
    }

    pub(super) fn end(&mut self, now: Timestamp, instance: &ResourceRef, by_itself: bool) {
        if let Some(open) = self.open(instance) {
            open.until = Some(now);
            open.thawed_itself = by_itself;
        }
    }

    pub(super) fn log(&self) -> &[FreezeInterval] {
        &self.0
    }

    fn open(&mut self, instance: &ResourceRef) -> Option<&mut FreezeInterval> {
        self.0
            .iter_mut()
            .find(|freeze| freeze.instance == *instance && freeze.until.is_none())
    }
}
