//! The plan: a decision for every snapshot, the reasons, and the order to delete in.

use std::collections::{BTreeSet, BinaryHeap};

use hashbrown::HashMap;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::retention::{
    keep::{Keep, RetentionError},
    nodes::{Node, Nodes, Stays, decide},
    period::{Period, Periods},
    series::Why,
    snapshot::{Snapshot, Use},
};

/// What stays and what goes, and why: a value to show, to store, and to carry out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// The policy that it was made for.
    pub policy: String,
    /// The instant that it was made for.
    pub at: Timestamp,
    /// A decision for every snapshot of the inventory, oldest first.
    pub decisions: Vec<Decision>,
    /// The ids to delete, in order: every child is before its parents.
    pub deletions: Vec<String>,
}

/// What becomes of a snapshot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// Its id.
    pub id: String,
    /// Whether it stays.
    pub keep: bool,
    /// All reasons for that.
    pub reasons: Vec<Reason>,
}

/// Why a snapshot stays or goes. Ranks count from 1, the newest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Reason {
    /// Stays: someone took it by hand, and it has no expiry that is over.
    ByHand,
    /// Stays: the last of one of the last days.
    Daily {
        /// Which day, counted back.
        rank: u32,
        /// The day, `2026-01-05`.
        period: String,
    },
    /// Goes: its expiry is over.
    Expired {
        /// Its expiry.
        at: Timestamp,
    },
    /// Stays: it was taken under another policy.
    ForeignPolicy {
        /// That policy.
        policy: String,
    },
    /// Stays: another of its group does.
    GroupMember {
        /// That other.
        id: String,
    },
    /// Stays: the last of one of the last hours.
    Hourly {
        /// Which hour, counted back.
        rank: u32,
        /// The hour, `2026-01-05T02+01:00`.
        period: String,
    },
    /// Stays: it is from after the plan's instant. A clock was wrong.
    InTheFuture,
    /// Stays: something needs it.
    InUse(Use),
    /// Stays: it has a label that the policy keeps.
    Label {
        /// The label.
        key: String,
        /// Its value.
        value: String,
    },
    /// Stays: one of the last ones.
    Last {
        /// Which, counted back.
        rank: u32,
    },
    /// Stays: one of the last verified ones of its source, which are never deleted.
    LastVerified {
        /// Which, counted back.
        rank: u32,
    },
    /// Stays: the last of one of the last months.
    Monthly {
        /// Which month, counted back.
        rank: u32,
        /// The month, `2026-01`.
        period: String,
    },
    /// Stays: a snapshot that stays depends on it.
    NeededBy {
        /// That snapshot.
        id: String,
    },
    /// Goes: no rule keeps it.
    NoRule,
    /// Stays: it is pinned.
    Pinned,
    /// Goes: it is not verified, and enough verified ones are newer.
    Superseded,
    /// Stays: it is not verified, but too few verified ones are newer to do without it.
    Unproven {
        /// How many verified ones of the policy are newer.
        newer: u32,
    },
    /// Stays: the last of one of the last weeks.
    Weekly {
        /// Which week, counted back.
        rank: u32,
        /// The week, `2026-W02`.
        period: String,
    },
    /// Stays: it is new enough.
    Within,
    /// Stays: the last of one of the last years.
    Yearly {
        /// Which year, counted back.
        rank: u32,
        /// The year, `2026`.
        period: String,
    },
}

/// A plan that no longer fits: carrying it out would delete what now stays.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the plan is out of date: {} of its deletions would now stay, {:?} first; make a new one", ids.len(), ids.first())]
pub struct Stale {
    /// The ids that would now stay.
    pub ids: Vec<String>,
}

impl Plan {
    /// The ids that stay, oldest first.
    pub fn kept(&self) -> impl Iterator<Item = &str> {
        self.decisions
            .iter()
            .filter(|decision| decision.keep)
            .map(|decision| &*decision.id)
    }

    /// What becomes of that snapshot.
    pub fn decision(&self, id: &str) -> Option<&Decision> {
        self.decisions.iter().find(|decision| decision.id == id)
    }

    /// Whether this plan may still be carried out, given the plan that would be made now: whether
    /// everything that it deletes would be deleted now, or is gone.
    pub fn still_holds(&self, now: &Plan) -> Result<(), Stale> {
        let stays: BTreeSet<&str> = now.kept().collect();
        let ids: Vec<_> = self
            .deletions
            .iter()
            .filter(|id| stays.contains(id.as_str()))
            .cloned()
            .collect();
        if ids.is_empty() {
            Ok(())
        } else {
            Err(Stale { ids })
        }
    }

    pub(super) fn make(
        keep: &Keep,
        policy: &str,
        inventory: &[Snapshot],
        now: Timestamp,
    ) -> Result<Self, RetentionError> {
        let rules = keep.rules(now)?;
        let newest_first = newest_first(inventory);
        let nodes = number(keep, policy, &newest_first)?;
        check_order(&nodes, &newest_first)?;

        let mut reasons: Vec<Vec<Reason>> = newest_first
            .iter()
            .map(|snapshot| fixed(keep, policy, snapshot, now))
            .collect();
        let stays = decide(&nodes, &rules, |place, why| {
            let id = |other: u32| newest_first[other as usize].id.clone();
            reasons[place as usize].push(match why {
                Stays::Child(child) => Reason::NeededBy { id: id(child) },
                Stays::Group(other) => Reason::GroupMember { id: id(other) },
                Stays::Rule(why) => reason(why, newest_first[place as usize].taken_at, keep),
            });
        });
        let mut decisions: Vec<Decision> = newest_first
            .iter()
            .zip(reasons)
            .zip(&stays)
            .map(|((snapshot, reasons), keep)| {
                let reasons = if *keep {
                    reasons
                } else {
                    vec![why_it_goes(snapshot, now)]
                };
                Decision {
                    id: snapshot.id.clone(),
                    keep: *keep,
                    reasons,
                }
            })
            .collect();
        decisions.reverse();
        let deletions = children_first(&nodes.nodes, &stays)
            .map(|place| newest_first[place as usize].id.clone())
            .collect();
        Ok(Self {
            policy: policy.to_owned(),
            at: now,
            decisions,
            deletions,
        })
    }
}

/// An inventory, newest first; of the same instant by source, and of the same source by id.
pub(crate) fn newest_first(inventory: &[Snapshot]) -> Vec<&Snapshot> {
    let sources = ranks(inventory);
    // Numbers beside the references: to follow these for each comparison is slow, and a service
    // takes very many sources at the same instant.
    let mut keyed: Vec<(Timestamp, u32, &Snapshot)> = inventory
        .iter()
        .zip(sources)
        .map(|(snapshot, source)| (snapshot.taken_at, source, snapshot))
        .collect();
    keyed.sort_unstable_by(|(a_at, a_source, a), (b_at, b_source, b)| {
        (b_at, b_source)
            .cmp(&(a_at, a_source))
            .then_with(|| b.id.cmp(&a.id))
    });
    keyed.into_iter().map(|(.., snapshot)| snapshot).collect()
}

/// Of each snapshot the place of its source among all sources in order.
fn ranks(inventory: &[Snapshot]) -> Vec<u32> {
    let mut numbers = HashMap::new();
    let of_each: Vec<u32> = inventory
        .iter()
        .map(|snapshot| {
            let next = numbers.len() as u32;
            *numbers.entry(&*snapshot.source).or_insert(next)
        })
        .collect();
    let mut names: Vec<(&str, u32)> = numbers.into_iter().collect();
    names.sort_unstable();
    let mut ranks = vec![0; names.len()];
    for (rank, (_, number)) in (0..).zip(names) {
        ranks[number as usize] = rank;
    }
    of_each
        .into_iter()
        .map(|number| ranks[number as usize])
        .collect()
}

/// The reasons that do not depend on other snapshots.
fn fixed(keep: &Keep, policy: &str, snapshot: &Snapshot, now: Timestamp) -> Vec<Reason> {
    let mut reasons: Vec<Reason> = snapshot.in_use.iter().cloned().map(Reason::InUse).collect();
    if snapshot.pinned {
        reasons.push(Reason::Pinned);
    }
    if snapshot.taken_at > now {
        reasons.push(Reason::InTheFuture);
    }
    match &snapshot.policy {
        Some(own) if own == policy => {
            let kept = snapshot
                .labels
                .iter()
                .filter(|(key, value)| keep.labels().get(*key) == Some(value));
            reasons.extend(kept.map(|(key, value)| Reason::Label {
                key: key.clone(),
                value: value.clone(),
            }));
        }
        Some(other) => reasons.push(Reason::ForeignPolicy {
            policy: other.clone(),
        }),
        None if snapshot.expires_at.is_none_or(|at| at > now) => reasons.push(Reason::ByHand),
        None => {}
    }
    reasons
}

fn why_it_goes(snapshot: &Snapshot, now: Timestamp) -> Reason {
    match snapshot.expires_at {
        Some(at) if at <= now => Reason::Expired { at },
        _ if snapshot.health == super::Health::Verified => Reason::NoRule,
        _ => Reason::Superseded,
    }
}

fn reason(why: Why, taken_at: Timestamp, keep: &Keep) -> Reason {
    let name = |period: Period| period.name(taken_at, keep.zone().time_zone());
    match why {
        Why::Last { rank } => Reason::Last { rank },
        Why::LastVerified { rank } => Reason::LastVerified { rank },
        Why::Period {
            period: period @ Period::Day,
            rank,
        } => Reason::Daily {
            rank,
            period: name(period),
        },
        Why::Period {
            period: period @ Period::Hour,
            rank,
        } => Reason::Hourly {
            rank,
            period: name(period),
        },
        Why::Period {
            period: period @ Period::Month,
            rank,
        } => Reason::Monthly {
            rank,
            period: name(period),
        },
        Why::Period {
            period: period @ Period::Week,
            rank,
        } => Reason::Weekly {
            rank,
            period: name(period),
        },
        Why::Period {
            period: period @ Period::Year,
            rank,
        } => Reason::Yearly {
            rank,
            period: name(period),
        },
        Why::Unproven { newer } => Reason::Unproven { newer },
        Why::Within => Reason::Within,
    }
}

/// The inventory in numbers, in its order.
pub(crate) fn number(
    keep: &Keep,
    policy: &str,
    inventory: &[&Snapshot],
) -> Result<Nodes, RetentionError> {
    let mut places = HashMap::with_capacity(inventory.len());
    for (place, snapshot) in (0_u32..).zip(inventory) {
        if places.insert(&*snapshot.id, place).is_some() {
            return Err(RetentionError::DuplicateId {
                id: snapshot.id.clone(),
            });
        }
    }
    let (mut sources, mut groups) = (HashMap::new(), HashMap::new());
    let nodes = inventory
        .iter()
        .map(|snapshot| {
            let (source, group) = (sources.len() as u32, groups.len() as u32);
            let own = snapshot.policy.as_deref() == Some(policy);
            let labelled = own
                && snapshot
                    .labels
                    .iter()
                    .any(|(key, value)| keep.labels().get(key) == Some(value));
            Node {
                source: *sources.entry(&*snapshot.source).or_insert(source),
                taken_at: snapshot.taken_at,
                health: snapshot.health,
                periods: Periods::of(snapshot.taken_at, keep.zone().time_zone()),
                own,
                fixed: snapshot.pinned || !snapshot.in_use.is_empty() || labelled,
                expires_at: snapshot.expires_at,
                by_hand: snapshot.policy.is_none(),
                group: snapshot
                    .group
                    .as_deref()
                    .map(|name| *groups.entry(name).or_insert(group)),
                parents: snapshot
                    .depends_on
                    .iter()
                    .filter_map(|id| places.get(&**id).copied())
                    .collect(),
            }
        })
        .collect();
    Ok(Nodes {
        nodes,
        groups: groups.len() as u32,
    })
}

/// Refuses snapshots that depend on each other in a circle.
pub(crate) fn check_order(nodes: &Nodes, inventory: &[&Snapshot]) -> Result<(), RetentionError> {
    let nodes = &nodes.nodes;
    if nodes.iter().all(|node| node.parents.is_empty()) {
        return Ok(());
    }
    let none = vec![false; nodes.len()];
    let mut left = vec![true; nodes.len()];
    for place in children_first(nodes, &none) {
        left[place as usize] = false;
    }
    let Some(start) = left.iter().position(|left| *left) else {
        return Ok(());
    };
    // Whatever is left has a parent that is left too: following them ends in the circle.
    let parent = |place: usize| {
        let mut parents = nodes[place].parents.iter().map(|parent| *parent as usize);
        parents.find(|parent| left[*parent]).unwrap_or(place)
    };
    let entry = (0..nodes.len()).fold(start, |place, _| parent(place));
    let mut ids = vec![inventory[entry].id.clone()];
    let mut place = parent(entry);
    while place != entry {
        ids.push(inventory[place].id.clone());
        place = parent(place);
    }
    ids.push(inventory[entry].id.clone());
    Err(RetentionError::Cycle { ids })
}

/// The nodes that do not stay, oldest first, but every one after those that depend on it. Those in
/// a circle never come.
fn children_first<'a>(nodes: &'a [Node], stays: &'a [bool]) -> impl Iterator<Item = u32> + use<'a> {
    let mut children = vec![0_u32; nodes.len()];
    for (node, _) in nodes.iter().zip(stays).filter(|(_, stays)| !**stays) {
        for parent in &node.parents {
            children[*parent as usize] += 1;
        }
    }
    // Higher places are older.
    let mut ready: BinaryHeap<u32> = (0..)
        .zip(&children)
        .filter(|(place, children)| **children == 0 && !stays[*place as usize])
        .map(|(place, _)| place)
        .collect();
    std::iter::from_fn(move || {
        let place = ready.pop()?;
        for parent in &nodes[place as usize].parents {
            children[*parent as usize] -= 1;
            if children[*parent as usize] == 0 && !stays[*parent as usize] {
                ready.push(*parent);
            }
        }
        Some(place)
    })
}
