//! Random inventories and policies.
#![allow(dead_code, reason = "each test takes what it needs")]

use jiff::{SignedDuration, Timestamp, ToSpan};
use proptest::{collection::vec, option, prelude::*};
use stillpoint_schedule::retention::{Health, Keep, Snapshot, Use};

pub(crate) const NOW: &str = "2026-07-01T00:00:00Z";

/// A policy, and the same in the plainest form.
#[derive(Clone, Debug)]
pub(crate) struct Policy {
    pub(crate) keep: Keep,
    pub(crate) last: usize,
    /// How a period is written, and how many stay.
    pub(crate) periods: Vec<(&'static str, usize)>,
    pub(crate) within: Option<i64>,
    pub(crate) verified: usize,
    pub(crate) zone: &'static str,
}

pub(crate) fn policy() -> impl Strategy<Value = Policy> {
    let counts = [0..4_u32, 0..4, 0..4, 0..3, 0..3, 0..3];
    let zones = prop::sample::select(vec![
        "UTC",
        "Europe/Berlin",
        "Pacific/Apia",
        "America/St_Johns",
    ]);
    (
        counts,
        option::weighted(0.2, 1..60_i64),
        1..4_u32,
        zones,
        any::<bool>(),
    )
        .prop_filter_map(
            "keeps nothing",
            |([last, hourly, daily, weekly, monthly, yearly], within, verified, zone, label)| {
                let mut keep = Keep::new()
                    .last(last)
                    .hourly(hourly)
                    .daily(daily)
                    .weekly(weekly)
                    .monthly(monthly)
                    .yearly(yearly)
                    .tz(zone)
                    .unwrap()
                    .verified(verified)
                    .unwrap();
                if let Some(days) = within {
                    keep = keep.within(days.days());
                }
                // Always, so that what is labelled is kept under every policy.
                keep = keep.label("keep", "yes");
                let any = last + hourly + daily + weekly + monthly + yearly > 0
                    || within.is_some()
                    || label;
                any.then(|| Policy {
                    keep,
                    last: last as usize,
                    periods: vec![
                        ("%Y-%m-%d %H %z", hourly as usize),
                        ("%Y-%m-%d", daily as usize),
                        ("%G-%V", weekly as usize),
                        ("%Y-%m", monthly as usize),
                        ("%Y", yearly as usize),
                    ],
                    within,
                    verified: verified as usize,
                    zone,
                })
            },
        )
}

/// Up to forty snapshots of three sources, some in groups, chains, in use, labelled, by hand, with an
/// expiry, or from the future.
pub(crate) fn inventory() -> impl Strategy<Value = Vec<Snapshot>> {
    vec(snapshot(), 0..40).prop_map(|parts| {
        parts
            .into_iter()
            .enumerate()
            .map(|(index, (mut snapshot, parents))| {
                snapshot.id = format!("s{index}");
                // No two at the same instant: which of them counts as newer is a matter of taste.
                snapshot.taken_at -= SignedDuration::from_secs(index as i64);
                // On earlier ones only: in any order of time, but never in a circle.
                snapshot.depends_on = parents
                    .into_iter()
                    .filter(|_| index > 0)
                    .map(|parent| format!("s{}", parent.index(index.max(1))))
                    .collect();
                snapshot
            })
            .collect()
    })
}

fn snapshot() -> impl Strategy<Value = (Snapshot, Vec<prop::sample::Index>)> {
    let health = prop_oneof![
        1 => Just(Health::Failed), 1 => Just(Health::Unverified), 4 => Just(Health::Verified),
    ];
    let taken_by = prop_oneof![6 => Just(Some("own")), 1 => Just(Some("other")), 1 => Just(None)];
    // Spread so that hours, days, weeks, months and years all have several.
    let age = prop_oneof![8 => 0..72_i64, 8 => 0..2_000_i64, 8 => 0..40_000_i64, 1 => -50..0_i64];
    let expires = option::weighted(0.15, -30..30_i64);
    let group = option::weighted(0.15, 0..4_u8);
    let marks = (
        prop::bool::weighted(0.03),
        prop::bool::weighted(0.05),
        prop::bool::weighted(0.03),
    );
    let parents = vec(any::<prop::sample::Index>(), 0..=1);
    (
        0..3_u8,
        health,
        taken_by,
        age,
        0..60_i64,
        expires,
        group,
        marks,
        parents,
        0..4_u8,
    )
        .prop_map(
            |(source, health, policy, hours, minutes, expires, group, marks, parents, chained)| {
                let now: Timestamp = NOW.parse().unwrap();
                let taken_at = now - SignedDuration::from_mins(hours * 60 + minutes);
                let mut snapshot = Snapshot::new("", format!("source-{source}"), taken_at);
                snapshot.health = health;
                snapshot.policy = policy.map(str::to_owned);
                snapshot.expires_at =
                    expires.map(|days| now + SignedDuration::from_hours(24 * days));
                snapshot.group = group.map(|group| format!("group-{group}"));
                let (pinned, labelled, used) = marks;
                snapshot.pinned = pinned;
                if labelled {
                    snapshot.labels.insert("keep".into(), "yes".into());
                }
                if used {
                    snapshot.in_use.push(Use::Clone {
                        id: "volume-9".into(),
                    });
                }
                (snapshot, if chained == 0 { parents } else { Vec::new() })
            },
        )
}
