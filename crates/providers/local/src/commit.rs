//! Publishing several staged files as one change.
//!
//! Once all are durable in `staged/`, one record names their moves: with it the change is
//! decided, and a crash only delays it. Before it, nothing has happened.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use stillpoint_core::{Error, ErrorKind, Result, World};
use stillpoint_iaas::OperationKey;

use crate::folder::{Area, Folder};
use crate::record::Record;

/// The moves of one operation, in order.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Commit {
    pub(crate) moves: Vec<Move>,
}

/// One staged file and where it belongs.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Move {
    #[serde(deserialize_with = "file_name")]
    pub(crate) staged: String,
    pub(crate) area: Area,
    #[serde(deserialize_with = "file_name")]
    pub(crate) name: String,
    /// Whether what has the name now is to go.
    pub(crate) replace: bool,
    /// Of the staged file: how it is known again after the move.
    inode: u64,
}

/// A checksum proves nothing of who wrote a record: no name in it leads out of its folder.
fn file_name<'de, D: Deserializer<'de>>(source: D) -> Result<String, D::Error> {
    let name = String::deserialize(source)?;
    if matches!(name.as_str(), "" | "." | "..") || name.contains(['/', '\0']) {
        return Err(D::Error::custom("a name that is not that of a file"));
    }
    Ok(name)
}

impl Record for Commit {
    const AREA: Area = Area::Commits;
    const REMEDY: &str = "Look which of the operation's files are in `staged` and which are in their \
        place, make it one or the other, and remove this record";
}

impl Move {
    /// The file must be staged already.
    pub(crate) fn new(
        folder: &Folder,
        staged: String,
        area: Area,
        name: String,
        replace: bool,
    ) -> Result<Self> {
        let inode = folder
            .stat(Area::Staged, &staged)?
            .ok_or_else(|| {
                let path = folder.path(Area::Staged, &staged);
                Error::new(
                    ErrorKind::Conflict,
                    format!("`{}` was taken away", path.display()),
                )
                .advise("Leave that folder to this library")
            })?
            .st_ino;
        Ok(Self {
            staged,
            area,
            name,
            replace,
            inode,
        })
    }

    fn is_made(&self, folder: &Folder) -> Result<bool> {
        Ok(folder
            .stat(self.area, &self.name)?
            .is_some_and(|stat| stat.st_ino == self.inode))
    }
}

/// Makes all moves, durably: all or, with an error that leaves the world rolled back, none.
pub(crate) fn publish(folder: &Folder, key: &OperationKey, moves: Vec<Move>) -> Result<()> {
    let commit = Commit { moves };
    folder.sync(Area::Staged)?;
    if let Err(error) = folder.store(key.as_str(), &commit) {
        // It may be there all the same, where only its durability is in doubt.
        folder.remove_record::<Commit>(key.as_str())?;
        return Err(error);
    }
    match finish(folder, key, &commit) {
        Ok(()) => Ok(()),
        Err(error) => Err(match undo(folder, key, &commit) {
            Ok(()) => error.leaving(World::RolledBack),
            // The record stays: the next open makes it one or the other.
            Err(_) => error.leaving(World::Unknown),
        }),
    }
}

/// Makes the moves that are not made yet. Repeating it changes nothing.
pub(crate) fn finish(folder: &Folder, key: &OperationKey, commit: &Commit) -> Result<()> {
    for each in &commit.moves {
        let staged = folder.stat(Area::Staged, &each.staged)?.is_some();
        if each.is_made(folder)? {
            if staged {
                // A power loss can cut a rename in two, where the file system keeps no journal.
                folder.remove(Area::Staged, &each.staged)?;
            }
        } else if staged {
            let from = (Area::Staged, each.staged.as_str());
            folder.rename(from, (each.area, &each.name), each.replace)?;
        } else {
            let path = folder.path(each.area, &each.name);
            return Err(Error::new(
                ErrorKind::NeedsIntervention,
                format!("`{}` is neither staged nor in its place", path.display()),
            )
            .advise(format!(
                "Something else removed it: look, then remove `{}`",
                folder
                    .path(Area::Commits, &crate::record::file_name(key.as_str()))
                    .display()
            ))
            .leaving(World::Changed));
        }
    }
    sync_targets(folder, commit)?;
    folder.remove_record::<Commit>(key.as_str())
}

/// Takes back the moves that were made, where none replaced anything.
pub(crate) fn undo(folder: &Folder, key: &OperationKey, commit: &Commit) -> Result<()> {
    for each in commit.moves.iter().rev() {
        if each.is_made(folder)? {
            if each.replace {
                return Err(Error::new(
                    ErrorKind::NeedsIntervention,
                    format!("`{}` is replaced already", each.name),
                ));
            }
            folder.remove(each.area, &each.name)?;
        }
    }
    sync_targets(folder, commit)?;
    folder.remove_record::<Commit>(key.as_str())?;
    for each in &commit.moves {
        folder.remove(Area::Staged, &each.staged)?;
    }
    Ok(())
}

fn sync_targets(folder: &Folder, commit: &Commit) -> Result<()> {
    let mut synced = Vec::new();
    for each in &commit.moves {
        if !synced.contains(&each.area) {
            folder.sync(each.area)?;
            synced.push(each.area);
        }
    }
    Ok(())
}
