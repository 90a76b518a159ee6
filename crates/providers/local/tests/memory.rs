//! A process of its own, so that its peak of memory is this test's.

mod bed;

use std::fs;
use std::os::unix::fs::FileExt;

use bed::{Bed, MIB, allocated, snapshot, volume};

const GIB: u64 = 1 << 30;

/// Peak resident memory of this process, in bytes.
fn peak() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}

#[tokio::test]
async fn a_sparse_file_of_100_gib_is_copied_sparsely_and_in_little_memory() {
    let bed = Bed::new();
    let disk = volume("huge.raw");
    let file = fs::File::create(bed.file("huge.raw")).unwrap();
    file.set_len(100 * GIB).unwrap();
    for n in 0..200 {
        file.write_all_at(&[n as u8 + 1; 64 * 1024], n * (GIB / 2))
            .unwrap();
    }
    drop(file);
    let data = allocated(&bed.file("huge.raw"));
    let provider = bed.open();
    let before = peak();
    let taken = snapshot(&provider, "take", &disk).await;
    let grown = peak() - before;
    assert!(grown < 32 * MIB, "{grown} bytes more");
    assert_eq!(taken.parts[0].size, 100 * GIB);
    let copy = bed.file(".stillpoint/snapshots/take.0.raw");
    assert_eq!(fs::metadata(&copy).unwrap().len(), 100 * GIB);
    assert!(
        allocated(&copy) <= data + MIB,
        "{} of {data}",
        allocated(&copy)
    );
    let copy = fs::File::open(copy).unwrap();
    for n in 0..200 {
        let mut byte = [0];
        copy.read_exact_at(&mut byte, n * (GIB / 2) + 100).unwrap();
        assert_eq!(byte[0], n as u8 + 1);
    }
}
