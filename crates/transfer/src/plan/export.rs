use stillpoint_core::{ByteSize, Error, ErrorKind, Result, Snapshot, SnapshotState};
use stillpoint_engine::{Change, Claim, Effect, JobPlan};
use stillpoint_iaas::ProviderExt;
use stillpoint_restore::Phase;

use super::{Planner, room, step, steps, tidy, total};
use crate::document::{bare, slug};
use crate::place::Shelf;
use crate::request::Export;
use crate::work::{Work, bytes_of};

/// The step that delivers; its output is what the catalogue lists.
const DELIVER: &str = "deliver";

impl Planner<'_> {
    pub(crate) async fn export(&self, wish: &Export) -> Result<JobPlan> {
        let shelf = wish.to.as_ref().ok_or_else(|| {
            Error::new(ErrorKind::Invalid, "it is not said where the archive goes")
                .advise("Say to(\"/backup\") or to(\"depot:NAME\")")
        })?;
        let snapshot = self.inner.catalogue.get(wish.snapshot).await?.snapshot;
        let mut blocked = Vec::new();
        let data = self.check_source(&snapshot, &mut blocked).await?;
        self.check_shelf(shelf, data, &mut blocked)?;
        for name in &wish.seal_for {
            if let Err(error) = self.inner.bench.vault.recipient(name) {
                blocked.push(error.message().to_owned());
            }
        }
        let stem = slug(&snapshot.name);
        let bytes = total(&snapshot);
        let pack = Work::Pack {
            shelf: shelf.clone(),
            snapshot: Box::new(bare(&snapshot)),
            seal_for: wish.seal_for.clone(),
        };
        let prove = Work::Prove {
            shelf: shelf.clone(),
            digests: snapshot.parts.iter().map(|part| part.digest).collect(),
        };
        let deliver = Work::Deliver {
            shelf: shelf.clone(),
            stem: stem.clone(),
        };
        let withdraw = Work::Withdraw {
            shelf: shelf.clone(),
            stem: stem.clone(),
        };
        let unpack = Work::Tidy {
            shelf: shelf.clone(),
        };
        let sealed = if wish.seal_for.is_empty() {
            String::new()
        } else {
            format!(", sealed for {}", wish.seal_for.join(", "))
        };
        let plan = steps()
            .step(
                step("pack", &pack, bytes)
                    .title(format!("pack {} disks{sealed}", snapshot.parts.len()))
                    .phase(Phase::Fetching)
                    .undo(unpack.action(Vec::new(), 0)),
            )
            .step(
                step("prove", &prove, bytes)
                    .title("read the archive back")
                    .phase(Phase::Verifying)
                    .needs("pack")
                    .harmless(),
            )
            .step(
                step(DELIVER, &deliver, 0)
                    .title(format!("deliver it to {shelf}"))
                    .phase(Phase::Applying)
                    .needs("prove")
                    .undo(withdraw.action(Vec::new(), 0)),
            )
            .step(tidy(shelf).needs(DELIVER));
        let effect = Effect::Export {
            snapshot: snapshot.id,
            step: DELIVER.to_owned(),
        };
        Ok(JobPlan {
            changes: vec![Change::Create(format!(
                "an archive of `{}` in {shelf} (at most {}){sealed}",
                snapshot.name,
                ByteSize(bytes)
            ))],
            omitted: snapshot.omitted.clone(),
            claims: vec![Claim::Keep(snapshot.id)],
            ..self.plan(plan, effect, blocked)?
        })
    }

    /// Gives how many bytes of it are not in holes, as far as they can be read.
    async fn check_source(&self, snapshot: &Snapshot, blocked: &mut Vec<String>) -> Result<u64> {
        match snapshot.state {
            SnapshotState::Partial | SnapshotState::Taken => {}
            SnapshotState::Archived => {
                blocked.push("only archives hold it: copy one of those".to_owned());
                return Ok(0);
            }
            SnapshotState::Creating => blocked.push("the snapshot is still being taken".into()),
            _ => blocked.push("the snapshot is being deleted".into()),
        }
        if snapshot.parts.is_empty() {
            blocked.push("the snapshot holds no disk".into());
        }
        let mut data = 0;
        for part in &snapshot.parts {
            let provider = match self.inner.provider(part.snapshot.provider()) {
                Ok(provider) => provider,
                Err(error) => {
                    blocked.push(error.message().to_owned());
                    continue;
                }
            };
            let bytes = match bytes_of(&**provider) {
                Ok(bytes) => bytes,
                Err(error) => {
                    blocked.push(error.message().to_owned());
                    continue;
                }
            };
            match provider.find(&part.snapshot).await? {
                Some(_) => data += room::data(bytes, &part.snapshot, part.size).await?,
                None => blocked.push(format!("{} is gone at the provider", part.snapshot)),
            }
        }
        Ok(data)
    }

    fn check_shelf(&self, shelf: &Shelf, data: u64, blocked: &mut Vec<String>) -> Result<()> {
        match self.inner.bench.vault.staging(shelf) {
            Ok(folder) if folder.is_dir() => return room::check(&folder, data, blocked),
            Ok(folder) => blocked.push(format!("there is no folder {}: make it", folder.display())),
            Err(error) => blocked.push(error.message().to_owned()),
        }
        Ok(())
    }
}
