use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use stillpoint::state::Redb;
use stillpoint::{CopyKind, Result, Stillpoint, What};

use crate::commits::Commits;
use crate::disk::Disk;

/// Stillpoint as an embedder has it: the folder, the state in a file of it, and the loop.
#[derive(Debug)]
pub(crate) struct Ours {
    still: Stillpoint,
    commits: Arc<AtomicU64>,
}

/// What one snapshot took, from asking for it.
#[derive(Debug)]
pub(crate) struct Took {
    /// Until the provider confirmed the point in time, durably.
    pub(crate) taken: Duration,
    /// Until the job was over.
    pub(crate) verified: Duration,
    /// Durable commits of the state until it was taken.
    pub(crate) commits: u64,
    pub(crate) copy: CopyKind,
    /// Bytes on the disk for it; shared ones count, too.
    pub(crate) allocated: u64,
}

impl Ours {
    pub(crate) fn open(folder: &Path) -> Result<Self> {
        let state = Redb::create(folder.join(".stillpoint.db"))?;
        let (state, commits) = Commits::of(state);
        let still = Stillpoint::builder()
            .folder("here", folder)
            .state(Arc::new(state))
            .build()?;
        tokio::spawn(still.run());
        Ok(Self { still, commits })
    }

    /// Takes it, waits until it is verified, and deletes it, which is not measured.
    pub(crate) async fn take(&self, disk: &Disk) -> Result<Took> {
        let mut events = self.still.events();
        let before = self.commits.load(Ordering::Relaxed);
        let started = Instant::now();
        let ask = self
            .still
            .snapshot(format!("here/volume/{}", Disk::NAME).as_str());
        let job = ask.start().await?;
        let (taken, commits) = loop {
            let event = events.recv().await.expect("a job has few events");
            // The end of the one before may be told after it was waited for.
            if event.job != job.id() {
                continue;
            }
            match event.what {
                What::Step { call, became, .. } if call == "do snapshot/0" && became == "done" => {
                    let commits = self.commits.load(Ordering::Relaxed) - before;
                    break (started.elapsed(), commits);
                }
                What::Ended { outcome } => panic!("it ended without being taken: {outcome}"),
                _ => {}
            }
        };
        let done = job.await?;
        let verified = started.elapsed();
        let snapshot = self.still.get(done.snapshot.expect("it takes one")).await?;
        assert!(snapshot.verified.is_some(), "it was read back");
        let part = snapshot.parts.first().expect("it has its volume");
        let copy = part.copy;
        let allocated = allocated(&disk.folder().join(".stillpoint/snapshots"));
        self.still.delete(snapshot.id).await?;
        Ok(Took {
            taken,
            verified,
            commits,
            copy,
            allocated,
        })
    }

    pub(crate) async fn close(&self) {
        self.still.shutdown(Duration::from_secs(5)).await;
    }
}

fn allocated(folder: &Path) -> u64 {
    fs::read_dir(folder)
        .expect("it is there")
        .map(|entry| {
            entry
                .and_then(|entry| entry.metadata())
                .expect("it is there")
                .blocks()
                * 512
        })
        .sum()
}
