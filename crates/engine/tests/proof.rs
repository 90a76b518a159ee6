//! A snapshot whose bytes are not its source's, or not the same twice, is a failed one.

mod common;

use std::fmt;
use std::sync::atomic::{AtomicU8, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use common::Bench;
use stillpoint_core::{Detail, ErrorKind, Resource, ResourceKind, ResourceRef, Result};
use stillpoint_engine::{Request, Take};
use stillpoint_iaas::sim::{Personality, SimProvider};
use stillpoint_iaas::{
    BoxStream, Capabilities, Extent, Filter, Observation, Operation, OperationKey, Outlook,
    Provider, Ticket, VolumeBytes,
};

/// How the bytes of snapshots are wrong.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Wrong {
    /// They are not those of the source.
    Damaged,
    /// They are others at each reading, and nobody can tell whether the source has changed.
    Unsteady,
}

/// A cloud whose snapshots are not what it says.
struct Damaging {
    cloud: SimProvider,
    wrong: Wrong,
    readings: AtomicU8,
}

#[tokio::test(start_paused = true)]
async fn it_fails_and_leaves_nothing() {
    for wrong in [Wrong::Damaged, Wrong::Unsteady] {
        let mut bench = Bench::new(Personality::Files);
        let before = bench.cloud.inventory();
        bench.drive_with(Damaging {
            cloud: bench.cloud.connect(),
            wrong,
            readings: AtomicU8::new(0),
        });
        let take = Request::Take(Take::of(bench.web.clone()));
        let failed = bench.run(take).await.unwrap_err();
        assert_eq!(failed.kind(), ErrorKind::Corrupt, "{wrong:?}: {failed}");
        assert!(bench.snapshots().await.is_empty(), "{wrong:?}");
        assert_eq!(before.diff(&bench.cloud.inventory()), [], "{wrong:?}");
    }
}

#[async_trait]
impl Provider for Damaging {
    async fn capabilities(&self) -> Result<Capabilities> {
        self.cloud.capabilities().await
    }

    async fn outlook(&self, source: &ResourceRef) -> Result<Outlook> {
        self.cloud.outlook(source).await
    }

    async fn describe(&self, resource: &ResourceRef) -> Result<Resource> {
        let mut found = self.cloud.describe(resource).await?;
        if let Detail::Volume { content_stamp, .. } = &mut found.detail
            && self.wrong == Wrong::Unsteady
        {
            *content_stamp = None;
        }
        Ok(found)
    }

    fn list(&self, filter: &Filter) -> BoxStream<'_, Result<Resource>> {
        self.cloud.list(filter)
    }

    async fn submit(&self, key: &OperationKey, operation: &Operation) -> Result<Ticket> {
        self.cloud.submit(key, operation).await
    }

    async fn observe(
        &self,
        key: &OperationKey,
        operation: &Operation,
        ticket: Option<&Ticket>,
    ) -> Result<Observation> {
        self.cloud.observe(key, operation, ticket).await
    }

    async fn cancel(
        &self,
        key: &OperationKey,
        operation: &Operation,
        ticket: Option<&Ticket>,
    ) -> Result<()> {
        self.cloud.cancel(key, operation, ticket).await
    }

    fn bytes(&self) -> Option<&dyn VolumeBytes> {
        Some(self)
    }
}

impl Damaging {
    fn inner(&self) -> &dyn VolumeBytes {
        self.cloud.bytes().expect("files have bytes")
    }
}

#[async_trait]
impl VolumeBytes for Damaging {
    async fn size(&self, of: &ResourceRef) -> Result<u64> {
        self.inner().size(of).await
    }

    async fn extents(&self, of: &ResourceRef, from: u64) -> Result<Vec<Extent>> {
        self.inner().extents(of, from).await
    }

    async fn read(&self, of: &ResourceRef, offset: u64, length: usize) -> Result<Bytes> {
        let read = self.inner().read(of, offset, length).await?;
        if of.kind() != ResourceKind::Snapshot || offset > 0 {
            return Ok(read);
        }
        let change = match self.wrong {
            Wrong::Damaged => 1,
            Wrong::Unsteady => self.readings.fetch_add(1, Ordering::SeqCst),
        };
        let mut read = read.to_vec();
        read[0] ^= change;
        Ok(read.into())
    }

    async fn write(&self, to: &ResourceRef, offset: u64, bytes: Bytes) -> Result<()> {
        self.inner().write(to, offset, bytes).await
    }

    async fn flush(&self, volume: &ResourceRef) -> Result<()> {
        self.inner().flush(volume).await
    }
}

impl fmt::Display for Damaging {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.cloud.fmt(f)
    }
}

impl fmt::Debug for Damaging {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Damaging({:?})", self.wrong)
    }
}
