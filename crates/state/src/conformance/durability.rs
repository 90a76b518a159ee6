//! The two ends of a test that kills a process while it commits.
//!
//! One process runs [`commit_until_killed`] and hands every acknowledgement out, by a pipe or the
//! like. Another one kills it, opens what it has left, and asks [`check`] whether everything that
//! was acknowledged is there.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use stillpoint_core::Result;
use tokio::task::JoinSet;

use crate::batch::{Batch, Guard};
use crate::conformance::number;
use crate::state::{State, StateExt};

/// Callers that commit at the same time.
const WRITERS: u64 = 8;
/// Keys that each batch writes.
const PARTS: u64 = 3;

/// A batch that was committed, as displayed and parsed: `ack <writer> <number>`.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Acknowledged {
    writer: u64,
    number: u64,
}

/// Commits batches from several callers, and calls `acknowledge` after each, until the process
/// ends. Numbers go on from what the state has, so that it can be killed many times.
///
/// # Errors
///
/// The first of a commit.
///
/// # Panics
///
/// Where `acknowledge` does.
pub async fn commit_until_killed(
    state: Arc<dyn State>,
    acknowledge: impl Fn(Acknowledged) + Clone + Send + Sync + 'static,
) -> Result<Infallible> {
    let mut writers = JoinSet::new();
    for writer in 0..WRITERS {
        writers.spawn(commit(Arc::clone(&state), writer, acknowledge.clone()));
    }
    match writers.join_next().await {
        Some(Ok(outcome)) => outcome,
        panicked => panic!("a writer ended: {panicked:?}"),
    }
}

async fn commit(
    state: Arc<dyn State>,
    writer: u64,
    acknowledge: impl Fn(Acknowledged),
) -> Result<Infallible> {
    let mut next = match state.get(&last_key(writer)).await? {
        Some(entry) => number(&entry.value).unwrap_or(0) + 1,
        None => 0,
    };
    loop {
        state.commit(batch(writer, next)).await?;
        acknowledge(Acknowledged {
            writer,
            number: next,
        });
        next += 1;
    }
}

/// Whether everything that was acknowledged is there, whole, and nothing is there by half.
/// Returns how many batches are there.
///
/// # Errors
///
/// What is missing.
pub async fn check(
    state: &dyn State,
    acknowledged: &[Acknowledged],
) -> Result<usize, Box<dyn std::error::Error + Send + Sync>> {
    let mut parts = BTreeMap::<Acknowledged, u64>::new();
    for entry in state.scan_prefix("durable/").await?.collect().await? {
        let [writer, number] = [1, 2].map(|part| {
            let text = entry.key.split('/').nth(part);
            text.and_then(|text| text.parse().ok()).unwrap_or(u64::MAX)
        });
        *parts.entry(Acknowledged { writer, number }).or_default() += 1;
    }
    for (batch, count) in &parts {
        if *count != PARTS {
            return Err(format!("{count} of {PARTS} writes of batch {batch} are there").into());
        }
    }
    for batch in acknowledged {
        if !parts.contains_key(batch) {
            return Err(format!("batch {batch} was acknowledged, and is gone").into());
        }
    }
    for writer in 0..WRITERS {
        let newest = parts.keys().filter(|batch| batch.writer == writer).max();
        let last = match state.get(&last_key(writer)).await? {
            Some(entry) => number(&entry.value).ok(),
            None => None,
        };
        if last != newest.map(|batch| batch.number) {
            return Err(format!("writer {writer} is at {last:?}, and wrote {newest:?}").into());
        }
    }
    Ok(parts.len())
}

fn batch(writer: u64, number: u64) -> Batch {
    let mut batch = Batch::new();
    batch.put(last_key(writer), Guard::Any, number.to_string());
    for part in 0..PARTS {
        let key = format!("durable/{writer}/{number:010}/{part}");
        // Of different sizes, so that records end at different places of a page.
        let value = vec![b'x'; 1 << (3 * part)];
        batch.put(key, Guard::Absent, value);
    }
    batch
}

fn last_key(writer: u64) -> String {
    format!("last/{writer}")
}

impl fmt::Display for Acknowledged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ack {} {}", self.writer, self.number)
    }
}

impl FromStr for Acknowledged {
    type Err = String;

    /// Reads what [`Display`](fmt::Display) writes.
    fn from_str(text: &str) -> Result<Self, String> {
        let mut words = text.split_whitespace();
        let parsed = (|| {
            (words.next()? == "ack").then_some(())?;
            let writer = words.next()?.parse().ok()?;
            let number = words.next()?.parse().ok()?;
            words.next().is_none().then_some(Self { writer, number })
        })();
        parsed.ok_or_else(|| format!("`{text}` is no acknowledgement"))
    }
}
