use std::fs::{self, File};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use stillpoint_benches::setting;

const SIZE: u64 = 4 << 30;
const PIECE: u64 = 1 << 20;

/// The file that is taken: 4 GiB, with pieces of 1 MiB of noise spread evenly over it.
#[derive(Debug)]
pub(crate) struct Disk {
    path: PathBuf,
}

impl Disk {
    /// Its name in the folder.
    pub(crate) const NAME: &'static str = "disk.raw";

    pub(crate) fn make(folder: &Path) -> Self {
        let path = folder.join(Self::NAME);
        let file = File::create(&path).expect("a file");
        file.set_len(SIZE).expect("a sparse file");
        let pieces = setting("STILLPOINT_BENCH_DATA_MIB", 1536).clamp(1, SIZE / PIECE);
        let mut noise = vec![0; 1 << 20];
        let mut random = fastrand::Rng::with_seed(1);
        for piece in 0..pieces {
            random.fill(&mut noise);
            let at = piece * (SIZE / PIECE) / pieces * PIECE;
            file.write_all_at(&noise, at).expect("there is space");
        }
        file.sync_all().expect("the disk works");
        Self { path }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn folder(&self) -> &Path {
        self.path.parent().expect("it is in a folder")
    }

    /// Bytes on the disk.
    pub(crate) fn allocated(&self) -> u64 {
        fs::metadata(&self.path).expect("it is there").blocks() * 512
    }
}
