use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use stillpoint_core::{Error, ErrorKind, Result};
use tokio::sync::watch;

use crate::entry::Revision;

/// How many changed keys are remembered. Who asks about older ones is woken early.
const REMEMBERED: usize = 4096;

/// Who is to be woken by which commit, within one process.
#[derive(Debug)]
pub(crate) struct Changes {
    recent: Mutex<Recent>,
    newest: watch::Sender<Revision>,
}

#[derive(Debug)]
struct Recent {
    /// All changes after this revision are in `keys`.
    complete_after: Revision,
    keys: VecDeque<(Revision, String)>,
}

impl Changes {
    /// Nothing is known of what happened up to `now`.
    pub(crate) fn new(now: Revision) -> Self {
        Self {
            recent: Mutex::new(Recent {
                complete_after: now,
                keys: VecDeque::new(),
            }),
            newest: watch::Sender::new(now),
        }
    }

    /// To be called once the commit shows to readers, in the order of revisions.
    pub(crate) fn publish(&self, revision: Revision, keys: impl IntoIterator<Item = String>) {
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        for key in keys {
            if recent.keys.len() == REMEMBERED
                && let Some((forgotten, _)) = recent.keys.pop_front()
            {
                recent.complete_after = forgotten;
            }
            recent.keys.push_back((revision, key));
        }
        drop(recent);
        self.newest.send_replace(revision);
    }

    /// See [`State::changed`](crate::State::changed).
    pub(crate) async fn wait(&self, prefix: &str, mut since: Revision) -> Result<()> {
        let mut newest = self.newest.subscribe();
        loop {
            let now = *newest.borrow_and_update();
            // A `since` from the future is of another history (an older copy was put back).
            if since > now || self.any(prefix, since) {
                return Ok(());
            }
            since = now;
            newest.changed().await.map_err(|_| {
                Error::new(ErrorKind::Unavailable, "the state is closed").advise("Open it again")
            })?;
        }
    }

    fn any(&self, prefix: &str, since: Revision) -> bool {
        let recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        since < recent.complete_after
            || recent
                .keys
                .iter()
                .rev()
                .take_while(|(revision, _)| *revision > since)
                .any(|(_, key)| key.starts_with(prefix))
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    fn wakes(changes: &Changes, prefix: &str, since: u64) -> bool {
        let waiting = changes.wait(prefix, Revision::new(since));
        waiting.now_or_never().is_some()
    }

    #[test]
    fn what_is_no_longer_known_wakes() {
        let changes = Changes::new(Revision::new(10));
        assert!(wakes(&changes, "a", 9), "before it was opened");
        assert!(!wakes(&changes, "a", 10));
        for revision in 11..=10 + REMEMBERED as u64 {
            changes.publish(Revision::new(revision), ["b".to_owned()]);
        }
        assert!(
            !wakes(&changes, "a", 10),
            "all changes are known, and none is of `a`"
        );
        assert!(wakes(&changes, "b", 10));
        let next = 11 + REMEMBERED as u64;
        changes.publish(Revision::new(next), ["b".to_owned()]);
        assert!(wakes(&changes, "a", 10), "the first change is forgotten");
        assert!(!wakes(&changes, "a", 11));
        assert!(wakes(&changes, "a", next + 1), "of another history");
    }
}
