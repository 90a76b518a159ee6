//! What is done when a folder is opened, before anybody can ask.
//!
//! The lock proves that nobody else works on it, so that whatever is half-made is nobody's: what
//! was decided is finished, all else goes.

use stillpoint_core::{ErrorKind, Result};
use stillpoint_iaas::OperationKey;

use crate::commit::{Commit, finish, undo};
use crate::delete;
use crate::folder::{Area, Folder};

pub(crate) fn recover(folder: &Folder) -> Result<()> {
    let mut undecided = Vec::new();
    for id in folder.ids::<Commit>()? {
        let key: Result<OperationKey> = id.parse();
        if let Err(error) = key.and_then(|key| settle(folder, &key)) {
            // It is its operation's trouble alone: that one is observed as unknown.
            tracing::error!(%error, "an operation of an earlier process cannot be finished");
            undecided.push(id);
        }
    }
    for name in folder.names(Area::Staged)? {
        if undecided.iter().any(|key| belongs(&name, key)) {
            continue;
        }
        folder.remove(Area::Staged, &name)?;
        tracing::info!(file = %name, "removed what an earlier process had begun");
    }
    delete::finish_all(folder)
}

/// Finishes what was decided under the key, or takes it back where somebody else's file took a
/// name in between. Where nothing was decided there is nothing to do.
pub(crate) fn settle(folder: &Folder, key: &OperationKey) -> Result<()> {
    let Some(commit) = folder.load::<Commit>(key.as_str())? else {
        return Ok(());
    };
    match finish(folder, key, &commit) {
        Err(error) if error.kind() == ErrorKind::Conflict => undo(folder, key, &commit),
        other => other,
    }
}

/// Whether a staged file is of the operation with this key: `key.0.raw`, `key.0.json`.
fn belongs(staged: &str, key: &str) -> bool {
    staged
        .strip_prefix(key)
        .and_then(|rest| rest.strip_prefix('.'))
        .and_then(|rest| rest.split_once('.'))
        .is_some_and(|(index, suffix)| {
            index.bytes().all(|b| b.is_ascii_digit()) && ["json", "raw"].contains(&suffix)
        })
}
