//! The decision over a whole inventory: series of every source, what is fixed, groups, dependencies.

use std::cmp::Reverse;

use jiff::Timestamp;

use crate::retention::{
    Health,
    period::Periods,
    series::{Rules, Unit, Why, series},
};

/// A snapshot in numbers.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) source: u32,
    pub(crate) taken_at: Timestamp,
    pub(crate) health: Health,
    pub(crate) periods: Periods,
    /// Whether the policy that is planned for took it.
    pub(crate) own: bool,
    /// Whether it stays whatever the rules say: pinned, in use, labelled.
    pub(crate) fixed: bool,
    pub(crate) expires_at: Option<Timestamp>,
    /// Whether someone took it by hand, so that only its expiry can end it.
    pub(crate) by_hand: bool,
    pub(crate) group: Option<u32>,
    /// Places of the nodes that it depends on.
    pub(crate) parents: Vec<u32>,
}

/// An inventory in numbers. Of snapshots of the same instant the first counts as newer.
#[derive(Clone, Debug, Default)]
pub(crate) struct Nodes {
    pub(crate) nodes: Vec<Node>,
    /// How many groups there are.
    pub(crate) groups: u32,
}

/// Why a node stays, beyond what is fixed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stays {
    /// That child of it does.
    Child(u32),
    /// Another of its group does.
    Group(u32),
    /// A rule says so.
    Rule(Why),
}

impl Node {
    pub(crate) fn expired(&self, now: Timestamp) -> bool {
        self.expires_at.is_some_and(|at| at <= now)
    }

    /// Whether nothing but rules can keep it: the policy took it, or its time is over.
    pub(crate) fn may_go(&self, now: Timestamp) -> bool {
        !self.fixed && self.taken_at <= now && (self.own || self.by_hand && self.expired(now))
    }

    pub(crate) fn unit(&self, now: Timestamp) -> Unit {
        Unit {
            taken_at: self.taken_at,
            periods: self.periods,
            verified: self.health == Health::Verified,
            own: self.own,
            expired: self.expired(now),
        }
    }
}

/// Which nodes stay. `because` is called with every reason but those that are fixed.
pub(crate) fn decide(
    nodes: &Nodes,
    rules: &Rules,
    mut because: impl FnMut(u32, Stays),
) -> Vec<bool> {
    let now = rules.now;
    let Nodes { nodes, groups } = nodes;
    let members = Members::of(nodes, *groups);
    let mut stays: Vec<bool> = nodes.iter().map(|node| !node.may_go(now)).collect();
    let units = units(nodes, &members, now);
    let mut series_of: Vec<(u32, Reverse<Timestamp>, u32)> = nodes
        .iter()
        .zip(&members.unit_of)
        .map(|(node, unit)| (node.source, Reverse(units[*unit as usize].taken_at), *unit))
        .collect();
    series_of.sort_unstable();
    series_of.dedup();
    for of_source in series_of.chunk_by(|a, b| a.0 == b.0) {
        let newest_first = of_source.iter().map(|(_, _, unit)| units[*unit as usize]);
        series(rules, newest_first, |index, why| {
            for place in members.of_unit(of_source[index].2) {
                let node = &nodes[place as usize];
                if node.own || node.may_go(now) {
                    stays[place as usize] = true;
                    because(place, Stays::Rule(why));
                }
            }
        });
    }
    close(nodes, &members, &mut stays, because);
    stays
}

/// What needs what: parents stay with their children, a group stays with any of it.
fn close(
    nodes: &[Node],
    members: &Members,
    stays: &mut [bool],
    mut because: impl FnMut(u32, Stays),
) {
    let mut found: Vec<u32> = (0..)
        .zip(&*stays)
        .filter(|(_, stays)| **stays)
        .map(|(place, _)| place)
        .collect();
    while let Some(place) = found.pop() {
        let node = &nodes[place as usize];
        let parents = node
            .parents
            .iter()
            .map(|parent| (*parent, Stays::Child(place)));
        let group = node
            .group
            .map(|_| members.of_unit(members.unit_of[place as usize]));
        let group = group
            .into_iter()
            .flatten()
            .map(|other| (other, Stays::Group(place)));
        for (other, why) in parents.chain(group) {
            if !std::mem::replace(&mut stays[other as usize], true) {
                because(other, why);
                found.push(other);
            }
        }
    }
}

/// Which nodes make up a unit: those of a group, or one alone.
struct Members {
    unit_of: Vec<u32>,
    /// The first node of every unit, and the one after each node.
    first: Vec<u32>,
    next: Vec<u32>,
}

const NONE: u32 = u32::MAX;

impl Members {
    fn of(nodes: &[Node], groups: u32) -> Self {
        let mut members = Self {
            unit_of: Vec::with_capacity(nodes.len()),
            first: vec![NONE; groups as usize],
            next: vec![NONE; nodes.len()],
        };
        for (place, node) in (0..).zip(nodes) {
            let unit = node.group.unwrap_or_else(|| {
                members.first.push(NONE);
                members.first.len() as u32 - 1
            });
            members.next[place as usize] =
                std::mem::replace(&mut members.first[unit as usize], place);
            members.unit_of.push(unit);
        }
        members
    }

    fn of_unit(&self, unit: u32) -> impl Iterator<Item = u32> {
        let first = Some(self.first[unit as usize]).filter(|first| *first != NONE);
        std::iter::successors(first, |place| {
            Some(self.next[*place as usize]).filter(|next| *next != NONE)
        })
    }
}

/// A group is as old as its oldest part, and as good as its worst.
fn units(nodes: &[Node], members: &Members, now: Timestamp) -> Vec<Unit> {
    let none = Unit {
        taken_at: Timestamp::MAX,
        periods: Periods::NONE,
        verified: true,
        own: true,
        expired: true,
    };
    let mut units = vec![none; members.first.len()];
    for (node, unit) in nodes.iter().zip(&members.unit_of) {
        let (all, one) = (&mut units[*unit as usize], node.unit(now));
        if one.taken_at <= all.taken_at {
            (all.taken_at, all.periods) = (one.taken_at, one.periods);
        }
        all.verified &= one.verified;
        all.own &= one.own;
        all.expired &= one.expired;
    }
    units
}
