//! What does not answer while a restore is taken back is asked again by itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use stillpoint_core::{Error, ErrorKind, Result};
use stillpoint_manager::{Class, Component, Dump, SecretKey, Site, Stage};
use stillpoint_restore::Outcome;

use crate::Plain;

/// How often nobody answers: more often than any call is tried.
const AWAY: usize = 12;

/// Breaks while it is staged, and has gone for a while then.
#[derive(Clone, Debug, Default)]
struct Gone {
    broken: Arc<AtomicBool>,
    asked: Arc<AtomicUsize>,
    locked: Arc<AtomicBool>,
}

impl Component for Gone {
    fn dump(&self, dump: &mut Dump<'_, '_>) -> Result<()> {
        dump.bytes("word", Class::Internal, "said")
    }

    fn stage(&self, _: &Stage<'_>) -> Result<()> {
        self.broken.store(true, Ordering::SeqCst);
        Err(Error::new(ErrorKind::Precondition, "it broke"))
    }

    fn cut_over(&self, _: &Site) -> Result<()> {
        Ok(())
    }

    fn unstage(&self, _: &Site) -> Result<()> {
        assert!(self.locked.load(Ordering::SeqCst), "it is not locked");
        if self.broken.load(Ordering::SeqCst) && self.asked.fetch_add(1, Ordering::SeqCst) < AWAY {
            return Err(Error::new(ErrorKind::Unavailable, "nobody answers"));
        }
        Ok(())
    }

    fn lock(&self, _: &str) -> Result<()> {
        self.locked.store(true, Ordering::SeqCst);
        Ok(())
    }

    fn unlock(&self, _: &str) -> Result<()> {
        self.locked.store(false, Ordering::SeqCst);
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn who_is_away_for_some_minutes_needs_no_person() {
    let (archives, key) = (tempfile::tempdir().unwrap(), SecretKey::generate());
    let gone = Gone::default();
    let plain = Plain::new(archives.path(), &key, |it| {
        it.component("gone", gone.clone())
    });
    plain.capture("monday").await.unwrap();
    let job = plain.restore("monday").await.unwrap();
    let outcome = job.outcome.clone().unwrap();
    assert!(matches!(outcome, Outcome::RolledBack { .. }), "{outcome}");
    assert!(gone.asked.load(Ordering::SeqCst) > AWAY);
    assert!(!gone.locked.load(Ordering::SeqCst), "it is locked");
}
