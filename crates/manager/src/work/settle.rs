//! After a restore: what was there before is removed, or has its place again.

use std::sync::Arc;

use serde_json::Value;
use stillpoint_core::{Error, ErrorKind, Result, World};
use stillpoint_engine::background::blocking;
use stillpoint_state::{Batch, Guard, StateExt as _};

use super::place::kept_key;
use super::{Kept, Task};
use crate::failure::guarded;
use crate::manager::Inner;
use crate::remove::remove;
use crate::site::Site;

impl Task {
    /// Puts what was kept in its place again, in reverse.
    pub(super) async fn cut_back(&self, kept: Kept) -> Result<Value> {
        if let Some(why) = out_of_turn(&self.inner, &kept.token, Turn::Undo).await? {
            return Err(Error::new(ErrorKind::Precondition, why).advise("Settle that one first"));
        }
        let (inner, token) = (Arc::clone(&self.inner), self.token.clone());
        let sites = self.kept_sites(&kept);
        blocking(move || {
            inner.keep_locked(&token)?;
            let mut back = Ok(());
            // All that can be put back is, whatever becomes of another.
            for (name, site) in sites.iter().rev() {
                let put_back = inner
                    .component(name)
                    .and_then(|it| guarded(name, || it.component.cut_back(site)));
                back = back.and(put_back);
            }
            back.map_err(|error| error.leaving(World::Unknown))
        })
        .await?;
        Ok(Value::Null)
    }

    pub(super) async fn fail_back(&self, kept: &Kept, component: String) -> Result<Value> {
        let site = self.site_of(&kept.token, &component);
        self.of_component(component, move |it| it.fail_back(&site))
            .await
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
            remove(&folder)
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

/// What is done of what a restore has kept.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Turn {
    /// It is removed.
    Accept,
    /// It has its place again.
    Undo,
}

/// Why this restore is not the one to be settled now: what one has kept is what the one before it
/// had put in place, so the latest is undone first, and the earliest accepted first.
pub(crate) async fn out_of_turn(inner: &Inner, token: &str, turn: Turn) -> Result<Option<String>> {
    let this = kept_key(token);
    let found = inner.state.scan_prefix(&kept_key("")).await?;
    let all = found.collect().await?;
    // Each was written as its restore cut over.
    let other = match turn {
        Turn::Accept => all.iter().min_by_key(|it| it.version),
        Turn::Undo => all.iter().max_by_key(|it| it.version),
    };
    Ok(other.filter(|it| it.key != this).map(|_| match turn {
        Turn::Accept => "an earlier restore is neither accepted nor undone".to_owned(),
        Turn::Undo => "a later restore is neither accepted nor undone".to_owned(),
    }))
}
