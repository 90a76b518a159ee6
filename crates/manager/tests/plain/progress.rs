//! Progress in bytes: within each step that moves any, never back, and at its total in the end.

use std::io::Read as _;
use std::pin::pin;
use std::sync::mpsc::{Receiver as Signal, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use object_store::chunked::ChunkedStore;
use object_store::memory::InMemory;
use object_store::throttle::{ThrottleConfig, ThrottledStore};
use stillpoint_core::{Progress, Result, Unit};
use stillpoint_engine::{JobEvent, What};
use stillpoint_manager::depot::Depot;
use stillpoint_manager::{Class, Component, Dump, RestoreManager, SecretKey, Site, Stage};
use tokio::sync::broadcast::Receiver;

use crate::Plain;

const PIECE: usize = 512 << 10;
const PIECES: usize = 16;

/// Has as many bytes as it says, none of which can be packed, and takes its time with each piece.
#[derive(Debug)]
struct Slow;

impl Component for Slow {
    fn dump(&self, dump: &mut Dump<'_, '_>) -> Result<()> {
        dump.stream("bytes", Class::Internal, |to| {
            let mut random = fastrand::Rng::with_seed(7);
            for _ in 0..PIECES {
                let mut piece = vec![0; PIECE];
                random.fill(&mut piece);
                to.write_all(&piece).unwrap();
                thread::sleep(Duration::from_millis(20));
            }
            Ok(())
        })
    }

    fn stage(&self, stage: &Stage<'_>) -> Result<()> {
        let mut bytes = stage.reader("bytes")?;
        let mut piece = vec![0; PIECE];
        for _ in 0..PIECES {
            bytes.read_exact(&mut piece).unwrap();
            thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    fn cut_over(&self, _: &Site) -> Result<()> {
        Ok(())
    }

    fn size(&self) -> Result<u64> {
        Ok((PIECES * PIECE) as u64)
    }
}

/// A depot whose bytes come slowly.
fn far() -> Depot {
    let store = ChunkedStore::new(Arc::new(InMemory::new()), 64 << 10);
    let config = ThrottleConfig {
        wait_get_per_byte: Duration::from_nanos(120),
        ..ThrottleConfig::default()
    };
    Depot::new(Arc::new(ThrottledStore::new(store, config)), "archives").unwrap()
}

/// All progress that is told to the end of a job, with the step that was under way.
async fn told(events: &mut Receiver<JobEvent>) -> Vec<(String, Progress)> {
    let (mut told, mut step) = (Vec::new(), String::new());
    loop {
        match events.recv().await.unwrap().what {
            What::Step { call, became, .. } if became == "begun" => step = call,
            What::Step { became, .. } if became == "done" => step.clear(),
            What::Progress { progress } => told.push((step.clone(), progress)),
            What::Ended { .. } => return told,
            _ => {}
        }
    }
}

fn check(told: &[(String, Progress)], within: &[&str]) -> u64 {
    let (_, last) = told.last().expect("it tells something");
    let done: Vec<u64> = told.iter().map(|(_, it)| it.done()).collect();
    assert!(done.is_sorted(), "it goes back: {told:?}");
    assert_eq!(last.done(), last.total(), "it does not end at its total");
    for (_, progress) in told {
        let of = (progress.unit(), progress.total());
        assert_eq!(of, (Unit::Bytes, last.total()), "{told:?}");
    }
    for step in within {
        let count = told.iter().filter(|(it, _)| it == step).count();
        assert!(count >= 3, "{step}: {count} times in {told:?}");
    }
    last.total()
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_told_within_each_step_that_moves_bytes() {
    let (folder, key) = (tempfile::tempdir().unwrap(), SecretKey::generate());
    let plain = Plain::new(folder.path(), &key, |it| {
        it.component("slow", Slow).depot(far(), folder.path())
    });
    let mut events = plain.engine.events();
    plain.capture("monday").await.unwrap();
    let size = (PIECES * PIECE) as u64;
    let total = check(&told(&mut events).await, &["do capture"]);
    assert_eq!(total, size, "as many as there are");

    let restored = plain.restore("monday").await.unwrap();
    assert!(restored.is_good(), "{:?}", restored.error);
    let steps = ["do fetch", "do verify", "do safeguard", "do stage/slow"];
    let total = check(&told(&mut events).await, &steps[..]);
    assert!(total > 4 * size, "fetched, read, captured, staged: {total}");
}

/// Does not say how large it is before it is let go, where it waits for that.
#[derive(Debug)]
struct Silent(Option<Mutex<Signal<()>>>);

impl Component for Silent {
    fn dump(&self, _: &mut Dump<'_, '_>) -> Result<()> {
        Ok(())
    }

    fn stage(&self, _: &Stage<'_>) -> Result<()> {
        Ok(())
    }

    fn cut_over(&self, _: &Site) -> Result<()> {
        Ok(())
    }

    fn size(&self) -> Result<u64> {
        if let Some(signal) = &self.0 {
            let _ = signal.lock().unwrap().recv();
        }
        Ok(0)
    }
}

#[tokio::test(start_paused = true)]
async fn a_size_that_is_never_said_keeps_no_plan_from_being_made() {
    let (archives, key) = (tempfile::tempdir().unwrap(), SecretKey::generate());
    let plain = Plain::new(archives.path(), &key, |it| {
        it.component("silent", Silent(None))
    });
    plain.capture("monday").await.unwrap();
    let (go, signal) = channel();
    let silent = Silent(Some(Mutex::new(signal)));
    let plain = Plain::new(archives.path(), &key, |it| it.component("silent", silent));
    let request = RestoreManager::of("monday").request();
    let mut plan = pin!(plain.engine.plan(&request));
    // The clock stands while something blocks.
    for _ in 0..20_000 {
        tokio::select! {
            biased;
            plan = &mut plan => {
                plan.unwrap();
                drop(go);
                return;
            }
            () = tokio::time::advance(Duration::from_millis(100)) => thread::sleep(Duration::from_millis(1)),
        }
    }
    drop(go);
    panic!("it waits for ever");
}
