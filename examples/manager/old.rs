//! Snapshots that real Cloudify Managers wrote, restored here as far as there is a place for it.

use std::path::Path;

use stillpoint::Outcome;
use stillpoint::control::SecretKey;

use crate::Fallible;
use crate::plane::Plane;
use crate::postgres::Postgres;
use crate::show::summary;

/// How many of the items without a place are printed.
const SHOWN: usize = 4;

/// Restores each of them on a fresh manager.
pub(crate) async fn run(postgres: &Postgres, folder: &Path) -> Fallible<()> {
    println!("\nSnapshots of Cloudify Managers, each on a fresh manager");
    let archives = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../crates/archive/testdata/cloudify"
    );
    for (number, version) in ["4.0", "4.6.0", "5.0.5", "7.1"].into_iter().enumerate() {
        let at = folder.join(version);
        std::fs::create_dir_all(&at)?;
        let server = postgres.create(&format!("old{number}"))?;
        let plane = Plane::open(server, &at, SecretKey::generate()).await?;
        let archive = format!("{archives}/cloudify-{version}.zip");
        let own = plane.still.archives()?;
        own.upload("old", Path::new(&archive), "the example")
            .await?;
        let restore = plane.still.restore_manager("old").start().await?;
        // It is never complete where anything had no place.
        if restore.clone().await.is_ok() {
            return Err(format!("{version}: all of it had a place, which cannot be").into());
        }
        let job = restore.status().await?;
        let Some(Outcome::PartiallyFailed { .. }) = job.outcome else {
            return Err(format!("{version}: {:?}", job.error).into());
        };
        println!("{version:<7} {}", summary(&plane.server)?);
        let unplaced = job.error.map(|report| report.reasons).unwrap_or_default();
        for item in unplaced.iter().take(SHOWN) {
            println!("        without {item}");
        }
        println!("        and {} more", unplaced.len().saturating_sub(SHOWN));
        plane
            .still
            .shutdown(std::time::Duration::from_secs(5))
            .await;
    }
    Ok(())
}
