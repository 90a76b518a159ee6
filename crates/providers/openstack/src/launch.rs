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
