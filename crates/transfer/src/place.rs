//! Where archives are: a file, or an id in a depot.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use stillpoint_core::{Error, ErrorKind, Result};

const DEPOT: &str = "depot:";
const FILE: &str = "file:";

/// One archive: `file:/backup/nightly.zip`, or `depot:offsite/nightly`.
///
/// It parses from and displays as that form, and serialises as it. Text without either start is
/// the path of a file; paths are made absolute.
///
/// ```
/// use stillpoint_transfer::ArchiveRef;
///
/// let there: ArchiveRef = "depot:offsite/nightly".parse()?;
/// assert_eq!(there.to_string(), "depot:offsite/nightly");
/// assert_eq!("/backup/a.zip".parse::<ArchiveRef>()?.to_string(), "file:/backup/a.zip");
/// # Ok::<(), stillpoint_core::Error>(())
/// ```
#[derive(Clone, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(into = "String", try_from = "String")]
#[non_exhaustive]
pub enum ArchiveRef {
    /// In a depot that is registered under this name.
    Depot {
        /// The depot.
        depot: String,
        /// The archive's id there.
        id: String,
    },
    /// A file, by its absolute path.
    File(PathBuf),
}

/// Where archives are put: `file:/backup`, or `depot:offsite`.
///
/// It parses and displays like an [`ArchiveRef`].
#[derive(Clone, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(into = "String", try_from = "String")]
#[non_exhaustive]
pub enum Shelf {
    /// The depot that is registered under this name.
    Depot(String),
    /// A folder, by its absolute path.
    Folder(PathBuf),
}

impl Shelf {
    /// The archive of that name on this shelf.
    pub(crate) fn archive(&self, name: &str) -> ArchiveRef {
        match self {
            Self::Depot(depot) => ArchiveRef::Depot {
                depot: depot.clone(),
                id: name.to_owned(),
            },
            Self::Folder(folder) => ArchiveRef::File(folder.join(format!("{name}.zip"))),
        }
    }
}

impl FromStr for ArchiveRef {
    type Err = Error;

    /// Reads either form; [`ErrorKind::Invalid`] where it is neither.
    fn from_str(text: &str) -> Result<Self> {
        let Some(place) = text.strip_prefix(DEPOT) else {
            return Ok(Self::File(path(text)?));
        };
        match place.split_once('/') {
            Some((depot, id)) if !depot.is_empty() && !id.is_empty() => Ok(Self::Depot {
                depot: depot.to_owned(),
                id: id.to_owned(),
            }),
            _ => Err(wrong(text, "depot:NAME/ID")),
        }
    }
}

impl FromStr for Shelf {
    type Err = Error;

    /// Reads either form; [`ErrorKind::Invalid`] where it is neither.
    fn from_str(text: &str) -> Result<Self> {
        match text.strip_prefix(DEPOT) {
            None => Ok(Self::Folder(path(text)?)),
            Some(depot) if !depot.is_empty() && !depot.contains('/') => {
                Ok(Self::Depot(depot.to_owned()))
            }
            Some(_) => Err(wrong(text, "depot:NAME")),
        }
    }
}

impl fmt::Display for ArchiveRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Depot { depot, id } => write!(f, "{DEPOT}{depot}/{id}"),
            Self::File(path) => write!(f, "{FILE}{}", path.display()),
        }
    }
}

impl fmt::Display for Shelf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Depot(depot) => write!(f, "{DEPOT}{depot}"),
            Self::Folder(path) => write!(f, "{FILE}{}", path.display()),
        }
    }
}

macro_rules! converts {
    ($name:ident) => {
        impl TryFrom<&str> for $name {
            type Error = Error;

            fn try_from(text: &str) -> Result<Self> {
                text.parse()
            }
        }

        impl TryFrom<String> for $name {
            type Error = Error;

            fn try_from(text: String) -> Result<Self> {
                text.parse()
            }
        }

        impl TryFrom<&String> for $name {
            type Error = Error;

            fn try_from(text: &String) -> Result<Self> {
                text.parse()
            }
        }

        impl TryFrom<&Path> for $name {
            type Error = Error;

            /// The text of a path could start like a depot's; a path is always a path.
            fn try_from(path: &Path) -> Result<Self> {
                match path.to_str() {
                    Some(text) => format!("{FILE}{text}").parse(),
                    None => Err(wrong(&path.to_string_lossy(), "a path in UTF-8")),
                }
            }
        }

        impl TryFrom<PathBuf> for $name {
            type Error = Error;

            fn try_from(path: PathBuf) -> Result<Self> {
                path.as_path().try_into()
            }
        }

        impl TryFrom<&PathBuf> for $name {
            type Error = Error;

            fn try_from(path: &PathBuf) -> Result<Self> {
                path.as_path().try_into()
            }
        }

        impl From<$name> for String {
            fn from(place: $name) -> Self {
                place.to_string()
            }
        }
    };
}

converts!(ArchiveRef);
converts!(Shelf);

fn path(text: &str) -> Result<PathBuf> {
    let bare = text.strip_prefix(FILE).unwrap_or(text);
    if bare.chars().any(char::is_control) {
        return Err(wrong(text, "a path without control characters"));
    }
    std::path::absolute(bare).map_err(|source| wrong(text, "a path").because(source))
}

fn wrong(text: &str, wanted: &str) -> Error {
    let shown: String = text.chars().take(64).collect();
    let message = format!("`{}` is no place of archives", shown.escape_debug());
    Error::new(ErrorKind::Invalid, message).advise(format!("Give {wanted}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_round_trip() {
        for text in ["depot:offsite/nightly/1", "file:/backup/depot:x.zip"] {
            assert_eq!(text.parse::<ArchiveRef>().unwrap().to_string(), text);
        }
        for text in ["depot:offsite", "file:/backup"] {
            assert_eq!(text.parse::<Shelf>().unwrap().to_string(), text);
        }
        let odd = ArchiveRef::try_from(Path::new("/depot:a/b")).unwrap();
        assert_eq!(odd, ArchiveRef::File("/depot:a/b".into()));
        let relative: ArchiveRef = "a.zip".parse().unwrap();
        assert_eq!(
            relative,
            ArchiveRef::File(std::env::current_dir().unwrap().join("a.zip"))
        );
    }

    #[test]
    fn what_is_none_is_refused() {
        for text in ["depot:", "depot:x", "depot:/x", "depot:x/", "", "a\nb"] {
            let error = text.parse::<ArchiveRef>().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Invalid, "{text:?}");
            assert!(!error.to_string().contains('\n'));
        }
        for text in ["depot:", "depot:a/b", ""] {
            assert!(text.parse::<Shelf>().is_err(), "{text:?}");
        }
    }
}
