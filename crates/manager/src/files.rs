//! A folder of files as a component.

mod index;
mod mirror;
mod swap;
mod walk;

use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use stillpoint_archive::Class;
use stillpoint_archive::cloudify::Era;
use stillpoint_core::{Error, ErrorKind, Result};

use self::index::Index;
use self::mirror::Mirror;
use self::walk::each_file;
use crate::component::{Component, LeftOut};
use crate::dump::Dump;
use crate::metadata::CLOUDIFY;
use crate::mutex::lock;
use crate::probe::Token;
use crate::remove::remove;
use crate::site::Site;
use crate::stage::Stage;

/// The members with the files.
const TREE: &str = "tree";

/// The member with what the tree's own entries cannot say: exact times, and links.
const INDEX: &str = "index.jsonl";

/// A folder of files.
///
/// Modes and times are kept, and symbolic links that stay inside the folder and go up, if at all,
/// before they go down (`../b`, not `a/../b`); holes stay holes. What is neither a file, a folder
/// nor such a link is an error, never left out in silence. Owners and
/// extended attributes are not kept.
///
/// The point in time is fixed by a copy, of reflinks where the file system has them: [`Copying`] says
/// when. The archive's metadata say how it was done.
pub struct Files {
    folder: PathBuf,
    depends_on: Vec<String>,
    class: Class,
    on_request: bool,
    copying: Copying,
    entities: Option<String>,
    skip: BTreeSet<String>,
    /// Which path here a path in a snapshot of a Cloudify Manager has.
    cloudify: Option<Arc<FromCloudify>>,
    /// How the last capture fixed it, for the metadata.
    fixed_by: Mutex<&'static str>,
}

/// The path in a folder of a file in a snapshot of a Cloudify Manager; none: it has no place there.
type FromCloudify = dyn Fn(Era, &str) -> Option<String> + Send + Sync;

/// When a folder is copied: by reflinks where its file system has them, and else byte for byte.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum Copying {
    /// It is copied before anything is locked, and what changed since is copied again inside of the
    /// lock. A change that leaves a file's size and times as they were is not seen.
    Before,
    /// It is copied inside of the lock.
    #[default]
    Locked,
}

impl Files {
    /// All that is in a folder.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self {
            folder: folder.into(),
            depends_on: Vec::new(),
            class: Class::Internal,
            on_request: false,
            copying: Copying::default(),
            entities: None,
            skip: BTreeSet::new(),
            cloudify: None,
            fixed_by: Mutex::new("nothing yet"),
        }
    }

    /// Key files and the like: captured only where that is asked for, and sealed unless the manager
    /// was told to let secrets stand in clear.
    pub fn credentials(folder: impl Into<PathBuf>) -> Self {
        Self {
            on_request: true,
            ..Self::new(folder).secret()
        }
    }

    /// Seals all of it.
    #[must_use]
    pub fn secret(mut self) -> Self {
        self.class = Class::Secret;
        self
    }

    /// It is locked and restored after these components.
    #[must_use]
    pub fn after<N: Into<String>>(mut self, components: impl IntoIterator<Item = N>) -> Self {
        self.depends_on
            .extend(components.into_iter().map(Into::into));
        self
    }

    /// When it is copied.
    #[must_use]
    pub fn copying(mut self, copying: Copying) -> Self {
        self.copying = copying;
        self
    }

    /// A manager is not clean where there is anything at the top of the folder: `plugins`.
    #[must_use]
    pub fn entities(mut self, kind: impl Into<String>) -> Self {
        self.entities = Some(kind.into());
        self
    }

    /// Leaves this name at the top of the folder out.
    #[must_use]
    pub fn leave_out(mut self, name: impl Into<String>) -> Self {
        self.skip.insert(name.into());
        self
    }

    /// Takes from a snapshot of a Cloudify Manager the files whose paths this gives another, which
    /// is theirs in the folder.
    #[must_use]
    pub fn from_cloudify(
        mut self,
        place: impl Fn(Era, &str) -> Option<String> + Send + Sync + 'static,
    ) -> Self {
        self.cloudify = Some(Arc::new(place));
        self
    }

    fn mirror(&self, site: &Site) -> Result<Mirror> {
        let to = site.folder()?.join(TREE);
        Ok(Mirror::new(&self.folder, &to, &self.skip, site))
    }
}

impl Component for Files {
    fn dump(&self, dump: &mut Dump<'_, '_>) -> Result<()> {
        let fixed = dump.site().folder()?.join(TREE);
        let index = Index::of(&fixed, &|_| false)?;
        dump.stream(INDEX, self.class, |to| index.write(to))?;
        let links = index.links();
        dump.tree(TREE, &fixed, self.class, &|path| links.contains(path))
    }

    fn stage(&self, stage: &Stage<'_>) -> Result<()> {
        self.make_ready(stage)
    }

    fn cut_over(&self, site: &Site) -> Result<()> {
        self.swap_in(site)
    }

    fn depends_on(&self) -> &[String] {
        &self.depends_on
    }

    fn describe(&self, _site: &Site) -> Value {
        json!({ "kind": "files", "format": 1, "fixed_by": *lock(&self.fixed_by) })
    }

    fn left_out(&self) -> Vec<LeftOut> {
        let skipped = self.skip.iter().map(|name| LeftOut {
            what: format!("{name} in {}", self.folder.display()),
            why: "it was set so".to_owned(),
        });
        skipped.collect()
    }

    fn only_on_request(&self) -> bool {
        self.on_request
    }

    fn places_cloudify(&self) -> bool {
        self.cloudify.is_some()
    }

    fn preflight(&self, about: &Value) -> Result<Vec<String>> {
        let mut blocked = Vec::new();
        if about["kind"] != "files" && about["kind"] != CLOUDIFY {
            blocked.push("the archive has something else under this name".to_owned());
        }
        let shown = self.folder.display();
        let looked = fs::symlink_metadata(&self.folder).map_err(looking(&self.folder))?;
        if !looked.is_dir() {
            blocked.push(format!("{shown} is no folder"));
            return Ok(blocked);
        }
        match self.beside() {
            Ok(beside) => {
                use std::os::unix::fs::MetadataExt as _;
                let parent = fs::metadata(&beside).map_err(looking(&beside))?;
                if parent.dev() != looked.dev() {
                    blocked.push(format!(
                        "{shown} is a file system of its own, which nothing can take the place \
                         of: keep it in a folder of one"
                    ));
                }
                if let Err(source) = tempfile::tempdir_in(&beside) {
                    let error = Error::io(
                        format_args!("making a folder in {}", beside.display()),
                        &source,
                    );
                    blocked.push(error.message().to_owned());
                }
            }
            Err(error) => blocked.push(error.message().to_owned()),
        }
        Ok(blocked)
    }

    fn inhabitants(&self) -> Result<Vec<(String, u64)>> {
        let Some(kind) = &self.entities else {
            return Ok(Vec::new());
        };
        let found = fs::read_dir(&self.folder).map_err(looking(&self.folder))?;
        let mut count = 0;
        for entry in found {
            let name = entry.map_err(looking(&self.folder))?.file_name();
            if !self.skip.contains(&*name.to_string_lossy()) {
                count += 1;
            }
        }
        Ok(vec![(kind.clone(), count)])
    }

    fn size(&self) -> Result<u64> {
        let mut size = 0;
        let skip = |name: &str| self.skip.contains(name);
        let _ = each_file(&self.folder, &skip, &mut |_, found| {
            size += found.len();
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(size)
    }

    fn holds(&self, token: &Token) -> Result<bool> {
        let found = each_file(&self.folder, &|_| false, &mut |path, found| {
            Ok(match holds(path, found, token)? {
                true => ControlFlow::Break(()),
                false => ControlFlow::Continue(()),
            })
        })?;
        Ok(found.is_break())
    }

    fn prepare(&self, site: &Site) -> Result<()> {
        // What an attempt that was cut off had begun may be of another time.
        self.release(site);
        if self.copying == Copying::Before {
            self.mirror(site)?.copy()?;
        }
        Ok(())
    }

    fn fix(&self, site: &Site) -> Result<()> {
        let reflinked = self.mirror(site)?.copy()?;
        *lock(&self.fixed_by) = match (reflinked, self.copying) {
            (true, Copying::Before) => "reflinks before the lock, and of what changed inside it",
            (true, Copying::Locked) => "reflinks inside the lock",
            (false, Copying::Before) => "a copy before the lock, and of what changed inside it",
            (false, Copying::Locked) => "a copy inside the lock",
        };
        Ok(())
    }

    fn release(&self, site: &Site) {
        let gone = site.folder().and_then(|folder| remove(&folder.join(TREE)));
        if let Err(error) = gone {
            tracing::warn!(%error, "what was fixed stays until the job is tidied");
        }
    }

    fn unstage(&self, site: &Site) -> Result<()> {
        self.remove_staged(site)
    }

    fn cut_back(&self, site: &Site) -> Result<()> {
        self.swap_out(site)
    }

    fn validate(&self, _site: &Site) -> Result<()> {
        fs::read_dir(&self.folder)
            .map(drop)
            .map_err(looking(&self.folder))
    }

    fn commit(&self, site: &Site) -> Result<()> {
        self.remove_old(site)
    }
}

impl Files {
    /// The folder that this one is in.
    fn beside(&self) -> Result<PathBuf> {
        match self.folder.parent() {
            Some(parent) if parent != Path::new("") => Ok(parent.to_owned()),
            _ => {
                let message = format!("{} has no folder around it", self.folder.display());
                Err(Error::new(ErrorKind::Invalid, message).advise("Give an absolute path"))
            }
        }
    }
}

/// Whether a file that was changed just now has the token in it.
fn holds(path: &Path, found: &fs::Metadata, token: &Token) -> Result<bool> {
    let recent = found
        .modified()
        .ok()
        .and_then(|it| it.elapsed().ok())
        .is_none_or(|ago| ago.as_secs() < 60);
    Ok(recent && mirror::contains(path, token.as_str().as_bytes())?)
}

impl fmt::Debug for Files {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Files")
            .field("folder", &self.folder)
            .field("class", &self.class)
            .finish_non_exhaustive()
    }
}

pub(super) fn looking(path: &Path) -> impl Fn(std::io::Error) -> Error + use<> {
    let path = path.to_owned();
    move |source| Error::io(format_args!("looking at {}", path.display()), &source)
}
