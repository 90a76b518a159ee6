//! Snapshots to archives, and back.

use stillpoint_core::{Error, ErrorKind, Exported, Result, Snapshot, SnapshotId};
use stillpoint_engine::{Engine, Job, Request};
use stillpoint_transfer::{ArchiveRef, Export, Import, RestoreFrom, Shelf};

use crate::Stillpoint;
use crate::ask::{Ask, Wish, sealed};

/// Archives.
impl Stillpoint {
    /// Asks for a snapshot to be written to an archive, [somewhere](Ask::to).
    pub fn export(&self, snapshot: SnapshotId) -> Ask<Export> {
        Ask::new(self.engine().clone(), Ok(Export::of(snapshot)))
    }

    /// Asks for the snapshot in an archive to be listed, once all of the archive was read: a
    /// path, or `depot:NAME/ID`.
    pub fn import<A>(&self, archive: A) -> Ask<Import>
    where
        A: TryInto<ArchiveRef>,
        A::Error: Into<Error>,
    {
        let wish = archive.try_into().map(|archive| Import { archive });
        Ask::new(self.engine().clone(), wish.map_err(Into::into))
    }

    /// Asks for the snapshot in an archive to be restored [to something new](Ask::to_new), on
    /// [any provider](Ask::on). It need not be listed.
    pub fn restore_from<A>(&self, archive: A) -> Ask<RestoreFrom>
    where
        A: TryInto<ArchiveRef>,
        A::Error: Into<Error>,
    {
        let wish = archive.try_into().map(|it| RestoreFrom::new(it, ""));
        Ask::new(self.engine().clone(), wish.map_err(Into::into))
    }
}

/// An export that is asked for.
impl Ask<Export> {
    /// Where to: the path of a folder, or `depot:NAME`.
    pub fn to<S>(self, shelf: S) -> Self
    where
        S: TryInto<Shelf>,
        S::Error: Into<Error>,
    {
        let shelf = shelf.try_into().map_err(Into::into);
        self.try_with(|export| {
            export.to = Some(shelf?);
            Ok(())
        })
    }

    /// Only this recipient, [registered](crate::Builder::recipient) by that name, can open the
    /// archive, and others that are named as well. Without any it stands in clear.
    pub fn seal_for(self, recipient: impl Into<String>) -> Self {
        self.with(|export| export.seal_for.push(recipient.into()))
    }
}

/// A restore from an archive that is asked for.
impl Ask<RestoreFrom> {
    /// What the new instance is called, or for a volume's snapshot the new volume.
    pub fn to_new(self, name: impl Into<String>) -> Self {
        self.with(|restore| restore.name = name.into())
    }

    /// On this provider, instead of the one of the name that the snapshot was taken on.
    pub fn on(self, provider: impl Into<String>) -> Self {
        self.with(|restore| restore.on = Some(provider.into()))
    }

    /// Only these disks.
    pub fn disks<D: Into<String>>(self, disks: impl IntoIterator<Item = D>) -> Self {
        let disks = disks.into_iter().map(Into::into).collect();
        self.with(|restore| restore.disks = Some(disks))
    }

    /// Only volumes, also where the snapshot is of an instance.
    pub fn volumes_only(self) -> Self {
        self.with(|restore| restore.volumes_only = true)
    }
}

impl Wish for Export {
    type Output = Exported;

    fn request(&self) -> Request {
        Self::request(self)
    }

    async fn output(engine: &Engine, job: Job) -> Result<Exported> {
        let snapshot = engine.snapshot_of(&job).await?;
        let exported = snapshot.exports.into_iter().find(|it| it.job == job.id);
        exported.ok_or_else(|| {
            let message = format!("what job {} exported is not listed any more", job.id);
            Error::new(ErrorKind::NotFound, message).advise("Look who took it off the list")
        })
    }
}

impl Wish for Import {
    type Output = Snapshot;

    fn request(&self) -> Request {
        Self::request(self)
    }

    async fn output(engine: &Engine, job: Job) -> Result<Snapshot> {
        engine.snapshot_of(&job).await
    }
}

impl Wish for RestoreFrom {
    type Output = Job;

    fn request(&self) -> Request {
        Self::request(self)
    }

    async fn output(_: &Engine, job: Job) -> Result<Job> {
        Ok(job)
    }
}

impl sealed::Sealed for Export {}
impl sealed::Sealed for Import {}
impl sealed::Sealed for RestoreFrom {}
