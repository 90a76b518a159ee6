//! The story with disks of our own.

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use stillpoint::local::LocalProvider;
use stillpoint::{
    Consistency, Disk, Error, ErrorKind, Provider, ResourceRef, Snapshot, Stillpoint,
};

use crate::screen::{chapter, fact, follow, list, page, proven};
use crate::stage::{Stage, Sums, sums};
use crate::{Result, fat, screen, yours};

const MIB: u64 = 1 << 20;
/// The disks of `web-1`: name, file, bytes, label of the file system.
const DISKS: [(&str, &str, u64, &str); 2] = [
    ("root", "root.img", 64 * MIB, "ROOT"),
    ("data", "data.img", 32 * MIB, "DATA"),
];
const ORDERS: &str = "orders.csv";

/// The provider, the folder of its disks, and what snapshots them.
pub(crate) struct Theatre {
    pub(crate) still: Stillpoint,
    pub(crate) local: Arc<LocalProvider>,
    pub(crate) disks: PathBuf,
}

/// Runs the whole of it.
pub(crate) async fn run(keep: bool) -> Result<()> {
    let begun = Instant::now();
    let stage = Stage::new(keep)?;
    println!("Stillpoint quickstart, in {}", stage.shown());
    let theatre = Theatre::open(&stage.disks()?, &stage.state())?;
    let driving = tokio::spawn(theatre.still.run());
    let played = unless_interrupted(play(&theatre, &stage.backup()?)).await;
    theatre.still.shutdown(Duration::from_secs(5)).await;
    driving.await??;
    let kept = played?;
    drop(theatre);
    unless_interrupted(lose_and_restore(&stage, &kept)).await?;
    let after = if keep {
        "is left for you"
    } else {
        "is removed"
    };
    println!("\n{:.1?}. {} {after}.", begun.elapsed(), stage.shown());
    Ok(())
}

async fn unless_interrupted<T>(play: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::select! {
        played = play => played,
        interrupt = tokio::signal::ctrl_c() => Err(match interrupt {
            Ok(()) => "interrupted".into(),
            Err(error) => error.into(),
        }),
    }
}

/// What is left when the machine is lost, and what its disks were.
struct Kept {
    archive: String,
    before: Sums,
}

async fn play(theatre: &Theatre, backup: &Path) -> Result<Kept> {
    let Theatre { still, disks, .. } = theatre;

    chapter(
        1,
        "An instance of two disks with real file systems, and an ephemeral one",
    );
    let orders = make_disks(disks)?;
    let web = theatre.declare().await?;
    let before = theatre.sums()?;
    for (name, file, size, label) in DISKS {
        fact(
            name,
            format_args!("{file}, {}, FAT `{label}`", screen::size(size)),
        );
    }
    fact("scratch", "ephemeral: it lives and dies with the instance");

    chapter(2, "Take a snapshot");
    let ask = still
        .snapshot(web.clone())
        .named("before-the-upgrade")
        .prefer(Consistency::Filesystem)
        .at_least(Consistency::Crash);
    let taken = follow(still, "taking", ask).await?;
    let snapshot = still
        .get(taken.snapshot.ok_or("a take without a snapshot")?)
        .await?;
    screen::snapshot(&snapshot);

    chapter(3, "Damage a disk");
    damage(&disks.join("data.img"))?;
    let damaged = theatre.sums()?;
    compare("now", &damaged, &before);
    fact(
        "data.img",
        match fat::read(&disks.join("data.img"), ORDERS) {
            Ok(_) => return Err("the damage did no harm".into()),
            Err(error) => format!("{ORDERS} can't be read: {error}"),
        },
    );

    chapter(4, "Plan the restore: a dry run");
    let plan = still.restore(snapshot.id).plan().await?;
    page(&plan);
    equal("disks", "untouched by planning", &theatre.sums()?, &damaged)?;

    chapter(5, "Restore in place");
    let restore = follow(still, "restoring", still.restore(snapshot.id)).await?;
    equal(
        "disks",
        "SHA-256 of each as before the damage",
        &theatre.sums()?,
        &before,
    )?;
    let read = fat::read(&disks.join("data.img"), ORDERS)?;
    if read != orders {
        return Err(format!("{ORDERS} is not as it was").into());
    }
    let lines = read.iter().filter(|byte| **byte == b'\n').count();
    proven(
        ORDERS,
        format_args!("read through the file system: {lines} lines as they were"),
    );

    chapter(6, "List: the restore kept what it replaced");
    list(still).await?;

    chapter(7, "Undo the restore");
    follow(still, "undoing", still.undo(restore.id)).await?;
    equal(
        "disks",
        "the damage is back, byte for byte",
        &theatre.sums()?,
        &damaged,
    )?;

    chapter(8, "Restore to a new instance");
    let made = follow(
        still,
        "restoring",
        still.restore(snapshot.id).to_new("web-2"),
    )
    .await?;
    theatre.prove_copies(&made.made, &snapshot, &before).await?;

    chapter(9, "Export the snapshot: a copy that shares no fate with it");
    let ask = still.export(snapshot.id).to(backup);
    follow(still, "exporting", ask).await?;
    let listed = still.get(snapshot.id).await?;
    let exported = listed.exports.first().ok_or("nothing was exported")?;
    let disks = snapshot.parts.iter().map(|part| part.size).sum();
    proven(
        "archive",
        format_args!(
            "{} of {} disks, read back, root {}",
            screen::size(exported.size),
            screen::size(disks),
            screen::short(&exported.root)
        ),
    );
    let kept = Kept {
        archive: exported.archive.clone(),
        before,
    };

    chapter(10, "Delete the snapshot");
    follow(still, "deleting", still.delete(snapshot.id)).await?;
    match still.get(snapshot.id).await {
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        _ => return Err("the deleted snapshot is still listed".into()),
    }
    list(still).await?;
    Ok(kept)
}

/// All is gone but the archive.
async fn lose_and_restore(stage: &Stage, kept: &Kept) -> Result<()> {
    chapter(11, "Lose the machine, and restore from the archive alone");
    stage.wipe()?;
    let theatre = Theatre::open(&stage.disks()?, &stage.state())?;
    let Theatre { still, .. } = &theatre;
    let driving = tokio::spawn(still.run());
    fact("wiped", "the disks, their snapshots, and the catalogue");
    list(still).await?;
    follow(still, "importing", still.import(&kept.archive)).await?;
    list(still).await?;
    let ask = still.restore_from(&kept.archive).to_new("web-1");
    follow(still, "restoring", ask).await?;
    for (name, file, ..) in DISKS {
        let made = format!("web-1-{name}");
        if sums(&theatre.disks, [made.as_str()])?.get(&made) != kept.before.get(file) {
            return Err(format!("{made} is not as {file} was").into());
        }
        proven(&made, format_args!("same SHA-256 as {file} had"));
    }
    still.shutdown(Duration::from_secs(5)).await;
    Ok(driving.await??)
}

impl Theatre {
    /// Opens a folder of disks, under the name `here`.
    pub(crate) fn open(disks: &Path, state: &Path) -> Result<Self> {
        let local = Arc::new(LocalProvider::open("here", disks)?);
        let still = Stillpoint::builder()
            .provider(Arc::clone(&local) as Arc<dyn Provider>)
            .state_file(state)
            .build()?;
        Ok(Self {
            still,
            local,
            disks: disks.to_owned(),
        })
    }

    async fn declare(&self) -> Result<ResourceRef> {
        let mut disks = Vec::new();
        for (name, file, size, _) in DISKS {
            let volume = format!("here/volume/{file}").parse()?;
            disks.push(Disk {
                name: name.into(),
                volume: Some(volume),
                size,
                boot: name == "root",
            });
        }
        disks.push(Disk {
            name: "scratch".into(),
            volume: None,
            size: 16 * MIB,
            boot: false,
        });
        Ok(self.local.declare_instance("web-1", &disks).await?)
    }

    fn sums(&self) -> Result<Sums> {
        sums(&self.disks, DISKS.iter().map(|(_, file, ..)| *file))
    }

    /// Proves that a new instance has disks with the bytes that `snapshot` was taken of.
    pub(crate) async fn prove_copies(
        &self,
        made: &[ResourceRef],
        snapshot: &Snapshot,
        originals: &Sums,
    ) -> Result<Vec<Disk>> {
        let copies = yours::disks_of(&*self.local, made).await?;
        for part in &snapshot.parts {
            let copy = copies.iter().find(|disk| disk.name == part.disk);
            let volume = copy
                .and_then(|disk| disk.volume.as_ref())
                .ok_or_else(|| format!("disk {} was not made", part.disk))?;
            let sum = sums(&self.disks, [volume.id()])?;
            if sum.get(volume.id()) != originals.get(part.volume.id()) {
                return Err(format!("{volume} differs from {}", part.volume).into());
            }
            proven(
                volume.id(),
                format_args!("same SHA-256 as {} had", part.volume.id()),
            );
        }
        Ok(copies)
    }
}

/// Formats the disks and writes files on them; returns the one that is looked at later.
fn make_disks(folder: &Path) -> Result<Vec<u8>> {
    let mut random = fastrand::Rng::with_seed(42);
    for (_, file, size, label) in DISKS {
        fat::format(&folder.join(file), size, label)?;
    }
    let mut kernel = vec![0; 8 * MIB as usize];
    random.fill(&mut kernel);
    let mut orders = String::from("order,amount\n");
    for order in 0..100_000 {
        orders.push_str(&format!("{order},{}\n", random.u32(..1_000)));
    }
    fat::write(&folder.join("root.img"), "vmlinuz", &kernel)?;
    fat::write(&folder.join("root.img"), "hostname", b"web-1\n")?;
    fat::write(&folder.join("data.img"), ORDERS, orders.as_bytes())?;
    fat::write(
        &folder.join("data.img"),
        "customers.csv",
        b"customer\nAda\nGrace\n",
    )?;
    Ok(orders.into_bytes())
}

/// What a bad day does: a file overwritten, one removed, garbage over the file system's tables.
fn damage(disk: &Path) -> Result<()> {
    fat::write(disk, ORDERS, b"order,amount\n")?;
    fat::remove(disk, "customers.csv")?;
    let mut garbage = vec![0; MIB as usize];
    fastrand::Rng::with_seed(666).fill(&mut garbage);
    OpenOptions::new()
        .write(true)
        .open(disk)?
        .write_all_at(&garbage, 0)?;
    fact(
        "data.img",
        "a file overwritten, one removed, 1 MiB of garbage from the start",
    );
    Ok(())
}

fn compare(when: &str, sums: &Sums, before: &Sums) {
    for (disk, sum) in sums {
        let same = before.get(disk) == Some(sum);
        let verdict = if same { "as before" } else { "not as before" };
        fact(
            disk,
            format_args!("SHA-256 {when} {}, {verdict}", screen::short(sum)),
        );
    }
}

pub(crate) fn equal(name: &str, claim: &str, found: &Sums, wanted: &Sums) -> Result<()> {
    for (disk, sum) in found {
        if wanted.get(disk) != Some(sum) {
            return Err(
                Error::new(ErrorKind::Corrupt, format!("{disk} is not as it should be"))
                    .advise("This is a bug: run again with --keep, and report the folder")
                    .into(),
            );
        }
    }
    proven(name, claim);
    Ok(())
}
