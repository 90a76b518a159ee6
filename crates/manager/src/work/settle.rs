//! After a restore: what was there before is removed, or has its place again.

use std::sync::Arc;

use serde_json::Value;
use stillpoint_core::{Result, World};
use stillpoint_engine::background::blocking;
use stillpoint_state::{Batch, Guard};

use super::capture::remove_folder;
use super::place::kept_key;
use super::{Kept, Task};
use crate::failure::guarded;
use crate::site::Site;

impl Task {
    /// Puts what was kept in its place again, in reverse.
    pub(super) async fn cut_back(&self, kept: Kept) -> Result<Value> {
        let (inner, token) = (Arc::clone(&self.inner), self.token.clone());
        let sites = self.kept_sites(&kept);
        blocking(move || {
            inner.keep_locked(&token)?;
            for (name, site) in sites.iter().rev() {
                let named = inner.component(name)?;
                guarded(name, || named.component.cut_back(site))
                    .map_err(|error| error.leaving(World::Unknown))?;
            }
            Ok(())
        })
        .await?;
        Ok(Value::Null)
    }

    /// Removes what the restore kept, and what it had staged where that is what is left.
    pub(super) async fn forget(&self, kept: Kept) -> Result<Value> {
        let inner = Arc::clone(&self.inner);
        let sites = self.kept_sites(&kept);
        let folder = self.folder_of(&kept.token);
        blocking(move || {
            for (name, site) in &sites {
                let named = inner.component(name)?;
                guarded(name, || {
                    named.component.commit(site)?;
                    named.component.unstage(site)
                })?;
            }
            remove_folder(&folder)
        })
        .await?;
        self.remove_archive(&kept.safety).await?;
        let mut batch = Batch::new();
        batch.delete(kept_key(&kept.token), Guard::Any);
        self.inner.state.commit(batch).await?;
        Ok(Value::Null)
    }

    fn kept_sites(&self, kept: &Kept) -> Vec<(String, Site)> {
        let sites = kept.components.iter();
        sites
            .map(|name| (name.clone(), self.site_of(&kept.token, name)))
            .collect()
    }
}
