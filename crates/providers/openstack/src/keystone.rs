//! Logging in: Identity API v3, <https://docs.openstack.org/api-ref/identity/v3/>.

use std::fmt;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use reqwest::Url;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::{Value, json};
use stillpoint_core::{Error, ErrorKind, Result};

use crate::config::{ApplicationCredential, CloudConfig, Credentials, Domain, Named, Service};

/// How long before its end a token is renewed, so that none ends on its way.
const EARLY: Duration = Duration::from_secs(60);

/// What a login gave.
pub(crate) struct Token {
    pub(crate) secret: SecretString,
    pub(crate) project: String,
    catalogue: Vec<Entry>,
    renew_at: Instant,
}

#[derive(Deserialize)]
struct Envelope {
    token: Body,
}

#[derive(Deserialize)]
struct Body {
    expires_at: Timestamp,
    issued_at: Timestamp,
    project: Option<Project>,
    #[serde(default)]
    catalog: Vec<Entry>,
}

#[derive(Deserialize)]
struct Project {
    id: String,
}

#[derive(Deserialize)]
struct Entry {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    endpoints: Vec<Endpoint>,
}

#[derive(Deserialize)]
struct Endpoint {
    interface: String,
    region_id: Option<String>,
    url: String,
}

/// Where to log in.
pub(crate) fn login_url(config: &CloudConfig) -> Url {
    let mut url = config.auth_url.clone();
    let path = url.path().trim_end_matches('/').to_owned();
    let path = match path.strip_suffix("/v3") {
        Some(root) => format!("{root}/v3/auth/tokens"),
        None => format!("{path}/v3/auth/tokens"),
    };
    url.set_path(&path);
    url
}

/// The body of a login. It holds the secret, and goes nowhere but to Keystone.
pub(crate) fn login(credentials: &Credentials) -> Value {
    match credentials {
        Credentials::ApplicationCredential { credential, secret } => {
            let mut body = match credential {
                ApplicationCredential::Id(id) => json!({ "id": id }),
                ApplicationCredential::Named { name, user } => {
                    json!({ "name": name, "user": named(user) })
                }
            };
            body["secret"] = secret.expose_secret().into();
            json!({ "auth": { "identity": {
                "methods": ["application_credential"],
                "application_credential": body,
            } } })
        }
        Credentials::Password {
            user,
            password,
            project,
        } => {
            let mut user = named(user);
            user["password"] = password.expose_secret().into();
            json!({ "auth": {
                "identity": { "methods": ["password"], "password": { "user": user } },
                "scope": { "project": named(project) },
            } })
        }
    }
}

fn named(it: &Named) -> Value {
    match it {
        Named::Id(id) => json!({ "id": id }),
        Named::Name { name, domain } => json!({ "name": name, "domain": match domain {
            Domain::Id(id) => json!({ "id": id }),
            Domain::Name(name) => json!({ "name": name }),
        } }),
    }
}

impl Token {
    /// The token in the reply to a login.
    pub(crate) fn read(secret: SecretString, body: Value, now: Instant) -> Result<Self> {
        let wrong = |what: &str| {
            Error::new(ErrorKind::Unavailable, format!("Keystone's reply {what}"))
                .advise("Check that `auth_url` is that of an Identity service, version 3")
        };
        let token: Envelope =
            serde_json::from_value(body).map_err(|error| wrong("is no token").because(error))?;
        let token = token.token;
        let project = token.project.ok_or_else(|| wrong("names no project"))?;
        // By Keystone's own clock alone: ours may be wrong.
        let life = token.issued_at.duration_until(token.expires_at);
        let life = Duration::try_from(life).unwrap_or_default();
        Ok(Self {
            secret,
            project: project.id,
            catalogue: token.catalog,
            renew_at: now + life.saturating_sub(EARLY.min(life / 4)),
        })
    }

    pub(crate) fn is_due(&self, now: Instant) -> bool {
        now >= self.renew_at
    }

    /// The endpoint of a service, without a slash at its end.
    pub(crate) fn endpoint(&self, service: Service, config: &CloudConfig) -> Result<Url> {
        if let Some(url) = config.endpoints.get(&service) {
            return Ok(trimmed(url.clone()));
        }
        let word = config.interface.word();
        let here = |endpoint: &&Endpoint| {
            endpoint.interface == word
                && config
                    .region
                    .as_ref()
                    .is_none_or(|region| endpoint.region_id.as_ref() == Some(region))
        };
        let found = service.types().iter().find_map(|kind| {
            let mut entries = self.catalogue.iter().filter(|entry| entry.kind == *kind);
            entries.find_map(|entry| entry.endpoints.iter().find(here))
        });
        let Some(found) = found else {
            let region = config.region.as_deref().unwrap_or("any");
            let what =
                format!("the catalogue has no {word} endpoint of {service}, region {region}");
            return Err(Error::new(ErrorKind::Unsupported, what).advise(format!(
                "Set region_name or interface to one of: {}; or an endpoint override",
                self.places(service).join(", ")
            )));
        };
        let url = Url::parse(&found.url)
            .ok()
            .filter(|url| url.host().is_some());
        url.map(trimmed).ok_or_else(|| {
            let what = format!("the catalogue's endpoint of {service} is no address");
            Error::new(ErrorKind::Unavailable, what).advise("Set an endpoint override")
        })
    }

    fn places(&self, service: Service) -> Vec<String> {
        let entries = self.catalogue.iter();
        let ours = entries.filter(|entry| service.types().contains(&&*entry.kind));
        let places = ours.flat_map(|entry| &entry.endpoints).map(|endpoint| {
            let region = endpoint.region_id.as_deref().unwrap_or("no region");
            format!("{region} {}", endpoint.interface)
        });
        let places: std::collections::BTreeSet<_> = places.collect();
        places.into_iter().collect()
    }
}

fn trimmed(mut url: Url) -> Url {
    let path = url.path().trim_end_matches('/').to_owned();
    url.set_path(&path);
    url
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token")
            .field("project", &self.project)
            .finish_non_exhaustive()
    }
}
