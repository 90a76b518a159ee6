//! Leases: who drives something, and proof that nobody else does.
//!
//! ```
//! use std::sync::Arc;
//! use std::time::Duration;
//! use jiff::Timestamp;
//! use stillpoint_core::ErrorKind;
//! use stillpoint_state::lease::Leases;
//! use stillpoint_state::{Batch, Guard, Memory, State};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> stillpoint_core::Result<()> {
//! let state: Arc<dyn State> = Arc::new(Memory::new());
//! let leases = Leases::new(Arc::clone(&state));
//! let ttl = Duration::from_secs(30);
//! let now = Timestamp::from_second(1_000).unwrap();
//!
//! let lease = leases.acquire("engine", "node-a", now, ttl).await?;
//! let busy = leases.acquire("engine", "node-b", now, ttl).await.unwrap_err();
//! assert_eq!(busy.kind(), ErrorKind::Busy);
//!
//! // A minute later node-a is gone, or only late.
//! let later = now + Duration::from_secs(60);
//! let taken = leases.acquire("engine", "node-b", later, ttl).await?;
//! assert!(taken.epoch() > lease.epoch());
//!
//! // What node-a still writes is refused, whatever its clock says.
//! let mut late = Batch::new();
//! late.put("work", Guard::Any, "…");
//! lease.guard(&mut late);
//! let refused = state.commit(late).await.unwrap_err();
//! assert!(lease.is_lost(&refused));
//! # Ok(())
//! # }
//! ```
//!
//! # What protects what
//!
//! **The epoch protects everything in the state.** Each acquisition has an epoch of its own,
//! greater than all before it, by compare-and-swap; no clock has a part in it. A batch with
//! [`Lease::guard`] is committed only while that epoch is the newest. So with clocks that stand
//! still, jump or disagree there may be two who *believe* to hold a lease, but never two with one
//! epoch, and only the newer can write.
//!
//! **The clock protects only what is outside.** A request on its way to a cloud cannot be fenced
//! by an epoch the cloud does not know. So no request may start unless it is over, by its own
//! timeout, while the lease lasts: [`Lease::allows`]. This holds as far as clocks run at one
//! speed and agree to within the caller's margin. What slips through is found by observing the
//! operation by its key, which is why there is a record of it before it starts.
//!
//! A clock that went *back* behind the moment of the grant allows nothing until the lease is
//! renewed. A clock that was *ahead* when it granted leaves a lease that seems to last too long:
//! its holder, which is known by name, gets it again at once, and others [seize](Leases::seize) it.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use stillpoint_core::{Error, ErrorKind, Result, Retry};

use crate::batch::{Batch, Guard};
use crate::codec;
use crate::conflict::Conflict;
use crate::entry::Revision;
use crate::state::State;

/// How often an acquisition that others interfere with is tried.
const ATTEMPTS: usize = 16;

/// Grants leases, by name.
#[derive(Clone, Debug)]
pub struct Leases {
    state: Arc<dyn State>,
}

/// A lease that was granted. It says nothing of whether it still holds: a
/// [guarded](Self::guard) batch finds out.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Lease {
    name: String,
    holder: String,
    epoch: u64,
    granted_at: Timestamp,
    until: Timestamp,
    /// The version of the tenure: what a guard compares.
    fence: Revision,
}

/// Who has the lease. Written only when that changes, so that a renewal disturbs no guard.
#[derive(Deserialize, Serialize)]
struct Tenure {
    holder: Option<String>,
    epoch: u64,
}

/// How long it lasts.
#[derive(Clone, Copy, Deserialize, Serialize)]
struct Term {
    granted_at: Timestamp,
    until: Timestamp,
}

impl Leases {
    /// The leases kept in this state.
    pub fn new(state: Arc<dyn State>) -> Self {
        Self { state }
    }

    /// Takes the lease `name` until `now + ttl`, under a new epoch.
    ///
    /// `holder` names the one who asks; it must be different for everyone who may ask, and the
    /// same after a restart: who already holds the lease gets it again at once, and its earlier
    /// self is shut out.
    ///
    /// # Errors
    ///
    /// - `Busy` naming the holder, while it lasts; the retry says when it ends.
    /// - `Invalid` where the name is no key or the end is no time.
    /// - Those of the [`State`].
    pub async fn acquire(
        &self,
        name: &str,
        holder: &str,
        now: Timestamp,
        ttl: Duration,
    ) -> Result<Lease> {
        self.take(name, holder, now, ttl, true, &Batch::new()).await
    }

    /// As [`acquire`](Self::acquire), where also all of this holds and is written. So a grant for
    /// work that is over by now cannot come late.
    ///
    /// # Errors
    ///
    /// As `acquire`, and `Conflict` where one of these guards does not hold.
    pub async fn acquire_with(
        &self,
        name: &str,
        holder: &str,
        now: Timestamp,
        ttl: Duration,
        also: &Batch,
    ) -> Result<Lease> {
        self.take(name, holder, now, ttl, true, also).await
    }

    /// Takes the lease even if somebody else's lasts: for an operator who knows that the holder is
    /// gone. Its batches are refused from now on, but a request it has sent may still take effect.
    ///
    /// # Errors
    ///
    /// As [`acquire`](Self::acquire), without `Busy` for a lease that lasts.
    pub async fn seize(
        &self,
        name: &str,
        holder: &str,
        now: Timestamp,
        ttl: Duration,
    ) -> Result<Lease> {
        self.take(name, holder, now, ttl, false, &Batch::new())
            .await
    }

    /// Extends the lease to `now + ttl`, under the same epoch. Also one that has run out, as long
    /// as nobody else took it.
    ///
    /// # Errors
    ///
    /// `Conflict` where somebody else has it; [`Lease::is_lost`] tells. Those of the [`State`].
    pub async fn renew(&self, lease: &Lease, now: Timestamp, ttl: Duration) -> Result<Lease> {
        let term = Term::new(now, ttl)?;
        let mut batch = Batch::new();
        lease.guard(&mut batch);
        batch.put(term_key(&lease.name), Guard::Any, codec::encode(&term)?);
        self.state.commit(batch).await?;
        Ok(Lease {
            granted_at: term.granted_at,
            until: term.until,
            ..lease.clone()
        })
    }

    /// Gives the lease up. Its epoch is never given again. A lease that is lost or
    /// [ended](Lease::end) is released.
    ///
    /// # Errors
    ///
    /// Those of the [`State`].
    pub async fn release(&self, lease: Lease) -> Result<()> {
        let vacant = Tenure {
            holder: None,
            epoch: lease.epoch,
        };
        let mut batch = Batch::new();
        batch
            .put(
                tenure_key(&lease.name),
                Guard::At(lease.fence),
                codec::encode(&vacant)?,
            )
            .delete(term_key(&lease.name), Guard::Any);
        match self.state.commit(batch).await {
            Err(error) if lease.is_lost(&error) => Ok(()),
            other => other.map(|_| ()),
        }
    }

    /// Whether `holder` would be granted the lease at `now`. It may be another's by the time of
    /// the answer: this tells who need not ask, never who may act.
    ///
    /// # Errors
    ///
    /// Those of the [`State`].
    pub async fn is_free(&self, name: &str, holder: &str, now: Timestamp) -> Result<bool> {
        let tenure = self.state.get(&tenure_key(name)).await?;
        let tenure: Option<Tenure> = tenure.as_ref().map(codec::decode).transpose()?;
        let Some(other) = tenure.and_then(|tenure| tenure.holder) else {
            return Ok(true);
        };
        let term = self.state.get(&term_key(name)).await?;
        let term = term.as_ref().map(codec::decode).transpose()?;
        Ok(check_free(name, holder, &other, term, now).is_ok())
    }

    async fn take(
        &self,
        name: &str,
        holder: &str,
        now: Timestamp,
        ttl: Duration,
        respect: bool,
        also: &Batch,
    ) -> Result<Lease> {
        let granted = Term::new(now, ttl)?;
        for _ in 0..ATTEMPTS {
            let tenure = self.state.get(&tenure_key(name)).await?;
            let term = self.state.get(&term_key(name)).await?;
            let version = |entry: &Option<_>| match entry {
                Some(crate::Entry { version, .. }) => Guard::At(*version),
                None => Guard::Absent,
            };
            let (tenure_guard, term_guard) = (version(&tenure), version(&term));
            let last: Option<Tenure> = tenure.as_ref().map(codec::decode).transpose()?;
            let term: Option<Term> = term.as_ref().map(codec::decode).transpose()?;
            if respect && let Some(other) = last.as_ref().and_then(|last| last.holder.as_deref()) {
                check_free(name, holder, other, term, now)?;
            }
            let epoch = last.map_or(1, |last| last.epoch + 1);
            let tenure = Tenure {
                holder: Some(holder.to_owned()),
                epoch,
            };
            let mut batch = also.clone();
            batch
                .put(tenure_key(name), tenure_guard, codec::encode(&tenure)?)
                // Sees a renewal between the reading and the writing.
                .put(term_key(name), term_guard, codec::encode(&granted)?);
            match self.state.commit(batch).await {
                Ok(committed) => {
                    return Ok(Lease {
                        name: name.to_owned(),
                        holder: holder.to_owned(),
                        epoch,
                        granted_at: granted.granted_at,
                        until: granted.until,
                        fence: committed.revision,
                    });
                }
                Err(error) if is_taken(&error, name) => {}
                Err(error) => return Err(error),
            }
        }
        Err(Error::new(
            ErrorKind::Busy,
            format!("lease `{name}` changes hands faster than it can be taken"),
        )
        .retry_with(Retry::After(ttl))
        .advise("Check that everyone who asks has a name of its own"))
    }
}

impl Lease {
    /// What it is a lease of.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Who was granted it.
    pub fn holder(&self) -> &str {
        &self.holder
    }

    /// Its epoch: greater than that of every grant of this lease before it.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// When it runs out, by the clock that granted or renewed it.
    pub fn until(&self) -> Timestamp {
        self.until
    }

    /// Has the batch refused unless this is still the newest grant.
    pub fn guard(&self, batch: &mut Batch) {
        batch.require(tenure_key(&self.name), Guard::At(self.fence));
    }

    /// Ends the lease with the batch: for work that is over with it, so that nothing is left
    /// where the process dies right after. The next to [acquire](Leases::acquire) one of this name
    /// gets the first epoch again, so what the epochs were for must be over too.
    pub fn end(&self, batch: &mut Batch) {
        batch
            .delete(tenure_key(&self.name), Guard::At(self.fence))
            .delete(term_key(&self.name), Guard::Any);
    }

    /// Whether a batch was refused because somebody else has the lease.
    pub fn is_lost(&self, error: &Error) -> bool {
        Conflict::of(error).is_some_and(|conflict| conflict.is_at(&tenure_key(&self.name)))
    }

    /// How long it lasts from `now`. Nothing where `now` is before the grant: a clock that went
    /// back cannot say how much time has passed.
    pub fn remaining(&self, now: Timestamp) -> Duration {
        if now < self.granted_at {
            return Duration::ZERO;
        }
        self.until
            .duration_since(now)
            .try_into()
            .unwrap_or(Duration::ZERO)
    }

    /// Whether a request that takes at most `timeout` may start at `now`: it is over before the
    /// lease is. Take as `timeout` the request's own, and a margin for clocks that disagree.
    pub fn allows(&self, now: Timestamp, timeout: Duration) -> bool {
        timeout < self.remaining(now)
    }
}

/// Whether a batch was refused because the lease has changed.
fn is_taken(error: &Error, name: &str) -> bool {
    let lease = [tenure_key(name), term_key(name)];
    Conflict::of(error).is_some_and(|conflict| lease.iter().any(|key| conflict.is_at(key)))
}

impl Term {
    fn new(now: Timestamp, ttl: Duration) -> Result<Self> {
        let until = SignedDuration::try_from(ttl)
            .and_then(|ttl| now.checked_add(ttl))
            .map_err(|source| {
                Error::new(
                    ErrorKind::Invalid,
                    format!("a lease cannot last {ttl:?} from {now}"),
                )
                .advise("Give a shorter time")
                .because(source)
            })?;
        Ok(Self {
            granted_at: now,
            until,
        })
    }
}

/// Whether `holder` may have what `other` holds.
fn check_free(
    name: &str,
    holder: &str,
    other: &str,
    term: Option<Term>,
    now: Timestamp,
) -> Result<()> {
    let Some(term) = term.filter(|term| now < term.until && other != holder) else {
        return Ok(());
    };
    let advice = if now < term.granted_at {
        "It was granted later than it is now, so one of the clocks is wrong: set them, or seize \
         the lease if the holder is gone"
    } else {
        "Wait until it has run out, or stop the holder"
    };
    let wait = term.until.duration_since(now);
    Err(Error::new(
        ErrorKind::Busy,
        format!("lease `{name}` is held by `{other}` until {}", term.until),
    )
    .retry_with(Retry::After(wait.try_into().unwrap_or(Duration::ZERO)))
    .advise(advice))
}

fn tenure_key(name: &str) -> String {
    format!("lease/{name}/holder")
}

fn term_key(name: &str) -> String {
    format!("lease/{name}/until")
}
