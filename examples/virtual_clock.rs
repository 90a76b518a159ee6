//! A cloud that is slow, and a test that is not: hours on a virtual clock, in milliseconds.

use std::error::Error;
use std::sync::Arc;
use std::time::Instant;

use stillpoint::iaas::sim::{NewInstance, Personality, SimCloud, clock_from};
use stillpoint::state::Memory;
use stillpoint::{Stillpoint, TokioClock};

#[tokio::main(flavor = "current_thread", start_paused = true)]
async fn main() -> Result<(), Box<dyn Error>> {
    let begun = Instant::now();
    let start = "2026-03-01T02:00:00Z".parse()?;
    let cloud = SimCloud::builder(Personality::Rest)
        .name("prod")
        .clock(clock_from(start))
        .build();
    let web = cloud.add_instance(NewInstance::new("web-1").disk("root", 1 << 20).off());
    let disk = cloud.disk(&web, "root").ok_or("no disk")?;
    cloud.fill(&disk, 1);
    let good = cloud.digest(&disk);
    let still = Stillpoint::builder()
        .state(Arc::new(Memory::new()))
        .provider(Arc::new(cloud.connect()))
        .clock(Arc::new(TokioClock::starting_at(start)))
        .build()?;
    tokio::spawn(still.run());

    let before = still.snapshot(web).await?;
    cloud.fill(&disk, 2);
    assert_ne!(cloud.digest(&disk), good);
    still.restore(before.id).await?;
    assert_eq!(cloud.digest(&disk), good);

    let passed = cloud.now().duration_since(start);
    println!("in the cloud {passed:#}, here {:.1?}", begun.elapsed());
    assert!(passed.as_secs() > 0);
    Ok(())
}
