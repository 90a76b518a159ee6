use std::collections::{BTreeSet, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use stillpoint_core::{Error, ErrorKind, Result};

use super::clock::{Clock, clock_from};
use super::fault::{Fault, Faults};
use super::freezes::FreezeInterval;
use super::inventory::Inventory;
use super::personality::Personality;
use super::provider::SimProvider;
use super::refusal::rate_limited;
use super::script::{At, Call};
use super::world::World;
use crate::capabilities::{Capabilities, Identity, Limits};
use crate::operation::Operation;
use crate::outlook::Reverts;

/// A simulated cloud. Cheap to clone: all clones are the same cloud.
#[derive(Clone)]
pub struct SimCloud {
    inner: Arc<Inner>,
}

/// How many submits a cloud has seen.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Calls {
    /// All that came in.
    pub submits: u64,
    /// Those that were refused because there were more than the limits allow.
    pub rate_limited: u64,
}

struct Inner {
    clock: Clock,
    personality: Personality,
    state: Mutex<State>,
}

struct State {
    world: World,
    faults: Faults,
    connected: BTreeSet<u64>,
    calls: Calls,
    recent: VecDeque<Timestamp>,
}

/// What else there is to choose of a [`SimCloud`].
#[derive(Clone)]
#[must_use]
pub struct SimCloudBuilder {
    personality: Personality,
    name: String,
    clock: Option<Clock>,
    capabilities: Capabilities,
    snapshot_quota: Option<usize>,
    reverts: Reverts,
    launch_blocked_by: Vec<String>,
}

impl SimCloud {
    /// An empty cloud named `sim`, on a clock that starts at 2026-01-01T00:00:00Z and goes as
    /// tokio's.
    pub fn new(personality: Personality) -> Self {
        Self::builder(personality).build()
    }

    /// A cloud with choices.
    pub fn builder(personality: Personality) -> SimCloudBuilder {
        SimCloudBuilder {
            personality,
            name: "sim".to_owned(),
            clock: None,
            capabilities: personality.capabilities(),
            snapshot_quota: None,
            reverts: Reverts::ToAny,
            launch_blocked_by: Vec::new(),
        }
    }

    /// Starts a client.
    pub fn connect(&self) -> SimProvider {
        let client = self.with(|world, _| world.number());
        self.lock().connected.insert(client);
        SimProvider::new(self.clone(), client)
    }

    /// Kills all clients at once: their calls fail from now on, and what dies with them is lost.
    pub fn crash(&self) {
        let clients = std::mem::take(&mut self.lock().connected);
        for client in clients {
            self.with(|world, _| world.lose_client(client));
        }
    }

    /// Kills all clients and starts one.
    pub fn restart(&self) -> SimProvider {
        self.crash();
        self.connect()
    }

    /// Lets a call meet a fault.
    ///
    /// # Panics
    ///
    /// Where a [`Fault::Late`] is later than the system promises.
    pub fn fault(&self, at: At, fault: Fault) {
        if let Fault::Late { by } = fault {
            let settle = self.capabilities().identity.settle();
            assert!(
                by <= settle,
                "an effect {by:?} late breaks the promise of {settle:?}: use PromiseBroken"
            );
        }
        self.lock().faults.add(at, fault);
    }

    /// From now on, so many of a thousand calls meet a fault; which, and which fault, follows
    /// from the seed. 0 ends it.
    pub fn weather(&self, seed: u64, per_thousand: u32) {
        self.lock().faults.set_weather(seed, per_thousand);
    }

    /// Forgets all faults that have not happened yet.
    pub fn clear_faults(&self) {
        self.lock().faults.clear();
    }

    /// How many scripted faults have not met all their calls yet.
    pub fn faults_left(&self) -> usize {
        self.lock().faults.left()
    }

    /// All there is now.
    pub fn inventory(&self) -> Inventory {
        self.with(|world, now| {
            world.write_as_guests(now);
            Inventory::of(world)
        })
    }

    /// All freezes there were, oldest first.
    pub fn freeze_log(&self) -> Vec<FreezeInterval> {
        self.with(|world, _| world.freeze_log().to_vec())
    }

    /// How many submits there were.
    pub fn calls(&self) -> Calls {
        self.lock().calls
    }

    /// What it can do.
    pub fn capabilities(&self) -> Capabilities {
        self.lock().world.capabilities.clone()
    }

    /// To which snapshots it reverts.
    pub fn reverts(&self) -> Reverts {
        self.lock().world.reverts
    }

    pub(super) fn launch_blocked_by(&self) -> Vec<String> {
        self.lock().world.launch_blocked_by.clone()
    }

    /// How many snapshots its quota leaves, where it has one and tells.
    pub fn snapshots_left(&self) -> Option<u64> {
        self.lock().world.snapshots_left()
    }

    /// Which sort of system it is.
    pub fn personality(&self) -> Personality {
        self.inner.personality
    }

    /// What time it is there.
    pub fn now(&self) -> Timestamp {
        (self.inner.clock)()
    }

    /// Its clock.
    pub fn clock(&self) -> Clock {
        Arc::clone(&self.inner.clock)
    }

    /// Waits until nothing is left that would happen by itself: jobs, late effects, thaws.
    pub async fn settle(&self) {
        while let Some(next) = self.with(|world, _| world.next_event()) {
            self.sleep_until(next).await;
        }
    }

    pub(super) async fn sleep_until(&self, until: Timestamp) {
        let wait = until.duration_since(self.now());
        let wait = Duration::try_from(wait).unwrap_or_default();
        // Timers are of whole milliseconds.
        tokio::time::sleep(wait.max(Duration::from_millis(1))).await;
    }

    /// Looks at the world as it is now.
    pub(super) fn with<R>(&self, look: impl FnOnce(&mut World, Timestamp) -> R) -> R {
        let now = self.now();
        let mut state = self.lock();
        state.world.advance(now);
        look(&mut state.world, now)
    }

    pub(super) fn draw(&self, call: Call, operation: Option<&Operation>) -> Option<Fault> {
        let mut state = self.lock();
        let identity = state.world.capabilities.identity;
        state.faults.draw(call, operation, identity)
    }

    pub(super) fn is_connected(&self, client: u64) -> bool {
        self.lock().connected.contains(&client)
    }

    pub(super) fn disconnect(&self, client: u64) {
        if self.lock().connected.remove(&client) {
            self.with(|world, _| world.lose_client(client));
        }
    }

    /// Counts a submit, or refuses it where there were too many lately.
    pub(super) fn count_submit(&self) -> Result<()> {
        let now = self.now();
        let mut state = self.lock();
        state.calls.submits += 1;
        let Some(rate) = state.world.capabilities.limits.rate else {
            return Ok(());
        };
        while state
            .recent
            .front()
            .is_some_and(|&oldest| oldest + rate.per <= now)
        {
            state.recent.pop_front();
        }
        if state.recent.len() < rate.calls as usize {
            state.recent.push_back(now);
            return Ok(());
        }
        let free = state
            .recent
            .front()
            .map_or(now, |&oldest| oldest + rate.per);
        state.calls.rate_limited += 1;
        let wait = Duration::try_from(free.duration_since(now)).unwrap_or_default();
        Err(rate_limited(self.inner.personality, Some(wait)))
    }

    /// Counts a submit that was refused because too many run.
    pub(super) fn count_refusal(&self, error: &Error) {
        if error.kind() == ErrorKind::RateLimited {
            self.lock().calls.rate_limited += 1;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.inner
            .state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl SimCloudBuilder {
    /// The name of the provider, and first word of its resources; `sim` unless set.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// The clock.
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = Some(clock);
        self
    }

    /// How long an effect may take to show, for [`Identity::Findable`].
    ///
    /// # Panics
    ///
    /// Where the personality has another identity.
    pub fn settle_time(mut self, settle: Duration) -> Self {
        match &mut self.capabilities.identity {
            Identity::Findable { settle: promised } => *promised = settle,
            other => panic!("{other:?} has no settle time"),
        }
        self
    }

    /// How fast and how much at once it may be asked; it refuses what is more.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.capabilities.limits = limits;
        self
    }

    /// How many snapshots there may be.
    pub fn snapshot_quota(mut self, quota: usize) -> Self {
        self.snapshot_quota = Some(quota);
        self
    }

    /// It reverts a volume to its latest snapshot alone, and while nothing has it attached.
    pub fn reverts_to_latest(mut self) -> Self {
        self.reverts = Reverts::ToLatest;
        self
    }

    /// No new instance can be had in it, for this reason.
    pub fn launches_nothing(mut self, why: impl Into<String>) -> Self {
        self.launch_blocked_by.push(why.into());
        self
    }

    /// The cloud.
    pub fn build(self) -> SimCloud {
        let clock = self.clock.unwrap_or_else(|| {
            let start = Timestamp::constant(1_767_225_600, 0);
            clock_from(start)
        });
        let mut world = World::new(self.name, self.personality, self.capabilities);
        world.snapshot_quota = self.snapshot_quota;
        world.reverts = self.reverts;
        world.launch_blocked_by = self.launch_blocked_by;
        SimCloud {
            inner: Arc::new(Inner {
                clock,
                personality: self.personality,
                state: Mutex::new(State {
                    world,
                    faults: Faults::default(),
                    connected: BTreeSet::new(),
                    calls: Calls::default(),
                    recent: VecDeque::new(),
                }),
            }),
        }
    }
}

impl fmt::Debug for SimCloud {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimCloud")
            .field("world", &self.lock().world)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for SimCloudBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimCloudBuilder")
            .field("personality", &self.personality)
            .field("name", &self.name)
            .field("capabilities", &self.capabilities)
            .field("snapshot_quota", &self.snapshot_quota)
            .field("reverts", &self.reverts)
            .finish_non_exhaustive()
    }
}
