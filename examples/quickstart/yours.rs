//! The story with a user's own disks, which are only read. Damage is for a copy of our own.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use stillpoint::iaas::{Filter, Observation, Operation, Provider, ProviderExt};
use stillpoint::{Detail, Disk, ResourceKind, ResourceRef, SnapshotId, Stillpoint};

use crate::demo::{Theatre, equal};
use crate::screen::{chapter, fact, follow, page, proven};
use crate::stage::{Stage, Sums, sums};
use crate::{Result, screen};

/// What is worked on.
struct Yours {
    folder: PathBuf,
    images: Vec<String>,
    /// Whether Stillpoint had been in this folder before us: then its records stay.
    known: bool,
    /// What our own instances are called; no one else's.
    name: String,
}

/// Most images taken at once.
const MOST: usize = 16;

pub(crate) async fn run(path: &Path, keep: bool) -> Result<()> {
    let begun = Instant::now();
    let yours = Yours::at(path)?;
    let stage = Stage::new(false)?;
    println!("Stillpoint quickstart, with {}", path.display());
    println!("Your disks are only read. What is added to their folder is removed at the end:");
    println!("  .stillpoint/, and disks named {}-*", yours.name);
    let theatre = Theatre::open(&yours.folder, &stage.state())?;
    let driving = tokio::spawn(theatre.still.run());
    let stamps = yours.stamps()?;
    let played = tokio::select! {
        played = play(&theatre, &yours) => played,
        interrupt = tokio::signal::ctrl_c() => Err(match interrupt {
            Ok(()) => "interrupted".into(),
            Err(error) => error.into(),
        }),
    };
    let cleaned = if keep {
        Ok(())
    } else {
        clean(&theatre, &yours).await
    };
    theatre.still.shutdown(Duration::from_secs(30)).await;
    driving.await??;
    drop(theatre);
    if !keep && cleaned.is_ok() && !yours.known {
        fs::remove_dir_all(yours.folder.join(".stillpoint"))?;
    }
    if stamps != yours.stamps()? {
        println!("\nSomebody wrote your disks meanwhile; it was not us.");
    }
    played?;
    cleaned.map_err(|error| format!("what was added is not all removed: {error}"))?;
    let after = if keep {
        "What was added is left for you"
    } else {
        "What was added is removed"
    };
    println!("\n{:.1?}. {after}.", begun.elapsed());
    Ok(())
}

async fn play(theatre: &Theatre, yours: &Yours) -> Result<()> {
    let Theatre {
        still,
        local,
        disks,
    } = theatre;

    chapter(1, "Your disks, as an instance");
    let before = yours.sums()?;
    let mut declared = Vec::new();
    for (number, image) in yours.images.iter().enumerate() {
        let volume: ResourceRef = format!("here/volume/{image}").parse()?;
        let size = fs::metadata(disks.join(image))?.len();
        fact(
            image,
            format_args!(
                "{}, SHA-256 {}",
                screen::size(size),
                screen::short(&before[image])
            ),
        );
        let (name, boot) = (format!("disk-{number}"), number == 0);
        declared.push(Disk {
            name,
            volume: Some(volume),
            size,
            boot,
        });
    }
    let instance = local.declare_instance(&yours.name, &declared).await?;

    chapter(2, "Take a snapshot");
    let ask = still.snapshot(instance).named(yours.name.as_str());
    let taken = follow(still, "taking", ask).await?;
    let snapshot = still
        .get(taken.snapshot.ok_or("a take without a snapshot")?)
        .await?;
    screen::snapshot(&snapshot);

    chapter(
        3,
        "Plan a restore in place: a dry run, and no more than that with your disks",
    );
    page(still.restore(snapshot.id).plan().await?);

    chapter(4, "Restore to new disks");
    let copy = format!("{}-copy", yours.name);
    let made = follow(still, "restoring", still.restore(snapshot.id).to_new(copy)).await?;
    let copies = theatre.prove_copies(&made.made, &snapshot, &before).await?;

    chapter(5, "Damage a copy, and restore it in place");
    let of = made
        .made
        .iter()
        .find(|it| it.kind() == ResourceKind::Instance);
    let copy = of.ok_or("no instance was made")?.clone();
    let volumes: Vec<_> = copies
        .iter()
        .filter_map(|disk| disk.volume.as_ref())
        .collect();
    let look = || sums(disks, volumes.iter().map(|volume| volume.id()));
    let whole = look()?;
    let ask = still.snapshot(copy).named(format!("{}-copy", yours.name));
    let taken = follow(still, "taking", ask).await?;
    let victim = volumes.first().ok_or("no volume was made")?.id();
    damage(&disks.join(victim))?;
    let damaged = look()?;
    if damaged == whole {
        return Err("the damage did no harm".into());
    }
    fact(victim, "garbage written over its start");
    let snapshot = taken.snapshot.ok_or("a take without a snapshot")?;
    let restore = follow(still, "restoring", still.restore(snapshot)).await?;
    equal(
        "copies",
        "restored: SHA-256 of each as before the damage",
        &look()?,
        &whole,
    )?;
    follow(still, "undoing", still.undo(restore.id)).await?;
    equal(
        "copies",
        "undone: the damage is back, byte for byte",
        &look()?,
        &damaged,
    )?;

    chapter(6, "Your disks");
    equal(
        "disks",
        "SHA-256 of each as at the start",
        &yours.sums()?,
        &before,
    )
}

/// Garbage over the first bytes, as many as there are.
fn damage(disk: &Path) -> Result<()> {
    let size = fs::metadata(disk)?.len().min(1 << 20);
    let mut garbage = vec![0; usize::try_from(size)?];
    fastrand::Rng::with_seed(666).fill(&mut garbage);
    Ok(OpenOptions::new()
        .write(true)
        .open(disk)?
        .write_all_at(&garbage, 0)?)
}

/// Removes all that we have added, wherever the story ended.
async fn clean(theatre: &Theatre, yours: &Yours) -> Result<()> {
    let Theatre { still, local, .. } = theatre;
    for job in still
        .jobs(&stillpoint::JobQuery {
            unfinished: true,
            ..Default::default()
        })
        .await?
    {
        // One past its point of no return refuses to stop, and is awaited.
        let handle = still.job(job.id);
        let _ = handle.stop().await;
        let _ = handle.await;
    }
    for id in snapshots(still).await? {
        still.delete(id).await?;
    }
    let provider: &dyn Provider = &**local;
    let instances = provider
        .list_all(&Filter::kind(ResourceKind::Instance))
        .await?;
    for instance in instances {
        let name = instance.reference.id();
        if name != yours.name && name != format!("{}-copy", yours.name) {
            continue;
        }
        let disks = disks_of(provider, std::slice::from_ref(&instance.reference)).await?;
        let instance = instance.reference.clone();
        let ours = name != yours.name;
        operate(provider, Operation::DeleteInstance { instance }).await?;
        for volume in disks
            .into_iter()
            .filter_map(|disk| disk.volume)
            .filter(|_| ours)
        {
            operate(provider, Operation::DeleteVolume { volume }).await?;
        }
    }
    proven("clean", "what was added is removed");
    Ok(())
}

/// Safety snapshots are kept by their restores: to accept those deletes them.
async fn snapshots(still: &Stillpoint) -> Result<Vec<SnapshotId>> {
    let page = still
        .snapshots(&stillpoint::catalogue::Query::default())
        .await?;
    let mut ids = Vec::new();
    for row in page.rows {
        if still.job(row.snapshot.job).accept().await.is_err() {
            ids.push(row.snapshot.id);
        }
    }
    Ok(ids)
}

async fn operate(provider: &dyn Provider, operation: Operation) -> Result<()> {
    let key = format!("quickstart.{}", fastrand::u64(..)).parse()?;
    provider.submit(&key, &operation).await?;
    loop {
        match provider.observe(&key, &operation, None).await? {
            Observation::Done { .. } => return Ok(()),
            Observation::Running { look_again_in, .. } => tokio::time::sleep(look_again_in).await,
            other => return Err(format!("{operation}: {other:?}").into()),
        }
    }
}

/// The disks of the instance that is among these.
pub(crate) async fn disks_of(provider: &dyn Provider, made: &[ResourceRef]) -> Result<Vec<Disk>> {
    let instance = made.iter().find(|it| it.kind() == ResourceKind::Instance);
    let instance = instance.ok_or("there is no instance among what was made")?;
    match provider.describe(instance).await?.detail {
        Detail::Instance { disks, .. } => Ok(disks),
        _ => Err(format!("{instance} has no disks").into()),
    }
}

impl Yours {
    fn at(path: &Path) -> Result<Self> {
        let shown = path.display();
        let path = path
            .canonicalize()
            .map_err(|error| format!("{shown}: {error}"))?;
        let (folder, images) = if path.is_dir() {
            (path.clone(), images(&path)?)
        } else if path.is_file() {
            let name = path.file_name().and_then(|name| name.to_str());
            let name = name.ok_or_else(|| format!("{shown}: its name is not UTF-8"))?;
            let folder = path.parent().ok_or("a file without a folder")?;
            (folder.to_owned(), vec![name.to_owned()])
        } else {
            return Err(format!("{shown}: neither a file nor a folder. Give a raw image").into());
        };
        if images.is_empty() || images.len() > MOST {
            let count = images.len();
            return Err(format!(
                "{shown} has {count} files, and 1 to {MOST} can be taken. Give one of them"
            )
            .into());
        }
        let known = folder.join(".stillpoint").exists();
        let name = format!("quickstart-{}", std::process::id());
        Ok(Self {
            folder,
            images,
            known,
            name,
        })
    }

    fn sums(&self) -> Result<Sums> {
        sums(&self.folder, self.images.iter().map(String::as_str))
    }

    /// Inode, size and time of the last change of each, to see whether anybody wrote.
    fn stamps(&self) -> Result<Vec<(u64, u64, i64, i64)>> {
        use std::os::unix::fs::MetadataExt;
        self.images
            .iter()
            .map(|image| {
                let it = fs::metadata(self.folder.join(image))?;
                Ok((it.ino(), it.len(), it.mtime(), it.mtime_nsec()))
            })
            .collect()
    }
}

/// The files of a folder that may be disks, by name.
fn images(folder: &Path) -> Result<Vec<String>> {
    let mut images = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().into_string();
        if let (Ok(name), true) = (name, entry.file_type()?.is_file())
            && !name.starts_with('.')
        {
            images.push(name);
        }
    }
    images.sort();
    Ok(images)
}
