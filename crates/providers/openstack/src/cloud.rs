use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use stillpoint_core::{Error, ErrorKind, ResourceKind, ResourceRef, Result};
use stillpoint_iaas::{Observation, Output};

use crate::carried::Carried;
use crate::launch::Launch;
use crate::leases::Leases;
use crate::session::Session;

/// Bytes of a GiB, in which volumes are measured.
pub(crate) const GIB: u64 = 1 << 30;

/// When to look again at what takes seconds.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// A cloud under a name, and what this process does there.
#[derive(Debug)]
pub(crate) struct Cloud {
    pub(crate) name: String,
    pub(crate) session: Session,
    pub(crate) launch: Launch,
    /// How long after a call that was cut off its effect may still show.
    pub(crate) settle: Duration,
    pub(crate) leases: Leases,
    pub(crate) carried: Carried,
}

impl Cloud {
    pub(crate) fn reference(&self, kind: ResourceKind, id: &str) -> Result<ResourceRef> {
        ResourceRef::new(self.name.as_str(), kind, id)
    }

    /// The id of a resource that is this cloud's and of the kind that belongs there.
    pub(crate) fn id<'a>(&self, of: &'a ResourceRef, kind: ResourceKind) -> Result<&'a str> {
        if of.provider() != self.name {
            let what = format!("it is not of the provider `{}`", self.name);
            return Err(Error::new(ErrorKind::Invalid, what)
                .on(of.clone())
                .advise("Ask the provider that its name begins with"));
        }
        if of.kind() != kind {
            return Err(Error::new(ErrorKind::Invalid, format!("{kind} expected"))
                .on(of.clone())
                .advise(format!("Give the name of one: {}/{kind}/…", self.name)));
        }
        Ok(of.id())
    }
}

/// None where the thing does not exist.
pub(crate) fn found<T>(asked: Result<T>) -> Result<Option<T>> {
    match asked {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// A time as the services write it: with a zone, or in UTC without saying so.
pub(crate) fn time(text: Option<&str>) -> Option<Timestamp> {
    let text = text?;
    text.parse().ok().or_else(|| {
        let civil: DateTime = text.parse().ok()?;
        Some(civil.to_zoned(TimeZone::UTC).ok()?.timestamp())
    })
}

/// Whole GiB that hold so many bytes.
pub(crate) fn gib(bytes: u64) -> u64 {
    bytes.div_ceil(GIB).max(1)
}

pub(crate) fn done() -> Observation {
    Observation::Done {
        output: Output::Nothing,
        twins: Vec::new(),
    }
}

pub(crate) fn running() -> Observation {
    Observation::Running {
        progress: None,
        look_again_in: LOOK_AGAIN,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_with_and_without_a_zone() {
        let at: Timestamp = "2026-11-20T23:40:13Z".parse().unwrap();
        for text in ["2026-11-20T23:40:13Z", "2026-11-20T23:40:13.000000"] {
            assert_eq!(time(Some(text)), Some(at));
        }
        assert_eq!(time(Some("yesterday")), None);
    }

    #[test]
    fn sizes_are_rounded_up() {
        assert_eq!((gib(0), gib(1), gib(GIB), gib(GIB + 1)), (1, 1, 1, 2));
    }
}
