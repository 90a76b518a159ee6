//! Whatever becomes of us at whatever moment, nobody is frozen for longer than was said.

mod common;

use std::sync::Arc;
use std::time::Duration;

use common::{Bench, CHUNK, Fuse};
use stillpoint_core::{Consistency, ErrorKind};
use stillpoint_engine::{Request, Take};
use stillpoint_iaas::sim::{At, Call, Fault, Personality};

/// No freeze may last longer.
const BUDGET: Duration = Duration::from_secs(60);

/// How long nobody does anything about it.
const LONG: Duration = Duration::from_secs(3600);

/// What happens after a durable write.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Blow {
    /// The cloud cannot be reached for an hour.
    Gone,
    /// The process is killed, and nobody starts it again for an hour.
    Killed,
    /// The job's driver panics.
    Panic,
    /// A person stops the job.
    Stop,
}

#[tokio::test(start_paused = true)]
async fn nobody_stays_frozen() {
    for blow in [Blow::Gone, Blow::Killed, Blow::Panic, Blow::Stop] {
        let (mut points, mut freezes, mut alone) = (0, 0, 0);
        for personality in Personality::ALL {
            let mut at = 1;
            while let Some(seen) = struck(personality, blow, at).await {
                at += 1;
                points += 1;
                freezes += seen.freezes;
                alone += seen.thawed_alone;
            }
        }
        println!("{blow:?}: {points} points, {freezes} freezes, {alone} ended by themselves");
        assert!(points > 20 && freezes > 10, "{blow:?}");
        // Else it never struck while somebody was frozen, and proves nothing.
        assert!(alone > 0 || blow == Blow::Stop, "{blow:?}");
    }
}

struct Seen {
    freezes: usize,
    thawed_alone: usize,
}

/// None where the job was over before.
async fn struck(personality: Personality, blow: Blow, at: usize) -> Option<Seen> {
    let what = format!("{personality}, {blow:?} after write {at}");
    let mut bench = Bench::with(personality, |new| {
        new.disk("second", CHUNK).disk("third", CHUNK)
    });
    let fuse = match blow {
        Blow::Killed => Fuse::new(Arc::clone(&bench.state), at, true),
        Blow::Panic => Fuse::panicking(Arc::clone(&bench.state), at),
        Blow::Gone | Blow::Stop => Fuse::passing(Arc::clone(&bench.state), at),
    };
    bench.drive_on(Arc::clone(&fuse) as Arc<_>);
    let take = Take {
        prefer: Consistency::Filesystem,
        ..Take::of(bench.web.clone())
    };
    let engine = bench.engine.clone();
    let asked = tokio::spawn({
        let engine = engine.clone();
        async move {
            let plan = engine.plan(&Request::Take(take)).await.unwrap();
            let id = engine.start(&plan).await.unwrap();
            engine.wait(id).await
        }
    });
    let over = async {
        while !asked.is_finished() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::select! {
        biased;
        () = fuse.blown.notified() => {}
        () = over => {
            assert!(asked.await.unwrap().unwrap().is_good(), "{what}");
            return None;
        }
    }
    match blow {
        Blow::Gone => {
            for call in [Call::Cancel, Call::Observe, Call::Submit] {
                // One a second at most is asked.
                let always = At::call(call).times(3600);
                bench.cloud.fault(always, Fault::Unavailable);
            }
            tokio::time::sleep(LONG).await;
            bench.cloud.clear_faults();
        }
        Blow::Killed => {
            asked.abort();
            bench.halt();
            tokio::time::sleep(LONG).await;
            bench.crash();
        }
        Blow::Panic => {
            // Whoever waits is told at once, if the job had begun.
            match tokio::time::timeout(BUDGET, asked).await.expect(&what) {
                Err(panicked) => assert!(panicked.is_panic(), "{what}"),
                Ok(Err(told)) => assert_eq!(told.kind(), ErrorKind::Internal, "{what}: {told}"),
                // The last write is all that there was to be done.
                Ok(Ok(job)) => assert!(job.is_good(), "{what}"),
            }
            tokio::time::sleep(LONG).await;
            bench.crash();
        }
        Blow::Stop => {
            for job in engine.jobs(&Default::default()).await.unwrap() {
                // It may be over by now.
                let _ = engine.stop(job.id).await;
            }
        }
    }
    for job in bench.engine.jobs(&Default::default()).await.unwrap() {
        bench.finish(job.id).await;
    }
    assert!(!bench.cloud.is_frozen(&bench.web), "{what}");
    let freezes = bench.cloud.freeze_log();
    for freeze in &freezes {
        let held = Duration::try_from(freeze.duration().expect(&what)).unwrap();
        assert!(held <= BUDGET, "{what}: {freeze}");
    }
    Some(Seen {
        freezes: freezes.len(),
        thawed_alone: freezes.iter().filter(|it| it.thawed_itself).count(),
    })
}
