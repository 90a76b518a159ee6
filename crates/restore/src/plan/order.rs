//! What follows from a plan: who waits for whom, in both directions, and on which side of the pivot.

use std::collections::HashMap;

use super::{Bracket, Group, Hold, Name, PlanError, Step, builder::Place};
use crate::{BracketIx, StepIx};

/// Most edges, after groups and brackets are spelled out; keeps a hostile plan from costing more than it should.
const MOST_EDGES: usize = 1 << 20;

/// The order of a plan, in places rather than names.
#[derive(Clone, Debug, Default)]
pub(crate) struct Order {
    /// For each step, all that must be over before it begins: its needs with their whole groups, and what the brackets
    /// it comes after cover.
    pub(crate) waits: Vec<Vec<StepIx>>,
    /// For each step, the brackets that must be free before it begins.
    pub(crate) after: Vec<Vec<BracketIx>>,
    /// For each step, those that must be clear before it is undone. Where one of them can't be undone itself, also
    /// those behind it.
    pub(crate) behind: Vec<Vec<StepIx>>,
    /// For each step, those that are skipped if it fails.
    pub(crate) skips: Vec<Vec<StepIx>>,
    /// For each step, the brackets around it.
    pub(crate) around: Vec<Vec<BracketIx>>,
    /// For each bracket, the steps it covers.
    pub(crate) covers: Vec<Vec<StepIx>>,
    /// For each bracket, the brackets outside it.
    pub(crate) outer: Vec<Vec<BracketIx>>,
    /// For each bracket, the brackets inside it.
    pub(crate) inner: Vec<Vec<BracketIx>>,
    /// For each group, its members.
    pub(crate) members: Vec<Vec<StepIx>>,
    /// For each step, its group.
    pub(crate) group: Vec<Option<usize>>,
    /// For each step, those of its group that build on it.
    pub(crate) within: Vec<Vec<StepIx>>,
    /// For each step, its side of the pivot.
    pub(crate) places: Vec<Place>,
    pub(crate) pivot: Option<StepIx>,
}

impl Order {
    /// All names must be known and unique, and no step in two groups.
    pub(super) fn new<A>(
        steps: &[Step<A>],
        brackets: &[Bracket<A>],
        groups: &[Group],
    ) -> Result<Self, PlanError> {
        let by_name: HashMap<&Name, StepIx> = (0..)
            .map(StepIx)
            .zip(steps)
            .map(|(ix, step)| (&step.name, ix))
            .collect();
        let bracket_by_name: HashMap<&Name, BracketIx> = (0..)
            .map(BracketIx)
            .zip(brackets)
            .map(|(ix, bracket)| (&bracket.name, ix))
            .collect();
        let places_of = |names: &[Name]| -> Vec<StepIx> {
            let mut places: Vec<_> = names.iter().map(|name| by_name[name]).collect();
            places.sort_unstable();
            places.dedup();
            places
        };

        let needs: Vec<_> = steps.iter().map(|step| places_of(&step.needs)).collect();
        let after: Vec<Vec<_>> = steps
            .iter()
            .map(|step| {
                step.after
                    .iter()
                    .map(|name| bracket_by_name[name])
                    .collect()
            })
            .collect();
        let covers: Vec<_> = brackets
            .iter()
            .map(|bracket| places_of(&bracket.covers))
            .collect();
        let members: Vec<_> = groups.iter().map(|group| places_of(&group.steps)).collect();
        let mut group = vec![None; steps.len()];
        for (number, members) in members.iter().enumerate() {
            members
                .iter()
                .for_each(|member| group[member.index()] = Some(number));
        }

        let mut around = vec![Vec::new(); steps.len()];
        for (bracket, covers) in (0..).map(BracketIx).zip(&covers) {
            covers
                .iter()
                .for_each(|step: &StepIx| around[step.index()].push(bracket));
        }

        let waits = waits(&needs, &after, &covers, &members, &group)?;
        if let Some(cycle) = cycle(&waits) {
            let path = cycle
                .iter()
                .map(|step| steps[step.index()].name.to_string())
                .collect();
            return Err(PlanError::Cycle { path });
        }
        let dependents = reverse(&waits);
        let behind = behind(steps, &dependents)?;
        let skips = skips(steps, &reverse(&needs));
        let within = within(&dependents, &group);
        let (outer, inner) = nesting(brackets, &covers);
        let pivot = (0..)
            .map(StepIx)
            .zip(steps)
            .find(|(_, step)| step.pivot)
            .map(|(ix, _)| ix);
        let places = places(pivot, &waits, &dependents);
        Ok(Self {
            waits,
            after,
            behind,
            skips,
            around,
            covers,
            outer,
            inner,
            members,
            group,
            within,
            places,
            pivot,
        })
    }
}

fn waits(
    needs: &[Vec<StepIx>],
    after: &[Vec<BracketIx>],
    covers: &[Vec<StepIx>],
    members: &[Vec<StepIx>],
    group: &[Option<usize>],
) -> Result<Vec<Vec<StepIx>>, PlanError> {
    let mut edges = 0;
    let mut all = Vec::with_capacity(needs.len());
    for (step, needs) in needs.iter().enumerate() {
        let covered = after[step]
            .iter()
            .flat_map(|bracket| &covers[bracket.index()]);
        let mut waits = Vec::new();
        for need in needs.iter().chain(covered) {
            match group[need.index()] {
                Some(number) if group[step] != Some(number) => waits.extend(&members[number]),
                _ => waits.push(*need),
            }
            if edges + waits.len() > MOST_EDGES {
                return Err(too_many_edges());
            }
        }
        waits.sort_unstable();
        waits.dedup();
        edges += waits.len();
        all.push(waits);
    }
    Ok(all)
}

/// Some circle, if there is one: depth first, with a stack of its own since plans may be hostile.
fn cycle(waits: &[Vec<StepIx>]) -> Option<Vec<StepIx>> {
    #[derive(Clone, Copy, PartialEq)]
    enum Seen {
        No,
        OnPath,
        Over,
    }
    let mut seen = vec![Seen::No; waits.len()];
    for start in 0..waits.len() {
        if seen[start] != Seen::No {
            continue;
        }
        seen[start] = Seen::OnPath;
        let mut path = vec![(start, 0)];
        while let Some((step, next)) = path.last_mut() {
            let Some(wait) = waits[*step].get(*next) else {
                seen[*step] = Seen::Over;
                path.pop();
                continue;
            };
            *next += 1;
            match seen[wait.index()] {
                Seen::No => {
                    seen[wait.index()] = Seen::OnPath;
                    path.push((wait.index(), 0));
                }
                Seen::OnPath => {
                    let from = path.iter().position(|(step, _)| *step == wait.index())?;
                    return Some(
                        path[from..]
                            .iter()
                            .map(|(step, _)| StepIx(*step as u32))
                            .collect(),
                    );
                }
                Seen::Over => {}
            }
        }
    }
    None
}

fn reverse(edges: &[Vec<StepIx>]) -> Vec<Vec<StepIx>> {
    let mut reversed = vec![Vec::new(); edges.len()];
    for (from, tos) in (0..).map(StepIx).zip(edges) {
        tos.iter().for_each(|to| reversed[to.index()].push(from));
    }
    reversed
}

/// A step that is not undone, or that may have failed while what follows it ran, hides what is behind it: look on.
fn behind<A>(steps: &[Step<A>], dependents: &[Vec<StepIx>]) -> Result<Vec<Vec<StepIx>>, PlanError> {
    let opaque = |step: StepIx| {
        let step = &steps[step.index()];
        step.undoable() && !step.tolerated()
    };
    let mut edges = 0;
    let mut all = Vec::with_capacity(steps.len());
    for (place, step) in steps.iter().enumerate() {
        let found = if step.undoable() {
            reach(dependents, StepIx(place as u32), |to| !opaque(to))
        } else {
            Vec::new()
        };
        edges += found.len();
        if edges > MOST_EDGES {
            return Err(too_many_edges());
        }
        all.push(found);
    }
    Ok(all)
}

/// Nothing outside a group stands between its members: it would have to wait for all of them.
fn within(dependents: &[Vec<StepIx>], group: &[Option<usize>]) -> Vec<Vec<StepIx>> {
    let same = |step: usize| {
        let home = group[step]?;
        let inside = |other: &StepIx| group[other.index()] == Some(home);
        let mut found = reach(dependents, StepIx(step as u32), |other| inside(&other));
        found.retain(inside);
        Some(found)
    };
    (0..group.len())
        .map(|step| same(step).unwrap_or_default())
        .collect()
}

/// An item that lost what it needs can't run; what is required comes after it all the same.
fn skips<A>(steps: &[Step<A>], needed_by: &[Vec<StepIx>]) -> Vec<Vec<StepIx>> {
    let tolerated: Vec<Vec<StepIx>> = needed_by
        .iter()
        .map(|list| {
            list.iter()
                .copied()
                .filter(|step| steps[step.index()].tolerated())
                .collect()
        })
        .collect();
    (0..)
        .map(StepIx)
        .zip(steps)
        .map(|(ix, step)| {
            if step.tolerated() {
                reach(&tolerated, ix, |_| true)
            } else {
                Vec::new()
            }
        })
        .collect()
}

/// All that can be reached from a step, going on only through those that `through` allows.
fn reach(edges: &[Vec<StepIx>], from: StepIx, through: impl Fn(StepIx) -> bool) -> Vec<StepIx> {
    let mut seen = vec![false; edges.len()];
    let mut found: Vec<StepIx> = Vec::new();
    let mut open = vec![from];
    while let Some(step) = open.pop() {
        for next in &edges[step.index()] {
            if !std::mem::replace(&mut seen[next.index()], true) {
                found.push(*next);
                if through(*next) {
                    open.push(*next);
                }
            }
        }
    }
    found.sort_unstable();
    found
}

/// A bracket is inside another if that one covers all it covers; of two that cover the same, the brief one is inside,
/// or else the later.
fn nesting<A>(
    brackets: &[Bracket<A>],
    covers: &[Vec<StepIx>],
) -> (Vec<Vec<BracketIx>>, Vec<Vec<BracketIx>>) {
    let brief = |place: usize| brackets[place].hold == Hold::Briefly;
    let inside = |inner: usize, outer: usize| {
        let small = (covers[inner].len(), brief(outer), outer);
        let large = (covers[outer].len(), brief(inner), inner);
        inner != outer
            && small < large
            && covers[inner]
                .iter()
                .all(|step| covers[outer].binary_search(step).is_ok())
    };
    let all = 0..covers.len();
    let list = |keep: &dyn Fn(usize) -> bool| -> Vec<BracketIx> {
        all.clone()
            .filter(|other| keep(*other))
            .map(|other| BracketIx(other as u32))
            .collect()
    };
    let outer = all
        .clone()
        .map(|this| list(&|other| inside(this, other)))
        .collect();
    let inner = all
        .clone()
        .map(|this| list(&|other| inside(other, this)))
        .collect();
    (outer, inner)
}

fn places(pivot: Option<StepIx>, waits: &[Vec<StepIx>], dependents: &[Vec<StepIx>]) -> Vec<Place> {
    let Some(pivot) = pivot else {
        return vec![Place::Before; waits.len()];
    };
    let mut places = vec![Place::Unordered; waits.len()];
    for step in reach(waits, pivot, |_| true) {
        places[step.index()] = Place::Before;
    }
    for step in reach(dependents, pivot, |_| true) {
        places[step.index()] = Place::After;
    }
    places[pivot.index()] = Place::Pivot;
    places
}

fn too_many_edges() -> PlanError {
    PlanError::TooLarge {
        what: "needs",
        count: MOST_EDGES + 1,
        most: MOST_EDGES,
    }
}
