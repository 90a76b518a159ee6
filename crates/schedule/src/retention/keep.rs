//! A retention policy.

use std::{collections::BTreeMap, num::NonZeroU32};

use jiff::{Span, SpanFieldwise, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{
    retention::{plan::Plan, series::Rules, snapshot::Snapshot},
    zone::{Zone, ZoneError},
};

/// What a retention policy keeps. A snapshot stays if *any* rule keeps it.
///
/// Rules count verified snapshots only, and each source for itself. `hourly` to `yearly` keep the
/// last snapshot of each of the last n periods that have one; so a fortnight without snapshots does
/// not eat up the dailies.
///
/// ```
/// use stillpoint_schedule::retention::Keep;
///
/// let keep = Keep::new().last(3).daily(7).weekly(4).monthly(12).tz("Europe/Berlin")?.verified(2)?;
/// let json = serde_json::to_string(&keep)?;
/// assert_eq!(
///     json,
///     r#"{"last":3,"daily":7,"weekly":4,"monthly":12,"zone":"Europe/Berlin","verified":2}"#,
/// );
/// assert_eq!(serde_json::from_str::<Keep>(&json)?, keep);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Keep {
    #[serde(skip_serializing_if = "is_zero")]
    last: u32,
    #[serde(skip_serializing_if = "is_zero")]
    hourly: u32,
    #[serde(skip_serializing_if = "is_zero")]
    daily: u32,
    #[serde(skip_serializing_if = "is_zero")]
    weekly: u32,
    #[serde(skip_serializing_if = "is_zero")]
    monthly: u32,
    #[serde(skip_serializing_if = "is_zero")]
    yearly: u32,
    #[serde(skip_serializing_if = "Option::is_none", with = "span")]
    within: Option<SpanFieldwise>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    labels: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "is_utc")]
    zone: Zone,
    #[serde(skip_serializing_if = "is_one")]
    verified: NonZeroU32,
}

/// A policy or an inventory that no plan can be made from. Nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RetentionError {
    /// Snapshots that depend on each other in a circle.
    #[error("snapshots depend on each other in a circle: {}; correct the inventory", ids.join(" -> "))]
    Cycle {
        /// Their ids, the first one again at the end.
        ids: Vec<String>,
    },
    /// Two snapshots of one id.
    #[error("two snapshots have the id {id:?}; correct the inventory")]
    DuplicateId {
        /// The id.
        id: String,
    },
    /// A policy with no rule would delete everything.
    #[error(
        "the policy keeps nothing; add a rule such as last(7), or delete the snapshots by hand"
    )]
    EmptyPolicy,
    /// A floor of none.
    #[error("at least one verified snapshot is always kept; use verified(1)")]
    NoneVerified,
    /// A span that is below zero, or leads out of time.
    #[error("within {span}: not a span of the past; use one such as 30 days")]
    Span {
        /// The span, as ISO 8601 writes it.
        span: String,
    },
}

impl Keep {
    /// A policy with no rule yet. As it is, it is [refused](RetentionError::EmptyPolicy).
    pub fn new() -> Self {
        Self::default()
    }

    /// The last so many.
    pub fn last(self, count: u32) -> Self {
        Self {
            last: count,
            ..self
        }
    }

    /// The last one of each of the last so many hours that have one.
    pub fn hourly(self, count: u32) -> Self {
        Self {
            hourly: count,
            ..self
        }
    }

    /// The last one of each of the last so many days that have one.
    pub fn daily(self, count: u32) -> Self {
        Self {
            daily: count,
            ..self
        }
    }

    /// The last one of each of the last so many weeks, from Monday, that have one.
    pub fn weekly(self, count: u32) -> Self {
        Self {
            weekly: count,
            ..self
        }
    }

    /// The last one of each of the last so many months that have one.
    pub fn monthly(self, count: u32) -> Self {
        Self {
            monthly: count,
            ..self
        }
    }

    /// The last one of each of the last so many years that have one.
    pub fn yearly(self, count: u32) -> Self {
        Self {
            yearly: count,
            ..self
        }
    }

    /// Those that are not older than this, by the calendar of the policy's zone. In serde an ISO
    /// 8601 duration, such as `P30D` or `P1M`.
    pub fn within(self, span: Span) -> Self {
        Self {
            within: Some(span.fieldwise()),
            ..self
        }
    }

    /// Those with this label, verified or not.
    pub fn label(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.labels.insert(key.into(), value.into());
        self
    }

    /// Periods are those of the zone of that name, instead of UTC.
    pub fn tz(self, name: &str) -> Result<Self, ZoneError> {
        Zone::named(name).map(|zone| self.in_zone(zone))
    }

    /// Periods are those of that zone.
    pub fn in_zone(self, zone: Zone) -> Self {
        Self { zone, ..self }
    }

    /// The last so many verified ones of every source stay, whatever else is said; 1 if nothing is.
    pub fn verified(self, count: u32) -> Result<Self, RetentionError> {
        let verified = NonZeroU32::new(count).ok_or(RetentionError::NoneVerified)?;
        Ok(Self { verified, ..self })
    }

    /// What would stay and what would go, now. The plan that is shown is the plan to carry out.
    ///
    /// `policy` is the name under which the snapshots were taken.
    pub fn plan(
        &self,
        policy: &str,
        inventory: &[Snapshot],
        now: Timestamp,
    ) -> Result<Plan, RetentionError> {
        Plan::make(self, policy, inventory, now)
    }

    pub(crate) fn zone(&self) -> &Zone {
        &self.zone
    }

    pub(crate) fn labels(&self) -> &BTreeMap<String, String> {
        &self.labels
    }

    /// The rules at an instant.
    pub(crate) fn rules(&self, now: Timestamp) -> Result<Rules, RetentionError> {
        let periods = [
            self.hourly,
            self.daily,
            self.weekly,
            self.monthly,
            self.yearly,
        ];
        let counted = self.last > 0 || periods.iter().any(|count| *count > 0);
        if !counted && self.within.is_none() && self.labels.is_empty() {
            return Err(RetentionError::EmptyPolicy);
        }
        let within = match self.within {
            Some(span) => Some(self.oldest(span.0, now)?),
            None => None,
        };
        Ok(Rules {
            last: self.last,
            periods,
            within,
            verified: self.verified.get(),
            now,
        })
    }

    fn oldest(&self, span: Span, now: Timestamp) -> Result<Timestamp, RetentionError> {
        let error = || RetentionError::Span {
            span: span.to_string(),
        };
        if span.is_negative() || span.is_zero() {
            return Err(error());
        }
        let local = now.to_zoned(self.zone.time_zone().clone());
        local
            .checked_sub(span)
            .map(|oldest| oldest.timestamp())
            .map_err(|_| error())
    }
}

impl Default for Keep {
    fn default() -> Self {
        Self {
            last: 0,
            hourly: 0,
            daily: 0,
            weekly: 0,
            monthly: 0,
            yearly: 0,
            within: None,
            labels: BTreeMap::new(),
            zone: Zone::UTC,
            verified: NonZeroU32::MIN,
        }
    }
}

fn is_zero(count: &u32) -> bool {
    *count == 0
}

fn is_one(count: &NonZeroU32) -> bool {
    *count == NonZeroU32::MIN
}

fn is_utc(zone: &Zone) -> bool {
    *zone == Zone::UTC
}

mod span {
    use super::{Deserialize, Serialize, Span, SpanFieldwise};

    pub(super) fn serialize<S: serde::Serializer>(
        span: &Option<SpanFieldwise>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        span.map(|span| span.0).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: serde::Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<SpanFieldwise>, D::Error> {
        Ok(Option::<Span>::deserialize(deserializer)?.map(Span::fieldwise))
    }
}
