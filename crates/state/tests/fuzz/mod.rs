//! The body of the fuzz target, which the fuzzer and `replay_corpus.rs` both run.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use stillpoint_core::{Error, ErrorKind, JobId};
use stillpoint_state::journal::{Journal, Record};
use stillpoint_state::lease::Leases;
use stillpoint_state::{Batch, Guard, Memory, State};

/// What is read of a journal is what was appended to it, and nothing else is read.
pub(crate) fn journal_record(data: &[u8]) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    runtime.block_on(async {
        match read(data.to_vec()).await {
            Ok(record) => assert_eq!(append(&record.bytes).await, data),
            Err(error) => assert_names_it(&error),
        }
        let [place, bit, record @ ..] = data else {
            return;
        };
        let framed = append(record).await;
        assert_eq!(read(framed.clone()).await.unwrap().bytes, record);
        let mut changed = framed;
        let place = usize::from(*place) % changed.len();
        changed[place] ^= 1 << (bit % 8);
        let error = read(changed).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt);
        assert_names_it(&error);
    });
}

fn assert_names_it(error: &Error) {
    assert!(
        matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::Invalid),
        "{error:?}"
    );
    let text = error.to_string();
    assert!(
        text.contains("record 0") && text.contains(&job().to_string()),
        "{text}"
    );
}

fn job() -> JobId {
    JobId::new(Timestamp::UNIX_EPOCH, [0; 10])
}

fn key() -> String {
    format!("job/{}/journal/{:020}", job(), 0)
}

/// The record, were this its stored bytes.
async fn read(stored: Vec<u8>) -> Result<Record, Error> {
    let state: Arc<dyn State> = Arc::new(Memory::new());
    let mut batch = Batch::new();
    batch.put(key(), Guard::Absent, stored);
    state.commit(batch).await.unwrap();
    let records = Journal::new(state, job())
        .read()
        .await
        .unwrap()
        .collect()
        .await?;
    let [record] = <[Record; 1]>::try_from(records).expect("one is stored");
    Ok(record)
}

/// The stored bytes of this record.
async fn append(record: &[u8]) -> Vec<u8> {
    let state: Arc<dyn State> = Arc::new(Memory::new());
    let now = Timestamp::UNIX_EPOCH;
    let lease = Leases::new(Arc::clone(&state))
        .acquire("engine", "fuzz", now, Duration::from_secs(30))
        .await
        .unwrap();
    let mut batch = Batch::new();
    Journal::new(Arc::clone(&state), job()).append(&mut batch, &lease, 0, record);
    state.commit(batch).await.unwrap();
    state
        .get(&key())
        .await
        .unwrap()
        .expect("it was stored")
        .value
        .to_vec()
}
