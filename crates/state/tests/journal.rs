//! A record that is cut, changed, misplaced or missing is found and named.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use stillpoint_core::{ErrorKind, JobId};
use stillpoint_state::journal::{Journal, Record};
use stillpoint_state::lease::{Lease, Leases};
use stillpoint_state::{Batch, Conflict, Guard, Memory, State};

fn now() -> Timestamp {
    Timestamp::from_second(1_000).unwrap()
}

fn job(number: u8) -> JobId {
    JobId::new(now(), [number; 10])
}

async fn lease(state: &Arc<dyn State>, holder: &str) -> Lease {
    Leases::new(Arc::clone(state))
        .seize("engine", holder, now(), Duration::from_secs(30))
        .await
        .unwrap()
}

async fn written(records: u64) -> (Arc<dyn State>, Journal, Lease) {
    let state: Arc<dyn State> = Arc::new(Memory::new());
    let lease = lease(&state, "a").await;
    let journal = Journal::new(Arc::clone(&state), job(1));
    for seq in 0..records {
        let mut batch = Batch::new();
        journal.append(&mut batch, &lease, seq, format!("record {seq}").as_bytes());
        state.commit(batch).await.unwrap();
    }
    (state, journal, lease)
}

fn key(seq: u64) -> String {
    format!("job/{}/journal/{seq:020}", job(1))
}

async fn put(state: &Arc<dyn State>, key: String, value: Vec<u8>) {
    let mut batch = Batch::new();
    batch.put(key, Guard::Any, value);
    state.commit(batch).await.unwrap();
}

#[tokio::test]
async fn records_come_back_in_their_order_and_apart_from_those_of_others() {
    let (state, journal, lease) = written(12).await;
    let other = Journal::new(Arc::clone(&state), job(2));
    let mut batch = Batch::new();
    other.append(&mut batch, &lease, 0, b"");
    state.commit(batch).await.unwrap();

    let records = journal.read().await.unwrap().collect().await.unwrap();
    let due: Vec<_> = (0..12)
        .map(|seq| Record {
            seq,
            bytes: format!("record {seq}").into(),
        })
        .collect();
    assert_eq!(records, due);
    let records = other.read().await.unwrap().collect().await.unwrap();
    assert_eq!((records.len(), records[0].bytes.len()), (1, 0));
    let none = Journal::new(state, job(3)).read().await.unwrap();
    assert!(none.collect().await.unwrap().is_empty());
}

#[tokio::test]
async fn one_number_is_written_once() {
    let (state, journal, lease) = written(1).await;
    let mut batch = Batch::new();
    journal.append(&mut batch, &lease, 0, b"another");
    let refused = state.commit(batch).await.unwrap_err();
    assert!(Conflict::of(&refused).unwrap().is_at(&key(0)), "{refused}");
    assert!(!lease.is_lost(&refused));
    let records = journal.read().await.unwrap().collect().await.unwrap();
    assert_eq!(records[0].bytes, b"record 0"[..]);
}

#[tokio::test]
async fn who_lost_the_lease_appends_nothing() {
    let (state, journal, old) = written(1).await;
    let new = lease(&state, "b").await;
    let mut batch = Batch::new();
    journal.append(&mut batch, &old, 1, b"stale");
    batch.put("beside", Guard::Any, "1");
    let refused = state.commit(batch).await.unwrap_err();
    assert!(old.is_lost(&refused), "{refused}");
    assert_eq!(state.get("beside").await.unwrap(), None);
    let mut batch = Batch::new();
    journal.append(&mut batch, &new, 1, b"record 1");
    state.commit(batch).await.unwrap();
}

#[tokio::test]
async fn every_cut_and_every_flipped_bit_is_found_and_named() {
    let (state, journal, _) = written(3).await;
    let whole = state.get(&key(1)).await.unwrap().unwrap().value.to_vec();
    let cuts = (0..whole.len()).map(|length| whole[..length].to_vec());
    let flips = (0..whole.len() * 8).map(|bit| {
        let mut bytes = whole.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        bytes
    });
    let longer = [[whole.as_slice(), &[0]].concat()];
    for damaged in cuts.chain(flips).chain(longer) {
        put(&state, key(1), damaged.clone()).await;
        let error = journal.read().await.unwrap().collect().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{damaged:?}: {error}");
        let named = format!("record 1 of the journal of job {}", job(1));
        assert!(error.to_string().contains(&named), "{error}");
        assert!(error.advice().unwrap().contains("Do not continue this job"));
    }
    put(&state, key(1), whole).await;
    assert_eq!(
        journal.read().await.unwrap().collect().await.unwrap().len(),
        3
    );
}

#[tokio::test]
async fn a_record_in_the_wrong_place_is_found() {
    let (state, journal, lease) = written(3).await;
    let second = state.get(&key(1)).await.unwrap().unwrap().value;
    let third = state.get(&key(2)).await.unwrap().unwrap().value;
    put(&state, key(1), third.to_vec()).await;
    let error = journal.read().await.unwrap().collect().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");

    put(&state, key(1), second.to_vec()).await;
    let other = Journal::new(Arc::clone(&state), job(2));
    let mut batch = Batch::new();
    other.append(&mut batch, &lease, 1, b"record 1");
    state.commit(batch).await.unwrap();
    let theirs = format!("job/{}/journal/{:020}", job(2), 1);
    let theirs = state.get(&theirs).await.unwrap().unwrap().value;
    put(&state, key(1), theirs.to_vec()).await;
    let error = journal.read().await.unwrap().collect().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
}

#[tokio::test]
async fn a_missing_record_is_found() {
    for missing in 0..2 {
        let (state, journal, _) = written(3).await;
        let mut batch = Batch::new();
        batch.delete(key(missing), Guard::Any);
        state.commit(batch).await.unwrap();
        let error = journal.read().await.unwrap().collect().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt);
        let named = format!(
            "record {missing} of the journal of job {} is missing",
            job(1)
        );
        assert!(error.to_string().contains(&named), "{error}");
    }
}

#[tokio::test]
async fn a_record_of_a_later_version_is_told_from_a_changed_one() {
    let (state, journal, _) = written(1).await;
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&[2]);
    hasher.update(job(1).as_uuid().as_bytes());
    hasher.update(&0_u64.to_be_bytes());
    hasher.update(b"from the future");
    let frame = [
        &[2][..],
        &hasher.finalize().to_le_bytes(),
        b"from the future",
    ]
    .concat();
    put(&state, key(0), frame).await;
    let error = journal.read().await.unwrap().collect().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
    assert!(error.to_string().contains("version 2"), "{error}");
}

#[tokio::test]
async fn what_is_logged_shows_no_record() {
    let (_, journal, _) = written(1).await;
    let records = journal.read().await.unwrap().collect().await.unwrap();
    assert_eq!(format!("{:?}", records[0]), "Record { seq: 0, bytes: 8 }");
}
