use std::convert::Infallible;
use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::resource_ref::ResourceRef;

/// What every fallible call of a service returns.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, where, what it left of the world, and what to do next.
///
/// Cheap to clone. It displays as one paragraph for a person: the resource, the message, all
/// further reasons, the state of the world, and advice.
///
/// ```
/// use stillpoint_core::{Error, ErrorKind, World};
///
/// let error = Error::new(ErrorKind::Unsupported, "Filesystem asked, Crash reachable")
///     .on("prod/instance/web-1".parse().unwrap())
///     .advise("Ask at_least(Crash)");
/// assert_eq!(
///     error.to_string(),
///     "prod/instance/web-1: Filesystem asked, Crash reachable. Nothing was changed. Ask at_least(Crash)."
/// );
/// assert_eq!(error.world(), World::Untouched);
/// ```
#[derive(Clone)]
pub struct Error(Arc<Inner>);

#[derive(Clone)]
struct Inner {
    kind: ErrorKind,
    message: String,
    reasons: Vec<String>,
    advice: Option<String>,
    resource: Option<ResourceRef>,
    retry: Retry,
    world: World,
    source: Option<Arc<dyn StdError + Send + Sync>>,
}

/// What sort of thing went wrong.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ErrorKind {
    /// Something else holds the resource right now; later it will not.
    Busy,
    /// Somebody stopped it.
    Cancelled,
    /// The world is not as the caller believed: a version, a fingerprint, a name that is taken.
    Conflict,
    /// Stored bytes are not what was written.
    Corrupt,
    /// A defect of ours.
    Internal,
    /// The request makes no sense as it stands.
    Invalid,
    /// A person has to look; the evidence is in the message.
    NeedsIntervention,
    /// There is no such thing.
    NotFound,
    /// Not allowed with these rights.
    Permission,
    /// The resource is not in the state that the request needs.
    Precondition,
    /// A quota or the space is used up.
    Quota,
    /// Too many calls.
    RateLimited,
    /// No answer in time: it may or may not have happened.
    Timeout,
    /// The other side cannot be reached or fails by itself.
    Unavailable,
    /// This provider cannot do that, ever.
    Unsupported,
}

/// Whether the same call may succeed later.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Retry {
    /// After at least this long.
    After(Duration),
    /// Never, unless something changes.
    Never,
}

/// What a failed request left of the world.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum World {
    /// It is changed, in part or whole.
    Changed,
    /// It was changed, and is as before again.
    RolledBack,
    /// It is not known.
    Unknown,
    /// Nothing was changed.
    #[default]
    Untouched,
}

impl Error {
    /// An error after which nothing is changed and no retry helps, unless said otherwise.
    ///
    /// `message` says what is wrong: a clause without a final stop.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(Arc::new(Inner {
            kind,
            message: message.into(),
            reasons: Vec::new(),
            advice: None,
            resource: None,
            retry: Retry::Never,
            world: World::Untouched,
            source: None,
        }))
    }

    /// The resource it is about.
    #[must_use]
    pub fn on(self, resource: ResourceRef) -> Self {
        self.with(|inner| inner.resource = Some(resource))
    }

    /// What to do next: a clause without a final stop.
    #[must_use]
    pub fn advise(self, advice: impl Into<String>) -> Self {
        self.with(|inner| inner.advice = Some(advice.into()))
    }

    /// One more reason that stands in the way; all of them are shown.
    #[must_use]
    pub fn reason(self, reason: impl Into<String>) -> Self {
        self.with(|inner| inner.reasons.push(reason.into()))
    }

    /// Whether the same call may succeed later.
    #[must_use]
    pub fn retry_with(self, retry: Retry) -> Self {
        self.with(|inner| inner.retry = retry)
    }

    /// What it left of the world.
    #[must_use]
    pub fn leaving(self, world: World) -> Self {
        self.with(|inner| inner.world = world)
    }

    /// The error below it. Its text is shown through [`source`](StdError::source) only.
    #[must_use]
    pub fn because(self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.with(|inner| inner.source = Some(Arc::from(source.into())))
    }

    /// What sort of thing went wrong.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// What is wrong, without resource, world or advice.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// All further reasons that stand in the way.
    pub fn reasons(&self) -> &[String] {
        &self.0.reasons
    }

    /// What to do next, where there is something to say.
    pub fn advice(&self) -> Option<&str> {
        self.0.advice.as_deref()
    }

    /// Whether the same call may succeed later.
    pub fn retry(&self) -> Retry {
        self.0.retry
    }

    /// The resource it is about.
    pub fn resource(&self) -> Option<&ResourceRef> {
        self.0.resource.as_ref()
    }

    /// What it left of the world.
    pub fn world(&self) -> World {
        self.0.world
    }

    /// The form that is stored and sent: everything but the source, whose text is appended to
    /// the message.
    pub fn to_report(&self) -> ErrorReport {
        let mut message = self.0.message.clone();
        let mut below = StdError::source(self);
        while let Some(source) = below {
            message.push_str(": ");
            message.push_str(&source.to_string());
            below = source.source();
        }
        ErrorReport {
            kind: self.0.kind,
            message,
            reasons: self.0.reasons.clone(),
            advice: self.0.advice.clone(),
            resource: self.0.resource.clone(),
            retry: self.0.retry,
            world: self.0.world,
        }
    }

    fn with(mut self, change: impl FnOnce(&mut Inner)) -> Self {
        change(Arc::make_mut(&mut self.0));
        self
    }
}

/// An [`Error`] as it stands in a journal or goes over a wire.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct ErrorReport {
    /// See [`Error::kind`].
    pub kind: ErrorKind,
    /// See [`Error::message`]; ends with the texts of its sources.
    pub message: String,
    /// See [`Error::reasons`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<String>,
    /// See [`Error::advice`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub advice: Option<String>,
    /// See [`Error::resource`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource: Option<ResourceRef>,
    /// See [`Error::retry`].
    pub retry: Retry,
    /// See [`Error::world`].
    pub world: World,
}

impl From<Infallible> for Error {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}

impl From<ErrorReport> for Error {
    fn from(report: ErrorReport) -> Self {
        Self(Arc::new(Inner {
            kind: report.kind,
            message: report.message,
            reasons: report.reasons,
            advice: report.advice,
            resource: report.resource,
            retry: report.retry,
            world: report.world,
            source: None,
        }))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = &*self.0;
        if let Some(resource) = &inner.resource {
            write!(f, "{resource}: ")?;
        }
        f.write_str(&inner.message)?;
        for reason in &inner.reasons {
            write!(f, "; {reason}")?;
        }
        write!(f, ". {}", inner.world)?;
        match &inner.advice {
            Some(advice) => write!(f, " {advice}."),
            None => Ok(()),
        }
    }
}

impl fmt::Display for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Changed => "It is changed in part.",
            Self::RolledBack => "All is as before.",
            Self::Unknown => "What it changed is not known.",
            Self::Untouched => "Nothing was changed.",
        })
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = &*self.0;
        f.debug_struct("Error")
            .field("kind", &inner.kind)
            .field("message", &inner.message)
            .field("reasons", &inner.reasons)
            .field("advice", &inner.advice)
            .field(
                "resource",
                &inner.resource.as_ref().map(ToString::to_string),
            )
            .field("retry", &inner.retry)
            .field("world", &inner.world)
            .field("source", &inner.source)
            .finish()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|source| source as _)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_reasons_are_shown_and_survive_storage() {
        let error = Error::new(ErrorKind::Precondition, "cannot restore")
            .reason("disk `root` is 2 GiB, the snapshot 3 GiB")
            .reason("the target runs")
            .retry_with(Retry::After(Duration::from_secs(3)))
            .because(std::io::Error::other("below"));
        let report = error.to_report();
        let json = serde_json::to_string(&report).unwrap();
        let back = Error::from(serde_json::from_str::<ErrorReport>(&json).unwrap());
        assert_eq!(back.message(), "cannot restore: below");
        assert_eq!(back.reasons().len(), 2);
        assert_eq!(back.retry(), error.retry());
        assert!(
            error
                .to_string()
                .contains("3 GiB; the target runs. Nothing was changed.")
        );
        assert!(StdError::source(&error).is_some());
    }

    #[test]
    fn a_clone_shares_and_a_change_does_not() {
        let first = Error::new(ErrorKind::Busy, "in use");
        let second = first.clone().leaving(World::Changed);
        assert_eq!(
            (first.world(), second.world()),
            (World::Untouched, World::Changed)
        );
    }
}
