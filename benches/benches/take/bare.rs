//! What people do by hand.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::fs::ioctl_ficlone;

/// The fsyncs of [`Bare::take`], which are those of a provider that loses nothing: of the copy, its
/// record, the folder they are staged in, the decision to publish them and its folder, the folder
/// they are published to, and that of the decision again.
pub(crate) const SYNCS: usize = 7;

/// Bytes of a record of a snapshot, about.
const RECORD: [u8; 500] = [b'r'; 500];

/// The bare system calls of a snapshot by reflink, in folders of their own.
#[derive(Debug)]
pub(crate) struct Bare {
    path: PathBuf,
    staged: File,
    commits: File,
    snapshots: File,
    log: File,
}

impl Bare {
    pub(crate) fn new(folder: &Path) -> Self {
        let path = folder.join(".bare");
        let make = |name: &str| {
            let folder = path.join(name);
            fs::create_dir_all(&folder).expect("a folder");
            File::open(folder).expect("it was made just now")
        };
        let bare = Self {
            staged: make("staged"),
            commits: make("commits"),
            snapshots: make("snapshots"),
            log: File::create(path.join("log")).expect("a file"),
            path,
        };
        bare.staged.sync_all().expect("the disk works");
        bare
    }

    /// FICLONE with [`SYNCS`] fsyncs, and what the job's state needs: so many appends.
    pub(crate) fn take(&self, disk: &Path, appends: u64) {
        for _ in 0..appends {
            (&self.log)
                .write_all(&RECORD[..300])
                .expect("there is space");
            self.log.sync_data().expect("the disk works");
        }
        let copy = self.clone(disk);
        copy.sync_all().expect("the disk works");
        self.write("staged/record");
        sync_all(&self.staged);
        self.write("staged/decision");
        self.rename("staged/decision", "commits/decision");
        sync_all(&self.commits);
        self.rename("staged/copy", "snapshots/copy");
        self.rename("staged/record", "snapshots/record");
        sync_all(&self.snapshots);
        fs::remove_file(self.path.join("commits/decision")).expect("it is there");
        sync_all(&self.commits);
    }

    /// Nothing but FICLONE: what is gone after a power loss.
    pub(crate) fn clone_alone(&self, disk: &Path) {
        self.clone(disk);
    }

    /// What [`clone_alone`](Self::clone_alone) made.
    pub(crate) fn copy(&self) -> PathBuf {
        self.path.join("staged/copy")
    }

    /// Removes what was made.
    pub(crate) fn clear(&self) {
        for name in ["staged", "snapshots"] {
            for entry in fs::read_dir(self.path.join(name)).expect("it is there") {
                fs::remove_file(entry.expect("it is there").path()).expect("it is there");
            }
        }
    }

    fn clone(&self, disk: &Path) -> File {
        let source = File::open(disk).expect("it is there");
        let copy = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .open(self.copy())
            .expect("a file");
        ioctl_ficlone(&copy, &source).expect("it worked for Stillpoint");
        copy
    }

    fn write(&self, name: &str) {
        let mut file = File::create(self.path.join(name)).expect("a file");
        file.write_all(&RECORD).expect("there is space");
        sync_all(&file);
    }

    fn rename(&self, from: &str, to: &str) {
        fs::rename(self.path.join(from), self.path.join(to)).expect("it is there");
    }
}

fn sync_all(file: &File) {
    file.sync_all().expect("the disk works");
}

/// `cp` as one calls it to keep a copy sparse and of its own.
pub(crate) fn cp(from: &Path, to: &Path) {
    let mut command = Command::new("cp");
    command
        .args(["--sparse=always", "--reflink=never"])
        .arg(from)
        .arg(to);
    assert!(command.status().expect("coreutils are installed").success());
}

/// What makes `cp`'s copy last.
pub(crate) fn sync(path: &Path) {
    sync_all(&File::open(path).expect("it is there"));
}

/// What people verify a copy with.
pub(crate) fn cmp(one: &Path, other: &Path) {
    let status = Command::new("cmp").arg(one).arg(other).status();
    assert!(status.expect("diffutils are installed").success());
}
