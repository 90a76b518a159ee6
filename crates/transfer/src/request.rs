use serde::{Deserialize, Serialize};
use stillpoint_core::{Error, ErrorKind, Result, SnapshotId};
use stillpoint_engine::{CustomRequest, Request};

use crate::place::{ArchiveRef, Shelf};

/// The name that planner and executor are registered under.
pub(crate) const NAME: &str = "transfer";

/// A snapshot to write to an archive.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Export {
    /// The snapshot.
    pub snapshot: SnapshotId,
    /// Where the archive goes.
    pub to: Option<Shelf>,
    /// Whom it is sealed for, by the names they are registered under; nobody: it stands in clear.
    #[serde(default)]
    pub seal_for: Vec<String>,
}

/// An archive to list the snapshot of.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Import {
    /// The archive.
    pub archive: ArchiveRef,
}

/// An archive to restore the snapshot of, to something new.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct RestoreFrom {
    /// The archive.
    pub archive: ArchiveRef,
    /// The provider to restore on; none: the one of that name that the snapshot is of.
    #[serde(default)]
    pub on: Option<String>,
    /// What the new instance is called, or for a volume's snapshot the new volume. New volumes
    /// are named after an instance.
    pub name: String,
    /// Only these disks; none: all that the snapshot holds.
    #[serde(default)]
    pub disks: Option<Vec<String>>,
    /// Only volumes, also where the snapshot is of an instance.
    #[serde(default)]
    pub volumes_only: bool,
}

/// What the planner is asked.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Wish {
    Export(Export),
    Import(Import),
    RestoreFrom(RestoreFrom),
}

impl Export {
    /// Of this snapshot; where to has still to be said.
    pub fn of(snapshot: SnapshotId) -> Self {
        Self {
            snapshot,
            to: None,
            seal_for: Vec::new(),
        }
    }

    /// The request, for [`Engine::plan`](stillpoint_engine::Engine::plan).
    pub fn request(&self) -> Request {
        let title = match &self.to {
            Some(to) => format!("export snapshot {} to {to}", self.snapshot),
            None => format!("export snapshot {}", self.snapshot),
        };
        request(title, &Wish::Export(self.clone()))
    }
}

impl Import {
    /// The request, for [`Engine::plan`](stillpoint_engine::Engine::plan).
    pub fn request(&self) -> Request {
        let title = format!("import {}", self.archive);
        request(title, &Wish::Import(self.clone()))
    }
}

impl RestoreFrom {
    /// All that the archive holds, on the provider of the name that it comes from.
    pub fn new(archive: ArchiveRef, name: impl Into<String>) -> Self {
        Self {
            archive,
            on: None,
            name: name.into(),
            disks: None,
            volumes_only: false,
        }
    }

    /// The request, for [`Engine::plan`](stillpoint_engine::Engine::plan).
    pub fn request(&self) -> Request {
        let title = match &self.on {
            Some(on) => format!("restore {} to new `{}` on {on}", self.archive, self.name),
            None => format!("restore {} to new `{}`", self.archive, self.name),
        };
        request(title, &Wish::RestoreFrom(self.clone()))
    }
}

impl Wish {
    pub(crate) fn of(request: &CustomRequest) -> Result<Self> {
        serde_json::from_value(request.body.clone()).map_err(|source| {
            Error::new(
                ErrorKind::Invalid,
                "it is no transfer that this version knows",
            )
            .advise("If a later version made the request, use that")
            .because(source)
        })
    }
}

fn request(title: String, wish: &Wish) -> Request {
    Request::Custom(CustomRequest {
        planner: NAME.to_owned(),
        title,
        body: serde_json::to_value(wish).expect("plain data with text for keys"),
    })
}
