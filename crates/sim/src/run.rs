use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use stillpoint_core::Result;
use tokio::runtime::Builder;

use crate::seeds::{ONE, Seeds};
use crate::trace::Trace;
use crate::world::{Tally, World};

/// Longer than any scenario: who waits for so long waits for ever.
const FOR_EVER: Duration = Duration::from_secs(10 * 365 * 86_400);

/// Lines of a failed world's trace that are printed, where there are many worlds.
const LINES: usize = 300;

/// What came of one seed.
#[derive(Clone, Debug)]
pub struct Run {
    seed: u64,
    verdict: std::result::Result<(), String>,
    trace: Trace,
    tally: Tally,
}

/// Runs the scenario in a world for each seed, on as many threads as there are processors.
///
/// The scenario fails by an error or a panic. The lowest seed that does is run a second time, to
/// see that it is the seed's doing.
///
/// # Panics
///
/// Where a seed fails: with its number, its reason, the end of its trace, and how to run just it.
pub fn test<F, Fut>(seeds: impl Into<Seeds>, scenario: F)
where
    F: Fn(World) -> Fut + Sync,
    Fut: Future<Output = Result<()>>,
{
    let seeds = seeds.into().chosen();
    let next = AtomicU64::new(seeds.start);
    let failed = AtomicBool::new(false);
    let sum = Mutex::new((Tally::default(), None::<Run>));
    let work = || {
        while !failed.load(Ordering::SeqCst) {
            let seed = next.fetch_add(1, Ordering::SeqCst);
            if seed >= seeds.end {
                return;
            }
            let run = run(seed, &scenario);
            let mut sum = sum.lock().unwrap_or_else(PoisonError::into_inner);
            sum.0.add(&run.tally);
            if run.verdict.is_err() {
                failed.store(true, Ordering::SeqCst);
                if sum.1.as_ref().is_none_or(|other| seed < other.seed) {
                    sum.1 = Some(run);
                }
            }
        }
    };
    let name = thread::current().name().unwrap_or("simulation").to_owned();
    // Who runs one wants to see it.
    let lines = if seeds.end - seeds.start == 1 {
        usize::MAX
    } else {
        LINES
    };
    let threads = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        for _ in 0..threads.min(usize::try_from(seeds.end - seeds.start).unwrap_or(usize::MAX)) {
            let named = thread::Builder::new().name(name.clone());
            named
                .spawn_scoped(scope, work)
                .expect("the system has threads");
        }
    });
    let (tally, failure) = sum.into_inner().unwrap_or_else(PoisonError::into_inner);
    if let Some(failure) = failure {
        let again = run(failure.seed, &scenario);
        panic!(
            "{}",
            Failure {
                name: &name,
                failure: &failure,
                again: &again,
                lines
            }
        );
    }
    println!("{} seeds: {tally}", seeds.end - seeds.start);
}

/// Runs the scenario in the world of one seed.
pub fn run<F, Fut>(seed: u64, scenario: F) -> Run
where
    F: Fn(World) -> Fut,
    Fut: Future<Output = Result<()>>,
{
    let runtime = Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime without I/O needs nothing of the system");
    let world = runtime.block_on(async { World::new(seed) });
    let ended = catch_unwind(AssertUnwindSafe(|| {
        runtime.block_on(async { tokio::time::timeout(FOR_EVER, scenario(world.clone())).await })
    }));
    let mut verdict = match ended {
        Ok(Ok(Ok(()))) => Ok(()),
        Ok(Ok(Err(error))) => Err(error.to_string()),
        Ok(Err(_)) => Err("everybody waits for ever".to_owned()),
        Err(panic) => Err(panicked(&*panic)),
    };
    let violations = world.violations();
    if verdict.is_ok() && !violations.is_empty() {
        verdict = Err(violations.join("\n"));
    }
    let tally = runtime.block_on(async { world.tally() });
    Run {
        seed,
        verdict,
        trace: world.trace(),
        tally,
    }
}

impl Run {
    /// Why it failed, if it did.
    pub fn failure(&self) -> Option<&str> {
        self.verdict.as_ref().err().map(String::as_str)
    }

    /// All that happened.
    pub fn trace(&self) -> &Trace {
        &self.trace
    }

    /// What happened, counted.
    pub fn tally(&self) -> &Tally {
        &self.tally
    }
}

impl Tally {
    fn add(&mut self, other: &Self) {
        self.touches += other.touches;
        self.kills += other.kills;
        self.stalls += other.stalls;
        self.jumps += other.jumps;
        self.passed += other.passed;
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} virtual days, {} touches, {} kills, {} stalls, {} clock jumps",
            self.passed.as_secs() / 86_400,
            self.touches,
            self.kills,
            self.stalls,
            self.jumps
        )
    }
}

struct Failure<'a> {
    name: &'a str,
    failure: &'a Run,
    again: &'a Run,
    lines: usize,
}

impl fmt::Display for Failure<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            name,
            failure,
            again,
            lines,
        } = self;
        let seed = failure.seed;
        writeln!(f, "seed {seed}, the end of its trace:")?;
        writeln!(f, "{}", failure.trace.tail(*lines))?;
        writeln!(
            f,
            "seed {seed} fails: {}",
            failure.failure().unwrap_or_default()
        )?;
        if let Some((first, second)) = failure.trace.parts_from(&again.trace) {
            writeln!(
                f,
                "and run again it went another way: something takes time or chance from outside of \
                 its world (ids? a map without an order?). First\n  {first}\nthen\n  {second}"
            )?;
        }
        write!(f, "run just this one: {ONE}={seed} cargo test {name}")
    }
}

fn panicked(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
    text.unwrap_or("it panicked").to_owned()
}
