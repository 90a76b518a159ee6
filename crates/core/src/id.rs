use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::{Builder, Uuid};

use crate::error::{Error, ErrorKind};

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            /// A UUID of version 7 (RFC 9562) from an instant and ten bytes of entropy.
            ///
            /// Equal arguments give equal ids, which is what makes a simulation repeatable.
            /// An instant before 1970 counts as 1970.
            pub fn new(at: Timestamp, entropy: [u8; 10]) -> Self {
                let millis = u64::try_from(at.as_millisecond()).unwrap_or(0);
                Self(Builder::from_unix_timestamp_millis(millis, &entropy).into_uuid())
            }

            /// The UUID.
            pub const fn as_uuid(&self) -> &Uuid {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0)
            }
        }

        impl FromStr for $name {
            type Err = Error;

            /// Reads a UUID in any of its usual forms; anything else is [`ErrorKind::Invalid`].
            fn from_str(text: &str) -> Result<Self, Error> {
                text.parse().map(Self).map_err(|source| {
                    Error::new(ErrorKind::Invalid, format!(concat!("`{}` is not a ", $what, " id"), text))
                        .advise("Give a UUID, as listed")
                        .because(source)
                })
            }
        }
    };
}

id!(
    /// A piece of durable work: a take, a restore, a delete.
    JobId,
    "job"
);
id!(
    /// A snapshot in the catalogue, whatever its providers call the parts.
    SnapshotId,
    "snapshot"
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_sort_by_time_and_repeat_for_equal_arguments() {
        let early = JobId::new(Timestamp::from_second(1).unwrap(), [255; 10]);
        let late = JobId::new(Timestamp::from_second(2).unwrap(), [0; 10]);
        assert!(early < late);
        assert_eq!(
            late,
            JobId::new(Timestamp::from_second(2).unwrap(), [0; 10])
        );
        assert_eq!(late.to_string().parse::<JobId>().unwrap(), late);
        assert_eq!(late.as_uuid().get_version_num(), 7);
    }

    #[test]
    fn a_wrong_id_says_what_is_wanted() {
        let error = "web-1".parse::<SnapshotId>().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert!(
            error.to_string().contains("`web-1` is not a snapshot id"),
            "{error}"
        );
    }
}
