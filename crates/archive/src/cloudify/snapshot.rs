use super::documents::Envelope;
use super::{AdminAccount, Agent, Blob, Entities, Era, Files, Networks, SnapshotMetadata};
use super::{agents, migrate};
use crate::manifest::METADATA;
use crate::{Archive, Error, Refusal, Result};

/// A manager's snapshot, of any era.
#[derive(Clone, Debug)]
pub struct Snapshot {
    era: Era,
    files: Files,
    metadata: SnapshotMetadata,
}

impl Snapshot {
    /// Reads the snapshot in an archive.
    ///
    /// # Errors
    /// [`Refusal::UnknownEra`] if no known manager writes this; [`Refusal::BadDocument`] if its
    /// metadata cannot be read; [`Error::KeyMissing`] if that is needed and sealed.
    pub fn of(archive: &Archive) -> Result<Self> {
        Snapshot::from_files(Files::of(archive))
    }

    /// Reads the snapshot made of these files.
    ///
    /// # Errors
    /// As [`of`](Self::of).
    pub fn from_files(files: Files) -> Result<Self> {
        if !files.contains(METADATA) {
            let why = "there is no metadata.json of a manager";
            return Err(Refusal::UnknownEra(why.to_owned()).bare());
        }
        let metadata: SnapshotMetadata = files.json(METADATA)?;
        Ok(Snapshot {
            era: Era::detect(&files, &metadata)?,
            files,
            metadata,
        })
    }

    /// Its era.
    pub fn era(&self) -> Era {
        self.era
    }

    /// Its files.
    pub fn files(&self) -> &Files {
        &self.files
    }

    /// What the manager says of it.
    pub fn metadata(&self) -> &SnapshotMetadata {
        &self.metadata
    }

    /// Agents on hosts the manager controls.
    ///
    /// # Errors
    /// [`Refusal::BadDocument`]; else as [`Files::read`].
    pub fn agents(&self) -> Result<Vec<Agent>> {
        agents::agents(self)
    }

    /// The first user, where the era keeps it apart.
    ///
    /// # Errors
    /// As [`agents`](Self::agents).
    pub fn admin_account(&self) -> Result<Option<AdminAccount>> {
        self.optional("admin_account.json")
    }

    /// The manager's networks, where the era has them.
    ///
    /// # Errors
    /// As [`agents`](Self::agents).
    pub fn networks(&self) -> Result<Option<Networks>> {
        self.optional("networks.json")
    }

    /// Paths of SQL dumps: the manager's database and those of its user interfaces.
    pub fn database_dumps(&self) -> impl Iterator<Item = &str> {
        const DUMPS: [&str; 3] = ["pg_data", "stage_data", "composer_data"];
        DUMPS.into_iter().filter(|path| self.files.contains(path))
    }

    /// Plugins.
    pub fn plugins(&self) -> Vec<Blob> {
        match self.era {
            Era::A | Era::B | Era::C => {
                let packed = |path: &&str| !path.ends_with("/plugin.yaml");
                blobs(self.files.under("plugins").filter(packed), 1, None)
            }
            Era::D => self.per_tenant("plugins_archives"),
            Era::E => self.per_tenant("plugins"),
        }
    }

    /// Blueprints as the manager unpacked them, up to 6.4: the folder of each.
    pub fn blueprints(&self) -> Vec<Blob> {
        match self.era {
            Era::A | Era::B => folders(self.files.under("blueprints"), 1, None),
            Era::C => folders(self.files.under("blueprints"), 2, Some(1)),
            Era::D => self.per_tenant("blueprints_archives"),
            Era::E => self.per_tenant("blueprints"),
        }
    }

    /// Blueprints as they were uploaded; from 7.0 on the same as [`blueprints`](Self::blueprints).
    pub fn uploaded_blueprints(&self) -> Vec<Blob> {
        match self.era {
            Era::A | Era::B => blobs(self.files.under("uploaded-blueprints"), 1, None),
            Era::C => blobs(self.files.under("uploaded-blueprints"), 2, Some(1)),
            Era::D | Era::E => self.blueprints(),
        }
    }

    /// Keys of agents that were kept beside the snapshot, up to 6.4.
    pub fn credentials(&self) -> Vec<Blob> {
        blobs(self.files.under("snapshot-credentials"), 1, None)
    }

    /// Everything that is kept as entities, in the order it is to be restored; 7.0 and later.
    ///
    /// # Errors
    /// As [`agents`](Self::agents).
    pub fn entities(&self) -> Result<Vec<Entities>> {
        let mut all = Vec::new();
        let json = self.files.paths().filter(|path| path.ends_with(".json"));
        for path in json {
            let parts: Vec<&str> = path.split('/').collect();
            let tenant = match (self.era, &parts[..]) {
                (Era::D, ["mgmt", _, _]) | (Era::E, ["mgmt", _]) => None,
                (Era::D, ["tenants", tenant, _, _]) | (Era::E, ["tenants", tenant, _]) => {
                    Some((*tenant).to_owned())
                }
                _ => continue,
            };
            let Envelope {
                kind,
                source,
                source_id,
                items,
                more,
            } = self.files.json(path)?;
            let path = path.to_owned();
            all.push(Entities {
                path,
                tenant,
                kind,
                source,
                source_id,
                more,
                items,
            });
        }
        if self.era == Era::D {
            migrate::sort_for_restore(&mut all);
        }
        Ok(all)
    }

    /// The tenants that a restore makes, as the era names them; `None` before there were any.
    pub fn tenants(&self) -> Option<Vec<String>> {
        if self.era < Era::D {
            return None;
        }
        let mut tenants: Vec<String> = self
            .files
            .directories()
            .chain(self.files.paths())
            .filter_map(|path| path.strip_prefix("tenants/")?.split_once('/'))
            .map(|(tenant, _)| tenant.to_owned())
            .collect();
        tenants.dedup();
        tenants.sort_unstable();
        tenants.dedup();
        Some(tenants)
    }

    /// The same snapshot in the layout of a later era. Pure: nothing is written anywhere.
    ///
    /// # Errors
    /// [`Error::Unsupported`] if there is no way from this era to that one.
    pub fn migrated(self, to: Era) -> Result<Self> {
        migrate::migrate(self, to)
    }

    fn optional<T: serde::de::DeserializeOwned>(&self, path: &str) -> Result<Option<T>> {
        match self.files.json(path) {
            Ok(document) => Ok(Some(document)),
            Err(Error::NoSuchEntry(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn per_tenant(&self, folder: &str) -> Vec<Blob> {
        let there = self
            .files
            .under("tenants")
            .filter(|path| path.split('/').count() == 4 && path.split('/').nth(2) == Some(folder));
        blobs(there, 3, Some(1))
    }
}

/// Files whose id is the path's part at `id`, without suffixes of archives.
fn blobs<'a>(paths: impl Iterator<Item = &'a str>, id: usize, tenant: Option<usize>) -> Vec<Blob> {
    let stem = |name: &str| {
        const SUFFIXES: [&str; 6] = [".zip", ".tar.gz", ".tgz", ".tar.bz2", ".b64zip", ".tar"];
        let found = SUFFIXES.iter().find_map(|suffix| name.strip_suffix(suffix));
        found.unwrap_or(name).to_owned()
    };
    let blob = |path: &str| {
        let parts: Vec<&str> = path.split('/').collect();
        let tenant = tenant.and_then(|at| Some((*parts.get(at)?).to_owned()));
        Some(Blob {
            tenant,
            id: stem(parts.get(id)?),
            path: path.to_owned(),
        })
    };
    paths.filter_map(blob).collect()
}

/// Folders whose id is the path's part at `id`.
fn folders<'a>(
    paths: impl Iterator<Item = &'a str>,
    id: usize,
    tenant: Option<usize>,
) -> Vec<Blob> {
    let mut found: Vec<Blob> = paths
        .filter_map(|path| {
            let parts: Vec<&str> = path.split('/').collect();
            // What lies directly in the parent is no folder.
            parts.get(id + 1)?;
            let tenant = tenant.and_then(|at| Some((*parts.get(at)?).to_owned()));
            let (id, path) = (parts[id].to_owned(), parts[..=id].join("/"));
            Some(Blob { tenant, id, path })
        })
        .collect();
    found.dedup();
    found
}
