//! A month of nightly snapshots in a second: fired, kept by policy, listed, and what is wrong.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::{Timestamp, ToSpan};
use stillpoint::iaas::OperationKind;
use stillpoint::iaas::sim::{self, At, Fault, NewInstance, Personality, SimCloud};
use stillpoint::{Clock, Cron, Keep, Listed, Listing, Select, Stillpoint, state::Memory};

/// The simulated cloud's clock, which goes with tokio's: paused, it jumps to whatever is next.
struct CloudClock(sim::Clock);

impl std::fmt::Debug for CloudClock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("CloudClock")
    }
}

#[async_trait]
impl Clock for CloudClock {
    fn now(&self) -> Timestamp {
        (self.0)()
    }

    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}

#[tokio::main(flavor = "current_thread", start_paused = true)]
async fn main() -> Result<(), Box<dyn Error>> {
    let cloud = SimCloud::builder(Personality::Declarative)
        .name("prod")
        .clock(sim::clock_from("2026-03-01T12:00:00Z".parse()?))
        .build();
    let web = NewInstance::new("web-1").disk("root", 1 << 16).off();
    cloud.add_instance(web.label("backup", "nightly"));
    let still = Stillpoint::builder()
        .state(Arc::new(Memory::new()))
        .provider(Arc::new(cloud.connect()))
        .clock(Arc::new(CloudClock(cloud.clock())))
        .build()?;
    tokio::spawn(still.run());

    let nightly = still
        .schedule("nightly")
        .instances(Select::label("backup", "nightly").on("prod"))
        .at(Cron::parse("30 2 * * *")?.tz("Europe/Berlin")?)
        .keep(Keep::new().daily(3).weekly(2).tz("Europe/Berlin")?)
        .stale_after(26.hours());
    let plan = nightly.plan().await?;
    println!("{plan}");
    plan.apply().await?;

    // On the 29th half past two does not exist in Berlin; it runs all the same.
    pass(Duration::from_secs(29 * 86_400)).await;
    let runs = still.schedule_runs("nightly").await?;
    println!("{} nights, and these are left, the next one on top:", runs.len());
    assert_eq!(runs.len(), 29);
    print_list(&still).await?;

    println!("\nwhy each of them is kept:");
    let prune = still.prune("nightly").plan().await?;
    println!("{prune}");
    assert!(prune.as_plan().deletions().is_empty(), "nothing is left to go");
    assert!(still.health().await?.is_good());

    // Two nights without a quota for snapshots: nothing old goes, and it is said.
    cloud.fault(At::submit(OperationKind::Snapshot).times(2), Fault::QuotaShort);
    pass(Duration::from_secs(2 * 86_400)).await;
    let health = still.health().await?;
    for (schedule, alarm) in health.alarms() {
        println!("alarm: {schedule}: {alarm:?}");
    }
    assert_eq!(health.alarms().count(), 2);
    pass(Duration::from_secs(86_400)).await;
    assert!(still.health().await?.is_good(), "an alarm is a level");
    println!("\none good night later all is well, and the list is:");
    print_list(&still).await
}

async fn pass(time: Duration) {
    tokio::time::sleep(time).await;
}

async fn print_list(still: &Stillpoint) -> Result<(), Box<dyn Error>> {
    let rows = still.list(&Listing::default()).await?;
    assert!(matches!(rows[0], Listed::Scheduled { .. }));
    for row in &rows {
        let what = match row {
            Listed::Scheduled { .. } => "scheduled",
            Listed::Taken(_) => "taken",
        };
        println!("  {what:10} {:32} {:.0}", row.name(), row.date());
    }
    Ok(())
}
