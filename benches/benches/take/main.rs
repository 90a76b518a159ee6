//! A snapshot of a file of 4 GiB through the whole of Stillpoint, state and journal included: the
//! time until it is *taken* and until it is *verified*, in turns with what is done by hand today.
//!
//! Where files share blocks that is the bare FICLONE with as many syncs; elsewhere `cp`. With
//! `STILLPOINT_LAB` set to a folder of `reflink-fs.sh`, XFS and btrfs are measured too.

mod bare;
mod commits;
mod disk;
mod ours;

use std::env;
use std::path::{Path, PathBuf};

use stillpoint::{CopyKind, Result};
use stillpoint_benches::{Laps, Table, scratch, setting};

use crate::bare::Bare;
use crate::disk::Disk;
use crate::ours::Ours;

const HEAD: [&str; 5] = ["", "median", "quickest to slowest", "taken to it", "goal"];

#[tokio::main]
async fn main() -> Result<()> {
    let rounds = setting("STILLPOINT_BENCH_ROUNDS", 5);
    let plain = scratch(env!("CARGO_TARGET_TMPDIR"));
    let mut places = vec![("plain".to_owned(), plain)];
    if let Some(lab) = env::var_os("STILLPOINT_LAB").map(PathBuf::from) {
        places.extend(["xfs", "btrfs"].map(|name| (name.to_owned(), lab.join(name))));
    }
    for (name, place) in places {
        let folder = tempfile::tempdir_in(&place).expect("a folder to write to");
        let disk = Disk::make(folder.path());
        let ours = Ours::open(folder.path())?;
        // The first run also tells what the file system can, and warms both.
        match ours.take(&disk).await?.copy {
            CopyKind::Shallow => beside_reflink(&name, &ours, &disk, rounds).await?,
            _ => beside_cp(&name, &ours, &disk, rounds).await?,
        }
        ours.close().await;
    }
    Ok(())
}

async fn beside_reflink(name: &str, ours: &Ours, disk: &Disk, rounds: u64) -> Result<()> {
    let bare = Bare::new(disk.folder());
    let mut laps: [Laps; 5] = Default::default();
    let mut commits = 0;
    for round in 0..rounds {
        // Each comes first in every other round, and after a compare: so each pays as often for
        // what that evicted and for what the other has left to be written.
        for turn in [round, round + 1] {
            laps[3].time(|| bare.clone_alone(disk.path()));
            compare(&mut laps[4], disk, &bare.copy());
            bare.clear();
            if turn % 2 == 0 {
                let took = ours.take(disk).await?;
                laps[0].push(took.taken);
                laps[1].push(took.verified);
                commits = took.commits;
            } else {
                laps[2].time(|| bare.take(disk.path(), commits));
                bare.clear();
            }
        }
    }
    let syncs = bare::SYNCS;
    let [taken, verified, synced, alone, compared] = &laps;
    let mut table = Table::new(head(name));
    table.row(row("taken", taken, taken, ""));
    table.row(row("verified", verified, taken, ""));
    let what = format!("FICLONE, {syncs} fsyncs and {commits} appends with fdatasync, bare");
    table.row(row(&what, synced, taken, "1.5x"));
    table.row(row("FICLONE alone", alone, taken, ""));
    table.row(row("`cmp` of copy and source", compared, taken, ""));
    println!("{table}");
    Ok(())
}

async fn beside_cp(name: &str, ours: &Ours, disk: &Disk, rounds: u64) -> Result<()> {
    let mut laps: [Laps; 5] = Default::default();
    for _ in 0..rounds {
        let took = ours.take(disk).await?;
        assert!(
            took.allocated <= disk.allocated() + (1 << 20),
            "{} bytes of {}: the copy is dense",
            took.allocated,
            disk.allocated(),
        );
        laps[0].push(took.taken);
        laps[1].push(took.verified);
        let copy = disk.folder().join(".copy");
        let started = std::time::Instant::now();
        bare::cp(disk.path(), &copy);
        laps[2].push(started.elapsed());
        bare::sync(&copy);
        laps[3].push(started.elapsed());
        compare(&mut laps[4], disk, &copy);
        std::fs::remove_file(copy).expect("it was made just now");
    }
    let [taken, verified, copied, synced, compared] = &laps;
    let mut table = Table::new(head(name));
    table.row(row("taken", taken, taken, ""));
    table.row(row("verified", verified, taken, ""));
    let cp = "`cp --sparse=always --reflink=never`";
    table.row(row(&format!("{cp}, not durable"), copied, taken, "1.1x"));
    table.row(row(&format!("{cp}, then fsync"), synced, taken, ""));
    table.row(row("`cmp` of copy and source", compared, taken, ""));
    println!("{table}");
    Ok(())
}

fn compare(laps: &mut Laps, disk: &Disk, copy: &Path) {
    laps.time(|| bare::cmp(disk.path(), copy));
}

fn head(name: &str) -> [&str; 5] {
    let mut head = HEAD;
    head[0] = name;
    head
}

fn row(what: &str, laps: &Laps, taken: &Laps, goal: &str) -> [String; 5] {
    let (quickest, slowest) = laps.range();
    [
        what.to_owned(),
        laps.to_string(),
        format!("{quickest:.1?} to {slowest:.1?}"),
        format!("{:.2}x", taken.ratio(laps)),
        goal.to_owned(),
    ]
}
