//! Peak memory of this whole process, runtime and state included, while it takes and verifies a
//! snapshot of a sparse file of 100 GiB.

use std::fs::{self, File};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::time::Duration;

use stillpoint::{Result, Stillpoint};
use stillpoint_benches::{Table, scratch};

const GIB: u64 = 1 << 30;
const MIB: f64 = (1 << 20) as f64;

#[tokio::main]
async fn main() -> Result<()> {
    let folder = tempfile::tempdir_in(scratch(env!("CARGO_TARGET_TMPDIR"))).expect("a folder");
    let path = folder.path().join("huge.raw");
    let file = File::create(&path).expect("a file");
    file.set_len(100 * GIB).expect("a sparse file");
    for number in 0..200 {
        file.write_all_at(&[1; 64 << 10], number * (GIB / 2))
            .expect("there is space");
    }
    file.sync_all().expect("the disk works");
    drop(file);
    let data = fs::metadata(&path).expect("it is there").blocks() * 512;

    let start = peak();
    let still = Stillpoint::builder()
        .folder("here", folder.path())
        .state_file(folder.path().join(".stillpoint.db"))
        .build()?;
    tokio::spawn(still.run());
    let taken = still.snapshot("here/volume/huge.raw").await?;
    let end = peak();
    assert!(taken.verified.is_some(), "it was read back");
    assert_eq!(taken.parts[0].size, 100 * GIB);
    let copies = folder.path().join(".stillpoint/snapshots");
    let copied: u64 = fs::read_dir(copies)
        .expect("it is there")
        .map(|entry| {
            entry
                .and_then(|entry| entry.metadata())
                .expect("it is there")
                .blocks()
                * 512
        })
        .sum();
    assert!(
        copied <= data + (1 << 20),
        "{copied} bytes of {data}: it is not sparse any more"
    );

    let mib = |bytes: u64| format!("{:.1} MiB", bytes as f64 / MIB);
    let mut table = Table::new(["a sparse file of 100 GiB, taken and verified", "", "goal"]);
    table.row([
        "peak memory of the process".to_owned(),
        mib(end),
        "32 MiB".to_owned(),
    ]);
    table.row([
        "of it before the first call".to_owned(),
        mib(start),
        String::new(),
    ]);
    table.row(["data in the file".to_owned(), mib(data), String::new()]);
    table.row([
        "on the disk for the snapshot".to_owned(),
        mib(copied),
        String::new(),
    ]);
    println!("{table}");
    still.shutdown(Duration::from_secs(5)).await;
    Ok(())
}

/// Peak resident memory of this process, in bytes.
fn peak() -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("this is Linux");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line
        .and_then(|line| line.trim().strip_suffix(" kB"))
        .expect("it is in KiB");
    kib.parse::<u64>().expect("a number") * 1024
}
