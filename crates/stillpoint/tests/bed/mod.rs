//! A folder with an instance on it, a state in a file beside it, and what there is in both.
#![allow(dead_code, unreachable_pub, reason = "each test uses its part")]

mod found;
mod watched;

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use stillpoint::local::LocalProvider;
use stillpoint::state::{Redb, State};
use stillpoint::{Builder, Disk, Provider, ResourceRef, Result, Stillpoint};
use tempfile::TempDir;

#[allow(unused_imports, reason = "each test uses its part")]
pub use self::found::{Found, digest, files};
#[allow(unused_imports, reason = "each test uses its part")]
pub use self::watched::{Moment, Watcher};

/// The instance of every bed.
pub const WEB: &str = "here/instance/web";

/// Its volumes and their sizes: odd, so that nothing is a whole number of blocks.
pub const VOLUMES: [(&str, u64); 2] = [("root.img", 131_072), ("data.img", 98_765)];

/// A folder of volumes and the state of what works on it.
pub struct Bed {
    dir: TempDir,
}

impl Bed {
    /// An instance `web` with a root disk, a data disk and an ephemeral one.
    pub async fn new_in(place: &Path) -> Self {
        let bed = Self::empty_in(place);
        for (seed, (name, size)) in VOLUMES.into_iter().enumerate() {
            fill(&bed.folder().join(name), size, seed as u64 + 1);
        }
        let disk = |name: &str, volume: Option<&str>| Disk {
            name: name.into(),
            volume: volume.map(|it| format!("here/volume/{it}").parse().unwrap()),
            size: 4096,
            boot: name == "root",
        };
        let disks = [
            disk("root", Some("root.img")),
            disk("data", Some("data.img")),
            disk("scratch", None),
        ];
        let provider = bed.provider();
        provider.declare_instance("web", &disks).await.unwrap();
        bed
    }

    pub async fn new() -> Self {
        Self::new_in(&std::env::temp_dir()).await
    }

    pub fn empty_in(place: &Path) -> Self {
        let dir = TempDir::new_in(place).unwrap();
        fs::create_dir(dir.path().join("volumes")).unwrap();
        Self { dir }
    }

    /// Another one, with everything as it is in this one.
    pub fn copy_in(&self, place: &Path) -> Self {
        let dir = TempDir::new_in(place).unwrap();
        copy(self.path(), dir.path());
        Self { dir }
    }

    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    pub fn folder(&self) -> PathBuf {
        folder(self.path())
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.folder().join(name)
    }

    pub fn state_file(&self) -> PathBuf {
        state_file(self.path())
    }

    pub fn provider(&self) -> LocalProvider {
        LocalProvider::open("here", self.folder()).unwrap()
    }

    /// What works on it, and drives.
    pub fn start(&self) -> Stillpoint {
        self.start_with(|builder| builder)
    }

    pub fn start_with(&self, change: impl FnOnce(Builder) -> Builder) -> Stillpoint {
        let still = change(self.builder()).build().unwrap();
        tokio::spawn(still.run());
        still
    }

    pub fn builder(&self) -> Builder {
        Stillpoint::builder()
            .folder("here", self.folder())
            .state_file(self.state_file())
    }

    /// Everything that is there. Nothing may work on it.
    pub async fn found(&self) -> Found {
        Found::at(self.path()).await
    }

    /// Writes something else over the start of the root disk.
    pub fn damage(&self) {
        fill(&self.file("root.img"), VOLUMES[0].1, 99);
    }

    /// The digests of the volumes' bytes.
    pub fn volumes(&self) -> [String; 2] {
        VOLUMES.map(|(name, _)| digest(&self.file(name)))
    }
}

pub fn folder(dir: &Path) -> PathBuf {
    dir.join("volumes")
}

pub fn state_file(dir: &Path) -> PathBuf {
    dir.join("state.redb")
}

/// A [`Stillpoint`] whose every durable write and every change asked of the provider is watched.
pub fn watched(dir: &Path, watcher: &Watcher) -> Result<Stillpoint> {
    watched_builder(dir, watcher)?.build()
}

/// What puts a [`watched`] one together.
pub fn watched_builder(dir: &Path, watcher: &Watcher) -> Result<Builder> {
    let state: Arc<dyn State> = Arc::new(Redb::open_or_create(state_file(dir))?);
    let provider: Arc<dyn Provider> = Arc::new(LocalProvider::open("here", folder(dir))?);
    Ok(Stillpoint::builder()
        .state(watcher.state(state))
        .provider(watcher.provider(provider)))
}

/// A sparse file with random bytes at its start, in its middle and at its end.
pub fn fill(path: &Path, size: u64, seed: u64) {
    let file = fs::OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path)
        .unwrap();
    file.set_len(0).unwrap();
    file.set_len(size).unwrap();
    let mut random = fastrand::Rng::with_seed(seed);
    let mut piece = vec![0; 4321];
    for at in [0, size / 2, size - piece.len() as u64] {
        random.fill(&mut piece);
        file.write_all_at(&piece, at).unwrap();
    }
}

pub fn web() -> ResourceRef {
    WEB.parse().unwrap()
}

fn copy(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            fs::create_dir(&target).unwrap();
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}
