//! Which cloud, and who we are there.

mod clouds;
mod environment;
mod places;

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use reqwest::Url;
use secrecy::SecretString;
use stillpoint_core::{Error, ErrorKind, Result};

use self::clouds::Entry;
use self::environment::Environment;

/// How to reach a cloud, and as whom.
///
/// Read from where the `openstack` client reads it, or made by hand. Its secrets are in
/// [`SecretString`]s: neither `Debug` nor any error shows them.
///
/// ```
/// use stillpoint_openstack::CloudConfig;
///
/// let yaml = "
/// clouds:
///   prod:
///     region_name: north
///     auth_type: v3applicationcredential
///     auth:
///       auth_url: https://identity.example/v3
///       application_credential_id: 21dced0fd20347869b93710d2b98aae0
///       application_credential_secret: not-to-be-seen
/// ";
/// let config = CloudConfig::from_yaml("prod", yaml, None)?;
/// assert_eq!(config.region.as_deref(), Some("north"));
/// assert!(!format!("{config:?}").contains("not-to-be-seen"));
/// # Ok::<(), stillpoint_core::Error>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CloudConfig {
    /// Where Keystone is, with or without `/v3`.
    pub auth_url: Url,
    /// Who we are.
    pub credentials: Credentials,
    /// Which region's endpoints; none: those of any, for clouds that have one.
    pub region: Option<String>,
    /// Which endpoints.
    pub interface: Interface,
    /// Endpoints to use instead of those in the catalogue.
    pub endpoints: BTreeMap<Service, Url>,
    /// A file of PEM certificates to trust instead of the system's.
    pub ca_file: Option<PathBuf>,
}

/// Who we are at a cloud.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Credentials {
    /// An application credential: it has its project, and can be revoked alone.
    ApplicationCredential {
        /// Its id, or its name with whose it is.
        credential: ApplicationCredential,
        /// Its secret.
        secret: SecretString,
    },
    /// A user with a password, in a project.
    Password {
        /// The user.
        user: Named,
        /// Its password.
        password: SecretString,
        /// The project.
        project: Named,
    },
}

/// How an application credential is named.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum ApplicationCredential {
    /// By its id.
    Id(String),
    /// By its name, which is its user's.
    Named {
        /// The name.
        name: String,
        /// The user.
        user: Named,
    },
}

/// A user or project: by its id, or by its name in a domain.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Named {
    /// By its id.
    Id(String),
    /// By its name.
    Name {
        /// The name.
        name: String,
        /// Its domain.
        domain: Domain,
    },
}

/// A domain of users and projects.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Domain {
    /// By its id; `default` where nothing is said.
    Id(String),
    /// By its name.
    Name(String),
}

/// Which of a service's endpoints to use.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum Interface {
    /// For administrators.
    Admin,
    /// For services of the cloud itself.
    Internal,
    /// For everybody.
    #[default]
    Public,
}

/// The services that are called.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum Service {
    /// Nova: instances.
    Compute,
    /// Glance: images.
    Image,
    /// Neutron: whether networks are there.
    Network,
    /// Cinder: volumes and their snapshots.
    Volume,
}

impl CloudConfig {
    /// A cloud with its Keystone there, public endpoints of any region, and the system's
    /// certificates.
    pub const fn new(auth_url: Url, credentials: Credentials) -> Self {
        Self {
            auth_url,
            credentials,
            region: None,
            interface: Interface::Public,
            endpoints: BTreeMap::new(),
            ca_file: None,
        }
    }

    /// The cloud that the environment asks for: that of [`OS_CLOUD`](Self::named), or the one
    /// that `OS_AUTH_URL` and its like describe.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`] saying what is missing or wrong, and where.
    pub fn from_env() -> Result<Self> {
        let environment = Environment::of_this_process();
        match environment.get("OS_CLOUD") {
            Some(name) => Self::find(name, &environment),
            None => environment.entry().config("the environment"),
        }
    }

    /// The cloud of this name in `clouds.yaml`, with the secrets that `secure.yaml` has for it.
    ///
    /// Looked for in `OS_CLIENT_CONFIG_FILE`, the working folder, the user's configuration folder
    /// (`~/.config/openstack`) and `/etc/openstack`, in that order; `secure.yaml` likewise, by
    /// `OS_CLIENT_SECURE_FILE`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`] where there is no such file or cloud, naming the places looked at;
    /// [`ErrorKind::Invalid`] saying what is missing or wrong, and where.
    pub fn named(cloud: &str) -> Result<Self> {
        Self::find(cloud, &Environment::of_this_process())
    }

    /// The cloud of this name in the text of a `clouds.yaml`, and of a `secure.yaml`.
    ///
    /// # Errors
    ///
    /// Those of [`named`](Self::named).
    pub fn from_yaml(cloud: &str, clouds: &str, secure: Option<&str>) -> Result<Self> {
        let mut entry = clouds::read(cloud, clouds, "clouds.yaml")?.ok_or_else(|| {
            Error::new(ErrorKind::NotFound, format!("there is no cloud `{cloud}`"))
                .advise("Name one that is under `clouds:`")
        })?;
        if let Some(secure) = secure {
            let over = clouds::read(cloud, secure, "secure.yaml")?;
            entry = over.unwrap_or_default().over(entry);
        }
        entry.config(&format!("cloud `{cloud}`"))
    }

    fn find(cloud: &str, environment: &Environment) -> Result<Self> {
        let (path, clouds) = places::clouds(environment)?;
        let secure = places::secure(environment)?;
        let secure = secure.as_ref().map(|(_, text)| text.as_str());
        Self::from_yaml(cloud, &clouds, secure)
            .map_err(|error| error.reason(format!("read from `{}`", path.display())))
    }
}

impl Named {
    /// By name, in the domain `default`.
    pub fn name(name: impl Into<String>) -> Self {
        Self::Name {
            name: name.into(),
            domain: Domain::Id("default".into()),
        }
    }
}

impl Interface {
    /// The word in the catalogue.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Internal => "internal",
            Self::Public => "public",
        }
    }
}

impl Service {
    /// The types that catalogues list it under, the preferred one first.
    pub(crate) const fn types(self) -> &'static [&'static str] {
        match self {
            Self::Compute => &["compute"],
            Self::Image => &["image"],
            Self::Network => &["network"],
            Self::Volume => &["block-storage", "volumev3", "volume"],
        }
    }

    /// The word in a microversion header, of those that have microversions.
    pub(crate) const fn word(self) -> Option<&'static str> {
        match self {
            Self::Compute => Some("compute"),
            Self::Image | Self::Network => None,
            Self::Volume => Some("volume"),
        }
    }
}

impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Compute => "Nova",
            Self::Image => "Glance",
            Self::Network => "Neutron",
            Self::Volume => "Cinder",
        })
    }
}

impl Entry {
    fn config(self, of: &str) -> Result<CloudConfig> {
        if self.verify == Some(false) {
            return Err(
                Error::new(ErrorKind::Unsupported, format!("{of} says `verify: false`")).advise(
                    "Give the cloud's own certificates as `cacert`: then they are verified",
                ),
            );
        }
        let auth_url = self.auth.auth_url.clone();
        let auth_url = auth_url.ok_or_else(|| missing(of, "auth_url (OS_AUTH_URL)"))?;
        let interface = match self.interface.as_deref() {
            None | Some("public" | "publicURL") => Interface::Public,
            Some("internal" | "internalURL") => Interface::Internal,
            Some("admin" | "adminURL") => Interface::Admin,
            Some(other) => {
                let what = format!("{of}: `{other}` is not an interface");
                return Err(
                    Error::new(ErrorKind::Invalid, what).advise("Use public, internal or admin")
                );
            }
        };
        let mut endpoints = BTreeMap::new();
        for (service, text) in [
            (Service::Compute, &self.compute_endpoint_override),
            (Service::Image, &self.image_endpoint_override),
            (Service::Network, &self.network_endpoint_override),
            (Service::Volume, self.volume_endpoint()),
        ] {
            if let Some(text) = text {
                endpoints.insert(service, url(of, text)?);
            }
        }
        Ok(CloudConfig {
            auth_url: url(of, &auth_url)?,
            credentials: self.credentials(of)?,
            region: self.region_name,
            interface,
            endpoints,
            ca_file: self.cacert,
        })
    }
}

fn url(of: &str, text: &str) -> Result<Url> {
    let what = |why: &str| {
        // An address may hold a password: it is not shown.
        Error::new(ErrorKind::Invalid, format!("{of}: an address {why}"))
            .advise("Give it as https://host:port/path")
    };
    let url = Url::parse(text).map_err(|_| what("cannot be read"))?;
    if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
        return Err(what("is not of http or https"));
    }
    if url.password().is_some() || !url.username().is_empty() {
        return Err(what("has a user or password in it"));
    }
    Ok(url)
}

fn missing(of: &str, what: &str) -> Error {
    Error::new(ErrorKind::Invalid, format!("{of} has no {what}"))
        .advise("Set it in clouds.yaml or the environment; an openrc file has them all")
}
