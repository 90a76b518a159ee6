//! A world for plans to act on: objects made by steps, brackets held, and requests that may still arrive.

use crate::{BracketIx, Call, Hold, Machine, Matters, Plan, StepIx, Undo, machine::state::At};

/// What a step gives back: which of its objects, counted from 0.
pub(super) type Made = u8;
pub(super) type Subject = Machine<u8, Made>;

#[derive(Clone, Debug, Hash, PartialEq)]
pub(super) struct World {
    /// For each step, what it made.
    pub(super) objects: Vec<Vec<Object>>,
    pub(super) held: Vec<bool>,
    /// Requests that nobody waits for and that may still take effect.
    pub(super) floats: Vec<Float>,
    /// For each group, which session its members work in.
    pub(super) sessions: Vec<u8>,
    /// Whether anything ever changed.
    pub(super) touched: bool,
    /// Whether an operator had it go on after trouble.
    pub(super) resumed: bool,
    /// The first rule that was seen broken.
    pub(super) broken: Option<&'static str>,
}

#[derive(Clone, Debug, Hash, PartialEq)]
pub(super) struct Object {
    /// The key it was made under: its step and this round.
    pub(super) round: u32,
    pub(super) session: u8,
    pub(super) there: bool,
    /// Whether the machine ever took it as the step's output, so that others may build on it.
    pub(super) adopted: bool,
}

#[derive(Clone, Debug, Hash, PartialEq)]
pub(super) struct Float {
    pub(super) request: Request,
    /// It takes effect before then, in seconds, or never.
    pub(super) until: i64,
}

/// A call as the world sees it.
#[derive(Clone, Debug, Hash, PartialEq)]
pub(super) struct Request {
    pub(super) call: Call,
    round: u32,
    session: u8,
    target: Option<Made>,
}

impl Request {
    /// Without the step.
    pub(super) fn anonymous(&self) -> (&'static str, u32, u8, Option<Made>) {
        let extra = if let Call::Sweep { extra, .. } = self.call {
            extra
        } else {
            0
        };
        (
            self.call.verb(),
            self.round + extra,
            self.session,
            self.target,
        )
    }
}

impl World {
    pub(super) fn new(plan: &Plan<u8>) -> Self {
        Self {
            objects: vec![Vec::new(); plan.steps().len()],
            held: vec![false; plan.brackets().len()],
            floats: Vec::new(),
            sessions: vec![0; plan.groups().len()],
            touched: false,
            resumed: false,
            broken: None,
        }
    }

    /// What a call of the machine would ask for now.
    pub(super) fn request(&self, machine: &Subject, call: Call) -> Request {
        let round = match call {
            Call::Acquire(ix) | Call::Release(ix) => machine.state.brackets[ix.index()].round,
            Call::Do(ix) => machine.state.steps[ix.index()].round,
            Call::Sweep { .. } | Call::Undo(_) => 0,
        };
        let target = match call {
            Call::Sweep { step, extra } => machine.extra(step, extra).copied(),
            Call::Undo(step) => machine.output(step).copied(),
            _ => None,
        };
        let group = call.step().and_then(|step| group_of(machine.plan(), step));
        let session = group.map_or(0, |group| self.sessions[group]);
        Request {
            call,
            round,
            session,
            target,
        }
    }

    /// The request takes effect. What it gives back; and every rule is checked that must hold at this moment.
    pub(super) fn land(&mut self, machine: &Subject, request: &Request) -> Made {
        let plan = machine.plan();
        match request.call {
            Call::Acquire(ix) => {
                self.touched = true;
                self.check_acquire(plan, ix);
                self.held[ix.index()] = true;
                0
            }
            Call::Do(step) => {
                self.check_do(machine, step);
                if harmless(plan, step) {
                    return 0;
                }
                self.touched = true;
                let (round, session) = (request.round, request.session);
                let objects = &mut self.objects[step.index()];
                objects.push(Object {
                    round,
                    session,
                    there: true,
                    adopted: false,
                });
                (objects.len() - 1) as Made
            }
            Call::Release(ix) => {
                self.check_release(machine, ix);
                self.held[ix.index()] = false;
                0
            }
            Call::Sweep { step, .. } | Call::Undo(step) => {
                self.check_removal(machine, request);
                if let Some(target) = request.target {
                    self.objects[step.index()][target as usize].there = false;
                }
                0
            }
        }
    }

    /// What one sees who looks for a request by its key: its effects, if there are any.
    pub(super) fn look(&self, machine: &Subject, request: &Request) -> Vec<Made> {
        match request.call {
            Call::Acquire(ix) => vec![0; usize::from(self.held[ix.index()])],
            Call::Do(step) => {
                let state = &machine.state.steps[step.index()];
                let known = |made: Made| state.extras.iter().any(|extra| extra.what == made);
                let objects = (0..).zip(&self.objects[step.index()]);
                objects
                    .filter(|(made, object)| {
                        object.there && object.round == request.round && !known(*made)
                    })
                    .map(|(made, _)| made)
                    .collect()
            }
            Call::Release(ix) => vec![0; usize::from(!self.held[ix.index()])],
            Call::Sweep { step, .. } | Call::Undo(step) => {
                let there = request
                    .target
                    .is_some_and(|made| self.objects[step.index()][made as usize].there);
                vec![0; usize::from(!there)]
            }
        }
    }

    pub(super) fn present(&self, step: StepIx) -> usize {
        self.objects[step.index()]
            .iter()
            .filter(|object| object.there)
            .count()
    }

    pub(super) fn fail(&mut self, rule: &'static str) {
        self.broken.get_or_insert(rule);
    }

    fn check_do(&mut self, machine: &Subject, step: StepIx) {
        let plan = machine.plan();
        for need in prerequisites(plan, step) {
            let fine = if harmless(plan, need) || plan.step(need).matters != Matters::Required {
                machine.over(need) || machine.restarting(step)
            } else {
                self.present(need) > 0
            };
            if !fine {
                self.fail("no effect without its prerequisites");
            }
        }
        for ix in brackets(plan) {
            let bracket = plan.bracket(ix);
            let held = self.held[ix.index()];
            // What waits for an operator does not keep a brief bracket, and may yet take effect.
            let stuck = machine
                .slot(Call::Do(step))
                .is_some_and(|slot| slot.at == At::Stuck);
            let let_go = bracket.hold == Hold::Briefly && (stuck || self.resumed);
            if bracket.covers.contains(&plan.step(step).name) && !held && !let_go {
                self.fail("no step outside its bracket");
            }
            if plan.step(step).after.contains(&bracket.name) && held {
                self.fail("no step before the release that it comes after");
            }
        }
        if plan.pivot() == Some(step) && self.leftovers(machine) {
            self.fail("nothing unwanted when the pivot takes effect");
        }
        let state = &machine.state.steps[step.index()];
        if state
            .extras
            .iter()
            .any(|extra| self.objects[step.index()][extra.what as usize].there)
        {
            self.fail("nothing made again while what is unwanted is there");
        }
    }

    fn check_acquire(&mut self, plan: &Plan<u8>, inner: BracketIx) {
        for outer in brackets(plan).filter(|outer| inside(plan, inner, *outer)) {
            if !self.held[outer.index()] {
                self.fail("an inner bracket is held inside the outer one");
            }
        }
    }

    fn check_release(&mut self, machine: &Subject, ix: BracketIx) {
        let plan = machine.plan();
        let bracket = plan.bracket(ix);
        let brief = bracket.hold == Hold::Briefly;
        let covered = |call: Call| {
            let undoing = !matches!(call, Call::Do(_)) && brief;
            let covers = |step| bracket.covers.contains(&plan.step(step).name);
            call.step().is_some_and(covers) && !undoing
        };
        // A brief bracket does not wait for what waits for an operator.
        let waits = |call| !brief || machine.slot(call).is_some_and(|slot| slot.at != At::Stuck);
        let floats = self.floats.iter().filter(|_| !brief || !self.resumed);
        let floating = floats
            .map(|float| float.request.call)
            .any(|call| covered(call) && waits(call));
        let running = |call| {
            machine
                .slot(call)
                .is_some_and(|slot| slot.at == At::Running)
        };
        if floating || machine.calls().any(|call| covered(call) && running(call)) {
            self.fail("no release while a covered call is in flight");
        }
        for inner in brackets(plan).filter(|inner| inside(plan, *inner, ix)) {
            if self.held[inner.index()] {
                self.fail("an outer bracket is released after the inner ones");
            }
        }
    }

    fn check_removal(&mut self, machine: &Subject, request: &Request) {
        let plan = machine.plan();
        let Some(step) = request.call.step() else {
            return;
        };
        for ix in brackets(plan) {
            let bracket = plan.bracket(ix);
            let covers = bracket.covers.contains(&plan.step(step).name);
            if covers && bracket.hold == Hold::ThroughUndo && !self.held[ix.index()] {
                self.fail("nothing undone outside its bracket");
            }
        }
        let sweep = matches!(request.call, Call::Sweep { .. });
        if sweep
            && machine.output(step).is_some()
            && machine.output(step) == request.target.as_ref()
        {
            self.fail("what was adopted is not swept");
        }
        let busy = |world: &Self, later: StepIx| {
            machine.in_flight(Call::Do(later))
                || world
                    .floats
                    .iter()
                    .any(|float| float.request.call == Call::Do(later))
        };
        if let Some(pivot) = plan.pivot()
            && !sweep
            && (self.present(pivot) > 0 || busy(self, pivot))
        {
            self.fail("nothing undone past the pivot");
        }
        // A twin has nothing built on it; the result of a group's earlier round may have.
        let adopted = |made: Made| self.objects[step.index()][made as usize].adopted;
        if sweep && !request.target.is_some_and(adopted) {
            return;
        }
        let group = |step| group_of(plan, step);
        for later in steps(plan).filter(|later| depends(plan, *later, step)) {
            let concerned = !sweep || group(later) == group(step);
            if concerned && (self.present(later) > 0 || busy(self, later)) {
                self.fail("what came later is undone first");
            }
        }
    }

    fn leftovers(&self, machine: &Subject) -> bool {
        steps(machine.plan()).any(|step| {
            let extras = &machine.state.steps[step.index()].extras;
            extras
                .iter()
                .any(|extra| self.objects[step.index()][extra.what as usize].there)
        })
    }
}

pub(super) fn harmless(plan: &Plan<u8>, step: StepIx) -> bool {
    plan.step(step).undo == Undo::Harmless
}

pub(super) fn steps(plan: &Plan<u8>) -> impl Iterator<Item = StepIx> {
    (0..plan.steps().len() as u32).map(StepIx)
}

pub(super) fn brackets(plan: &Plan<u8>) -> impl Iterator<Item = BracketIx> {
    (0..plan.brackets().len() as u32).map(BracketIx)
}

pub(super) fn group_of(plan: &Plan<u8>, step: StepIx) -> Option<usize> {
    plan.groups()
        .iter()
        .position(|group| group.steps.contains(&plan.step(step).name))
}

/// What the plan's text says a step comes after; written anew here, so that it does not share the machine's mistakes.
fn prerequisites(plan: &Plan<u8>, step: StepIx) -> Vec<StepIx> {
    let this = plan.step(step);
    let mut names = this.needs.clone();
    for bracket in plan
        .brackets()
        .iter()
        .filter(|bracket| this.after.contains(&bracket.name))
    {
        names.extend(bracket.covers.clone());
    }
    for group in plan
        .groups()
        .iter()
        .filter(|group| !group.steps.contains(&this.name))
    {
        if group.steps.iter().any(|member| names.contains(member)) {
            names.extend(group.steps.clone());
        }
    }
    steps(plan)
        .filter(|other| names.contains(&plan.step(*other).name))
        .collect()
}

fn depends(plan: &Plan<u8>, later: StepIx, step: StepIx) -> bool {
    prerequisites(plan, later)
        .into_iter()
        .any(|need| need == step || depends(plan, need, step))
}

fn inside(plan: &Plan<u8>, inner: BracketIx, outer: BracketIx) -> bool {
    let (small, large) = (plan.bracket(inner), plan.bracket(outer));
    let covered = small.covers.iter().all(|step| large.covers.contains(step));
    let equal = small.covers.len() == large.covers.len();
    let brief = |hold: Hold| hold == Hold::Briefly;
    let order = (brief(large.hold), outer) < (brief(small.hold), inner);
    inner != outer && covered && (!equal || order)
}
