use std::sync::Arc;

use stillpoint_schedule::retention::Keep;
use stillpoint_state::State;

use crate::bed::{Bed, at, cron, on};
use crate::common::Fuse;

/// Three runs with retention; killed at one durable write of the third, and up again a minute
/// later. Whatever write it was: every run is there once, and retention has done its work.
#[tokio::test(start_paused = true)]
async fn killed_at_every_durable_write_every_run_is_done_once() {
    let mut kills = 0;
    for after in [false, true] {
        let mut number = 1;
        while kill_at(number, after).await {
            (number, kills) = (number + 1, kills + 1);
        }
    }
    println!("{kills} kill points");
    // Thirty writes, each before and after.
    assert!(kills >= 60, "{kills}");
}

/// Tells whether there were as many writes.
async fn kill_at(number: usize, after: bool) -> bool {
    let what = format!("killed at write {number}, after: {after}");
    let mut bed = Bed::new();
    let mut spec = on(cron("0 13,14,15 1 * *"));
    spec.keep = Some(Keep::new().last(2));
    bed.apply(&spec).await;
    bed.until(at("01T14:30")).await;
    let fuse = Fuse::new(Arc::clone(&bed.state), number, after);
    bed.up_on(&(Arc::clone(&fuse) as Arc<dyn State>));
    let killed = tokio::select! {
        biased;
        () = fuse.blown.notified() => true,
        () = bed.until(at("01T15:03")) => false,
    };
    bed.down();
    tokio::time::sleep(std::time::Duration::from_secs(60)).await;
    bed.up();
    bed.until(at("01T15:20")).await;
    assert_eq!(
        bed.runs().await,
        ["01T13:00 done 2", "01T14:00 done 2", "01T15:00 done 2"],
        "{what}"
    );
    assert_eq!(
        bed.names().await,
        [
            "nightly-web-1-20260301-140000",
            "nightly-web-1-20260301-150000",
            "nightly-web-2-20260301-140000",
            "nightly-web-2-20260301-150000",
        ],
        "{what}"
    );
    bed.check_none_twice(&what).await;
    killed
}
