use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use stillpoint_core::ErrorKind;
use tokio::task::JoinSet;

use crate::batch::{Batch, Guard};
use crate::conformance::{Verdict, ensure, number};
use crate::entry::Revision;
use crate::state::State;

const KEY: &str = "counter";
const CALLERS: u64 = 8;
const INCREMENTS: u64 = 15;

/// A call, and what it says of the one key: that it was `value` at `version`. The clock counts
/// beginnings and ends of all calls, so that it tells which call was over before which began.
#[derive(Debug)]
struct Call {
    wrote: bool,
    began: u64,
    ended: u64,
    value: u64,
    version: Revision,
}

/// Callers add one to a number until each has done so often enough, and the history of all their
/// calls must be that of one number.
///
/// Every write has a version of its own, so a history is linearizable exactly if the values are
/// those of a number counted up in the order of versions, and no call that was over before
/// another began has a version after the other's.
pub(super) async fn check(state: Arc<dyn State>) -> Verdict {
    let clock = Arc::new(AtomicU64::new(0));
    let mut callers = JoinSet::new();
    for _ in 0..CALLERS {
        callers.spawn(count(Arc::clone(&state), Arc::clone(&clock)));
    }
    let mut history = Vec::new();
    while let Some(done) = callers.join_next().await {
        history.extend(done??);
    }
    values_count_up(&mut history)?;
    order_is_that_of_time(&history)
}

async fn count(state: Arc<dyn State>, clock: Arc<AtomicU64>) -> Verdict<Vec<Call>> {
    let tick = || clock.fetch_add(1, Ordering::SeqCst);
    let mut history = Vec::new();
    let mut done = 0;
    while done < INCREMENTS {
        let began = tick();
        let entry = state.get(KEY).await?;
        let ended = tick();
        let (value, version) = match &entry {
            Some(entry) => (number(&entry.value)?, entry.version),
            None => (0, Revision::ZERO),
        };
        history.push(Call {
            wrote: false,
            began,
            ended,
            value,
            version,
        });
        // Lets the others in, where a state answers without ever waiting.
        tokio::task::yield_now().await;
        let guard = entry.map_or(Guard::Absent, |entry| Guard::At(entry.version));
        let mut batch = Batch::new();
        batch.put(KEY, guard, (value + 1).to_string());
        let began = tick();
        let outcome = state.commit(batch).await;
        let ended = tick();
        match outcome {
            Ok(committed) => {
                done += 1;
                history.push(Call {
                    wrote: true,
                    began,
                    ended,
                    value: value + 1,
                    version: committed.revision,
                });
            }
            Err(error) if error.kind() == ErrorKind::Conflict => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(history)
}

fn values_count_up(history: &mut [Call]) -> Verdict {
    // A write before the reads of it.
    history.sort_by_key(|call| (call.version, !call.wrote));
    let mut now = (0, Revision::ZERO);
    for call in history.iter() {
        if call.wrote {
            ensure!(
                call.version > now.1 && call.value == now.0 + 1,
                "{} was written at version {} over {} at version {}",
                call.value,
                call.version,
                now.0,
                now.1
            );
            now = (call.value, call.version);
        }
        ensure!(
            (call.value, call.version) == now,
            "{} was read at version {}, where {} was written at {}",
            call.value,
            call.version,
            now.0,
            now.1
        );
    }
    ensure!(
        now.0 == CALLERS * INCREMENTS,
        "{} increments gave {}",
        CALLERS * INCREMENTS,
        now.0
    );
    Ok(())
}

fn order_is_that_of_time(history: &[Call]) -> Verdict {
    let mut by_beginning: Vec<_> = history.iter().collect();
    by_beginning.sort_by_key(|call| call.began);
    let mut by_end: Vec<_> = history.iter().collect();
    by_end.sort_by_key(|call| call.ended);
    let mut over = by_end.into_iter().peekable();
    let mut newest = Revision::ZERO;
    for call in by_beginning {
        while let Some(earlier) = over.next_if(|earlier| earlier.ended < call.began) {
            newest = newest.max(earlier.version);
        }
        ensure!(
            call.version >= newest,
            "version {} was seen by a call that began after one that saw {newest} was over",
            call.version
        );
    }
    Ok(())
}
