//! Records all that is done to a folder, and makes folders as a power loss would leave them.
//!
//! Records of moves name files by inode, so the folders that are made have the very inodes that
//! were there: each is kept by a link of its own.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use stillpoint_local::failpoint::{Did, watch};
use tempfile::TempDir;

use crate::medium::{Content, Event, Node, Tree};

/// All that is done to one folder, while it is there.
pub(crate) struct Recording {
    pub(crate) before: Tree,
    events: Arc<Mutex<Vec<Event>>>,
    kept: TempDir,
}

impl Recording {
    pub(crate) fn of(top: &Path) -> Self {
        let kept = TempDir::new_in(top.parent().unwrap()).unwrap();
        let before = tree(top, kept.path());
        let events = Arc::<Mutex<Vec<Event>>>::default();
        let (into, top, keep) = (Arc::clone(&events), top.to_owned(), kept.path().to_owned());
        watch(Some(Box::new(move |did| {
            if let Some(event) = event(did, &top, &keep) {
                into.lock().unwrap().push(event);
            }
        })));
        Self {
            before,
            events,
            kept,
        }
    }

    /// How much has happened.
    pub(crate) fn length(&self) -> usize {
        self.events.lock().unwrap().len()
    }

    /// Records no more, and gives what happened.
    pub(crate) fn end(&self) -> Vec<Event> {
        watch(None);
        self.events.lock().unwrap().clone()
    }

    /// Makes the folder that a power loss left.
    pub(crate) fn make(&self, tree: &Tree) -> TempDir {
        let made = TempDir::new_in(self.kept.path().parent().unwrap()).unwrap();
        for (path, (node, content)) in tree {
            let path = made.path().join(path);
            match (node, content) {
                (Node::File(inode), Some(content)) => {
                    let kept = self.kept.path().join(inode.to_string());
                    fs::write(&kept, &content.bytes).unwrap();
                    fs::set_permissions(&kept, fs::Permissions::from_mode(content.mode)).unwrap();
                    fs::hard_link(&kept, &path).unwrap();
                }
                _ => fs::create_dir(&path).unwrap(),
            }
        }
        made
    }
}

fn event(did: Did<'_>, top: &Path, keep: &Path) -> Option<Event> {
    let within = |path: &Path| path.strip_prefix(top).map(clean).ok();
    let site =
        |what: &str, at: &std::panic::Location<'_>| format!("{what} {}:{}", at.file(), at.line());
    Some(match did {
        Did::Filled(file) => Event::Filled(file.metadata().unwrap().ino(), content(file)),
        Did::MadeFolder(path) => Event::MadeFolder(within(&path)?),
        Did::Moved { from, to } => Event::Moved(within(&from)?, within(&to)?),
        Did::Named(path, file) => {
            let inode = file.metadata().unwrap().ino();
            // A file that is begun again is kept already.
            let _ = fs::hard_link(&path, keep.join(inode.to_string()));
            Event::Named(within(&path)?, inode)
        }
        Did::Removed(path) => Event::Removed(within(&path)?),
        Did::SyncedFile(file, at) => {
            Event::SyncedFile(file.metadata().unwrap().ino(), site("file", at))
        }
        Did::SyncedNames(path, at) => Event::SyncedNames(within(&path)?, site("names", at)),
    })
}

/// Without a stop or a slash at its end.
fn clean(path: &Path) -> PathBuf {
    path.components()
        .filter(|part| *part != std::path::Component::CurDir)
        .collect()
}

fn content(file: &fs::File) -> Content {
    let stat = file.metadata().unwrap();
    let mut bytes = vec![0; usize::try_from(stat.len()).unwrap()];
    file.read_exact_at(&mut bytes, 0).unwrap();
    Content {
        bytes: bytes.into(),
        mode: stat.mode() & 0o7777,
    }
}

fn tree(top: &Path, keep: &Path) -> Tree {
    fn walk(at: &Path, top: &Path, keep: &Path, into: &mut Tree) {
        for entry in fs::read_dir(at).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(top).unwrap().to_owned();
            if path.is_dir() {
                into.insert(name, (Node::Folder, None));
                walk(&path, top, keep, into);
            } else {
                let file = fs::File::open(&path).unwrap();
                let inode = file.metadata().unwrap().ino();
                // One with two names is kept already.
                let _ = fs::hard_link(&path, keep.join(inode.to_string()));
                into.insert(name, (Node::File(inode), Some(content(&file))));
            }
        }
    }
    let mut found = BTreeMap::new();
    walk(top, top, keep, &mut found);
    found
}
