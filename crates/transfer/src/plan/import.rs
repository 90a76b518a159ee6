use stillpoint_core::{ByteSize, ErrorKind, Exported, Result, Snapshot, SnapshotId, SnapshotState};
use stillpoint_engine::{Change, Claim, Effect, JobPlan};
use stillpoint_restore::Phase;

use super::{Planner, content, step, steps, total};
use crate::document::bare;
use crate::request::Import;
use crate::work::Work;

impl Planner<'_> {
    pub(crate) async fn import(&self, wish: &Import) -> Result<JobPlan> {
        let seen = self.inner.bench.vault.look(&wish.archive).await?;
        let mut entry = bare(&seen.document.snapshot);
        entry.exports = vec![Exported {
            archive: wish.archive.to_string(),
            size: seen.size,
            root: seen.root,
            // Both are set when the import has read it.
            at: self.now,
            job: entry.job,
        }];
        let mut blocked = Vec::new();
        let changes = match self.listed(entry.id).await? {
            None => format!(
                "`{}` in the list: {} in {}",
                entry.name,
                ByteSize(total(&entry)),
                wish.archive
            ),
            Some(there) => {
                check_same(&there, &entry, &mut blocked);
                format!(
                    "{} in the list, as a copy of `{}`",
                    wish.archive, there.name
                )
            }
        };
        let verify = Work::Verify {
            archive: wish.archive.clone(),
            root: seen.root,
            fetched: false,
        };
        let plan = steps().step(
            step("verify", &verify, total(&entry))
                .title("read the whole archive")
                .phase(Phase::Verifying)
                .harmless(),
        );
        Ok(JobPlan {
            changes: vec![Change::Create(changes)],
            omitted: entry.omitted.clone(),
            claims: vec![Claim::Import(entry.id)],
            ..self.plan(
                plan,
                Effect::Import {
                    entry: Box::new(entry),
                },
                blocked,
            )?
        })
    }

    async fn listed(&self, id: SnapshotId) -> Result<Option<Snapshot>> {
        match self.inner.catalogue.get(id).await {
            Ok(row) => Ok(Some(row.snapshot)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// Notes where what is listed is not what the archive holds.
fn check_same(there: &Snapshot, found: &Snapshot, blocked: &mut Vec<String>) {
    match there.state {
        SnapshotState::Archived | SnapshotState::Partial | SnapshotState::Taken => {}
        _ => blocked.push(format!("snapshot {} is being worked on", there.id)),
    }
    // What was never read back has no digest to compare.
    let known = content(there);
    let same = known.len() == content(found).len()
        && known.iter().zip(content(found)).all(|(known, found)| {
            (known.0, known.1) == (found.0, found.1) && known.2.is_none_or(|it| Some(it) == found.2)
        });
    if !same || there.source != found.source || there.taken_at != found.taken_at {
        blocked.push(format!(
            "snapshot {} is listed already, with other content: `{}` of {}",
            there.id, there.name, there.source
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::work::tests::snapshot;

    #[test]
    fn only_what_is_being_worked_on_is_not_imported_over() {
        for (state, free) in [
            (SnapshotState::Archived, true),
            (SnapshotState::Creating, false),
            (SnapshotState::Deleting, false),
            (SnapshotState::Partial, true),
            (SnapshotState::Taken, true),
        ] {
            let there = Snapshot {
                state,
                ..snapshot()
            };
            let mut blocked = Vec::new();
            check_same(&there, &bare(&there), &mut blocked);
            assert_eq!(blocked.is_empty(), free, "{state:?}: {blocked:?}");
        }
    }
}
