//! Snapshots that can keep each other: those of a source, or of several that groups tie together.

use std::collections::HashMap;

use jiff::Timestamp;

use crate::retention::{Node, Nodes, Rules, decide, series};

/// Snapshots that are decided on together, oldest first.
#[derive(Debug, Default)]
pub(super) struct Component {
    held: Vec<Held>,
    /// Which of them stay; kept for its room.
    stays: Vec<bool>,
    /// Whether there are groups or dependencies, so that a look at each series is not enough.
    tied: bool,
    groups: u32,
}

/// A snapshot that is there.
#[derive(Clone, Debug)]
pub(super) struct Held {
    /// Its place among the lives.
    pub(super) life: u32,
    pub(super) node: Node,
    /// The point in time that it can bring back, if it can: that of a whole, verified group.
    pub(super) good: Option<Timestamp>,
}

impl Component {
    /// Adds what is there from the start. `parents` of the node are lives here.
    pub(super) fn start(&mut self, held: Held) {
        self.tied |= held.node.group.is_some() || !held.node.parents.is_empty();
        self.groups = self
            .groups
            .max(held.node.group.map_or(0, |group| group + 1));
        self.held.push(held);
    }

    /// Adds what was just taken. Something from the future may be newer.
    pub(super) fn add(&mut self, held: Held, newer: impl Fn(&Held, &Held) -> bool) {
        let place = self
            .held
            .iter()
            .rposition(|other| !newer(other, &held))
            .map_or(0, |place| place + 1);
        self.held.insert(place, held);
    }

    /// Takes out what goes.
    pub(super) fn prune(&mut self, rules: &Rules, mut gone: impl FnMut(&Held)) {
        if self.tied {
            self.stays = self.stays_tied(rules);
        } else {
            self.look_at_the_series(rules);
        }
        let mut stays = self.stays.iter();
        self.held.retain(|held| {
            let stays = stays.next() != Some(&false);
            if !stays {
                gone(held);
            }
            stays
        });
    }

    /// One source, nothing tied: what the series says.
    fn look_at_the_series(&mut self, rules: &Rules) {
        let (held, stays, now) = (&self.held, &mut self.stays, rules.now);
        stays.clear();
        stays.extend(held.iter().map(|held| !held.node.may_go(now)));
        let newest_first = held.iter().rev().map(|held| held.node.unit(now));
        let last = held.len() - 1;
        series(rules, newest_first, |index, _| stays[last - index] = true);
    }

    /// Anything else: the planner's own decision.
    fn stays_tied(&self, rules: &Rules) -> Vec<bool> {
        let newest_first = || self.held.iter().rev();
        let places: HashMap<u32, u32> = newest_first()
            .zip(0..)
            .map(|(held, place)| (held.life, place))
            .collect();
        let nodes = newest_first().map(|held| {
            let parents = held
                .node
                .parents
                .iter()
                .filter_map(|life| places.get(life).copied());
            Node {
                parents: parents.collect(),
                ..held.node.clone()
            }
        });
        let nodes = Nodes {
            nodes: nodes.collect(),
            groups: self.groups,
        };
        let mut stays = decide(&nodes, rules, |_, _| {});
        stays.reverse();
        stays
    }

    pub(super) fn is_empty(&self) -> bool {
        self.held.is_empty()
    }
}

impl Held {
    pub(super) fn taken_at(&self) -> Timestamp {
        self.node.taken_at
    }
}
