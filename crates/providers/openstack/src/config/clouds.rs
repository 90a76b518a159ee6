//! One cloud's entry in `clouds.yaml`: the keys that openstacksdk documents, as far as they matter
//! here. Keys that are not known are left alone, since other tools' stand there too.

use std::collections::BTreeMap;
use std::path::PathBuf;

use secrecy::SecretString;
use serde::Deserialize;
use stillpoint_core::{Error, ErrorKind, Result};

use super::{ApplicationCredential, Credentials, Domain, Named, missing};

/// Longest file that is read, in bytes: a large one is no configuration.
pub(super) const LONGEST: u64 = 1024 * 1024;

#[derive(Default, Deserialize)]
struct Clouds {
    #[serde(default)]
    clouds: BTreeMap<String, Option<Entry>>,
}

/// What is said of a cloud, wherever it is said.
#[derive(Default, Deserialize)]
pub(super) struct Entry {
    #[serde(default)]
    pub(super) auth: Auth,
    pub(super) auth_type: Option<String>,
    pub(super) region_name: Option<String>,
    #[serde(alias = "endpoint_type")]
    pub(super) interface: Option<String>,
    pub(super) cacert: Option<PathBuf>,
    pub(super) verify: Option<bool>,
    pub(super) compute_endpoint_override: Option<String>,
    pub(super) image_endpoint_override: Option<String>,
    pub(super) network_endpoint_override: Option<String>,
    pub(super) block_storage_endpoint_override: Option<String>,
    pub(super) volume_endpoint_override: Option<String>,
    pub(super) volumev3_endpoint_override: Option<String>,
}

/// Its `auth:` block.
#[derive(Default, Deserialize)]
pub(super) struct Auth {
    pub(super) auth_url: Option<String>,
    pub(super) username: Option<String>,
    pub(super) user_id: Option<String>,
    pub(super) password: Option<SecretString>,
    pub(super) project_name: Option<String>,
    pub(super) project_id: Option<String>,
    pub(super) domain_name: Option<String>,
    pub(super) domain_id: Option<String>,
    pub(super) user_domain_name: Option<String>,
    pub(super) user_domain_id: Option<String>,
    pub(super) project_domain_name: Option<String>,
    pub(super) project_domain_id: Option<String>,
    pub(super) application_credential_id: Option<String>,
    pub(super) application_credential_name: Option<String>,
    pub(super) application_credential_secret: Option<SecretString>,
}

/// The entry of one cloud, where there is one.
pub(super) fn read(cloud: &str, text: &str, file: &str) -> Result<Option<Entry>> {
    let clouds: Clouds = serde_saphyr::from_str(text).map_err(|error| {
        // The reader's own words quote the text, and with it its secrets: only the place is told.
        let place = match error.location() {
            Some(at) => format!("line {}, column {}", at.line(), at.column()),
            None => "an unknown place".into(),
        };
        Error::new(
            ErrorKind::Invalid,
            format!("{file} cannot be read: something is wrong at {place}"),
        )
        .advise("Mend it there; `openstack --os-cloud … token issue` reads the same file")
    })?;
    let mut clouds = clouds.clouds;
    Ok(clouds.remove(cloud).map(Option::unwrap_or_default))
}

macro_rules! first {
    ($over:ident, $under:ident: $($field:ident),+) => {
        Self { $($field: $over.$field.or($under.$field)),+ }
    };
}

impl Auth {
    fn over(self, under: Self) -> Self {
        first!(self, under:
            auth_url, username, user_id, password, project_name, project_id, domain_name,
            domain_id, user_domain_name, user_domain_id, project_domain_name, project_domain_id,
            application_credential_id, application_credential_name, application_credential_secret)
    }
}

impl Entry {
    /// What this says, and else what the other says.
    pub(super) fn over(self, under: Self) -> Self {
        let auth = self.auth.over(under.auth);
        Self {
            auth,
            auth_type: self.auth_type.or(under.auth_type),
            region_name: self.region_name.or(under.region_name),
            interface: self.interface.or(under.interface),
            cacert: self.cacert.or(under.cacert),
            verify: self.verify.or(under.verify),
            compute_endpoint_override: self
                .compute_endpoint_override
                .or(under.compute_endpoint_override),
            image_endpoint_override: self
                .image_endpoint_override
                .or(under.image_endpoint_override),
            network_endpoint_override: self
                .network_endpoint_override
                .or(under.network_endpoint_override),
            block_storage_endpoint_override: self
                .block_storage_endpoint_override
                .or(under.block_storage_endpoint_override),
            volume_endpoint_override: self
                .volume_endpoint_override
                .or(under.volume_endpoint_override),
            volumev3_endpoint_override: self
                .volumev3_endpoint_override
                .or(under.volumev3_endpoint_override),
        }
    }

    pub(super) fn volume_endpoint(&self) -> &Option<String> {
        [
            &self.block_storage_endpoint_override,
            &self.volumev3_endpoint_override,
        ]
        .into_iter()
        .find(|it| it.is_some())
        .unwrap_or(&self.volume_endpoint_override)
    }

    pub(super) fn credentials(&self, of: &str) -> Result<Credentials> {
        let auth = &self.auth;
        let by_credential =
            auth.application_credential_id.is_some() || auth.application_credential_name.is_some();
        match self.auth_type.as_deref() {
            Some("v3applicationcredential") => self.application_credential(of),
            None if by_credential => self.application_credential(of),
            None | Some("password" | "v3password") => self.password(of),
            Some(other) => Err(Error::new(
                ErrorKind::Unsupported,
                format!("{of} logs in by `{other}`"),
            )
            .advise("Use v3applicationcredential or password")),
        }
    }

    fn application_credential(&self, of: &str) -> Result<Credentials> {
        let auth = &self.auth;
        let secret = auth.application_credential_secret.clone().ok_or_else(|| {
            missing(
                of,
                "application_credential_secret (OS_APPLICATION_CREDENTIAL_SECRET)",
            )
        })?;
        let credential = match (
            &auth.application_credential_id,
            &auth.application_credential_name,
        ) {
            (Some(id), _) => ApplicationCredential::Id(id.clone()),
            (None, Some(name)) => ApplicationCredential::Named {
                name: name.clone(),
                user: self.user(of)?,
            },
            (None, None) => {
                return Err(missing(
                    of,
                    "application_credential_id (OS_APPLICATION_CREDENTIAL_ID)",
                ));
            }
        };
        Ok(Credentials::ApplicationCredential { credential, secret })
    }

    fn password(&self, of: &str) -> Result<Credentials> {
        let auth = &self.auth;
        let project = named(
            auth.project_id.as_ref(),
            auth.project_name.as_ref(),
            domain(
                auth.project_domain_id.as_ref().or(auth.domain_id.as_ref()),
                auth.project_domain_name
                    .as_ref()
                    .or(auth.domain_name.as_ref()),
            ),
        );
        Ok(Credentials::Password {
            user: self.user(of)?,
            password: auth
                .password
                .clone()
                .ok_or_else(|| missing(of, "password (OS_PASSWORD)"))?,
            project: project.ok_or_else(|| missing(of, "project_name (OS_PROJECT_NAME)"))?,
        })
    }

    fn user(&self, of: &str) -> Result<Named> {
        let auth = &self.auth;
        let domain = domain(
            auth.user_domain_id.as_ref().or(auth.domain_id.as_ref()),
            auth.user_domain_name.as_ref().or(auth.domain_name.as_ref()),
        );
        named(auth.user_id.as_ref(), auth.username.as_ref(), domain)
            .ok_or_else(|| missing(of, "username (OS_USERNAME)"))
    }
}

fn named(id: Option<&String>, name: Option<&String>, domain: Domain) -> Option<Named> {
    match (id, name) {
        (Some(id), _) => Some(Named::Id(id.clone())),
        (None, Some(name)) => Some(Named::Name {
            name: name.clone(),
            domain,
        }),
        (None, None) => None,
    }
}

fn domain(id: Option<&String>, name: Option<&String>) -> Domain {
    match (id, name) {
        (Some(id), _) => Domain::Id(id.clone()),
        (None, Some(name)) => Domain::Name(name.clone()),
        (None, None) => Domain::Id("default".into()),
    }
}
