//! What a disk has after its power went: what an fsync made sure of, and any part of the rest.
//!
//! Names: a folder's fsync makes sure of what happened to the names in it; without one, each may
//! be there or not. A rename is one new name and one old name less, and the second never shows
//! without the first. Bytes: a file's fsync makes sure of its bytes, length and rights; without
//! one it may be as it was at the last, as it is, or of its length with zeros for bytes.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// One thing that happened to the folder. Paths are relative to its top.
#[derive(Clone, Debug)]
pub(crate) enum Event {
    Filled(u64, Content),
    MadeFolder(PathBuf),
    Moved(PathBuf, PathBuf),
    Named(PathBuf, u64),
    Removed(PathBuf),
    SyncedFile(u64, String),
    SyncedNames(PathBuf, String),
}

impl Event {
    /// The fsync that it is, named after its line.
    pub(crate) fn site(&self) -> Option<&str> {
        match self {
            Self::SyncedFile(_, site) | Self::SyncedNames(_, site) => Some(site),
            _ => None,
        }
    }
}

/// Bytes and rights of a file.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(crate) struct Content {
    pub(crate) bytes: Arc<[u8]>,
    pub(crate) mode: u32,
}

/// What a name stands for.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) enum Node {
    File(u64),
    Folder,
}

/// A folder's tree as it may be found: names, and the contents of the files that have one.
pub(crate) type Tree = BTreeMap<PathBuf, (Node, Option<Content>)>;

/// A disk while it is written.
#[derive(Clone, Debug, Default)]
pub(crate) struct Medium {
    sure: BTreeMap<PathBuf, Node>,
    now: BTreeMap<PathBuf, Node>,
    unsure: Vec<Half>,
    files: BTreeMap<u64, File>,
    halves: usize,
}

/// A name that appears or goes, and nothing makes sure of it yet.
#[derive(Clone, Debug)]
struct Half {
    id: usize,
    path: PathBuf,
    /// None: the name goes.
    node: Option<Node>,
    /// The half without which this one never shows.
    after: Option<usize>,
}

#[derive(Clone, Debug)]
struct File {
    sure: Content,
    later: Vec<Content>,
}

impl Medium {
    /// A disk that has been at rest.
    pub(crate) fn at_rest(tree: &Tree) -> Self {
        let mut medium = Self::default();
        for (path, (node, content)) in tree {
            medium.sure.insert(path.clone(), *node);
            if let (Node::File(inode), Some(content)) = (node, content) {
                let sure = content.clone();
                let later = Vec::new();
                medium.files.insert(*inode, File { sure, later });
            }
        }
        medium.now.clone_from(&medium.sure);
        medium
    }

    pub(crate) fn apply(&mut self, event: &Event) {
        match event {
            Event::Filled(inode, content) => {
                if let Some(file) = self.files.get_mut(inode) {
                    file.later.push(content.clone());
                }
            }
            Event::MadeFolder(path) => {
                self.half(path, Some(Node::Folder), None);
            }
            Event::Moved(from, to) => {
                let node = self.now[from];
                let there = self.half(to, Some(node), None);
                self.half(from, None, Some(there));
            }
            Event::Named(path, inode) => {
                let empty = Content {
                    bytes: Arc::from([]),
                    mode: 0o600,
                };
                if let Some(file) = self.files.get_mut(inode) {
                    file.later.push(empty);
                } else {
                    let (sure, later) = (empty, Vec::new());
                    self.files.insert(*inode, File { sure, later });
                    self.half(path, Some(Node::File(*inode)), None);
                }
            }
            Event::Removed(path) => {
                self.half(path, None, None);
            }
            Event::SyncedFile(inode, _) => {
                if let Some(file) = self.files.get_mut(inode)
                    && let Some(last) = file.later.pop()
                {
                    file.sure = last;
                    file.later.clear();
                }
            }
            Event::SyncedNames(folder, _) => self.sync(folder),
        }
    }

    fn half(&mut self, path: &Path, node: Option<Node>, after: Option<usize>) -> usize {
        match node {
            Some(node) => self.now.insert(path.to_owned(), node),
            None => self.now.remove(path),
        };
        self.halves += 1;
        self.unsure.push(Half {
            id: self.halves,
            path: path.to_owned(),
            node,
            after,
        });
        self.halves
    }

    fn sync(&mut self, folder: &Path) {
        let mut sure: BTreeSet<usize> = BTreeSet::new();
        for half in &self.unsure {
            if half.path.parent() == Some(folder) {
                sure.extend([half.id].into_iter().chain(half.after));
            }
        }
        // What happened to the same name before shows with it.
        let with: Vec<_> = self
            .unsure
            .iter()
            .map(|half| self.with(half, &sure))
            .collect();
        let mut with = with.into_iter();
        let mut left = Vec::new();
        for half in std::mem::take(&mut self.unsure) {
            if with.next() == Some(true) {
                apply(&mut self.sure, &half);
            } else {
                left.push(half);
            }
        }
        self.unsure = left;
    }

    fn with(&self, half: &Half, sure: &BTreeSet<usize>) -> bool {
        let later = self.unsure.iter().filter(|other| other.id >= half.id);
        later
            .filter(|other| other.path == half.path)
            .any(|other| sure.contains(&other.id))
    }

    /// What is found if the power goes now: of what is not sure, that which `survives` says.
    pub(crate) fn after_power_loss(&self, mut survives: impl FnMut() -> bool) -> Tree {
        let mut names = self.sure.clone();
        let mut shown = BTreeSet::new();
        for half in &self.unsure {
            if survives()
                && half
                    .after
                    .is_none_or(|first| !self.is_unsure(first) || shown.contains(&first))
            {
                apply(&mut names, half);
                shown.insert(half.id);
            }
        }
        let mut contents = BTreeMap::new();
        for (inode, file) in &self.files {
            contents.insert(*inode, file.after_power_loss(&mut survives));
        }
        let there = |path: &PathBuf| {
            let mut folders = path.ancestors().skip(1);
            folders
                .all(|folder| folder == Path::new("") || names.get(folder) == Some(&Node::Folder))
        };
        names
            .iter()
            .filter(|(path, _)| there(path))
            .map(|(path, node)| {
                let content = match node {
                    Node::File(inode) => contents.get(inode).cloned(),
                    Node::Folder => None,
                };
                (path.clone(), (*node, content))
            })
            .collect()
    }

    fn is_unsure(&self, id: usize) -> bool {
        self.unsure.iter().any(|half| half.id == id)
    }
}

impl File {
    fn after_power_loss(&self, survives: &mut impl FnMut() -> bool) -> Content {
        let Some(last) = self.later.last() else {
            return self.sure.clone();
        };
        if !survives() {
            return self.sure.clone();
        }
        if survives() {
            return last.clone();
        }
        // Its length is known already, and not all of its bytes.
        let half = if survives() { last.bytes.len() / 2 } else { 0 };
        let mut bytes = last.bytes.to_vec();
        bytes[half..].fill(0);
        Content {
            bytes: bytes.into(),
            mode: last.mode,
        }
    }
}

fn apply(names: &mut BTreeMap<PathBuf, Node>, half: &Half) {
    match half.node {
        Some(node) => names.insert(half.path.clone(), node),
        None => names.remove(&half.path),
    };
}
