use crate::marks;

/// What a new instance needs and no volume tells.
///
/// A snapshot that was taken through this crate remembers the flavor, the networks and the key
/// pair of its instance; what is said here comes before that.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Launch {
    /// A flavor, by its id or name.
    pub flavor: Option<String>,
    /// The networks that it gets a new port on.
    pub networks: Option<Networks>,
    /// The name of a key pair.
    pub key_pair: Option<String>,
}

/// Which networks an instance gets a new port on. Its old ports and addresses are never taken.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Networks {
    /// None at all.
    None,
    /// Those with these ids.
    These(Vec<String>),
}

impl Launch {
    /// What was said, and else what is remembered under our marks.
    pub(crate) fn or<'a>(self, remembered: impl Fn(&str) -> Option<&'a str>) -> Self {
        let networks = remembered(marks::NETWORKS).map(|ids| {
            let ids: Vec<_> = ids.split_whitespace().map(ToOwned::to_owned).collect();
            if ids.is_empty() {
                Networks::None
            } else {
                Networks::These(ids)
            }
        });
        let text = |mark| remembered(mark).map(ToOwned::to_owned);
        Self {
            flavor: self.flavor.or_else(|| text(marks::FLAVOR)),
            networks: self.networks.or(networks),
            key_pair: self.key_pair.or_else(|| text(marks::KEY_PAIR)),
        }
    }

    /// With this flavor.
    #[must_use]
    pub fn flavor(mut self, flavor: impl Into<String>) -> Self {
        self.flavor = Some(flavor.into());
        self
    }

    /// On these networks.
    #[must_use]
    pub fn networks(mut self, networks: Networks) -> Self {
        self.networks = Some(networks);
        self
    }

    /// With this key pair.
    #[must_use]
    pub fn key_pair(mut self, name: impl Into<String>) -> Self {
        self.key_pair = Some(name.into());
        self
    }
}
