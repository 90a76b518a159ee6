//! What an archive says of the manager in it: `metadata.json`, its first entry.

use std::cmp::Ordering;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use stillpoint_archive::Archive;
use stillpoint_archive::cloudify::Snapshot;
use stillpoint_core::{Error, ErrorKind, Result};

use crate::component::LeftOut;
use crate::failure::of_archive;

/// The entry that holds it.
const METADATA: &str = "metadata.json";

/// The key in it that is ours.
const MANAGER: &str = "manager";

/// The kind of a component that is restored from a snapshot of a Cloudify Manager.
pub(crate) const CLOUDIFY: &str = "cloudify";

/// Bytes of the largest that is read.
const LONGEST: u64 = 1 << 20;

/// The version of the description that this crate writes, and the last that it reads.
const FORMAT: u32 = 1;

/// What an archive says of the manager in it.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Metadata {
    /// The version of this description.
    pub format: u32,
    /// What the manager is called: an archive of another product is refused.
    pub product: String,
    /// Its version.
    pub version: String,
    /// The name of the capture.
    pub name: String,
    /// The networks in which its agents reached it.
    #[serde(default)]
    pub networks: Vec<String>,
    /// The time at which all was locked, and what was fixed then.
    pub consistency: Window,
    /// Its components, in the order in which they are restored.
    pub components: Vec<About>,
    /// What it has and the archive does not, and why.
    pub left_out: Vec<LeftOut>,
}

/// For how long the manager was locked: what the archive holds is of a time in between.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Window {
    /// When the first component began to be locked.
    pub begin: Timestamp,
    /// When the last of them was unlocked.
    pub end: Timestamp,
    /// Between those, in microseconds, by a clock that is never set.
    pub micros: u64,
}

/// One component in an archive.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct About {
    /// Its name, which its members begin with.
    pub name: String,
    /// What it depends on.
    #[serde(default)]
    pub depends_on: Vec<String>,
    /// What it [said](crate::Component::describe) of itself.
    #[serde(default)]
    pub about: Value,
}

impl Metadata {
    pub(crate) fn new(
        product: &str,
        version: &str,
        name: &str,
        networks: Vec<String>,
        consistency: Window,
        components: Vec<About>,
        left_out: Vec<LeftOut>,
    ) -> Self {
        Self {
            format: FORMAT,
            product: product.to_owned(),
            version: version.to_owned(),
            name: name.to_owned(),
            networks,
            consistency,
            components,
            left_out,
        }
    }

    /// What the archive writer adds to the entry. The version stands where Cloudify has it, too.
    pub(crate) fn to_map(&self) -> Map<String, Value> {
        let ours = serde_json::to_value(self).expect("plain data with text for keys");
        Map::from_iter([
            ("snapshot_version".to_owned(), self.version.clone().into()),
            (MANAGER.to_owned(), ours),
        ])
    }

    /// Of a snapshot of a Cloudify Manager, for the components that can place what it holds.
    pub(crate) fn of_cloudify(
        product: &str,
        snapshot: &Snapshot,
        name: &str,
        components: impl IntoIterator<Item = String>,
    ) -> Result<Self> {
        let version = &snapshot.metadata().snapshot_version;
        let about = serde_json::json!({
            "kind": CLOUDIFY,
            "era": snapshot.era().to_string(),
            "version": version,
        });
        let components = components.into_iter().map(|name| About {
            name,
            depends_on: Vec::new(),
            about: about.clone(),
        });
        let consistency = Window {
            begin: Timestamp::UNIX_EPOCH,
            end: Timestamp::UNIX_EPOCH,
            micros: 0,
        };
        let left_out = LeftOut {
            what: "a manifest".to_owned(),
            why: "Cloudify writes none: only checksums against accidents were compared".to_owned(),
        };
        let networks = snapshot
            .networks()
            .map_err(|error| of_archive(name, error))?
            .map(|it| it.active_networks)
            .unwrap_or_default();
        Ok(Self::new(
            product,
            version,
            name,
            networks,
            consistency,
            components.collect(),
            vec![left_out],
        ))
    }

    /// Reads it from an archive of this name.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] for an archive of something else; [`ErrorKind::Unsupported`] for one
    /// of a later format; else those of the archive.
    pub(crate) fn read(archive: &Archive, name: &str) -> Result<Self> {
        let foreign = |what: &str| {
            Error::new(ErrorKind::Invalid, format!("archive {name}: {what}"))
                .advise("Give an archive that a manager of this sort has made")
        };
        if archive.root().is_none() {
            return Err(foreign(
                "it has no manifest, so nothing in it can be verified",
            ));
        }
        let bytes = archive
            .read_up_to(METADATA, LONGEST)
            .map_err(|error| of_archive(name, error))?;
        let mut all: Map<String, Value> = serde_json::from_slice(&bytes)
            .map_err(|source| foreign("its metadata cannot be read").because(source))?;
        let ours = all
            .remove(MANAGER)
            .ok_or_else(|| foreign("it holds no manager"))?;
        let format = ours.get("format").and_then(Value::as_u64).unwrap_or(0);
        if format > u64::from(FORMAT) {
            let message =
                format!("archive {name}: its metadata are of format {format}, known is {FORMAT}");
            return Err(Error::new(ErrorKind::Unsupported, message)
                .advise("Use the version that wrote it, or a later one"));
        }
        serde_json::from_value(ours)
            .map_err(|source| foreign("its metadata make no sense").because(source))
    }
}

/// Compares versions by their numbers: 5.0.10 is after 5.0.5, and what follows a `-` or `+` does
/// not count.
pub(crate) fn compare(one: &str, other: &str) -> Ordering {
    let numbers = |text: &str| -> Vec<u64> {
        let core = text.split(['-', '+']).next().unwrap_or_default();
        let mut numbers: Vec<u64> = core
            .split('.')
            .map(|part| part.trim().parse().unwrap_or(0))
            .collect();
        // 7.1 is 7.1.0.
        while numbers.last() == Some(&0) {
            numbers.pop();
        }
        numbers
    };
    numbers(one).cmp(&numbers(other))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_by_number() {
        for (one, other, wanted) in [
            ("5.0.10", "5.0.5", Ordering::Greater),
            ("7.1", "7.1.0", Ordering::Equal),
            ("7.1.0-rc1", "7.1.0", Ordering::Equal),
            ("4.6.0", "5", Ordering::Less),
        ] {
            assert_eq!(compare(one, other), wanted, "{one} and {other}");
        }
    }
}
