//! A plan is a value: read it today, store it as JSON, start it later. It is bound to what it saw,
//! and refused where that has changed.

use std::error::Error;

use stillpoint::{ErrorKind, JobPlan, Stillpoint};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let disk = folder.path().join("disk.img");
    std::fs::write(&disk, [7; 4096])?;
    let still = Stillpoint::builder()
        .folder("here", folder.path())
        .state_file(folder.path().join(".state.redb"))
        .build()?;
    tokio::spawn(still.run());
    let before = still.snapshot("here/volume/disk.img").await?;
    std::fs::write(&disk, [13; 4096])?;

    let plan = still.restore(before.id).plan().await?;
    println!("{plan}\n");
    let stored = serde_json::to_string(plan.as_plan())?;
    println!("stored: {} bytes of JSON", stored.len());

    // Somebody makes the disk larger before the plan is started.
    std::fs::OpenOptions::new()
        .write(true)
        .open(&disk)?
        .set_len(8192)?;
    let late = still.planned(serde_json::from_str::<JobPlan>(&stored)?);
    let refused = late
        .start()
        .await
        .expect_err("the plan is for another disk");
    println!("refused: {refused}");
    assert_eq!(refused.kind(), ErrorKind::Conflict);
    assert_eq!(std::fs::read(&disk)?.len(), 8192, "nothing was touched");

    // And makes it as it was: the plan fits again.
    std::fs::OpenOptions::new()
        .write(true)
        .open(&disk)?
        .set_len(4096)?;
    late.start().await?.await?;
    assert_eq!(std::fs::read(&disk)?, [7; 4096]);
    println!("started later, and done");
    Ok(())
}
