//! A folder that takes the place of another in one step, and that other, which is kept.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, RenameFlags, renameat_with, syncfs};
use rustix::io::Errno;
use stillpoint_archive::Kind;
use stillpoint_archive::cloudify::Snapshot;
use stillpoint_core::{Error, ErrorKind, Result, World};

use super::index::{Index, inside};
use super::{Files, INDEX, TREE, looking, mirror};
use crate::failure::{of_archive, of_reading};
use crate::metadata::CLOUDIFY;
use crate::remove::remove;
use crate::site::Site;
use crate::stage::Stage;

/// The file that says which folder was staged, by its number in the file system.
const STAGED: &str = "staged";

/// Which of the two folders is in place.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Place {
    /// Nothing is staged, nor kept.
    Nothing,
    /// The old one is; the new one is staged.
    Old,
    /// The new one is; the old one is kept.
    New,
    /// Neither: the old one was taken away where two names cannot be swapped at once.
    Neither,
}

impl Files {
    /// The folder beside it, for this job, that the staged one is in, and then the old one.
    fn wrapper(&self, site: &Site) -> Result<PathBuf> {
        let name = self
            .folder
            .file_name()
            .unwrap_or_default()
            .to_string_lossy();
        Ok(self
            .beside()?
            .join(format!(".{name}.stillpoint-{}", site.token())))
    }

    pub(super) fn make_ready(&self, stage: &Stage<'_>) -> Result<()> {
        let wrapper = self.wrapper(stage.site())?;
        let making = |source| Error::io(format_args!("making {}", wrapper.display()), &source);
        fs::create_dir(&wrapper).map_err(making)?;
        if stage.about()["kind"] == CLOUDIFY {
            let tree = wrapper.join(TREE);
            self.take_over(stage, &tree)?;
            return self.staged(&wrapper, &tree);
        }
        let extracted = wrapper.join("extracted");
        stage.extract(TREE, &extracted)?;
        let index = Index::read(stage.reader(INDEX)?)?;
        let found = extracted.join(stage.component).join(TREE);
        if !found.exists() {
            // A tree without files is no member that is extracted.
            fs::create_dir_all(&found).map_err(making)?;
        }
        for path in index.folders()? {
            let at = found.join(&path);
            fs::create_dir_all(&at).map_err(looking(&at))?;
        }
        for name in &self.skip {
            self.keep(name, &found)?;
        }
        index.apply(&found)?;
        let tree = wrapper.join(TREE);
        fs::rename(&found, &tree).map_err(looking(&tree))?;
        remove(&extracted)?;
        self.staged(&wrapper, &tree)
    }

    /// Writes what a snapshot of a Cloudify Manager has for this folder.
    fn take_over(&self, stage: &Stage<'_>, tree: &Path) -> Result<()> {
        let making = |source| Error::io(format_args!("making {}", tree.display()), &source);
        fs::create_dir(tree).map_err(making)?;
        let Some(place) = &self.cloudify else {
            return Ok(());
        };
        let failed = |error| of_archive(stage.component, error);
        let era = Snapshot::of(stage.archive()).map_err(failed)?.era();
        let entries = stage.archive().entries();
        for entry in entries.filter(|it| it.kind() == Kind::File) {
            let Some(path) = place(era, entry.path()) else {
                continue;
            };
            stage.site().check()?;
            let at = tree.join(inside(&path)?);
            let writing = |source| Error::io(format_args!("writing {}", at.display()), &source);
            fs::create_dir_all(at.parent().unwrap_or(tree)).map_err(writing)?;
            let mut from = stage.member(entry.name())?;
            let mut to = File::create_new(&at).map_err(writing)?;
            io::copy(&mut from, &mut to).map_err(|source| of_reading(stage.component, source))?;
            mirror::set_mode(&at, entry.mode() & 0o777)?;
        }
        Ok(())
    }

    /// Writes down, last, which folder is the staged one.
    fn staged(&self, wrapper: &Path, tree: &Path) -> Result<()> {
        // What it says must be there after a power loss as well: all files, links, times and names.
        File::open(tree)
            .and_then(|it| Ok(syncfs(it)?))
            .map_err(looking(tree))?;
        let number = fs::symlink_metadata(tree).map_err(looking(tree))?.ino();
        let staged = wrapper.join(STAGED);
        fs::write(&staged, number.to_string())
            .and_then(|()| File::open(&staged)?.sync_all())
            .and_then(|()| File::open(wrapper)?.sync_all())
            .map_err(looking(&staged))
    }

    /// What is left out of captures stays as it is here.
    fn keep(&self, name: &str, staged: &Path) -> Result<()> {
        let (from, to) = (self.folder.join(name), staged.join(name));
        if !from.exists() {
            return Ok(());
        }
        let about = fs::symlink_metadata(&from).map_err(looking(&from))?;
        if about.is_file() {
            return fs::copy(&from, &to).map(drop).map_err(looking(&to));
        }
        let message = format!(
            "{} is left out, and only single files can be",
            from.display()
        );
        Err(Error::new(ErrorKind::Unsupported, message).advise("Keep it elsewhere"))
    }

    pub(super) fn swap_in(&self, site: &Site) -> Result<()> {
        let wrapper = self.wrapper(site)?;
        match self.place(&wrapper)? {
            Place::New => Ok(()),
            Place::Nothing => {
                let message = format!("nothing is staged for {}", self.folder.display());
                Err(Error::new(ErrorKind::NotFound, message)
                    .advise("Restore again, and look who removed it"))
            }
            Place::Old | Place::Neither => self.swap(&wrapper),
        }
    }

    pub(super) fn swap_out(&self, site: &Site) -> Result<()> {
        let wrapper = self.wrapper(site)?;
        let old = wrapper.join("old");
        match self.place(&wrapper)? {
            Place::Nothing | Place::Old => Ok(()),
            Place::Neither => self.named(&old, &self.folder),
            // Where the old one was taken away first it has a name of its own.
            Place::New if old.exists() => {
                self.named(&self.folder, &wrapper.join(TREE))?;
                self.named(&old, &self.folder)
            }
            Place::New => self.swap(&wrapper),
        }
    }

    /// Removes what is staged, unless it is in place.
    pub(super) fn remove_staged(&self, site: &Site) -> Result<()> {
        let wrapper = self.wrapper(site)?;
        match self.place(&wrapper)? {
            Place::Nothing | Place::Old => remove(&wrapper),
            // Past the cut-over there is only a kept one, which a commit removes.
            Place::New => Ok(()),
            Place::Neither => Err(self.halfway()),
        }
    }

    /// Removes the old one, where another is in its place.
    pub(super) fn remove_old(&self, site: &Site) -> Result<()> {
        let wrapper = self.wrapper(site)?;
        match self.place(&wrapper)? {
            Place::Nothing | Place::Old => Ok(()),
            Place::New => remove(&wrapper),
            Place::Neither => Err(self.halfway()),
        }
    }

    fn place(&self, wrapper: &Path) -> Result<Place> {
        let staged = wrapper.join(STAGED);
        let number = match fs::read_to_string(&staged) {
            Ok(text) => text.trim().parse::<u64>().ok(),
            Err(source) if source.kind() == std::io::ErrorKind::NotFound => None,
            Err(source) => return Err(looking(&staged)(source)),
        };
        let Some(number) = number else {
            // Staging was cut off, or never began.
            return Ok(Place::Nothing);
        };
        match fs::symlink_metadata(&self.folder) {
            Ok(live) if live.ino() == number => Ok(Place::New),
            Ok(_) => Ok(Place::Old),
            Err(source) if source.kind() == std::io::ErrorKind::NotFound => Ok(Place::Neither),
            Err(source) => Err(looking(&self.folder)(source)),
        }
    }

    /// Swaps the two, at once where the file system can.
    fn swap(&self, wrapper: &Path) -> Result<()> {
        let (tree, old) = (wrapper.join(TREE), wrapper.join("old"));
        match renameat_with(CWD, &tree, CWD, &self.folder, RenameFlags::EXCHANGE) {
            Ok(()) => {}
            Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP | Errno::NOENT) => {
                if self.folder.exists() {
                    self.named(&self.folder, &old)?;
                }
                self.named(&tree, &self.folder)
                    .map_err(|error| error.leaving(World::Unknown))?;
            }
            Err(errno) => {
                let what = format!("swapping {}", self.folder.display());
                return Err(Error::io(what, &errno.into()));
            }
        }
        let beside = self.beside()?;
        File::open(&beside)
            .and_then(|it| it.sync_all())
            .map_err(looking(&beside))
            // It is done, and a second look says so.
            .or_else(|error| match self.place(wrapper) {
                Ok(Place::New | Place::Old) => Ok(()),
                _ => Err(error.leaving(World::Unknown)),
            })
    }

    fn named(&self, from: &Path, to: &Path) -> Result<()> {
        fs::rename(from, to).map_err(|source| {
            Error::io(
                format_args!("renaming {} to {}", from.display(), to.display()),
                &source,
            )
        })
    }

    fn halfway(&self) -> Error {
        let message = format!(
            "{} is not there, and its new content is not either",
            self.folder.display()
        );
        Error::new(ErrorKind::NeedsIntervention, message)
            .advise("Resume the restore")
            .leaving(World::Unknown)
    }
}
