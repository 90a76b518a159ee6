use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind, Result};

/// The name of anything a provider has: `provider/kind/id`, such as `prod/instance/web-1`.
///
/// It parses from and displays as that form, and serialises as it. The id is the provider's own
/// and may itself hold slashes.
#[derive(Clone, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(into = "String", try_from = "String")]
pub struct ResourceRef {
    provider: String,
    kind: ResourceKind,
    id: String,
}

/// The kinds of things a provider has.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ResourceKind {
    /// Something to launch an instance from.
    Image,
    /// A server, a guest: something that runs and has disks.
    Instance,
    /// A provider's own snapshot of one volume.
    Snapshot,
    /// A disk that exists apart from an instance.
    Volume,
}

impl ResourceRef {
    /// Longest provider name, in bytes.
    pub const MAX_PROVIDER: usize = 63;
    /// Longest id, in bytes.
    pub const MAX_ID: usize = 255;

    /// The resource `id` of this kind on this provider.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`] where the provider's name is not of `a-z 0-9 - _ .`, starting with
    /// a letter or digit and at most [`MAX_PROVIDER`](Self::MAX_PROVIDER) bytes, or the id is
    /// empty, over [`MAX_ID`](Self::MAX_ID) bytes, has control characters, or starts or ends with
    /// white space.
    pub fn new(
        provider: impl Into<String>,
        kind: ResourceKind,
        id: impl Into<String>,
    ) -> Result<Self> {
        let (provider, id) = (provider.into(), id.into());
        check_provider(&provider)?;
        check_id(&id)?;
        Ok(Self { provider, kind, id })
    }

    /// The provider's name, as registered with the builder.
    pub fn provider(&self) -> &str {
        &self.provider
    }

    /// What kind of thing it is.
    pub const fn kind(&self) -> ResourceKind {
        self.kind
    }

    /// The provider's own id.
    pub fn id(&self) -> &str {
        &self.id
    }
}

fn check_provider(name: &str) -> Result<()> {
    let starts_well = name.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit());
    let all_well = name
        .bytes()
        .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_.".contains(&b));
    if starts_well && all_well && name.len() <= ResourceRef::MAX_PROVIDER {
        return Ok(());
    }
    let shown: String = name.chars().take(64).collect();
    Err(Error::new(
        ErrorKind::Invalid,
        format!("`{}` is not a provider name", shown.escape_debug()),
    )
    .advise("Use a-z, 0-9, `-`, `_` and `.`, at most 63, starting with a letter or a digit"))
}

fn check_id(id: &str) -> Result<()> {
    let problem = if id.is_empty() {
        "is empty"
    } else if id.len() > ResourceRef::MAX_ID {
        "is over 255 bytes"
    } else if id.chars().any(char::is_control) {
        "has control characters"
    } else if id.trim() != id {
        "starts or ends with white space"
    } else {
        return Ok(());
    };
    let shown: String = id.chars().take(64).collect();
    Err(Error::new(
        ErrorKind::Invalid,
        format!("id `{}` {problem}", shown.escape_debug()),
    )
    .advise("Use the id as the provider lists it"))
}

impl fmt::Display for ResourceRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.provider, self.kind, self.id)
    }
}

impl FromStr for ResourceRef {
    type Err = Error;

    /// Reads `provider/kind/id`; what is wrong with any of the three is [`ErrorKind::Invalid`].
    fn from_str(text: &str) -> Result<Self> {
        let mut words = text.splitn(3, '/');
        let (Some(provider), Some(kind), Some(id)) = (words.next(), words.next(), words.next())
        else {
            let shown: String = text.chars().take(64).collect();
            return Err(Error::new(
                ErrorKind::Invalid,
                format!("`{}` does not name a resource", shown.escape_debug()),
            )
            .advise("Write provider/kind/id, such as prod/instance/web-1"));
        };
        Self::new(provider, kind.parse()?, id)
    }
}

impl From<ResourceRef> for String {
    fn from(resource: ResourceRef) -> Self {
        resource.to_string()
    }
}

impl TryFrom<&str> for ResourceRef {
    type Error = Error;

    fn try_from(text: &str) -> Result<Self> {
        text.parse()
    }
}

impl TryFrom<String> for ResourceRef {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl ResourceKind {
    const ALL: [Self; 4] = [Self::Image, Self::Instance, Self::Snapshot, Self::Volume];

    const fn word(self) -> &'static str {
        match self {
            Self::Image => "image",
            Self::Instance => "instance",
            Self::Snapshot => "snapshot",
            Self::Volume => "volume",
        }
    }
}

impl fmt::Display for ResourceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl FromStr for ResourceKind {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.word() == text)
            .ok_or_else(|| {
                let shown: String = text.chars().take(64).collect();
                Error::new(
                    ErrorKind::Invalid,
                    format!("`{}` is not a kind of resource", shown.escape_debug()),
                )
                .advise("Use image, instance, snapshot or volume")
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_accepted_round_trips(text in "[a-z0-9._-]{0,8}/(instance|volume|image|snapshot|vm)/\\PC{0,12}") {
            if let Ok(resource) = text.parse::<ResourceRef>() {
                prop_assert_eq!(resource.to_string(), text);
                let json = serde_json::to_string(&resource).unwrap();
                prop_assert_eq!(serde_json::from_str::<ResourceRef>(&json).unwrap(), resource);
            }
        }

        #[test]
        fn nothing_panics(text in ".{0,40}") {
            let _ = text.parse::<ResourceRef>();
        }
    }

    #[test]
    fn an_id_may_hold_slashes() {
        let volume: ResourceRef = "prod/volume/pool/disk-1".parse().unwrap();
        assert_eq!(volume.id(), "pool/disk-1");
        assert_eq!(volume.to_string(), "prod/volume/pool/disk-1");
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (text, says) in [
            ("web-1", "does not name a resource"),
            ("prod/vm/web-1", "`vm` is not a kind"),
            ("Prod/instance/web-1", "`Prod` is not a provider name"),
            ("/instance/web-1", "`` is not a provider name"),
            ("prod/instance/", "is empty"),
            ("prod/instance/a\u{1b}[2J", "has control characters"),
            ("prod/instance/ a", "white space"),
        ] {
            let error = text.parse::<ResourceRef>().unwrap_err();
            assert!(error.to_string().contains(says), "{text}: {error}");
            assert!(!error.to_string().contains('\u{1b}'));
        }
    }
}
