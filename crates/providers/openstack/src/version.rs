//! Microversions: <https://docs.openstack.org/api-guide/compute/microversions.html>.

use std::fmt;

use serde_json::Value;

use crate::config::Service;

/// A version such as 3.66, ordered as versions are.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Version {
    major: u16,
    minor: u16,
}

impl Version {
    pub(crate) const fn new(major: u16, minor: u16) -> Self {
        Self { major, minor }
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (major, minor) = text.split_once('.')?;
        Some(Self::new(major.parse().ok()?, minor.parse().ok()?))
    }

    /// The best that this crate knows how to speak.
    pub(crate) const fn best(service: Service) -> Self {
        match service {
            // 2.85 can say that a volume outlives its server; later ones change what we read.
            Service::Compute => Self::new(2, 85),
            Service::Image | Service::Network => Self::new(2, 0),
            // 3.66 takes snapshots of volumes in use without being forced.
            Service::Volume => Self::new(3, 66),
        }
    }

    /// What every service of that name speaks.
    pub(crate) const fn least(service: Service) -> Self {
        match service {
            Service::Compute => Self::new(2, 1),
            Service::Image | Service::Network => Self::new(2, 0),
            Service::Volume => Self::new(3, 0),
        }
    }

    /// The best that both sides speak, by what the service says of itself.
    pub(crate) fn agreed(service: Service, document: &Value) -> Option<Self> {
        let least = Self::least(service);
        let listed = document["versions"].as_array();
        let alone = Some(&document["version"]).filter(|it| it.is_object());
        let entries = listed.into_iter().flatten().chain(alone);
        let spoken = entries.filter_map(|entry| Self::parse(entry["version"].as_str()?));
        let theirs = spoken.filter(|it| it.major == least.major).max()?;
        Some(theirs.min(Self::best(service)))
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_best_of_both_is_agreed() {
        let cinder = |version| json!({"versions": [{"id": "v3.0", "version": version}]});
        for (theirs, agreed) in [("3.70", "3.66"), ("3.59", "3.59"), ("3.9", "3.9")] {
            let got = Version::agreed(Service::Volume, &cinder(theirs)).unwrap();
            assert_eq!(got.to_string(), agreed);
        }
        let nova =
            json!({"versions": [{"id": "v2.0", "version": ""}, {"id": "v2.1", "version": "2.93"}]});
        let got = Version::agreed(Service::Compute, &nova).unwrap();
        assert_eq!(got, Version::best(Service::Compute));
        let alone = json!({"version": {"id": "v2.1", "version": "2.60"}});
        let got = Version::agreed(Service::Compute, &alone).unwrap();
        assert_eq!(got, Version::new(2, 60));
        assert_eq!(Version::agreed(Service::Volume, &json!(["junk"])), None);
    }
}
