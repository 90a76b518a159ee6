//! Random inventories under random policies: whatever comes, no rule is broken.
//!
//! `PROPTEST_CASES=100000` for the long run; some otherwise.

mod inventories;

use std::collections::{BTreeMap, BTreeSet};

use jiff::{Timestamp, ToSpan};
use proptest::prelude::*;
use stillpoint_schedule::retention::{
    Decision, Health, Keep, Plan, Reason, RetentionError, Snapshot, Use,
};

use crate::inventories::{NOW, inventory, policy};

fn now() -> Timestamp {
    NOW.parse().unwrap()
}

fn config() -> ProptestConfig {
    let cases = std::env::var("PROPTEST_CASES").map_or(1500, |cases| cases.parse().unwrap());
    ProptestConfig {
        cases,
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn no_rule_is_ever_broken(inventory in inventory(), policy in policy()) {
        let plan = policy.keep.plan("own", &inventory, now()).unwrap();
        let world = World::new(&inventory, &plan);
        world.decides_on_everything_with_reasons();
        world.deletes_only_what_the_policy_may();
        world.keeps_the_last_verified(policy.verified);
        world.keeps_the_unproven_until_they_are_superseded(policy.verified);
        world.keeps_groups_whole();
        world.keeps_what_others_need_and_deletes_children_first();
        world.keeps_what_the_rules_say(&policy);

        // Carried out, it is what was shown; and then there is nothing more to do.
        let left: Vec<Snapshot> = inventory.iter().filter(|snapshot| world.kept(&snapshot.id)).cloned().collect();
        let again = policy.keep.plan("own", &left, now()).unwrap();
        prop_assert_eq!(&again.deletions, &Vec::<String>::new());
        prop_assert!(again.kept().eq(plan.kept()));
        prop_assert!(plan.still_holds(&plan).is_ok());

        // The order of the inventory does not matter.
        let mut shuffled = inventory.clone();
        shuffled.reverse();
        let other = policy.keep.plan("own", &shuffled, now()).unwrap();
        prop_assert_eq!(&other.deletions, &plan.deletions);

        // A plan can be stored.
        let stored = serde_json::to_string(&plan).unwrap();
        prop_assert_eq!(serde_json::from_str::<Plan>(&stored).unwrap(), plan);
    }
}

struct World<'a> {
    inventory: &'a [Snapshot],
    plan: &'a Plan,
    decisions: BTreeMap<&'a str, &'a Decision>,
}

impl<'a> World<'a> {
    fn new(inventory: &'a [Snapshot], plan: &'a Plan) -> Self {
        let decisions = plan
            .decisions
            .iter()
            .map(|decision| (&*decision.id, decision))
            .collect();
        Self {
            inventory,
            plan,
            decisions,
        }
    }

    fn kept(&self, id: &str) -> bool {
        self.decisions[id].keep
    }

    fn because(&self, id: &str, is: impl Fn(&Reason) -> bool) -> bool {
        self.decisions[id].reasons.iter().any(is)
    }

    fn decides_on_everything_with_reasons(&self) {
        assert_eq!(self.decisions.len(), self.inventory.len());
        for decision in self.decisions.values() {
            let goes = |reason: &Reason| {
                matches!(
                    reason,
                    Reason::Expired { .. } | Reason::NoRule | Reason::Superseded
                )
            };
            assert!(!decision.reasons.is_empty());
            assert!(
                decision
                    .reasons
                    .iter()
                    .all(|reason| goes(reason) != decision.keep),
                "{decision:?}"
            );
        }
        let deleted: BTreeSet<&str> = self.plan.deletions.iter().map(String::as_str).collect();
        assert_eq!(deleted.len(), self.plan.deletions.len());
        assert!(
            self.decisions
                .values()
                .all(|decision| decision.keep != deleted.contains(&*decision.id))
        );
    }

    fn deletes_only_what_the_policy_may(&self) {
        for snapshot in self
            .inventory
            .iter()
            .filter(|snapshot| !self.kept(&snapshot.id))
        {
            let expired = snapshot.expires_at.is_some_and(|at| at <= now());
            assert!(
                snapshot.policy.as_deref() == Some("own") || snapshot.policy.is_none() && expired
            );
            assert!(!snapshot.pinned && snapshot.in_use.is_empty() && snapshot.taken_at <= now());
            assert!(
                snapshot.policy.is_none()
                    || snapshot
                        .labels
                        .get("keep")
                        .is_none_or(|value| value != "yes")
            );
        }
    }

    /// Snapshots and groups of a source as a whole: when they are from, and whether all is verified.
    fn units(&self, source: &str, only_own: bool) -> Vec<(Timestamp, bool, Vec<&'a Snapshot>)> {
        let mut units: BTreeMap<String, Vec<&Snapshot>> = BTreeMap::new();
        for snapshot in self.inventory {
            let name = snapshot
                .group
                .as_ref()
                .map_or(format!("one {}", snapshot.id), |group| {
                    format!("group {group}")
                });
            units.entry(name).or_default().push(snapshot);
        }
        let mut units: Vec<_> = units
            .into_values()
            .filter(|all| all.iter().any(|snapshot| snapshot.source == source))
            .filter(|all| {
                !only_own
                    || all
                        .iter()
                        .all(|snapshot| snapshot.policy.as_deref() == Some("own"))
            })
            .map(|all| {
                let verified = all
                    .iter()
                    .all(|snapshot| snapshot.health == Health::Verified);
                (
                    all.iter().map(|snapshot| snapshot.taken_at).min().unwrap(),
                    verified,
                    all,
                )
            })
            .filter(|(taken_at, ..)| *taken_at <= now())
            .collect();
        units.sort_by_key(|(taken_at, ..)| std::cmp::Reverse(*taken_at));
        units
    }

    fn sources(&self) -> BTreeSet<&'a str> {
        self.inventory
            .iter()
            .map(|snapshot| &*snapshot.source)
            .collect()
    }

    fn keeps_the_last_verified(&self, verified: usize) {
        for source in self.sources() {
            for only_own in [true, false] {
                let units = self.units(source, only_own);
                for (.., all) in units
                    .iter()
                    .filter(|(_, verified, _)| *verified)
                    .take(verified)
                {
                    assert!(
                        all.iter().all(|snapshot| self.kept(&snapshot.id)),
                        "{source}"
                    );
                }
            }
        }
    }

    fn keeps_the_unproven_until_they_are_superseded(&self, verified: usize) {
        for source in self.sources() {
            let units = self.units(source, true);
            for (taken_at, good, all) in &units {
                let newer = units
                    .iter()
                    .filter(|(other, good, _)| *good && other > taken_at)
                    .count();
                if !good && newer < verified {
                    assert!(all.iter().all(|snapshot| self.kept(&snapshot.id)));
                }
            }
        }
    }

    fn keeps_groups_whole(&self) {
        for snapshot in self
            .inventory
            .iter()
            .filter(|snapshot| snapshot.group.is_some())
        {
            let others = self
                .inventory
                .iter()
                .filter(|other| other.group == snapshot.group);
            assert!(
                others
                    .into_iter()
                    .all(|other| self.kept(&other.id) == self.kept(&snapshot.id))
            );
        }
    }

    fn keeps_what_others_need_and_deletes_children_first(&self) {
        let place = |id: &str| self.plan.deletions.iter().position(|deleted| deleted == id);
        for snapshot in self.inventory {
            for parent in snapshot
                .depends_on
                .iter()
                .filter(|id| self.decisions.contains_key(id.as_str()))
            {
                match (place(&snapshot.id), place(parent)) {
                    (_, None) => {}
                    (None, Some(_)) => panic!("{} needs {parent}, which goes", snapshot.id),
                    (Some(child), Some(parent)) => assert!(child < parent),
                }
            }
        }
    }

    /// The rules once more, in the plainest way: sort, take, compare dates.
    fn keeps_what_the_rules_say(&self, policy: &inventories::Policy) {
        let mut by_rule = BTreeSet::new();
        for source in self.sources() {
            let units = self.units(source, true);
            let good: Vec<_> = units
                .iter()
                .filter(|(_, verified, all)| {
                    let expired =
                        |snapshot: &&Snapshot| snapshot.expires_at.is_some_and(|at| at <= now());
                    *verified && !all.iter().all(expired)
                })
                .collect();
            let mut keep =
                |all: &[&'a Snapshot]| by_rule.extend(all.iter().map(|snapshot| &*snapshot.id));
            good.iter()
                .take(policy.last)
                .for_each(|(.., all)| keep(all));
            for (format, count) in &policy.periods {
                let mut seen: Vec<String> = Vec::new();
                for (taken_at, _, all) in &good {
                    let period = taken_at
                        .in_tz(policy.zone)
                        .unwrap()
                        .strftime(format)
                        .to_string();
                    if !seen.contains(&period) && seen.len() < *count {
                        seen.push(period);
                        keep(all);
                    }
                }
            }
            if let Some(days) = policy.within {
                let oldest = now()
                    .in_tz(policy.zone)
                    .unwrap()
                    .checked_sub(days.days())
                    .unwrap();
                good.iter()
                    .filter(|(at, ..)| *at >= oldest.timestamp())
                    .for_each(|(.., all)| keep(all));
            }
        }
        for id in &by_rule {
            assert!(self.kept(id), "{id} is kept by a rule");
        }
        // And nothing claims a rule that no rule says.
        let rules = |reason: &Reason| {
            matches!(
                reason,
                Reason::Daily { .. }
                    | Reason::Hourly { .. }
                    | Reason::Last { .. }
                    | Reason::Monthly { .. }
                    | Reason::Weekly { .. }
                    | Reason::Within
                    | Reason::Yearly { .. }
            )
        };
        for id in self.decisions.keys() {
            assert_eq!(
                self.because(id, rules),
                by_rule.contains(id),
                "{id}: {:?}",
                self.decisions[id]
            );
        }
    }
}

fn verified(id: &str, taken_at: &str) -> Snapshot {
    Snapshot {
        policy: Some("own".into()),
        health: Health::Verified,
        ..Snapshot::new(id, "web-1", taken_at.parse().unwrap())
    }
}

#[test]
fn a_policy_that_keeps_nothing_is_refused() {
    let empty = Keep::new().verified(3).unwrap().plan("own", &[], now());
    assert_eq!(empty.unwrap_err(), RetentionError::EmptyPolicy);
    assert_eq!(
        Keep::new()
            .last(0)
            .daily(0)
            .plan("own", &[], now())
            .unwrap_err(),
        RetentionError::EmptyPolicy
    );
    assert_eq!(
        Keep::new().verified(0).unwrap_err(),
        RetentionError::NoneVerified
    );
    for span in [jiff::Span::new(), -(3.days()), 15_000.years()] {
        let error = Keep::new()
            .within(span)
            .plan("own", &[], now())
            .unwrap_err();
        assert!(matches!(error, RetentionError::Span { .. }));
    }
    serde_json::from_str::<Keep>(r#"{"dayly": 3}"#).unwrap_err();
    serde_json::from_str::<Keep>(r#"{"daily": 3, "verified": 0}"#).unwrap_err();
}

#[test]
fn an_inventory_that_contradicts_itself_is_refused() {
    let (a, b) = (
        verified("a", "2026-01-01T00:00:00Z"),
        verified("b", "2026-01-02T00:00:00Z"),
    );
    let twice = Keep::new()
        .last(1)
        .plan("own", &[a.clone(), b.clone(), a.clone()], now());
    assert_eq!(
        twice.unwrap_err(),
        RetentionError::DuplicateId { id: "a".into() }
    );
    let needs = |mut snapshot: Snapshot, parent: &str| {
        snapshot.depends_on.push(parent.to_owned());
        snapshot
    };
    let circle = [
        needs(a.clone(), "b"),
        needs(b.clone(), "c"),
        needs(verified("c", "2026-01-03T00:00:00Z"), "b"),
    ];
    let Err(RetentionError::Cycle { ids }) = Keep::new().last(1).plan("own", &circle, now()) else {
        panic!()
    };
    assert!(ids == ["b", "c", "b"] || ids == ["c", "b", "c"], "{ids:?}");
    assert!(
        Keep::new()
            .last(1)
            .plan("own", &[needs(a, "a")], now())
            .is_err()
    );
}

#[test]
fn a_chain_a_clone_and_a_restore_hold_what_they_need() {
    let mut chain: Vec<Snapshot> = (1..=6)
        .map(|day| verified(&format!("{day}"), &format!("2026-01-0{day}T00:00:00Z")))
        .collect();
    chain[2].depends_on.push("2".into());
    chain[1].depends_on.push("1".into());
    chain[2].in_use.push(Use::RestoreSource {
        job: "restore-7".into(),
    });
    let plan = Keep::new().last(1).plan("own", &chain, now()).unwrap();
    assert_eq!(plan.deletions, ["4", "5"]);
    assert_eq!(
        plan.decision("1").unwrap().reasons,
        [Reason::NeededBy { id: "2".into() }]
    );
    assert_eq!(
        plan.decision("3").unwrap().reasons,
        [Reason::InUse(Use::RestoreSource {
            job: "restore-7".into()
        })]
    );
    // Once the restore is over, from the newest down.
    chain[2].in_use.clear();
    let after = Keep::new().last(1).plan("own", &chain, now()).unwrap();
    assert_eq!(after.deletions, ["3", "2", "1", "4", "5"]);
    // The other way round the plan would delete what is needed now.
    assert_eq!(after.still_holds(&plan).unwrap_err().ids, ["3", "2", "1"]);
    assert!(plan.still_holds(&after).is_ok());
}

#[test]
fn by_hand_it_goes_only_once_its_expiry_is_over() {
    let by_hand = |id: &str, expires_at: Option<&str>| Snapshot {
        policy: None,
        expires_at: expires_at.map(|at| at.parse().unwrap()),
        ..verified(id, "2025-12-01T00:00:00Z")
    };
    let inventory = [
        by_hand("over", Some(NOW)),
        by_hand("not yet", Some("2026-07-01T00:00:00.000000001Z")),
        by_hand("never", None),
        verified("newer", "2026-01-01T00:00:00Z"),
    ];
    let plan = Keep::new().last(1).plan("own", &inventory, now()).unwrap();
    assert_eq!(plan.deletions, ["over"]);
    // As the last verified one of its source it stays.
    let plan = Keep::new()
        .last(1)
        .plan("own", &inventory[..1], now())
        .unwrap();
    assert_eq!(plan.deletions, Vec::<String>::new());
}
