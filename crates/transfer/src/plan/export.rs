use stillpoint_core::{ByteSize, Error, ErrorKind, Result, Retry, Snapshot, SnapshotState};
use stillpoint_engine::{Change, Claim, Effect, JobPlan};
use stillpoint_iaas::ProviderExt;
use stillpoint_restore::Phase;

use super::{Planner, room, step, steps, tidy, total};
use crate::document::{bare, slug};
use crate::failure::of_archive;
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
        self.check_shelf(shelf, data, &mut blocked).await?;
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

    async fn check_shelf(&self, shelf: &Shelf, data: u64, blocked: &mut Vec<String>) -> Result<()> {
        let vault = &self.inner.bench.vault;
        match vault.staging(shelf) {
            Ok(folder) if folder.is_dir() => room::check(&folder, data, blocked)?,
            Ok(folder) => blocked.push(format!("there is no folder {}: make it", folder.display())),
            Err(error) => blocked.push(error.message().to_owned()),
        }
        let Shelf::Depot(name) = shelf else {
            return Ok(());
        };
        // One that is not registered is noted already.
        let Ok(registered) = vault.depot(name) else {
            return Ok(());
        };
        let checked = registered.depot.check().await;
        match checked.map_err(|error| of_archive(shelf, error)) {
            // Keys or a bucket that are wrong are no news for after all is packed.
            Err(error) if error.retry() == Retry::Never => {
                blocked.push(error.message().to_owned());
                Ok(())
            }
            checked => checked,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use jiff::Timestamp;
    use object_store::memory::InMemory;
    use stillpoint_archive::depot::Depot;
    use stillpoint_core::SnapshotId;
    use stillpoint_engine::Request;

    use super::*;
    use crate::store::{Fault, Watched};
    use crate::work::tests::transfer;

    #[tokio::test]
    async fn a_depot_that_refuses_its_keys_is_found_before_anything_is_packed() {
        let staging = tempfile::tempdir().unwrap();
        let checked = async |fault| {
            let store = Watched::new(Arc::new(InMemory::new()), fault);
            let depot = Depot::new(Arc::new(store), "archives").unwrap();
            let transfer = transfer(depot, staging.path());
            let id = SnapshotId::new(Timestamp::UNIX_EPOCH, [7; 10]);
            let Request::Custom(request) = Export::of(id).request() else {
                unreachable!("it is no request of the engine's own")
            };
            let planner = Planner {
                inner: &transfer.inner,
                request: &request,
                now: Timestamp::UNIX_EPOCH,
            };
            let mut blocked = Vec::new();
            let shelf = Shelf::Depot("offsite".to_owned());
            let checked = planner.check_shelf(&shelf, 1, &mut blocked).await;
            (checked.map_err(|it| it.kind()), blocked)
        };
        assert_eq!(checked(Fault::None).await, (Ok(()), Vec::new()));
        let (refused, blocked) = checked(Fault::Denied).await;
        assert_eq!((refused, blocked.len()), (Ok(()), 1));
        assert!(blocked[0].contains("depot:offsite"), "{blocked:?}");
        // One that does not answer may do so when it is asked again.
        let away = checked(Fault::Unreachable(0)).await;
        assert_eq!(away, (Err(ErrorKind::Unavailable), Vec::new()));
    }
}
