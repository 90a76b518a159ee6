//! The kit of `stillpoint-iaas`, on real files: with hooks that freeze, every rule; without them,
//! what is left.

mod bed;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs;
use std::hash::{DefaultHasher, Hasher};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::thread;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use sha2::{Digest as _, Sha256};
use stillpoint_core::{Consistency, Digest, Disk, ErrorKind, ResourceKind, ResourceRef, Result};
use stillpoint_iaas::Provider;
use stillpoint_iaas::conformance::{Held, Rule, TestBed, run};
use stillpoint_local::{Freezer, LocalProvider, Thaws};

use bed::Bed;

stillpoint_iaas::conformance_tests!(Files::new(true));

/// The rules of whom nothing can be frozen: those about freezing are not promised, and a source
/// that is written is refused instead of taken torn.
#[test]
fn without_hooks_the_rules_of_freezing_are_not_promised() {
    for rule in [
        Rule::FreezeEnds,
        Rule::GroupIsOfOneInstant,
        Rule::QuiesceThaws,
        Rule::ThawingTheThawed,
    ] {
        let verdict = run(rule, async { Files::new(false) });
        assert!(matches!(verdict, Ok(Held::NotPromised(_))), "{rule}");
    }
    for rule in [Rule::ConsistencyIsEarned, Rule::UnsupportedIsTyped] {
        let verdict = run(rule, async { Files::new(false) });
        assert_eq!(verdict.unwrap(), Held::Kept, "{rule}");
    }
}

/// A folder whose files are made, written and read behind the provider's back.
struct Files {
    bed: Bed,
    guests: Option<Arc<Guests>>,
    /// Guests that nothing can freeze.
    loose: Mutex<Vec<Guest>>,
    open: Mutex<Weak<LocalProvider>>,
}

impl Files {
    fn new(freezes: bool) -> Self {
        Self {
            bed: Bed::new(),
            guests: freezes.then(Arc::default),
            loose: Mutex::default(),
            open: Mutex::default(),
        }
    }

    async fn open(&self) -> Arc<LocalProvider> {
        // A call that was given up holds the folder until the kernel has answered it.
        for _ in 0..1000 {
            let opened = match &self.guests {
                Some(guests) => {
                    let hooks = Arc::clone(guests);
                    LocalProvider::open_with_freezer("here", self.bed.path(), hooks)
                }
                None => LocalProvider::open("here", self.bed.path()),
            };
            match opened {
                Err(error) if error.kind() == ErrorKind::Busy => {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                opened => {
                    let opened = Arc::new(opened.unwrap());
                    *self.open.lock().unwrap() = Arc::downgrade(&opened);
                    return opened;
                }
            }
        }
        panic!("somebody holds the folder for ever");
    }

    fn bytes_of(&self, of: &ResourceRef) -> PathBuf {
        match of.kind() {
            ResourceKind::Volume => self.bed.file(of.id()),
            kind => self
                .bed
                .file(&format!(".stillpoint/{kind}s/{}.raw", of.id())),
        }
    }
}

#[async_trait]
impl TestBed for Files {
    async fn connect(&self) -> Arc<dyn Provider> {
        self.open().await
    }

    /// Within one process the nearest to kill -9: copies are cut off, and the folder is opened
    /// anew. That a killed process leaves no more than this is what `kill.rs` shows.
    async fn restart(&self) -> Arc<dyn Provider> {
        self.open().await
    }

    async fn make_instance(&self, name: &str, disks: &[(&str, u64)]) -> ResourceRef {
        let mut described = Vec::new();
        for (number, (disk, size)) in disks.iter().enumerate() {
            let volume = self.make_volume(&format!("{name}-{disk}"), *size).await;
            described.push(Disk {
                name: (*disk).to_owned(),
                volume: Some(volume),
                size: *size,
                boot: number == 0,
            });
        }
        let provider = self.open.lock().unwrap().upgrade().unwrap();
        provider.declare_instance(name, &described).await.unwrap()
    }

    async fn make_counting_instance(
        &self,
        name: &str,
        disks: &[(&str, u64)],
    ) -> Option<ResourceRef> {
        let instance = self.make_instance(name, disks).await;
        let files = disks
            .iter()
            .map(|(disk, _)| self.bed.file(&format!("{name}-{disk}")));
        let guest = Guest::start(files.collect());
        match &self.guests {
            Some(guests) => guests.run(&instance, guest),
            None => self.loose.lock().unwrap().push(guest),
        }
        Some(instance)
    }

    async fn make_volume(&self, name: &str, size: u64) -> ResourceRef {
        let file = fs::File::create(self.bed.file(name)).unwrap();
        file.set_len(size).unwrap();
        bed::volume(name)
    }

    async fn fill(&self, volume: &ResourceRef, seed: u64) {
        let path = self.bytes_of(volume);
        let size = fs::metadata(&path).unwrap().len();
        bed::fill(&path, size, u8::try_from(seed).unwrap());
    }

    /// Files have no power.
    async fn power_off(&self, _instance: &ResourceRef) {}

    async fn digest(&self, of: &ResourceRef) -> Option<Digest> {
        let bytes = fs::read(self.bytes_of(of)).unwrap();
        Some(Digest::new(Sha256::digest(bytes).into()))
    }

    async fn read(&self, of: &ResourceRef, offset: u64, length: usize) -> Option<Vec<u8>> {
        let file = fs::File::open(self.bytes_of(of)).unwrap();
        let mut bytes = vec![0; length];
        file.read_exact_at(&mut bytes, offset).unwrap();
        Some(bytes)
    }

    async fn inventory(&self) -> BTreeMap<ResourceRef, String> {
        let mut found = BTreeMap::new();
        let top = self.bed.path();
        for name in files(top) {
            let record = top.join(format!(".stillpoint/volumes/{name}.json"));
            let words = format!("{} {}", sum(&top.join(&name)), text(&record));
            found.insert(bed::volume(&name), words);
        }
        for (kind, has_bytes) in [("image", true), ("instance", false), ("snapshot", true)] {
            let area = top.join(format!(".stillpoint/{kind}s"));
            for name in files(&area) {
                let Some(id) = name.strip_suffix(".json") else {
                    continue;
                };
                let bytes = area.join(format!("{id}.raw"));
                let bytes = if has_bytes {
                    sum(&bytes)
                } else {
                    String::new()
                };
                let words = format!("{bytes} {}", text(&area.join(&name)));
                found.insert(format!("here/{kind}/{id}").parse().unwrap(), words);
            }
        }
        found
    }

    async fn is_frozen(&self, instance: &ResourceRef) -> Option<bool> {
        Some(self.guests.as_ref()?.is_frozen(instance))
    }

    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    fn time_is_virtual(&self) -> bool {
        false
    }

    fn patience(&self) -> Duration {
        Duration::from_secs(60)
    }

    fn volume_size(&self) -> u64 {
        256 * 1024
    }

    fn namespace(&self) -> String {
        "kit".to_owned()
    }
}

fn files(folder: &Path) -> Vec<String> {
    fs::read_dir(folder)
        .into_iter()
        .flatten()
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.file_type().unwrap().is_file())
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect()
}

fn text(record: &Path) -> String {
    fs::read_to_string(record).unwrap_or_default()
}

fn sum(bytes: &Path) -> String {
    let bytes = fs::read(bytes).unwrap();
    let mut hasher = DefaultHasher::new();
    hasher.write(&bytes);
    format!("{} bytes {:016x}", bytes.len(), hasher.finish())
}

/// All guests of a bed, and the hooks that freeze them.
#[derive(Debug, Default)]
struct Guests {
    running: Mutex<HashMap<ResourceRef, Guest>>,
    frozen: Mutex<HashSet<ResourceRef>>,
}

impl Guests {
    fn run(&self, instance: &ResourceRef, guest: Guest) {
        self.running.lock().unwrap().insert(instance.clone(), guest);
    }

    fn is_frozen(&self, instance: &ResourceRef) -> bool {
        self.frozen.lock().unwrap().contains(instance)
    }
}

impl Freezer for Guests {
    fn consistency(&self) -> Consistency {
        Consistency::Filesystem
    }

    fn freezes(&self, _instance: &ResourceRef) -> bool {
        true
    }

    fn arm(&self, _instance: &ResourceRef, _at_most: Duration) -> Result<Thaws> {
        Ok(Thaws::Itself)
    }

    fn freeze(&self, instance: &ResourceRef, _at_most: Duration) -> Result<()> {
        if let Some(guest) = self.running.lock().unwrap().get(instance) {
            guest.freeze();
        }
        self.frozen.lock().unwrap().insert(instance.clone());
        Ok(())
    }

    fn thaw(&self, instance: &ResourceRef) -> Result<()> {
        self.frozen.lock().unwrap().remove(instance);
        if let Some(guest) = self.running.lock().unwrap().get(instance) {
            guest.0.frozen.store(false, Ordering::SeqCst);
        }
        Ok(())
    }
}

/// Writes one counter to the end of each of its files, one after the other, unless it is frozen.
#[derive(Debug)]
struct Guest(Arc<Flags>);

#[derive(Debug, Default)]
struct Flags {
    frozen: AtomicBool,
    /// Acknowledged by the writing thread.
    still: AtomicBool,
    ended: AtomicBool,
}

impl Guest {
    fn start(paths: Vec<PathBuf>) -> Self {
        let flags = Arc::<Flags>::default();
        let inside = Arc::clone(&flags);
        let open = |path| fs::OpenOptions::new().write(true).open(path).unwrap();
        let files: Vec<_> = paths.into_iter().map(open).collect();
        thread::spawn(move || {
            for count in 1_u64.. {
                while inside.frozen.load(Ordering::SeqCst) && !inside.ended.load(Ordering::SeqCst) {
                    inside.still.store(true, Ordering::SeqCst);
                    thread::yield_now();
                }
                if inside.ended.load(Ordering::SeqCst) {
                    return;
                }
                inside.still.store(false, Ordering::SeqCst);
                for file in &files {
                    let end = file.metadata().unwrap().len();
                    file.write_all_at(&count.to_le_bytes(), end - 8).unwrap();
                }
                // As fast as it matters, and no faster: other tests run beside it.
                thread::sleep(Duration::from_micros(50));
            }
        });
        Self(flags)
    }

    fn freeze(&self) {
        self.0.still.store(false, Ordering::SeqCst);
        self.0.frozen.store(true, Ordering::SeqCst);
        while !self.0.still.load(Ordering::SeqCst) {
            thread::yield_now();
        }
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        self.0.ended.store(true, Ordering::SeqCst);
    }
}
