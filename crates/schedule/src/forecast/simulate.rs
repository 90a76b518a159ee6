//! The forecast: run by run, and of every run only what it can change.

use std::collections::HashMap;

use jiff::{Timestamp, ToSpan, civil::Date};

use crate::{
    forecast::{
        Count, Day, Forecast, ForecastError, Life, Peak, RecoveryPoint, Scenario,
        component::{Component, Held},
    },
    hash::{fraction, hash},
    retention::{Health, Node, Periods, Snapshot, check_order, newest_first, number},
    run::Run,
};

/// The most snapshots that a forecast takes.
const MOST: usize = 10_000_000;

/// What a scenario leads to. See the [module](crate::forecast).
pub fn forecast(scenario: &Scenario<'_>) -> Result<Forecast, ForecastError> {
    let Scenario {
        days, now, failure, ..
    } = *scenario;
    if !(0.0..=1.0).contains(&failure) {
        return Err(ForecastError::Probability { failure });
    }
    // What no plan could be made from is refused, before anything else.
    scenario.keep.rules(now)?;
    let ends = day_ends(scenario).ok_or(ForecastError::EndOfTime { now, days })?;
    let end = ends.last().map_or(now, |(_, end)| *end);

    let mut simulation = Simulation::start(scenario)?;
    let mut after = now;
    let mut ends = ends.into_iter().peekable();
    loop {
        let run = scenario
            .schedule
            .next_after(after)?
            .filter(|run| run.at < end);
        let until = run.map_or(end, |run| run.at);
        while let Some((date, _)) = ends.next_if(|(_, end)| *end <= until) {
            simulation.end_day(date);
        }
        let Some(run) = run else { break };
        simulation.run(run)?;
        after = run.at;
    }
    for source in 0..scenario.sources.len() {
        simulation.look_at_age(source, end);
    }
    Ok(simulation.forecast)
}

/// The days, and the instants at which they end.
fn day_ends(scenario: &Scenario<'_>) -> Option<Vec<(Date, Timestamp)>> {
    let zone = scenario.keep.zone().time_zone();
    let first = zone.to_datetime(scenario.now).date();
    (0..i64::from(scenario.days))
        .map(|day| {
            let date = first.checked_add(day.days()).ok()?;
            let next = date.tomorrow().ok()?.to_zoned(zone.clone()).ok()?;
            Some((date, next.timestamp()))
        })
        .collect()
}

struct Simulation<'a> {
    scenario: &'a Scenario<'a>,
    components: Vec<Component>,
    /// The component of each of the scenario's sources, and the source's number in the nodes.
    component_of: Vec<(usize, u32)>,
    /// How many verified ones each source has, by number, and when the last of them was taken.
    good: Vec<usize>,
    last_good: Vec<Option<Timestamp>>,
    /// Points in time that were not looked at yet: just taken, or from the future.
    ahead: Vec<Vec<Timestamp>>,
    /// How often a snapshot was tried.
    tried: usize,
    kept: usize,
    kept_good: usize,
    today: Day,
    forecast: Forecast,
}

impl<'a> Simulation<'a> {
    fn start(scenario: &'a Scenario<'a>) -> Result<Self, ForecastError> {
        let (oldest_first, nodes) = oldest_first(scenario)?;

        let mut sources: HashMap<&str, u32> = HashMap::new();
        for (snapshot, node) in oldest_first.iter().zip(&nodes) {
            sources.insert(&snapshot.source, node.source);
        }
        for source in scenario.sources {
            let number = sources.len() as u32;
            sources.entry(source).or_insert(number);
        }
        let components = components(&nodes, sources.len());
        let points = points(&nodes);
        let mut simulation = Self {
            scenario,
            components: Vec::new(),
            component_of: Vec::new(),
            good: vec![0; sources.len()],
            last_good: vec![None; sources.len()],
            ahead: vec![Vec::new(); sources.len()],
            tried: 0,
            kept: nodes.len(),
            kept_good: 0,
            today: Day {
                date: Date::MIN,
                kept: 0,
                good: 0,
                taken: 0,
                failed: 0,
                deleted: 0,
            },
            forecast: Forecast {
                days: Vec::new(),
                lives: Vec::new(),
                worst_recovery_point: None,
                fewest_good: None,
                peak: Peak {
                    at: scenario.now,
                    count: nodes.len(),
                },
            },
        };
        simulation
            .components
            .resize_with(sources.len(), Component::default);
        simulation.component_of = scenario
            .sources
            .iter()
            .map(|source| (components[sources[source] as usize], sources[source]))
            .collect();
        for (life, (snapshot, node)) in (0..).zip(oldest_first.iter().zip(nodes)) {
            simulation.forecast.lives.push(Life {
                id: snapshot.id.clone(),
                source: snapshot.source.clone(),
                taken_at: snapshot.taken_at,
                gone_at: None,
            });
            let good = points[life as usize];
            let held = Held { life, node, good };
            simulation.count_good(&held);
            simulation.components[components[held.node.source as usize]].start(held);
        }
        Ok(simulation)
    }

    /// Takes a snapshot of every source, and prunes if any was taken.
    fn run(&mut self, run: Run) -> Result<(), ForecastError> {
        let Scenario {
            keep,
            policy,
            sources,
            failure,
            seed,
            ..
        } = *self.scenario;
        let key = run.key(policy).to_string();
        let periods = Periods::of(run.at, keep.zone().time_zone());
        self.tried += sources.len().max(1);
        if self.tried > MOST {
            return Err(ForecastError::TooMany { most: MOST });
        }
        let mut taken = 0;
        for (index, source) in sources.iter().enumerate() {
            self.look_at_age(index, run.at);
            if fraction(hash(seed, &[key.as_bytes(), source.as_bytes()])) < failure {
                self.today.failed += 1;
                continue;
            }
            taken += 1;
            let (component, source_number) = self.component_of[index];
            let life = self.forecast.lives.len() as u32;
            self.forecast.lives.push(Life {
                id: format!("{key}/{source}"),
                source: (*source).to_owned(),
                taken_at: run.at,
                gone_at: None,
            });
            let node = Node {
                source: source_number,
                taken_at: run.at,
                health: Health::Verified,
                periods,
                own: true,
                fixed: false,
                expires_at: None,
                by_hand: false,
                group: None,
                parents: Vec::new(),
            };
            let held = Held {
                life,
                node,
                good: Some(run.at),
            };
            self.count_good(&held);
            let lives = &self.forecast.lives;
            let order = |held: &Held| (held.taken_at(), &lives[held.life as usize].id);
            self.components[component].add(held, |other, new| order(other) > order(new));
        }
        self.kept += taken;
        self.today.taken += taken;
        if self.kept > self.forecast.peak.count {
            self.forecast.peak = Peak {
                at: run.at,
                count: self.kept,
            };
        }
        if taken > 0 {
            self.prune(run.at)?;
        }
        for (source, (_, number)) in sources.iter().zip(&self.component_of) {
            let count = self.good[*number as usize];
            let fewest = &mut self.forecast.fewest_good;
            if fewest.as_ref().is_none_or(|fewest| count < fewest.count) {
                let source = (*source).to_owned();
                *fewest = Some(Count {
                    source,
                    at: run.at,
                    count,
                });
            }
        }
        Ok(())
    }

    fn prune(&mut self, now: Timestamp) -> Result<(), ForecastError> {
        let rules = self.scenario.keep.rules(now)?;
        for component in self
            .components
            .iter_mut()
            .filter(|component| !component.is_empty())
        {
            component.prune(&rules, |held| {
                self.forecast.lives[held.life as usize].gone_at = Some(now);
                self.kept -= 1;
                self.today.deleted += 1;
                if held.good.is_some() {
                    self.kept_good -= 1;
                    self.good[held.node.source as usize] -= 1;
                }
            });
        }
        Ok(())
    }

    fn count_good(&mut self, held: &Held) {
        let Some(point) = held.good else { return };
        let source = held.node.source as usize;
        self.kept_good += 1;
        self.good[source] += 1;
        self.ahead[source].push(point);
    }

    /// How old the last verified snapshot of a source is.
    fn look_at_age(&mut self, index: usize, at: Timestamp) {
        let source = self.component_of[index].1 as usize;
        // The last good one is never deleted, so that its time only goes up.
        let last_good = &mut self.last_good[source];
        self.ahead[source].retain(|point| {
            if *point <= at {
                *last_good = (*last_good).max(Some(*point));
            }
            *point > at
        });
        let Some(last) = *last_good else { return };
        let age = at.duration_since(last);
        if self
            .forecast
            .worst_recovery_point
            .as_ref()
            .is_none_or(|worst| age > worst.age)
        {
            let source = self.scenario.sources[index].to_owned();
            self.forecast.worst_recovery_point = Some(RecoveryPoint { source, at, age });
        }
    }

    fn end_day(&mut self, date: Date) {
        let day = Day {
            date,
            kept: self.kept,
            good: self.kept_good,
            ..self.today
        };
        self.forecast.days.push(day);
        self.today = Day {
            taken: 0,
            failed: 0,
            deleted: 0,
            ..day
        };
    }
}

/// The inventory from its oldest, numbered as the planner numbers it.
fn oldest_first<'a>(
    scenario: &Scenario<'a>,
) -> Result<(Vec<&'a Snapshot>, Vec<Node>), ForecastError> {
    let mut snapshots = newest_first(scenario.inventory);
    let nodes = number(scenario.keep, scenario.policy, &snapshots)?;
    check_order(&nodes, &snapshots)?;
    let mut nodes = nodes.nodes;
    let last = nodes.len().saturating_sub(1) as u32;
    for parent in nodes.iter_mut().flat_map(|node| &mut node.parents) {
        *parent = last - *parent;
    }
    nodes.reverse();
    snapshots.reverse();
    Ok((snapshots, nodes))
}

/// The component of every source: sources that groups or dependencies tie together share one.
fn components(nodes: &[Node], sources: usize) -> Vec<usize> {
    let mut parent: Vec<usize> = (0..sources).collect();
    fn root(parent: &mut [usize], mut source: usize) -> usize {
        while parent[source] != source {
            parent[source] = parent[parent[source]];
            source = parent[source];
        }
        source
    }
    let mut join = |a: u32, b: u32| {
        let (a, b) = (root(&mut parent, a as usize), root(&mut parent, b as usize));
        parent[a] = b;
    };
    let mut first_of_group = HashMap::new();
    for node in nodes {
        for other in &node.parents {
            join(node.source, nodes[*other as usize].source);
        }
        if let Some(group) = node.group {
            join(
                node.source,
                *first_of_group.entry(group).or_insert(node.source),
            );
        }
    }
    (0..sources)
        .map(|source| root(&mut parent, source))
        .collect()
}

/// The point in time that each node can bring back: of a group its oldest part's, and none if any
/// part is not verified.
fn points(nodes: &[Node]) -> Vec<Option<Timestamp>> {
    let own = |node: &Node| (node.health == Health::Verified).then_some(node.taken_at);
    let mut groups: HashMap<u32, Option<Timestamp>> = HashMap::new();
    for node in nodes {
        if let Some(group) = node.group {
            let point = own(node);
            let all = groups.entry(group).or_insert(point);
            *all = all.zip(point).map(|(one, other)| one.min(other));
        }
    }
    nodes
        .iter()
        .map(|node| node.group.map_or_else(|| own(node), |group| groups[&group]))
        .collect()
}
