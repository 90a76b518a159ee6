use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use stillpoint_core::{Digest, Labels, ResourceRef};

use super::thing::{Body, State, Thing};
use super::world::World;
use crate::key::OperationKey;

/// All that exists in a cloud at one instant, to print and to compare.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Inventory {
    /// What there is.
    pub items: BTreeMap<ResourceRef, Item>,
}

/// One thing of an [`Inventory`].
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Item {
    /// What people call it.
    pub name: String,
    /// Its labels.
    pub labels: Labels,
    /// The operation that made it; none where it is somebody else's.
    pub made_by: Option<OperationKey>,
    /// Where it stands, in words: `available`, `on`, `on, frozen`, `attached to …`, `error: …`.
    pub state: String,
    /// Its disks, where it is an instance: name and volume.
    pub disks: Vec<(String, Option<ResourceRef>)>,
    /// The content digest of its bytes, where it has any.
    pub digest: Option<Digest>,
}

/// How two inventories differ in one thing.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Difference {
    /// It is in the second only.
    Added(ResourceRef, Item),
    /// It is in both, and not the same.
    Changed {
        /// What.
        resource: ResourceRef,
        /// As it was.
        from: Item,
        /// As it is.
        to: Item,
    },
    /// It is in the first only.
    Removed(ResourceRef, Item),
}

impl Inventory {
    /// What is different in `later`, in order of the resources.
    pub fn diff(&self, later: &Self) -> Vec<Difference> {
        let all: BTreeSet<_> = self.items.keys().chain(later.items.keys()).collect();
        all.into_iter()
            .filter_map(
                |resource| match (self.items.get(resource), later.items.get(resource)) {
                    (Some(from), None) => Some(Difference::Removed(resource.clone(), from.clone())),
                    (None, Some(to)) => Some(Difference::Added(resource.clone(), to.clone())),
                    (Some(from), Some(to)) if from != to => Some(Difference::Changed {
                        resource: resource.clone(),
                        from: from.clone(),
                        to: to.clone(),
                    }),
                    _ => None,
                },
            )
            .collect()
    }

    /// What operations have made.
    pub fn ours(&self) -> impl Iterator<Item = (&ResourceRef, &Item)> {
        self.items.iter().filter(|(_, item)| item.made_by.is_some())
    }

    /// What is somebody else's.
    pub fn foreign(&self) -> impl Iterator<Item = (&ResourceRef, &Item)> {
        self.items.iter().filter(|(_, item)| item.made_by.is_none())
    }

    pub(super) fn of(world: &World) -> Self {
        let item = |(reference, thing): (&ResourceRef, &Thing)| {
            (reference.clone(), Item::of(world, reference, thing))
        };
        Self {
            items: world.things.iter().map(item).collect(),
        }
    }
}

impl Item {
    fn of(world: &World, reference: &ResourceRef, thing: &Thing) -> Self {
        let mut state = match &thing.state {
            State::Available => String::new(),
            State::Creating => "creating".to_owned(),
            State::Deleting => "deleting".to_owned(),
            State::Error(why) => format!("error: {why}"),
        };
        let mut say = |word: String| {
            if !state.is_empty() {
                state.push_str(", ");
            }
            state.push_str(&word);
        };
        let mut disks = Vec::new();
        match &thing.body {
            Body::Instance(instance) => {
                say(if instance.on { "on" } else { "off" }.to_owned());
                if instance.frozen.is_some() {
                    say("frozen".to_owned());
                }
                let slots = instance.disks.iter();
                disks.extend(slots.map(|slot| (slot.name.clone(), slot.volume.clone())));
            }
            Body::Volume(_) => {
                for instance in world.attached_to(reference) {
                    say(format!("attached to {instance}"));
                }
            }
            Body::Image(_) | Body::Snapshot(_) => {}
        }
        if state.is_empty() {
            state.push_str("available");
        }
        Self {
            name: thing.name.clone(),
            labels: thing.labels.clone(),
            made_by: thing.maker.as_ref().map(|maker| maker.key.clone()),
            state,
            disks,
            digest: thing.content().map(super::content::Content::digest),
        }
    }
}

impl fmt::Display for Inventory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (resource, item) in &self.items {
            writeln!(f, "{resource}: {item}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.made_by {
            Some(key) => write!(f, "{} (by {key}) {}", self.name, self.state)?,
            None => write!(f, "{} (foreign) {}", self.name, self.state)?,
        }
        for (name, volume) in &self.disks {
            match volume {
                Some(volume) => write!(f, ", {name} = {volume}")?,
                None => write!(f, ", {name} ephemeral")?,
            }
        }
        for (key, value) in &self.labels {
            write!(f, ", {key}={value}")?;
        }
        match &self.digest {
            Some(digest) => write!(f, ", bytes {:.12}", digest.to_string()),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Added(resource, item) => write!(f, "+ {resource}: {item}"),
            Self::Changed { resource, from, to } => {
                write!(f, "- {resource}: {from}\n+ {resource}: {to}")
            }
            Self::Removed(resource, item) => write!(f, "- {resource}: {item}"),
        }
    }
}
