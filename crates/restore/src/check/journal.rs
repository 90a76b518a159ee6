//! What was recorded on the way to a state.

use std::{fmt::Write, sync::Arc};

use super::{job::Job, world::Made};
use crate::Record;

/// A list that shares its tail, so that every state can have its own.
#[derive(Clone, Debug, Default)]
pub(super) struct Journal(Option<Arc<(Record<Made>, Journal)>>);

impl Job {
    /// The plan and the journal as `examples/replay.rs` reads them: JSON, one value a line.
    pub(super) fn transcript(&self) -> String {
        let mut lines = serde_json::to_string(self.machine.plan()).unwrap_or_default();
        for record in self.journal.records() {
            let _ = write!(
                lines,
                "\n{}",
                serde_json::to_string(&record).unwrap_or_default()
            );
        }
        lines
    }
}

impl Journal {
    pub(super) fn push(&mut self, record: Record<Made>) {
        *self = Self(Some(Arc::new((record, std::mem::take(self)))));
    }

    pub(super) fn records(&self) -> Vec<Record<Made>> {
        self.entries().into_iter().cloned().collect()
    }

    pub(super) fn entries(&self) -> Vec<&Record<Made>> {
        let mut records = Vec::new();
        let mut rest = self;
        while let Some(entry) = &rest.0 {
            records.push(&entry.0);
            rest = &entry.1;
        }
        records.reverse();
        records
    }
}
