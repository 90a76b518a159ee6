//! What a control plane is made of, as its embedder says it.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use stillpoint_core::Result;

use crate::dump::Dump;
use crate::probe::Token;
use crate::site::Site;
use crate::stage::Stage;

/// A part of a control plane: its database, a folder of files, whatever else it keeps.
///
/// Three methods are required; the rest have defaults that fit a component with nothing to say.
/// All of them may block: they run on threads for that. All may be called again after a crash, for
/// the same [`Site`], and then find what they had done. A panic is an error of the component.
///
/// In the order of a capture: [`prepare`](Self::prepare), [`lock`](Self::lock),
/// [`fix`](Self::fix), [`unlock`](Self::unlock), [`dump`](Self::dump), [`release`](Self::release).
/// Of a restore: [`preflight`](Self::preflight), [`lock`](Self::lock), [`stage`](Self::stage),
/// [`cut_over`](Self::cut_over), [`reconnect`](Self::reconnect), [`validate`](Self::validate),
/// [`unlock`](Self::unlock), and once it is accepted [`commit`](Self::commit). Of its undo:
/// [`lock`](Self::lock), [`cut_back`](Self::cut_back), [`fail_back`](Self::fail_back),
/// [`commit`](Self::commit) and [`unstage`](Self::unstage), [`unlock`](Self::unlock).
pub trait Component: fmt::Debug + Send + Sync + 'static {
    /// Writes what [`fix`](Self::fix) has fixed into the archive. Outside of the lock.
    ///
    /// # Errors
    /// Whatever keeps it from being whole: then there is no archive.
    fn dump(&self, dump: &mut Dump<'_, '_>) -> Result<()>;

    /// Makes what an archive holds ready beside what is there, and checks it. What is there is not
    /// touched: [`unstage`](Self::unstage) has to leave all as it was.
    ///
    /// # Errors
    /// Whatever would make the result less than the archive. Single items that have no place here
    /// are no error but [noted](Stage::unplaced).
    fn stage(&self, stage: &Stage<'_>) -> Result<()>;

    /// Puts what was staged in the place of what is there, in one step that is whole or not done,
    /// and keeps the old one. Done already is a success.
    ///
    /// # Errors
    /// It has to be as before then.
    fn cut_over(&self, site: &Site) -> Result<()>;

    /// The components that must be locked and restored before this one, by their names.
    fn depends_on(&self) -> &[String] {
        &[]
    }

    /// What the archive's metadata says of it: its kind, its format, its schema. No secrets. It is
    /// asked once the point in time is [fixed](Self::fix), and what it says is of that.
    fn describe(&self, _site: &Site) -> Value {
        Value::Null
    }

    /// What it has and does not give, and why.
    fn left_out(&self) -> Vec<LeftOut> {
        Vec::new()
    }

    /// Whether it is captured only where that is asked for.
    fn only_on_request(&self) -> bool {
        false
    }

    /// Whether it can make itself ready from what a snapshot of a Cloudify Manager holds: its
    /// [`stage`](Self::stage) then has [about](Stage::about) with the kind `cloudify`.
    fn places_cloudify(&self) -> bool {
        false
    }

    /// What stands in the way of restoring this here, all of it; changes nothing.
    ///
    /// # Errors
    /// Where it cannot be told: that stands in the way, too.
    fn preflight(&self, _about: &Value) -> Result<Vec<String>> {
        Ok(Vec::new())
    }

    /// The tenants of what an archive holds of it, which a restore may choose from. None: it cannot
    /// tell them apart, and a restore of single tenants is refused.
    ///
    /// # Errors
    /// Where it cannot be told: that stands in the way, too.
    fn tenants(&self, _about: &Value) -> Result<Option<Vec<String>>> {
        Ok(None)
    }

    /// How many of each kind of entity there are. A manager is *clean* where all are none.
    ///
    /// # Errors
    /// Where it cannot be told.
    fn inhabitants(&self) -> Result<Vec<(String, u64)>> {
        Ok(Vec::new())
    }

    /// Whether this token, which Stillpoint has just written to its own state, can be found in what
    /// a restore replaces. It would then swap its own journal away.
    ///
    /// # Errors
    /// Where it cannot be told.
    fn holds(&self, _token: &Token) -> Result<bool> {
        Ok(false)
    }

    /// Bytes that a capture of it writes, as near as can be told beforehand: its progress is measured
    /// by them. 0 where nobody knows.
    ///
    /// # Errors
    /// Where it cannot be told: it then counts for nothing.
    fn size(&self) -> Result<u64> {
        Ok(0)
    }

    /// Keeps others from changing it. Held already by this holder is a success.
    ///
    /// # Errors
    /// Where it cannot: nothing more is locked, and what was is unlocked.
    fn lock(&self, _holder: &str) -> Result<()> {
        Ok(())
    }

    /// Lets others change it again. Not held, or by another holder, is a success and changes
    /// nothing: it is called more often than [`lock`](Self::lock), also after a crash.
    ///
    /// # Errors
    /// Where it cannot: it is tried again.
    fn unlock(&self, _holder: &str) -> Result<()> {
        Ok(())
    }

    /// Does beforehand what makes [`fix`](Self::fix) short.
    ///
    /// # Errors
    /// Whatever fails ends the capture.
    fn prepare(&self, _site: &Site) -> Result<()> {
        Ok(())
    }

    /// Fixes the point in time, while all components are locked: as little as possible.
    ///
    /// # Errors
    /// Whatever fails ends the capture.
    fn fix(&self, _site: &Site) -> Result<()> {
        Ok(())
    }

    /// Lets go of what [`fix`](Self::fix) holds; nothing is a success.
    fn release(&self, _site: &Site) {}

    /// Removes what was staged, or a part of it; nothing is a success.
    ///
    /// # Errors
    /// Where something is left.
    fn unstage(&self, _site: &Site) -> Result<()> {
        Ok(())
    }

    /// Takes a [`cut_over`](Self::cut_over) back: the old one is in its place again. Not cut over
    /// is a success.
    ///
    /// # Errors
    /// Where that is not possible.
    fn cut_back(&self, _site: &Site) -> Result<()> {
        Ok(())
    }

    /// Lets those outside find the new one. What fails here fails as an item: the restore ends as
    /// partially failed.
    ///
    /// # Errors
    /// Naming whom it could not reach.
    fn reconnect(&self, _site: &Site) -> Result<()> {
        Ok(())
    }

    /// Lets those outside find the old one again, once an undo has put it back. What fails here
    /// fails as an item: the undo ends as partially failed.
    ///
    /// # Errors
    /// Naming whom it could not reach.
    fn fail_back(&self, _site: &Site) -> Result<()> {
        Ok(())
    }

    /// Checks that it works. What fails here fails as an item.
    ///
    /// # Errors
    /// Naming what is not as it should be.
    fn validate(&self, _site: &Site) -> Result<()> {
        Ok(())
    }

    /// Removes the old one, which [`cut_over`](Self::cut_over) kept; nothing is a success.
    ///
    /// # Errors
    /// Where something is left.
    fn commit(&self, _site: &Site) -> Result<()> {
        Ok(())
    }
}

/// Something that a capture does not hold, and why.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct LeftOut {
    /// What: `table provider_context`.
    pub what: String,
    /// Why: `it belongs to the manager it is on`.
    pub why: String,
}
