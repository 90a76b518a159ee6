//! What becomes of a restore that nobody knows the end of, and in which order restores are settled.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use stillpoint_core::{Error, ErrorKind, Result, World};
use stillpoint_engine::Job;
use stillpoint_manager::{Component, Dump, RestoreManager, SecretKey, SettleManager, Site, Stage};
use stillpoint_restore::Outcome;

use crate::Plain;

fn settle(restore: &Job, undo: bool) -> SettleManager {
    SettleManager {
        restore: restore.id,
        undo,
    }
}

fn over(archive: &str) -> RestoreManager {
    RestoreManager {
        danger_replace_what_is_there: true,
        ..RestoreManager::of(archive)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_latest_is_undone_first_and_the_earliest_accepted_first() {
    let (archives, key) = (tempfile::tempdir().unwrap(), SecretKey::generate());
    let plain = Plain::new(archives.path(), &key, |it| it);
    let file = plain.files().join("one");
    for name in ["monday", "tuesday"] {
        fs::write(&file, name).unwrap();
        plain.capture(name).await.unwrap();
    }
    fs::write(&file, "now").unwrap();
    let read = || fs::read_to_string(&file).unwrap();
    let run = async |request| plain.run(&request).await.unwrap().into_result();
    let first = run(over("monday").request()).await.unwrap();
    let second = run(over("tuesday").request()).await.unwrap();
    assert_eq!(read(), "tuesday");

    for (wish, why) in [
        (settle(&first, true), "a later restore is neither"),
        (settle(&second, false), "an earlier restore is neither"),
    ] {
        let plan = plain.engine.plan(&wish.request()).await.unwrap();
        assert!(plan.blocked_by[0].contains(why), "{plan}");
    }
    assert_eq!(read(), "tuesday");
    run(settle(&second, true).request()).await.unwrap();
    assert_eq!(read(), "monday");
    run(settle(&first, true).request()).await.unwrap();
    assert_eq!(read(), "now");
}

/// Is in place, and nobody hears of it, for the first time that it is cut over.
#[derive(Clone, Debug, Default)]
struct Mute {
    in_place: Arc<AtomicBool>,
}

impl Component for Mute {
    fn dump(&self, _: &mut Dump<'_, '_>) -> Result<()> {
        Ok(())
    }

    fn stage(&self, _: &Stage<'_>) -> Result<()> {
        Ok(())
    }

    fn cut_over(&self, _: &Site) -> Result<()> {
        if self.in_place.swap(true, Ordering::SeqCst) {
            return Ok(());
        }
        Err(Error::new(ErrorKind::Timeout, "no answer").leaving(World::Unknown))
    }

    fn depends_on(&self) -> &[String] {
        static FILES: std::sync::LazyLock<[String; 1]> =
            std::sync::LazyLock::new(|| ["files".to_owned()]);
        &*FILES
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_be_in_place_is_not_taken_back_in_part() {
    let (archives, key) = (tempfile::tempdir().unwrap(), SecretKey::generate());
    let mute = Mute::default();
    let plain = Plain::new(archives.path(), &key, |it| {
        it.component("mute", mute.clone())
    });
    let file = plain.files().join("one");
    fs::write(&file, "monday").unwrap();
    plain.capture("monday").await.unwrap();
    fs::write(&file, "now").unwrap();
    let job = plain.run(&over("monday").request()).await.unwrap();
    let outcome = job.outcome.clone().unwrap();
    assert!(
        matches!(outcome, Outcome::NeedsIntervention { .. }),
        "{outcome}"
    );
    // With what may be in place too, and not without.
    assert_eq!(fs::read_to_string(&file).unwrap(), "monday");
    plain.engine.resume(job.id).await.unwrap();
    let job = plain.engine.wait(job.id).await.unwrap();
    assert_eq!(job.outcome, Some(Outcome::Completed), "{:?}", job.error);
    assert_eq!(fs::read_to_string(&file).unwrap(), "monday");
}
