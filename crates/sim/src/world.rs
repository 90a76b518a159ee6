use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use stillpoint_iaas::sim::{Clock, Inventory, Personality, SimCloud, clock_from};
use stillpoint_state::State;
use tokio::sync::mpsc;
use tokio::task;

use crate::disk::Disk;
use crate::fence::Fence;
use crate::trace::Trace;
use crate::trouble::{Blow, Hit, Trouble};

/// When every world begins.
const START: Timestamp = Timestamp::constant(1_767_225_600, 0);

/// More touches than any sound run has: something goes round and round.
const TOUCHES: u64 = 3_000_000;

/// One seed's world: a virtual clock, clouds, a durable state, and whatever goes wrong.
///
/// Cheap to clone; all clones are one world.
#[derive(Clone)]
pub struct World {
    inner: Arc<Inner>,
}

struct Inner {
    seed: u64,
    clock: Clock,
    disk: Arc<Disk>,
    blows: mpsc::UnboundedSender<(u64, Blow)>,
    blown: Mutex<Option<mpsc::UnboundedReceiver<(u64, Blow)>>>,
    changing: Mutex<Changing>,
}

struct Changing {
    dice: fastrand::Rng,
    trouble: Trouble,
    trace: Trace,
    clouds: Vec<SimCloud>,
    /// How far the service's clock is ahead.
    skew: SignedDuration,
    /// The life that blows may hit.
    life: u64,
    touches: u64,
    tally: Tally,
    violations: Vec<String>,
    /// What was somebody else's when the service first started.
    foreign: Vec<Inventory>,
}

/// What happened in a world, counted.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Tally {
    /// Moments at which something could go wrong.
    pub touches: u64,
    /// Processes killed, with or without the power.
    pub kills: u64,
    /// Processes that stood still while another took over.
    pub stalls: u64,
    /// Clocks set to another time.
    pub jumps: u64,
    /// Virtual time that passed.
    pub passed: Duration,
}

impl World {
    /// A world in which all follows from the seed. It needs a tokio runtime with paused time, of
    /// one thread; [`test`](crate::test) makes one.
    pub(crate) fn new(seed: u64) -> Self {
        let (blows, blown) = mpsc::unbounded_channel();
        Self {
            inner: Arc::new(Inner {
                seed,
                clock: clock_from(START),
                disk: Arc::new(Disk::new()),
                blows,
                blown: Mutex::new(Some(blown)),
                changing: Mutex::new(Changing {
                    dice: fastrand::Rng::with_seed(seed),
                    trouble: Trouble::NONE,
                    trace: Trace::default(),
                    clouds: Vec::new(),
                    skew: SignedDuration::ZERO,
                    life: 0,
                    touches: 0,
                    tally: Tally::default(),
                    violations: Vec::new(),
                    foreign: Vec::new(),
                }),
            }),
        }
    }

    /// The seed that it came from.
    pub fn seed(&self) -> u64 {
        self.inner.seed
    }

    /// Dice for the scenario itself; each call gives others.
    pub fn dice(&self) -> fastrand::Rng {
        self.lock().dice.fork()
    }

    /// Puts up a cloud of that sort, under a provider name of its own.
    ///
    /// # Panics
    ///
    /// Where there is one of that name.
    pub fn cloud(&self, name: &str, personality: Personality) -> SimCloud {
        let cloud = SimCloud::builder(personality).name(name);
        self.add_cloud(cloud.clock(self.clock()).build())
    }

    /// Puts up a cloud that the scenario made, with [`clock`](Self::clock) as its clock.
    ///
    /// # Panics
    ///
    /// Where there is one of that name.
    pub fn add_cloud(&self, cloud: SimCloud) -> SimCloud {
        let name = cloud.connect().to_string();
        assert!(
            !self.names().contains(&name),
            "two clouds are named `{name}`"
        );
        let mut changing = self.lock();
        let weather = changing.dice.u64(..);
        cloud.weather(weather, changing.trouble.weather);
        changing.clouds.push(cloud.clone());
        cloud
    }

    /// All clouds there are.
    pub fn clouds(&self) -> Vec<SimCloud> {
        self.lock().clouds.clone()
    }

    /// The clouds' names, in the same order.
    pub(crate) fn names(&self) -> Vec<String> {
        self.clouds()
            .iter()
            .map(|cloud| cloud.connect().to_string())
            .collect()
    }

    /// The true time, for clouds that the scenario makes itself.
    pub fn clock(&self) -> Clock {
        Arc::clone(&self.inner.clock)
    }

    /// What time it truly is.
    pub fn now(&self) -> Timestamp {
        (self.inner.clock)()
    }

    /// What is durable, past all troubles: to look at.
    pub fn state(&self) -> Arc<dyn State> {
        Arc::new(crate::kept::Kept(Arc::clone(&self.inner.disk)))
    }

    /// From now on, this goes wrong. [`Trouble::NONE`] ends it, and what clouds have been told to
    /// do wrong is forgotten.
    pub fn trouble(&self, trouble: Trouble) {
        self.note(format_args!("trouble: {trouble:?}"));
        let mut changing = self.lock();
        for cloud in changing.clouds.clone() {
            if trouble.weather == 0 {
                cloud.clear_faults();
            }
            cloud.weather(changing.dice.u64(..), trouble.weather);
        }
        changing.trouble = trouble;
    }

    /// Lets time pass.
    pub async fn pass(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }

    /// Sets the service's clock ahead by this, or back.
    pub fn jump(&self, by: SignedDuration) {
        self.note(format_args!("the service's clock is set {by:#} ahead"));
        let mut changing = self.lock();
        changing.tally.jumps += 1;
        changing.skew = by;
    }

    /// Kills the service's process. It is started again later.
    pub fn kill(&self) {
        self.blow(Blow::Kill);
    }

    /// Cuts the service's power. It is started again later.
    pub fn cut_power(&self) {
        self.blow(Blow::PowerCut);
    }

    /// Has the service's process stand still, and another take over.
    pub fn stall(&self) {
        self.blow(Blow::Stall);
    }

    /// Writes a line into the trace.
    pub fn note(&self, line: fmt::Arguments<'_>) {
        let passed = self.passed();
        self.lock().trace.add(passed, line.to_string());
    }

    /// What happened so far, counted.
    pub fn tally(&self) -> Tally {
        let passed = self.passed();
        let changing = self.lock();
        Tally {
            passed,
            touches: changing.touches,
            ..changing.tally
        }
    }

    pub(crate) fn trace(&self) -> Trace {
        self.lock().trace.clone()
    }

    pub(crate) fn disk(&self) -> &Disk {
        &self.inner.disk
    }

    pub(crate) fn service_now(&self) -> Timestamp {
        let skew = self.lock().skew;
        self.now().saturating_add(skew).unwrap_or(Timestamp::MAX)
    }

    /// The receiving end of what hits the service; there is one service.
    pub(crate) fn blown(&self) -> Option<mpsc::UnboundedReceiver<(u64, Blow)>> {
        self.inner
            .blown
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
    }

    /// Keeps what the clouds hold now, to be compared with what they hold at the end.
    pub(crate) fn remember(&self) {
        let foreign = self.clouds().iter().map(SimCloud::inventory).collect();
        self.lock().foreign = foreign;
    }

    /// What the clouds held when the service first started.
    pub(crate) fn remembered(&self) -> Vec<Inventory> {
        self.lock().foreign.clone()
    }

    /// Something that must not be was seen.
    pub(crate) fn violation(&self, what: String) {
        self.note(format_args!("violated: {what}"));
        self.lock().violations.push(what);
    }

    pub(crate) fn violations(&self) -> Vec<String> {
        self.lock().violations.clone()
    }

    /// A part of the service has ended by itself.
    pub(crate) fn process_ended(&self, life: u64) {
        // The keeper ends with the world.
        let _ = self.inner.blows.send((life, Blow::Kill));
    }

    /// How long it takes until the service is started again: mostly seconds.
    pub(crate) fn downtime(&self, dice: &mut fastrand::Rng) -> Duration {
        let most = self.lock().trouble.downtime;
        let share = if dice.u8(0..8) == 0 { dice.f64() } else { 0.0 };
        Duration::from_millis(dice.u64(100..5000)) + most.mul_f64(share)
    }

    /// From now on this life is the one that is hit.
    pub(crate) fn begin_life(&self, life: u64) {
        self.lock().life = life;
    }

    pub(crate) fn tally_mut(&self, count: impl FnOnce(&mut Tally)) {
        count(&mut self.lock().tally);
    }

    /// A moment at which the service meets the world: here it may end, and others may go first.
    pub(crate) async fn touch(&self, fence: &Fence, life: u64, line: String) {
        fence.pass().await;
        let yields = self.roll(fence, life, line);
        for _ in 0..yields {
            task::yield_now().await;
        }
        fence.pass().await;
    }

    /// Lets a little time pass, or only others go first.
    pub(crate) async fn dawdle(&self) {
        let (sleeps, by) = {
            let dice = &mut self.lock().dice;
            (dice.u8(0..4) == 0, dice.u64(1..8))
        };
        if sleeps {
            tokio::time::sleep(Duration::from_millis(by)).await;
        } else {
            task::yield_now().await;
        }
    }

    /// Whether the state fails just now, and if so whether with effect.
    pub(crate) fn state_fault(&self) -> Option<bool> {
        let mut changing = self.lock();
        let chance = changing.trouble.state_faults;
        let hit = chance > 0 && changing.dice.u32(0..10_000) < chance;
        hit.then(|| changing.dice.bool())
    }

    fn roll(&self, fence: &Fence, life: u64, line: String) -> u8 {
        let passed = self.passed();
        let mut changing = self.lock();
        changing.trace.add(passed, line);
        changing.touches += 1;
        assert!(
            changing.touches < TOUCHES,
            "after {TOUCHES} touches it is not over: something goes round and round"
        );
        let changing = &mut *changing;
        if life == changing.life && fence.is_open() {
            match changing.trouble.roll(&mut changing.dice) {
                Hit::Blow(blow) => {
                    changing.trace.add(passed, format!("{blow:?} hits #{life}"));
                    match blow {
                        Blow::Kill | Blow::PowerCut => fence.kill(),
                        Blow::Stall => fence.still(),
                    }
                    // The keeper ends with the world.
                    let _ = self.inner.blows.send((life, blow));
                }
                Hit::Jump => {
                    let most = i64::try_from(changing.trouble.jump.as_secs()).unwrap_or(0);
                    let by = SignedDuration::from_secs(changing.dice.i64(-most..=most));
                    changing
                        .trace
                        .add(passed, format!("the service's clock is set {by:#} ahead"));
                    changing.skew = by;
                    changing.tally.jumps += 1;
                }
                Hit::Nothing => {}
            }
        }
        changing.dice.u8(0..3)
    }

    fn blow(&self, blow: Blow) {
        let life = self.lock().life;
        self.note(format_args!("{blow:?} is asked for"));
        // The keeper ends with the world.
        let _ = self.inner.blows.send((life, blow));
    }

    pub(crate) fn passed(&self) -> Duration {
        Duration::try_from(self.now().duration_since(START)).unwrap_or_default()
    }

    fn lock(&self) -> MutexGuard<'_, Changing> {
        self.inner
            .changing
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("World")
            .field("seed", &self.inner.seed)
            .field("tally", &self.tally())
            .finish_non_exhaustive()
    }
}
