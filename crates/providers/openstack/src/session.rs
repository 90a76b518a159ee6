use std::collections::BTreeMap;
use std::fmt;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use futures_core::stream::BoxStream;
use futures_util::future::{Either, select};
use futures_util::{StreamExt, TryStreamExt};
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, StatusCode, Url};
use secrecy::{ExposeSecret, SecretString};
use serde::de::DeserializeOwned;
use serde_json::Value;
use stillpoint_core::{Error, ErrorKind, Result, World};
use tokio::sync::{Mutex, Semaphore};
use tokio::time::timeout;

use crate::config::{CloudConfig, Service};
use crate::failure::{late, lost, refused};
use crate::keystone::{Token, login, login_url};
use crate::moving::{coming, going};
use crate::tls;
use crate::version::Version;

/// Longest reply that is read as JSON, in bytes: a page of a list is far below.
const LONGEST: usize = 32 * 1024 * 1024;

/// How many times as long as others a slow call may take.
const SLOW: u32 = 3;

const TOKEN: HeaderName = HeaderName::from_static("x-auth-token");
const SUBJECT: HeaderName = HeaderName::from_static("x-subject-token");
const VERSION: HeaderName = HeaderName::from_static("openstack-api-version");

/// A cloud that is talked to: it logs in when it must, and holds no more calls than it may.
pub(crate) struct Session {
    config: CloudConfig,
    http: reqwest::Client,
    /// How long a call may take in all; one that streams is given as long as it moves.
    timeout: Duration,
    /// One permit a call.
    calls: Semaphore,
    /// Held while logging in, so that one login serves all.
    token: Mutex<Option<Arc<Token>>>,
    versions: Mutex<BTreeMap<Service, Version>>,
}

/// One call of a service.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    service: Service,
    method: Method,
    path: String,
    query: Vec<(String, String)>,
    body: Body,
    headers: Vec<(HeaderName, HeaderValue)>,
    streams: bool,
    slow: bool,
}

#[derive(Clone, Debug)]
enum Body {
    Json(Value, &'static str),
    None,
}

/// A reply that says yes.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

impl Call {
    pub(crate) fn new(service: Service, method: Method, path: impl Into<String>) -> Self {
        Self {
            service,
            method,
            path: path.into(),
            query: Vec::new(),
            body: Body::None,
            headers: Vec::new(),
            streams: false,
            slow: false,
        }
    }

    pub(crate) fn get(service: Service, path: impl Into<String>) -> Self {
        Self::new(service, Method::GET, path)
    }

    pub(crate) fn post(service: Service, path: impl Into<String>, body: Value) -> Self {
        Self::new(service, Method::POST, path).json(body, "application/json")
    }

    pub(crate) fn delete(service: Service, path: impl Into<String>) -> Self {
        Self::new(service, Method::DELETE, path)
    }

    pub(crate) fn json(mut self, body: Value, media: &'static str) -> Self {
        self.body = Body::Json(body, media);
        self
    }

    pub(crate) fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    pub(crate) fn query(mut self, name: &str, value: impl Into<String>) -> Self {
        self.query.push((name.to_owned(), value.into()));
        self
    }

    /// It does much before it answers: a snapshot of each of a server's volumes.
    pub(crate) fn slow(mut self) -> Self {
        self.slow = true;
        self
    }

    fn changes(&self) -> bool {
        self.method != Method::GET
    }
}

impl Reply {
    /// The part of the body under this name.
    pub(crate) fn read<T: DeserializeOwned>(mut self, name: &str) -> Result<T> {
        let part = match name {
            "" => self.body,
            name => self.body[name].take(),
        };
        serde_json::from_value(part).map_err(|error| {
            Error::new(
                ErrorKind::Unavailable,
                format!("a reply has no `{name}` as the API documents it"),
            )
            // Whatever the call changed is changed.
            .leaving(World::Unknown)
            .because(error)
        })
    }
}

impl Session {
    pub(crate) fn new(config: CloudConfig, at_once: u32, timeout: Duration) -> Result<Self> {
        let http = tls::client(config.ca_file.as_deref())?;
        let at_once = usize::try_from(at_once.max(1)).unwrap_or(Semaphore::MAX_PERMITS);
        Ok(Self {
            config,
            http,
            timeout,
            calls: Semaphore::new(at_once.min(Semaphore::MAX_PERMITS)),
            token: Mutex::default(),
            versions: Mutex::default(),
        })
    }

    /// The project that we are in.
    pub(crate) async fn project(&self) -> Result<String> {
        Ok(self.token().await?.project.clone())
    }

    /// Makes the call with the best version of the API that both sides speak.
    pub(crate) async fn send(&self, call: Call) -> Result<Reply> {
        let version = self.version(call.service).await?;
        self.send_as(call, Some(version)).await
    }

    /// Whether the service speaks this version.
    pub(crate) async fn speaks(&self, service: Service, version: Version) -> Result<bool> {
        Ok(self.version(service).await? >= version)
    }

    /// The bytes of a reply, as they come, and its status. It counts among the calls until they
    /// begin to.
    pub(crate) async fn stream(
        &self,
        mut call: Call,
    ) -> Result<(StatusCode, BoxStream<'static, Result<Bytes>>)> {
        call.streams = true;
        let service = call.service;
        let _one = self.calls.acquire().await.expect("it is never closed");
        let begin = async {
            let response = self.authorised(&call, None).await?;
            if response.status().is_success() {
                return Ok(response);
            }
            let refused = read(service, response, false).await.err();
            Err(refused.unwrap_or_else(|| {
                Error::new(ErrorKind::Internal, "a refusal turned into a success")
            }))
        };
        let response = timeout(self.timeout * SLOW, begin).await;
        let response = response.map_err(|_| late(&service, false))??;
        let status = response.status();
        let bytes = response
            .bytes_stream()
            .map_err(move |error| lost(&service, error, false));
        Ok((status, coming(service, bytes.boxed(), self.timeout)))
    }

    /// Writes the bytes of an image that has none yet. They pass once: a token that the service
    /// does not take any more ends the call.
    pub(crate) async fn pour(
        &self,
        image: &str,
        bytes: BoxStream<'static, Result<Bytes>>,
    ) -> Result<()> {
        let service = Service::Image;
        let token = self.token().await?;
        let mut url = token.endpoint(service, &self.config)?;
        let path = format!(
            "{}/v2/images/{image}/file",
            url.path().trim_end_matches('/')
        );
        url.set_path(&path);
        let _one = self.calls.acquire().await.expect("it is never closed");
        let (bytes, going) = going(bytes);
        let request = self
            .http
            .put(url)
            .header(TOKEN, sensitive(&token.secret)?)
            .header(CONTENT_TYPE, "application/octet-stream")
            .body(reqwest::Body::wrap_stream(bytes));
        let answer = async {
            let response = request.send().await;
            let response = response.map_err(|error| lost(&service, error, true))?;
            read(service, response, true).await.map(drop)
        };
        // Glance answers when it has stored the last of them.
        let stopped = going.stopped(self.timeout, self.timeout * SLOW);
        match select(pin!(answer), pin!(stopped)).await {
            Either::Left((answer, _)) => answer,
            Either::Right(((), _)) => Err(late(&service, true)),
        }
    }

    async fn send_as(&self, call: Call, version: Option<Version>) -> Result<Reply> {
        let _one = self.calls.acquire().await.expect("it is never closed");
        let response = self.authorised(&call, version).await?;
        read(call.service, response, call.changes()).await
    }

    /// A token that the service does not take any more was not used: the call is made again, once.
    async fn authorised(&self, call: &Call, version: Option<Version>) -> Result<reqwest::Response> {
        let token = self.token().await?;
        let response = self.once(call, version, &token).await?;
        if response.status() != StatusCode::UNAUTHORIZED {
            return Ok(response);
        }
        self.forget(&token).await;
        let token = self.token().await?;
        self.once(call, version, &token).await
    }

    async fn once(
        &self,
        call: &Call,
        version: Option<Version>,
        token: &Token,
    ) -> Result<reqwest::Response> {
        let mut url = token.endpoint(call.service, &self.config)?;
        let path = format!("{}{}", url.path().trim_end_matches('/'), call.path);
        url.set_path(&path);
        if !call.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&call.query);
        }
        let mut request = self.http.request(call.method.clone(), url);
        request = request.header(ACCEPT, "application/json");
        request = request.header(TOKEN, sensitive(&token.secret)?);
        if let (Some(version), Some(word)) = (version, call.service.word()) {
            request = request.header(VERSION, format!("{word} {version}"));
        }
        if !call.streams {
            let longer = if call.slow { SLOW } else { 1 };
            request = request.timeout(self.timeout * longer);
        }
        for (name, value) in &call.headers {
            request = request.header(name, value);
        }
        request = match &call.body {
            Body::Json(value, media) => {
                request.header(CONTENT_TYPE, *media).body(value.to_string())
            }
            Body::None => request,
        };
        let sent = request.send().await;
        sent.map_err(|error| lost(&call.service, error, call.changes()))
    }

    async fn forget(&self, gone: &Arc<Token>) {
        let mut token = self.token.lock().await;
        if token.as_ref().is_some_and(|token| Arc::ptr_eq(token, gone)) {
            *token = None;
        }
    }

    async fn token(&self) -> Result<Arc<Token>> {
        let mut held = self.token.lock().await;
        if let Some(token) = held.as_ref().filter(|token| !token.is_due(Instant::now())) {
            return Ok(Arc::clone(token));
        }
        let token = Arc::new(self.log_in().await?);
        *held = Some(Arc::clone(&token));
        Ok(token)
    }

    async fn log_in(&self) -> Result<Token> {
        let body = login(&self.config.credentials).to_string();
        let request = self
            .http
            .post(login_url(&self.config))
            .timeout(self.timeout);
        let request = request.header(ACCEPT, "application/json");
        let request = request.header(CONTENT_TYPE, "application/json").body(body);
        let response = request.send().await;
        let response = response.map_err(|error| lost(&"Keystone", error, false))?;
        let secret = response.headers().get(SUBJECT).cloned();
        // A login changes nothing, whatever comes of it.
        let reply = read_as(&"Keystone", response, false).await?;
        let secret = secret.and_then(|value| Some(SecretString::from(value.to_str().ok()?)));
        let secret = secret.ok_or_else(|| {
            Error::new(ErrorKind::Unavailable, "Keystone's reply has no token")
                .advise("Check that `auth_url` is that of an Identity service, version 3")
        })?;
        Token::read(secret, reply.body, Instant::now())
    }

    /// The version agreed with a service; asked for once.
    async fn version(&self, service: Service) -> Result<Version> {
        if service.word().is_none() {
            return Ok(Version::best(service));
        }
        if let Some(known) = self.versions.lock().await.get(&service) {
            return Ok(*known);
        }
        let token = self.token().await?;
        let endpoint = token.endpoint(service, &self.config)?;
        let mut refusal = None;
        for url in documents(&endpoint, &token.project) {
            let request = self.http.get(url).timeout(self.timeout);
            let request = request.header(ACCEPT, "application/json");
            let request = request.header(TOKEN, sensitive(&token.secret)?);
            let _one = self.calls.acquire().await.expect("it is never closed");
            let response = request
                .send()
                .await
                .map_err(|error| lost(&service, error, false))?;
            // 300: several versions to choose from.
            let several = response.status() == StatusCode::MULTIPLE_CHOICES;
            if several || response.status().is_success() {
                let body = limited(&service, response, false).await?;
                let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
                if let Some(version) = Version::agreed(service, &body) {
                    tracing::debug!(%service, %version, "agreed on a version");
                    self.versions.lock().await.insert(service, version);
                    return Ok(version);
                }
            } else if hides(response.status()) {
                if response.status() == StatusCode::UNAUTHORIZED {
                    self.forget(&token).await;
                }
                refusal = read(service, response, false).await.err();
            }
        }
        // Not kept: another time it may tell.
        refusal.map_or(Ok(Version::least(service)), Err)
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

/// Whether a service that answers so may have versions and not tell them now.
fn hides(status: StatusCode) -> bool {
    matches!(status.as_u16(), 401 | 403 | 408 | 429 | 500..=599)
}

/// Where a service tells its versions: at its endpoint without the project, and else above that.
fn documents(endpoint: &Url, project: &str) -> Vec<Url> {
    let path = endpoint.path().trim_end_matches('/');
    let path = path.strip_suffix(project).unwrap_or(path);
    let path = path
        .strip_suffix("AUTH_")
        .unwrap_or(path)
        .trim_end_matches('/');
    let above = path.rsplit_once('/').map_or("", |(above, _)| above);
    let at = |path: &str| {
        let mut url = endpoint.clone();
        url.set_path(&format!("{path}/"));
        url
    };
    vec![at(path), at(above)]
}

fn sensitive(secret: &SecretString) -> Result<HeaderValue> {
    let value = HeaderValue::from_str(secret.expose_secret());
    let mut value =
        value.map_err(|_| Error::new(ErrorKind::Unavailable, "the token is no token"))?;
    value.set_sensitive(true);
    Ok(value)
}

async fn read(service: Service, response: reqwest::Response, changes: bool) -> Result<Reply> {
    read_as(&service, response, changes).await
}

async fn read_as(
    service: &(dyn fmt::Display + Sync),
    response: reqwest::Response,
    changes: bool,
) -> Result<Reply> {
    let status = response.status();
    let headers = response.headers().clone();
    let bytes = limited(service, response, changes && !status.is_client_error()).await?;
    let body = serde_json::from_slice(&bytes);
    if !status.is_success() {
        let body = body.unwrap_or(Value::Null);
        return Err(refused(&service, status, &headers, &body, changes));
    }
    let body = match body {
        Ok(body) => body,
        Err(_) if bytes.is_empty() => Value::Null,
        Err(error) => {
            let world = if changes {
                World::Unknown
            } else {
                World::Untouched
            };
            let what = format!("{service} answered with what is no JSON");
            return Err(Error::new(ErrorKind::Unavailable, what)
                .leaving(world)
                .because(error));
        }
    };
    Ok(Reply { headers, body })
}

async fn limited(
    service: &(dyn fmt::Display + Sync),
    mut response: reqwest::Response,
    changes: bool,
) -> Result<Bytes> {
    let mut all = BytesMut::new();
    while let Some(chunk) = response
        .chunk()
        .await
        .map_err(|error| lost(&service, error, changes))?
    {
        if all.len() + chunk.len() > LONGEST {
            let world = if changes {
                World::Unknown
            } else {
                World::Untouched
            };
            let what = format!("{service} answered with over {LONGEST} bytes");
            return Err(Error::new(ErrorKind::Unavailable, what).leaving(world));
        }
        all.extend_from_slice(&chunk);
    }
    Ok(all.freeze())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_told_above_the_project() {
        let at = |url: &str| -> Vec<String> {
            let urls = documents(&Url::parse(url).unwrap(), "p1");
            urls.into_iter().map(String::from).collect()
        };
        assert_eq!(
            at("http://h:8776/v3/p1"),
            ["http://h:8776/v3/", "http://h:8776/"]
        );
        assert_eq!(
            at("https://h/compute/v2.1"),
            ["https://h/compute/v2.1/", "https://h/compute/"]
        );
        assert_eq!(at("http://h:9292"), ["http://h:9292/", "http://h:9292/"]);
    }
}
