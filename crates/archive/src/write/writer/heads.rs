//! What is known of an entry before its content, checked; and the folders it lies in.

use std::sync::Arc;
use std::time::UNIX_EPOCH;

use super::Writer;
use crate::manifest::{Class, META_INF, METADATA, OWN};
use crate::name;
use crate::seal::{SUFFIX, random_salt};
use crate::write::EntryOptions;
use crate::write::batch::Pending;
use crate::write::jobs::{Head, Sealing};
use crate::zip::Dos;
use crate::{Error, Profile, Refusal, Result};

impl Writer<'_> {
    /// Checks an entry's name and options and takes them in.
    pub(in crate::write) fn head(&mut self, name: &str, options: &EntryOptions) -> Result<Head> {
        if name.starts_with(META_INF) || name == METADATA {
            let why = format!("{name}: the writer makes this entry itself");
            return Err(Error::Unsupported(why));
        }
        if name.ends_with(SUFFIX) {
            let why = format!("{name}: names in {SUFFIX} are for sealed entries");
            return Err(Error::Unsupported(why));
        }
        self.head_of_own(name, options)
    }

    pub(super) fn head_of_own(&mut self, name: &str, options: &EntryOptions) -> Result<Head> {
        self.check_not_spoilt()?;
        name::check(name, &self.limits).map_err(|reason| reason.of(name))?;
        self.parents(name)?;
        self.names.insert(name)?;
        self.entries += 1;
        if self.entries > self.limits.entries {
            let (what, limit) = ("the number of entries", self.limits.entries);
            return Err(Refusal::Limit {
                what,
                found: self.entries,
                limit,
            }
            .of(name));
        }
        let is_directory = name.ends_with('/');
        let mode = options
            .mode
            .unwrap_or(if is_directory { 0o755 } else { 0o644 });
        if mode & !0o777 != 0 {
            return Err(Refusal::Mode(mode).of(name));
        }
        Ok(Head {
            seal: self.sealing(name, options.class)?,
            name: name.to_owned(),
            mode,
            modified: self.modified(options),
            class: options.class,
            component: options
                .component
                .as_deref()
                .map(|name| self.component(name)),
        })
    }

    fn sealing(&self, name: &str, class: Class) -> Result<Option<Sealing>> {
        if class != Class::Secret || name.ends_with('/') || self.profile == Profile::Compat {
            return Ok(None);
        }
        let Some(key) = &self.key else {
            return Err(Error::Unsupported(format!(
                "{name}: it is secret and there is nobody to seal it for; name a recipient, or \
                 choose secrets in clear"
            )));
        };
        let salt = random_salt()?;
        Ok(Some(Sealing {
            key: Arc::new(key.entry(name, &salt)?),
            salt,
        }))
    }

    fn modified(&self, options: &EntryOptions) -> Dos {
        match options.modified {
            Some(time) if !self.deterministic => {
                let seconds = match time.duration_since(UNIX_EPOCH) {
                    Ok(after) => after.as_secs() as i64,
                    Err(before) => -(before.duration().as_secs() as i64),
                };
                Dos::from_unix(seconds)
            }
            _ => Dos::EPOCH,
        }
    }

    fn component(&mut self, name: &str) -> Arc<str> {
        if let Some(known) = self.components.iter().find(|known| ***known == *name) {
            return Arc::clone(known);
        }
        self.components.push(Arc::from(name));
        Arc::clone(self.components.last().expect("just pushed"))
    }

    /// Adds the parents of `name` that have no entry yet.
    pub(super) fn parents(&mut self, name: &str) -> Result<()> {
        let bare = name.strip_suffix('/').unwrap_or(name);
        let mut missing = Vec::new();
        for (end, _) in bare.rmatch_indices('/') {
            if self.names.has_directory(&bare[..end]) {
                break;
            }
            missing.push(&bare[..=end]);
        }
        for parent in missing.into_iter().rev() {
            self.names.insert(parent)?;
            self.entries += 1;
            let component = parent.starts_with(META_INF).then(|| self.component(OWN));
            self.push(Pending::Directory(Head {
                name: parent.to_owned(),
                mode: 0o755,
                modified: Dos::EPOCH,
                class: Class::Internal,
                component,
                seal: None,
            }))?;
        }
        Ok(())
    }
}
