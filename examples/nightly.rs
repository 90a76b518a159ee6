//! A month of nightly snapshots in a second: fired, kept by policy, listed, and what is wrong.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use jiff::ToSpan;
use stillpoint::iaas::OperationKind;
use stillpoint::iaas::sim::{At, Fault, NewInstance, Personality, SimCloud, clock_from};
use stillpoint::state::Memory;
use stillpoint::{Cron, Keep, Listed, Listing, Select, Stillpoint, TokioClock};

#[tokio::main(flavor = "current_thread", start_paused = true)]
async fn main() -> Result<(), Box<dyn Error>> {
    let start = "2026-03-01T12:00:00Z".parse()?;
    let cloud = SimCloud::builder(Personality::Declarative)
        .name("prod")
        .clock(clock_from(start))
        .build();
    let web = NewInstance::new("web-1").disk("root", 1 << 16).off();
    cloud.add_instance(web.label("backup", "nightly"));
    let still = Stillpoint::builder()
        .state(Arc::new(Memory::new()))
        .provider(Arc::new(cloud.connect()))
        .clock(Arc::new(TokioClock::starting_at(start)))
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
    println!(
        "{} nights, and these are left, the next one on top:",
        runs.len()
    );
    assert_eq!(runs.len(), 29);
    print_list(&still).await?;

    println!("\nwhy each of them is kept:");
    let prune = still.prune("nightly").plan().await?;
    println!("{prune}");
    assert!(
        prune.as_plan().deletions().is_empty(),
        "nothing is left to go"
    );
    assert!(still.health().await?.is_good());

    // Two nights without a quota for snapshots: nothing old goes, and it is said.
    cloud.fault(
        At::submit(OperationKind::Snapshot).times(2),
        Fault::QuotaShort,
    );
    pass(Duration::from_secs(2 * 86_400)).await;
    let health = still.health().await?;
    for (schedule, alarm) in health.alarms() {
        println!("alarm: {schedule}: {alarm}");
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
