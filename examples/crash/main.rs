//! A restore killed with -9 at a chosen point, and what the next process makes of it.
//!
//! `crash` kills when the volume is put back (step 2 of the plan) and the journal lacks it; `crash --at 7`
//! at the seventh point; `crash --at 'before the effect'` at the first of that name; and
//! `crash --every` at every point there is, one after the other.

mod fuse;

use std::error::Error;
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, ExitStatus};
use std::sync::Arc;
use std::time::Duration;

use stillpoint::catalogue::{Name, Query};
use stillpoint::iaas::{Filter, ProviderExt};
use stillpoint::local::LocalProvider;
use stillpoint::state::Redb;
use stillpoint::{JobQuery, Outcome, Provider, ResourceKind, Stillpoint};

use crate::fuse::{At, Fuse};

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

static GOOD: [u8; 1 << 20] = [7; 1 << 20];
static DAMAGED: [u8; 1 << 20] = [13; 1 << 20];

#[tokio::main]
async fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        [] => one("before the journal says `done do 2`").await,
        ["--at", at] => one(at).await,
        ["--every"] => every().await,
        ["--first-life", folder, at] => first_life(Path::new(folder), at).await,
        _ => Err("crash [--at NUMBER-OR-NAME | --every]".into()),
    }
}

/// A process is killed, the next one says what it finds and does.
async fn one(at: &str) -> Result<()> {
    let folder = tempfile::tempdir()?;
    prepare(folder.path()).await?;
    println!("A volume was snapshotted and then damaged. Its restore in place begins, and is");
    if !killed(folder.path(), at)? {
        return Err(format!("no point was `{at}`: the restore went through").into());
    }
    println!("\nThe next process starts. The journal says:");
    let ended = second_life(folder.path(), true).await?;
    println!("\nIt ended: {ended}");
    Ok(())
}

async fn every() -> Result<()> {
    for point in 1.. {
        let folder = tempfile::tempdir()?;
        prepare(folder.path()).await?;
        print!("{point:>3} ");
        if !killed(folder.path(), &point.to_string())? {
            println!(
                "is past the end: all {} points tried, each ended well",
                point - 1
            );
            return Ok(());
        }
        println!("    {}", second_life(folder.path(), false).await?);
    }
    Ok(())
}

/// A snapshot of a volume, which is then damaged.
async fn prepare(folder: &Path) -> Result<()> {
    fs::write(folder.join("disk.img"), GOOD)?;
    let (still, _) = open(folder, &Fuse::new(At::Never, false))?;
    let driving = tokio::spawn(still.run());
    still.snapshot("here/volume/disk.img").named("good").await?;
    still.shutdown(Duration::from_secs(5)).await;
    driving.await??;
    Ok(fs::write(folder.join("disk.img"), DAMAGED)?)
}

/// Runs the first life as a process of its own; whether it was killed.
fn killed(folder: &Path, at: &str) -> Result<bool> {
    let me = std::env::current_exe()?;
    let ended: ExitStatus = Command::new(me)
        .arg("--first-life")
        .arg(folder)
        .arg(at)
        .status()?;
    match ended.signal() {
        Some(9) => Ok(true),
        None if ended.success() => Ok(false),
        _ => Err(format!("the first life ended by itself: {ended}").into()),
    }
}

async fn first_life(folder: &Path, at: &str) -> Result<()> {
    let at = at
        .parse()
        .map_or_else(|_| At::Point(at.to_owned()), At::Number);
    let (still, _) = open(folder, &Fuse::new(at, false))?;
    let driving = tokio::spawn(still.run());
    let good = good(&still).await?;
    still.restore(good).once("bring it back").await?;
    still.shutdown(Duration::from_secs(5)).await;
    Ok(driving.await??)
}

/// The same program again: it asks for the same thing, and gets the job that was under way.
async fn second_life(folder: &Path, tell: bool) -> Result<String> {
    let (still, local) = open(folder, &Fuse::new(At::Never, tell))?;
    for job in still
        .jobs(&JobQuery {
            unfinished: true,
            ..JobQuery::default()
        })
        .await?
    {
        if tell {
            println!("{}\n\nIt is driven on:", still.job(job.id).tree().await?);
        }
    }
    let driving = tokio::spawn(still.run());
    let job = still
        .restore(good(&still).await?)
        .once("bring it back")
        .start()
        .await?;
    // A job that was rolled back is an error to whoever awaits it; here both ends are good ones.
    let _ = job.clone().await;
    let ended = job.status().await?;
    let outcome = ended.outcome.ok_or("the job has no end")?;
    let (wanted, bytes): (&[u8], &str) = match outcome {
        Outcome::Completed | Outcome::CompletedWithWarnings { .. } => (&GOOD, "as the snapshot"),
        Outcome::RolledBack { .. } | Outcome::Failed { .. } => (&DAMAGED, "as before the restore"),
        other => return Err(format!("a person has to look: {other}").into()),
    };
    if fs::read(folder.join("disk.img"))? != wanted {
        return Err(format!("{outcome}, but the bytes are not {bytes}").into());
    }
    let orphans = orphans(&still, &*local).await?;
    if orphans != 0 {
        return Err(format!("{orphans} snapshots are known to nobody").into());
    }
    still.shutdown(Duration::from_secs(5)).await;
    driving.await??;
    Ok(format!(
        "{outcome}. The bytes are {bytes}, and nothing is left over."
    ))
}

fn open(folder: &Path, fuse: &Arc<Fuse>) -> Result<(Stillpoint, Arc<dyn Provider>)> {
    let local: Arc<dyn Provider> = Arc::new(LocalProvider::open("here", folder)?);
    let state = Arc::new(Redb::open_or_create(folder.join(".state.redb"))?);
    let still = Stillpoint::builder()
        .state(fuse.state(state))
        .provider(fuse.provider(Arc::clone(&local)))
        .build()?;
    Ok((still, local))
}

async fn good(still: &Stillpoint) -> Result<stillpoint::SnapshotId> {
    let name = Some(Name::Is("good".into()));
    let page = still
        .snapshots(&Query {
            name,
            ..Query::default()
        })
        .await?;
    Ok(page
        .rows
        .first()
        .ok_or("there is no snapshot `good`")?
        .snapshot
        .id)
}

/// How many snapshots the provider has that the catalogue does not know.
async fn orphans(still: &Stillpoint, local: &dyn Provider) -> Result<usize> {
    let listed = still.snapshots(&Query::default()).await?;
    let known = |it: &_| {
        listed
            .rows
            .iter()
            .any(|row| row.snapshot.parts.iter().any(|part| part.snapshot == *it))
    };
    let all = local
        .list_all(&Filter::kind(ResourceKind::Snapshot))
        .await?;
    Ok(all.iter().filter(|it| !known(&it.reference)).count())
}
