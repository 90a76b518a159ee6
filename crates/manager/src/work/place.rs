//! Restoring: what an archive holds is made ready beside what is there, and takes its place.

use std::cell::RefCell;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use serde_json::Value;
use stillpoint_core::{Error, ErrorKind, Result, World};
use stillpoint_engine::background::{Failed, blocking};
use stillpoint_state::{Batch, Guard};

use super::fetch::FETCHED;
use super::{Bound, Kept, Task};
use crate::failure::guarded;
use crate::manager::Inner;
use crate::preflight::{metadata_of, preflight, sizes_in};
use crate::request::RestoreManager;
use crate::site::Site;
use crate::stage::{Gauge, Stage};

/// The file, in the folder of a component, with what had no place.
pub(super) const UNPLACED: &str = "unplaced.json";

impl Task {
    /// Looks again whether something stands in the way, now that everything is locked.
    pub(super) async fn check(&self, restore: &RestoreManager) -> Result<Value> {
        let (inner, token) = (Arc::clone(&self.inner), self.token.clone());
        blocking(move || inner.keep_locked(&token)).await?;
        let seen = preflight(&self.inner, restore, self.inner.clock.now()).await?;
        match seen.blocked.split_first() {
            None => Ok(Value::Null),
            Some((first, rest)) => {
                let error = Error::new(ErrorKind::Precondition, first);
                let error = rest.iter().fold(error, Error::reason);
                Err(error.advise("Mend what is named and plan again"))
            }
        }
    }

    pub(super) async fn stage(
        &self,
        archive: String,
        bound: Bound,
        component: String,
        tenants: Option<Vec<String>>,
    ) -> Result<Value, Failed> {
        let (inner, token) = (Arc::clone(&self.inner), self.token.clone());
        let (path, site) = (self.folder().join(FETCHED), self.site(&component));
        let line = self.line.clone();
        let staged = blocking(move || {
            inner.keep_locked(&token)?;
            let opened = inner.keys.open_same(&path, &archive, bound.root)?;
            let metadata = metadata_of(&inner, &opened, &archive)?;
            let about = metadata.components.iter().find(|it| it.name == component);
            let about = about.map_or(Value::Null, |it| it.about.clone());
            let named = inner.component(&component)?;
            // What an attempt that was cut off had begun.
            guarded(&component, || named.component.unstage(&site))?;
            let sizes = sizes_in(&opened);
            let size = sizes.get(&component).copied().unwrap_or_default();
            let stage = Stage {
                archive: &opened,
                component: &component,
                site: &site,
                about: &about,
                tenants: tenants.as_deref(),
                unplaced: RefCell::default(),
                read: Arc::new(Gauge::new(&line, size)),
            };
            let staged = guarded(&component, || named.component.stage(&stage))
                .and_then(|()| note(&site, &stage.unplaced.take().listed()));
            match staged {
                Ok(()) => Ok(Ok(())),
                Err(error) => {
                    let gone = guarded(&component, || named.component.unstage(&site));
                    let left = gone.is_err();
                    Ok(Err(Failed::leaving(error, left)))
                }
            }
        });
        staged.await??;
        Ok(Value::Null)
    }

    pub(super) async fn unstage(&self, component: &str) -> Result<Value> {
        let (inner, site) = (Arc::clone(&self.inner), self.site(component));
        let component = component.to_owned();
        blocking(move || {
            let named = inner.component(&component)?;
            guarded(&component, || named.component.unstage(&site))
        })
        .await?;
        Ok(Value::Null)
    }

    pub(super) async fn reconnect(&self, component: String) -> Result<Value> {
        let site = self.site(&component);
        self.of_component(component, move |it| it.reconnect(&site))
            .await
    }

    pub(super) async fn validate(&self, component: String) -> Result<Value> {
        let site = self.site(&component);
        self.of_component(component, move |it| it.validate(&site))
            .await
    }

    pub(super) async fn of_component(
        &self,
        name: String,
        does: impl FnOnce(&dyn crate::Component) -> Result<()> + Send + 'static,
    ) -> Result<Value> {
        let (inner, token) = (Arc::clone(&self.inner), self.token.clone());
        blocking(move || {
            inner.keep_locked(&token)?;
            let named = inner.component(&name)?;
            guarded(&name, || does(&*named.component))
        })
        .await?;
        Ok(Value::Null)
    }

    /// Every component, or none: where one fails, those before it are put back.
    pub(super) async fn cut_over(&self, kept: Kept) -> Result<Value> {
        // Before anything is kept it is known where, so that it can be removed or had again.
        let mut batch = Batch::new();
        batch.put(kept_key(&kept.token), Guard::Any, encode(&kept));
        self.inner.state.commit(batch).await?;
        let (inner, token) = (Arc::clone(&self.inner), self.token.clone());
        let sites: Vec<Site> = kept.components.iter().map(|it| self.site(it)).collect();
        let (names, key) = (kept.components, kept_key(&kept.token));
        let cut = blocking(move || {
            inner.keep_locked(&token)?;
            cut_over(&inner, &names, &sites)
        });
        if let Err(error) = cut.await {
            if error.world() != World::Unknown {
                let mut batch = Batch::new();
                batch.delete(key, Guard::Any);
                self.inner.state.commit(batch).await?;
            }
            return Err(error);
        }
        Ok(Value::Null)
    }
}

fn cut_over(inner: &Inner, names: &[String], sites: &[Site]) -> Result<()> {
    for (at, (name, site)) in names.iter().zip(sites).enumerate() {
        let named = inner.component(name)?;
        let Err(error) = guarded(name, || named.component.cut_over(site)) else {
            continue;
        };
        if error.world() == World::Unknown {
            // It may be in place: to take the others back could leave a part of each.
            return Err(error);
        }
        let mut back = Ok(());
        // All that can be put back is, whatever becomes of another.
        for (name, site) in names[..at].iter().zip(sites).rev() {
            let put_back = inner
                .component(name)
                .and_then(|it| guarded(name, || it.component.cut_back(site)));
            back = back.and(put_back);
        }
        return Err(match back {
            Ok(()) => error.leaving(World::Untouched),
            Err(stuck) => error.reason(stuck.message()).leaving(World::Unknown),
        });
    }
    Ok(())
}

/// Where the state says what a restore has kept.
pub(crate) fn kept_key(token: &str) -> String {
    format!("manager/kept/{token}")
}

fn encode(kept: &Kept) -> Vec<u8> {
    serde_json::to_vec(kept).expect("plain data with text for keys")
}

/// Writes down what had no place, for the step that accounts for it.
fn note(site: &Site, unplaced: &[String]) -> Result<()> {
    if unplaced.is_empty() {
        return Ok(());
    }
    let path = site.folder()?.join(UNPLACED);
    let bytes = serde_json::to_vec(unplaced).expect("plain text");
    fs::write(&path, bytes)
        .map_err(|source| Error::io(format_args!("writing {}", path.display()), &source))
}

/// What had no place, as it was written down.
pub(super) fn noted(folder: &Path) -> Result<Vec<String>> {
    let path = folder.join(UNPLACED);
    match fs::read(&path) {
        Ok(bytes) => serde_json::from_slice(&bytes).map_err(|source| {
            let message = format!("{} cannot be read", path.display());
            Error::new(ErrorKind::Corrupt, message)
                .advise("Restore again to see what had no place")
                .because(source)
        }),
        Err(source) if source.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(source) => Err(Error::io(
            format_args!("reading {}", path.display()),
            &source,
        )),
    }
}
