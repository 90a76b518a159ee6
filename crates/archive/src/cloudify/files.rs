use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use crate::manifest::METADATA;
use crate::write::{EntryOptions, Writer};
use crate::zip::Kind;
use crate::{Archive, Class, Error, Refusal, Result};

/// Bytes of a document that is parsed.
pub(super) const DOCUMENT: u64 = 256 << 20;

/// The files of a snapshot by path: in an archive, or made by a migration. Cloning is cheap.
#[derive(Clone, Default)]
pub struct Files {
    files: BTreeMap<String, File>,
    /// Directories, with the slash they end in, and their modes.
    directories: BTreeMap<String, u32>,
}

#[derive(Clone)]
pub(super) struct File {
    content: Content,
    mode: u32,
}

#[derive(Clone)]
enum Content {
    Bytes(Arc<[u8]>),
    Entry(Archive, usize),
}

impl Files {
    /// Those of an archive, without what its writer added.
    pub fn of(archive: &Archive) -> Self {
        let mut files = Files::default();
        for (index, view) in archive
            .entries()
            .enumerate()
            .filter(|(_, view)| !view.is_own())
        {
            match view.kind() {
                Kind::Directory => {
                    files
                        .directories
                        .insert(view.path().to_owned(), view.mode());
                }
                Kind::File => {
                    let content = Content::Entry(archive.clone(), index);
                    let file = File {
                        content,
                        mode: view.mode(),
                    };
                    files.files.insert(view.path().to_owned(), file);
                }
            }
        }
        files
    }

    /// Adds or replaces a file.
    pub fn insert(&mut self, path: impl Into<String>, bytes: impl Into<Vec<u8>>) {
        let path = path.into();
        let mode = self.files.get(&path).map_or(0o644, |file| file.mode);
        let content = Content::Bytes(bytes.into().into());
        self.files.insert(path, File { content, mode });
    }

    /// Adds a directory.
    pub fn insert_directory(&mut self, path: &str) {
        let path = format!("{}/", path.trim_end_matches('/'));
        self.directories.entry(path).or_insert(0o755);
    }

    pub(super) fn get(&self, path: &str) -> Option<&File> {
        self.files.get(path)
    }

    /// Takes a file out, to be put in elsewhere.
    pub(super) fn remove(&mut self, path: &str) -> Option<File> {
        self.files.remove(path)
    }

    pub(super) fn put(&mut self, path: String, file: File) {
        self.files.insert(path, file);
    }

    pub(super) fn remove_directory(&mut self, path: &str) -> Option<u32> {
        self.directories.remove(path)
    }

    /// Whether there is such a file.
    pub fn contains(&self, path: &str) -> bool {
        self.files.contains_key(path)
    }

    /// Whether there is anything below this folder, or the folder itself.
    pub fn has_folder(&self, folder: &str) -> bool {
        self.under(folder).next().is_some()
            || self
                .directories
                .contains_key(&format!("{}/", folder.trim_end_matches('/')))
    }

    /// All paths, sorted.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        self.files.keys().map(String::as_str)
    }

    /// All directories, sorted; each ends in a slash.
    pub fn directories(&self) -> impl Iterator<Item = &str> {
        self.directories.keys().map(String::as_str)
    }

    /// Paths below a folder, sorted.
    pub fn under<'a>(&'a self, folder: &str) -> impl Iterator<Item = &'a str> + use<'a> {
        let prefix = format!("{}/", folder.trim_end_matches('/'));
        let after = self.files.range(prefix.clone()..);
        after
            .map(|(path, _)| path.as_str())
            .take_while(move |path| path.starts_with(&prefix))
    }

    /// Reads a file, proven.
    ///
    /// # Errors
    /// [`Error::NoSuchEntry`]; else as [`Archive::read`].
    pub fn read(&self, path: &str) -> Result<Vec<u8>> {
        let file = self
            .files
            .get(path)
            .ok_or_else(|| Error::NoSuchEntry(path.to_owned()))?;
        match &file.content {
            Content::Bytes(bytes) => Ok(bytes.to_vec()),
            Content::Entry(archive, index) if path == METADATA => {
                archive.read_index(*index, archive.0.limits.document)
            }
            Content::Entry(archive, index) => archive.read_index(*index, DOCUMENT),
        }
    }

    /// Reads a file as JSON; white space around it is no harm.
    pub(super) fn json<T: serde::de::DeserializeOwned>(&self, path: &str) -> Result<T> {
        let bytes = self.read(path)?;
        serde_json::from_slice(&bytes).map_err(|e| {
            Refusal::BadDocument {
                what: "the JSON",
                why: e.to_string(),
            }
            .of(path)
        })
    }

    /// Bytes of all files.
    pub fn bytes(&self) -> u64 {
        self.files
            .values()
            .map(|file| match &file.content {
                Content::Bytes(bytes) => bytes.len() as u64,
                Content::Entry(archive, index) => archive.view(*index).size(),
            })
            .sum()
    }

    /// Adds all directories and files to an archive, but `metadata.json`, which is the writer's.
    ///
    /// # Errors
    /// As [`Writer::finish`].
    pub fn write(&self, writer: &mut Writer<'_>, class_of: &dyn Fn(&str) -> Class) -> Result<()> {
        for (path, mode) in &self.directories {
            writer.directory(path, &EntryOptions::new().mode(*mode))?;
        }
        for (path, file) in &self.files {
            if path == METADATA {
                continue;
            }
            let about = EntryOptions::new().mode(file.mode).class(class_of(path));
            let about = about.component(path.split('/').next().unwrap_or(path));
            match &file.content {
                Content::Bytes(bytes) => writer.bytes(path, bytes.to_vec(), &about)?,
                Content::Entry(archive, index) => {
                    let reader = crate::EntryReader::new(archive, *index)?;
                    let size = archive.view(*index).size();
                    writer.reader(path, reader, &about.size(size))?;
                }
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Files {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Files")
            .field("files", &self.files.len())
            .field("directories", &self.directories.len())
            .finish_non_exhaustive()
    }
}
