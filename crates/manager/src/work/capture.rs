//! Capturing: what has to be of one instant is fixed in a short lock, and everything else follows.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Value, json};
use stillpoint_archive::{
    Archive, Error as ArchiveError, Metadata as ArchiveMetadata, VerifyLevel, Watch, WriteOptions,
    Writer, create,
};
use stillpoint_core::{Error, ErrorKind, Result};
use stillpoint_engine::Captured;
use stillpoint_engine::background::{Failed, Line, blocking};

use super::Task;
use super::window::{fix_held, fix_locked};
use crate::component::LeftOut;
use crate::dump::Dump;
use crate::failure::{guarded, of_archive};
use crate::manager::{Inner, Named};
use crate::metadata::{About, Metadata};
use crate::records::{Record, RecordState};
use crate::remove::remove;
use crate::site::Site;

/// What is to be captured, and how.
#[derive(Clone, Debug)]
struct Order {
    name: String,
    /// What is captured of what is captured only where that is asked for; none: all of it.
    with: Option<Vec<String>>,
    /// Whether the job has locked everything already.
    locked: bool,
}

impl Task {
    /// Captures the manager for the engine.
    pub(super) async fn capture(&self, name: &str, key: &str) -> Result<Value, Failed> {
        let record = self.begin_record(name).await?;
        let order = Order {
            name: name.to_owned(),
            with: Some(record.with.clone()),
            locked: false,
        };
        self.recorded(order, record, key).await
    }

    /// Captures what a restore is about to replace.
    pub(super) async fn safeguard(&self, name: &str, key: &str) -> Result<Value, Failed> {
        let inner = Arc::clone(&self.inner);
        let token = self.token.clone();
        blocking(move || inner.keep_locked(&token)).await?;
        let record = self.begin_record(name).await?;
        let order = Order {
            name: name.to_owned(),
            with: None,
            locked: true,
        };
        self.recorded(order, record, key).await
    }

    async fn begin_record(&self, name: &str) -> Result<Record> {
        let now = self.inner.clock.now();
        let record = Record::new(name, RecordState::Creating, &self.token, now);
        self.inner.records.begin(record).await
    }

    /// Captures, and has the record say how it went.
    async fn recorded(&self, order: Order, record: Record, key: &str) -> Result<Value, Failed> {
        let name = order.name.clone();
        tracing::debug!(key, %name, "capturing");
        let captured = tokio::select! {
            captured = self.captured(order, &record) => captured,
            error = self.inner.records.keep(&name, &self.token, &*self.inner.clock) => Err(error.into()),
        };
        let records = &self.inner.records;
        match captured {
            Ok((captured, size)) => {
                let whole = |record: &mut Record| record.size = Some(size);
                records.advance(&name, RecordState::Created, whole).await?;
                self.remove_own().await?;
                Ok(serde_json::to_value(captured).expect("plain data with text for keys"))
            }
            Err(failed) => {
                let next = match failed.error().kind() {
                    ErrorKind::Cancelled => RecordState::Cancelled,
                    _ => RecordState::Failed,
                };
                let said = failed.error().to_report().message;
                let why = |record: &mut Record| record.error = Some(said.clone());
                if let Err(error) = records.advance(&name, next, why).await {
                    tracing::warn!(%name, %error, "the record of a failed capture stays as it is");
                }
                Err(match self.remove_own().await {
                    Ok(()) => failed,
                    Err(_) => failed.and_left(),
                })
            }
        }
    }

    /// What was captured, and the bytes of the archive.
    async fn captured(&self, order: Order, record: &Record) -> Result<(Captured, u64), Failed> {
        let (name, depot) = (order.name.clone(), &self.inner.depot);
        let path = self.own_folder().join("capture.zip");
        let failed = |error| of_archive(&name, error);
        if record.state == RecordState::Created {
            // All of it was done, and nobody was told.
            let remote = depot.open_with(&name, self.inner.keys.options()).await;
            let remote = remote.map_err(failed)?;
            return Ok(describe(
                remote.archive(),
                &name,
                record.size.unwrap_or_default(),
            )?);
        }
        if !path.exists() {
            match depot.receipt(&name).await {
                Err(ArchiveError::NoSuchEntry(_)) => {}
                Err(error) => return Err(failed(error).into()),
                Ok(_) => {
                    let message = format!("the depot has an archive {name} already");
                    let error = Error::new(ErrorKind::Conflict, message);
                    return Err(error.advise("Choose another id, or delete that one").into());
                }
            }
            self.make(order, path.clone()).await?;
        }
        if record.state == RecordState::Creating {
            let records = &self.inner.records;
            records
                .advance(&name, RecordState::Verifying, |_| {})
                .await?;
        }
        let uploaded = match self.stop.check() {
            Err(error) if record.state == RecordState::Creating => return Err(error.into()),
            // An earlier process may have brought it there.
            Err(error) => Err(error),
            Ok(()) => tokio::select! {
                uploaded = depot.upload(&name, &path) => uploaded.map_err(failed),
                error = self.stop.asked() => Err(error),
            },
        };
        if let Err(error) = uploaded {
            // What is there under another claim is somebody else's.
            let left = error.kind() != ErrorKind::Conflict && depot.delete(&name).await.is_err();
            return Err(Failed::leaving(error, left));
        }
        let keys = self.inner.keys.clone();
        let opened = blocking(move || {
            let archive = keys.options().open(&path);
            let archive = match archive {
                // Sealed for others alone: what is in clear is enough here.
                Err(ArchiveError::KeyMismatch { .. }) => Archive::open(&path),
                opened => opened,
            };
            let size = fs::metadata(&path).map_or(0, |it| it.len());
            describe(
                &archive.map_err(|error| of_archive(&name, error))?,
                &name,
                size,
            )
        });
        Ok(opened.await?)
    }

    async fn make(&self, order: Order, path: PathBuf) -> Result<()> {
        let (inner, token, line) = (
            Arc::clone(&self.inner),
            self.token.clone(),
            self.line.clone(),
        );
        let folder = self.own_folder();
        blocking(move || {
            let failed = |source| Error::io(format_args!("making {}", folder.display()), &source);
            fs::create_dir_all(&folder).map_err(failed)?;
            make(&inner, &token, &line, &order, &path)
        })
        .await
    }

    /// Removes what was on its way; the job's folder stays where there is more in it.
    async fn remove_own(&self) -> Result<()> {
        let (own, around) = (self.own_folder(), self.folder());
        blocking(move || {
            remove(&own)?;
            let _ = fs::remove_dir(&around);
            Ok(())
        })
        .await
    }

    /// The folder of what is captured, which may be on its way beside what is restored.
    fn own_folder(&self) -> PathBuf {
        self.folder().join("capture")
    }
}

/// Tells the components to let go of what they hold, when it is dropped.
struct Holding<'a>(Vec<(&'a Named, Site)>);

impl Drop for Holding<'_> {
    fn drop(&mut self) {
        for (Named { name, component }, site) in &self.0 {
            if let Err(error) = guarded(name, || {
                component.release(site);
                Ok(())
            }) {
                tracing::warn!(%name, %error, "it may still hold what was fixed");
            }
        }
    }
}

fn make(inner: &Inner, token: &str, line: &Line, order: &Order, path: &Path) -> Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let (captured, without) = inner.captures(order.with.as_ref())?;
    let site = |it: &Named| Site::new(token, folder.join(&it.name), line.stop().clone());
    let holding = Holding(captured.into_iter().map(|it| (it, site(it))).collect());
    let without = without.into_iter().map(|it| LeftOut {
        what: format!("component {}", it.name),
        why: "it was not asked for".to_owned(),
    });
    let mut left_out: Vec<LeftOut> = without.collect();
    for (Named { name, component }, site) in &holding.0 {
        site.check()?;
        guarded(name, || component.prepare(site))?;
    }
    let window = match order.locked {
        true => fix_held(inner, &holding.0)?,
        false => fix_locked(inner, token, &holding.0)?,
    };
    let mut about = Vec::new();
    for (Named { name, component }, site) in &holding.0 {
        about.push(guarded(name, || {
            left_out.extend(component.left_out());
            Ok(About {
                name: name.clone(),
                depends_on: component.depends_on().to_vec(),
                about: component.describe(site),
            })
        })?);
    }
    let metadata = Metadata::new(
        &inner.product,
        &inner.version,
        &order.name,
        inner.networks.clone(),
        window,
        about,
        left_out,
    );
    let options = WriteOptions::new()
        .metadata(ArchiveMetadata::Own(metadata.to_map()))
        .read_back(VerifyLevel::Full)
        .watch(watch(line, &holding.0), None);
    let mut failure = None;
    let written = create(path, &inner.keys.seal(options), |writer| {
        write(writer, &holding.0).map_err(|error| {
            failure = Some(error);
            ArchiveError::Cancelled
        })
    });
    match (written, failure) {
        (_, Some(error)) => Err(error),
        (written, None) => written
            .map(drop)
            .map_err(|error| of_archive(&order.name, error)),
    }
}

/// Tells how far it is: half of it is written, and then as much is read back. How much is written is
/// known only roughly beforehand, and exactly when it is read.
fn watch(line: &Line, components: &[(&Named, Site)]) -> Watch {
    let size: u64 = components.iter().map(|(it, _)| it.size()).sum();
    let size = size.max(1);
    let meter = line.meter(size.saturating_mul(2));
    Watch::none()
        .cancel(line.stop().flag().into())
        .progress(move |it| {
            meter.reach(match it.total {
                None => it.bytes.min(size),
                Some(total) => size.saturating_add(share(size, it.bytes, total)),
            });
        })
}

/// As much of a size as these bytes are of their total.
fn share(size: u64, bytes: u64, total: u64) -> u64 {
    let share = u128::from(size) * u128::from(bytes) / u128::from(total.max(1));
    u64::try_from(share).unwrap_or(size)
}

fn write(writer: &mut Writer<'_>, components: &[(&Named, Site)]) -> Result<()> {
    for (Named { name, component }, site) in components {
        let mut dump = Dump::new(writer, name, site);
        guarded(name, || component.dump(&mut dump))?;
    }
    Ok(())
}

/// What the engine and its catalogue are told.
fn describe(archive: &Archive, name: &str, size: u64) -> Result<(Captured, u64)> {
    let metadata = Metadata::read(archive, name)?;
    let captured = Captured {
        taken_at: Some(metadata.consistency.end),
        verified: true,
        place: json!({
            "archive": name,
            "size": size,
            "root": archive.root().map(|root| root.to_string()),
            "locked_micros": metadata.consistency.micros,
        }),
    };
    Ok((captured, size))
}
