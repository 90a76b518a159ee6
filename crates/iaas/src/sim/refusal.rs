use std::time::Duration;

use stillpoint_core::{Error, ErrorKind, ResourceRef, Retry, World};

use super::personality::Personality;

/// How a system of this sort words an error of this kind.
fn wording(personality: Personality, kind: ErrorKind) -> &'static str {
    use ErrorKind::*;
    match personality {
        Personality::Declarative => match kind {
            Busy | Conflict => "409 Conflict",
            Invalid => "422 Unprocessable Entity",
            NotFound => "404 NotFound",
            Precondition => "admission webhook denied the request",
            Quota => "403 exceeded quota",
            RateLimited => "429 TooManyRequests",
            Timeout => "504 Timeout",
            Unavailable => "503 ServiceUnavailable",
            _ => "500 InternalError",
        },
        Personality::Files => match kind {
            Busy => "file in use",
            Conflict => "EEXIST",
            Invalid => "EINVAL",
            NotFound => "ENOENT",
            Quota => "ENOSPC",
            _ => "EIO",
        },
        Personality::InProcess => match kind {
            Busy => "QMP GenericError: node is in use",
            NotFound => "QMP DeviceNotFound",
            Quota => "QMP GenericError: no space left",
            Unavailable => "connection to the host process lost",
            _ => "QMP GenericError",
        },
        Personality::Process => match kind {
            NotFound => "Bosh::Clouds::DiskNotFound",
            Quota => "Bosh::Clouds::NoDiskSpace",
            Unsupported => "Bosh::Clouds::NotImplemented",
            Timeout => "no response on stdout",
            _ => "Bosh::Clouds::CloudError",
        },
        Personality::Rest => match kind {
            Busy | Conflict => "409 conflictingRequest",
            Invalid | Precondition => "400 badRequest",
            NotFound => "404 itemNotFound",
            Quota => "403 forbidden: Quota exceeded",
            RateLimited => "429 overLimit",
            Timeout => "504 Gateway Timeout",
            Unavailable => "503 Service Unavailable",
            _ => "500 computeFault",
        },
    }
}

/// An error before which nothing was changed, in the words of the system.
pub(super) fn refusal(
    personality: Personality,
    kind: ErrorKind,
    on: Option<&ResourceRef>,
    what: impl AsRef<str>,
) -> Error {
    let message = format!("{}: {}", wording(personality, kind), what.as_ref());
    let error = Error::new(kind, message);
    let error = match kind {
        ErrorKind::Busy | ErrorKind::Unavailable => {
            error.retry_with(Retry::After(Duration::from_secs(2)))
        }
        _ => error,
    };
    match on {
        Some(on) => error.on(on.clone()),
        None => error,
    }
}

/// The system may or may not have it.
pub(super) fn timed_out(personality: Personality) -> Error {
    refusal(
        personality,
        ErrorKind::Timeout,
        None,
        "no answer in time; the request may have been carried out",
    )
    .leaving(World::Unknown)
    .advise("Observe the operation by its key before anything else")
}

/// Too many calls; nothing was changed.
pub(super) fn rate_limited(personality: Personality, retry_after: Option<Duration>) -> Error {
    let what = match retry_after {
        Some(wait) => format!("too many requests, Retry-After {wait:?}"),
        None => "too many requests".to_owned(),
    };
    let wait = retry_after.unwrap_or(Duration::from_secs(1));
    refusal(personality, ErrorKind::RateLimited, None, what).retry_with(Retry::After(wait))
}
