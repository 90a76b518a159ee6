use std::collections::BTreeMap;
use std::thread;
use std::time::{Duration, Instant};

use stillpoint_core::{Error, Result};
use tokio::sync::mpsc::error::TryRecvError;
use tokio::sync::{mpsc, oneshot};

use crate::batch::Operation;
use crate::entry::{Committed, Revision};
use crate::redb::database::Shared;
use crate::redb::error;
use crate::redb::table::{self, Applied};

/// Most batches that one durable commit carries.
const GROUP: usize = 128;

/// A batch, and who waits for it.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) operations: BTreeMap<String, Operation>,
    pub(super) reply: oneshot::Sender<Result<Committed>>,
}

/// Of the time that the last commit took, what the next may wait for those who were answered then.
const WAIT_FOR_THEM: u32 = 10;
/// However long that was: who was answered is back sooner, or not at all.
const LONGEST_WAIT: Duration = Duration::from_millis(1);

/// Commits what comes, until no more can come.
///
/// Whatever waits is committed together: while one group goes to the disk, the next gathers.
pub(super) fn run(shared: &Shared, mut queue: mpsc::Receiver<Job>) {
    // The newest revision, as far as it is known without asking.
    let mut newest = None;
    let (mut answered, mut took) = (0, Duration::ZERO);
    loop {
        let wait = (took / WAIT_FOR_THEM).min(LONGEST_WAIT);
        let group = gather(&mut queue, answered, wait);
        if group.is_empty() {
            return;
        }
        answered = group.len();
        let started = Instant::now();
        commit(shared, &mut newest, group);
        took = started.elapsed();
    }
}

/// What is to be committed next; nothing once no more can come.
///
/// Who was answered just now mostly has the next batch soon. Committed without waiting for them, a
/// first one would go alone, and all others wait for it.
fn gather(queue: &mut mpsc::Receiver<Job>, answered: usize, wait: Duration) -> Vec<Job> {
    let mut group = Vec::new();
    queue.blocking_recv_many(&mut group, GROUP);
    let first = Instant::now();
    while !group.is_empty() && group.len() < answered && first.elapsed() < wait {
        match queue.try_recv() {
            Ok(next) => group.push(next),
            Err(TryRecvError::Empty) => thread::yield_now(),
            Err(TryRecvError::Disconnected) => break,
        }
    }
    group
}

/// Nobody is answered before the whole group is durable: a refusal may rest on a batch before it
/// in the group.
fn commit(shared: &Shared, newest: &mut Option<Revision>, group: Vec<Job>) {
    let (batches, replies): (Vec<_>, Vec<_>) = group
        .into_iter()
        .map(|job| (job.operations, job.reply))
        .unzip();
    let outcomes = match try_commit(shared, newest, batches) {
        Ok(outcomes) => outcomes,
        Err(failure) => replies.iter().map(|_| Err(failure.clone())).collect(),
    };
    for (reply, outcome) in replies.into_iter().zip(outcomes) {
        // Who no longer waits does not need the answer.
        let _ = reply.send(outcome.map(|Applied { revision, .. }| Committed { revision }));
    }
}

fn try_commit(
    shared: &Shared,
    newest: &mut Option<Revision>,
    batches: Vec<BTreeMap<String, Operation>>,
) -> Result<Vec<Result<Applied>>> {
    let opened = shared.opened_again()?;
    let failed = |source: redb::Error| error::redb("write", shared.path(), source);
    let before = match newest.take() {
        Some(revision) => revision,
        None => match table::revision(&opened.database) {
            Ok(revision) => revision,
            Err(source) => return Err(shared.fail(opened, Revision::ZERO, failed(source))),
        },
    };
    let written = write(&opened.database, before, batches).map_err(failed);
    let mut outcomes = match written {
        Ok(outcomes) => outcomes,
        Err(failure) => return Err(shared.fail(opened, before, failure)),
    };
    *newest = Some(before);
    for applied in outcomes.iter_mut().flatten() {
        *newest = Some(applied.revision);
        if !applied.keys.is_empty() {
            shared
                .changes()
                .publish(applied.revision, std::mem::take(&mut applied.keys));
        }
    }
    Ok(outcomes)
}

fn write(
    database: &redb::Database,
    before: Revision,
    batches: Vec<BTreeMap<String, Operation>>,
) -> Result<Vec<Result<Applied>>, redb::Error> {
    let transaction = database.begin_write()?;
    let mut last = before;
    let mut outcomes = Vec::with_capacity(batches.len());
    let mut entries = transaction.open_table(table::ENTRIES)?;
    for operations in batches {
        let outcome: Result<Applied, Error> = table::apply(&mut entries, last, operations)?;
        if let Ok(applied) = &outcome {
            last = applied.revision;
        }
        outcomes.push(outcome);
    }
    drop(entries);
    if last == before {
        transaction.abort()?;
    } else {
        table::store_revision(&transaction, last)?;
        transaction.commit()?;
    }
    Ok(outcomes)
}
