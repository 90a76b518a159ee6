use serde_json::Value;
use stillpoint_core::{Error, ErrorKind, Result, World};
use stillpoint_engine::background::blocking;

use super::Task;
use super::place::noted;

/// How many of them an error names; the rest is counted.
const NAMED: usize = 50;

impl Task {
    /// Fails with all items that had no place, so that such a restore never counts as complete.
    pub(super) async fn account(&self, components: &[String]) -> Result<Value> {
        let folders: Vec<_> = components
            .iter()
            .map(|it| (it.clone(), self.folder().join(it)))
            .collect();
        let all = blocking(move || {
            let mut all = Vec::new();
            for (component, folder) in folders {
                all.extend(
                    noted(&folder)?
                        .into_iter()
                        .map(|item| format!("{component}: {item}")),
                );
            }
            Ok(all)
        })
        .await?;
        if all.is_empty() {
            return Ok(Value::Null);
        }
        let message = format!("{} items had no place here", all.len());
        let error = Error::new(ErrorKind::Unsupported, message);
        let error = all.iter().take(NAMED).fold(error, Error::reason);
        Err(error
            .leaving(World::Changed)
            .advise("Add what is missing by hand, or undo the restore"))
    }
}
