//! A job is stopped on its way: what it had done is undone, and nothing is left behind.

use std::error::Error;
use std::sync::Arc;

use stillpoint::catalogue::Query;
use stillpoint::iaas::sim::{NewInstance, Personality, SimCloud, clock_from};
use stillpoint::state::Memory;
use stillpoint::{ErrorKind, Stillpoint, TokioClock, What};

#[tokio::main(flavor = "current_thread", start_paused = true)]
async fn main() -> Result<(), Box<dyn Error>> {
    // A simulated cloud, because there a snapshot takes its time.
    let start = "2026-03-01T02:00:00Z".parse()?;
    let cloud = SimCloud::builder(Personality::Rest)
        .name("prod")
        .clock(clock_from(start))
        .build();
    let web = cloud.add_instance(
        NewInstance::new("web-1")
            .disk("root", 1 << 20)
            .disk("data", 1 << 20)
            .off(),
    );
    let still = Stillpoint::builder()
        .state(Arc::new(Memory::new()))
        .provider(Arc::new(cloud.connect()))
        .clock(Arc::new(TokioClock::starting_at(start)))
        .build()?;
    tokio::spawn(still.run());
    let before = cloud.inventory();

    let mut events = still.events();
    let job = still.snapshot(web).start().await?;
    loop {
        // Wait until the cloud is at work.
        match events.recv().await?.what {
            What::Ended { outcome } => return Err(format!("too late to stop: {outcome}").into()),
            What::Step { call, became, .. } => {
                println!("{call}: {became}");
                if became == "accepted" {
                    break;
                }
            }
            _ => {}
        }
    }
    job.stop().await?;
    let stopped = job.clone().await.expect_err("it was stopped");
    println!("\n{stopped}\n\n{}", job.tree().await?);

    assert_eq!(stopped.kind(), ErrorKind::Cancelled);
    assert!(still.snapshots(&Query::default()).await?.rows.is_empty());
    cloud.settle().await;
    let left = before.diff(&cloud.inventory());
    assert!(left.is_empty(), "{left:?}");
    println!("\nnothing is listed, and nothing is left in the cloud");
    Ok(())
}
