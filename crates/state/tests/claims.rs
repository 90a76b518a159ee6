//! Two jobs never work on one thing, and what a job depends on stays.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;
use proptest::prelude::*;
use stillpoint_core::{ErrorKind, JobId, SnapshotId};
use stillpoint_state::claims::{Claim, Claims, Subject};
use stillpoint_state::{Batch, Guard, Memory, State};

fn job(number: u8) -> JobId {
    JobId::new(Timestamp::UNIX_EPOCH, [number; 10])
}

fn volume() -> Subject {
    Subject::Resource("prod/volume/a b/1".parse().unwrap())
}

fn snapshot() -> Subject {
    Subject::Snapshot(SnapshotId::new(Timestamp::UNIX_EPOCH, [0; 10]))
}

fn claims() -> (Arc<dyn State>, Claims) {
    let state: Arc<dyn State> = Arc::new(Memory::new());
    (Arc::clone(&state), Claims::new(state))
}

#[tokio::test]
async fn busy_names_the_job_and_the_thing() {
    let (state, claims) = claims();
    let mut batch = Batch::new();
    claims.take(&mut batch, &volume(), job(1)).await.unwrap();
    claims.share(&mut batch, &snapshot(), job(1)).await.unwrap();
    state.commit(batch).await.unwrap();

    let mut batch = Batch::new();
    let taken = claims
        .take(&mut batch, &volume(), job(2))
        .await
        .unwrap_err();
    let shared = claims
        .share(&mut batch, &volume(), job(2))
        .await
        .unwrap_err();
    for error in [taken, shared] {
        assert_eq!(error.kind(), ErrorKind::Busy);
        assert!(error.to_string().contains(&job(1).to_string()), "{error}");
        assert_eq!(error.resource().unwrap().to_string(), "prod/volume/a b/1");
    }
    let deleted = claims
        .take(&mut batch, &snapshot(), job(2))
        .await
        .unwrap_err();
    assert_eq!(deleted.kind(), ErrorKind::Busy);
    assert!(
        batch.is_empty(),
        "a refused claim leaves nothing in the batch"
    );
    claims.share(&mut batch, &snapshot(), job(2)).await.unwrap();
    state.commit(batch).await.unwrap();
    assert_eq!(claims.get(&snapshot()).await.unwrap().jobs().count(), 2);
}

#[tokio::test]
async fn of_two_batches_built_at_once_one_is_refused() {
    let (state, claims) = claims();
    let (mut one, mut two) = (Batch::new(), Batch::new());
    claims.take(&mut one, &volume(), job(1)).await.unwrap();
    claims.share(&mut two, &volume(), job(2)).await.unwrap();
    two.put("job/2", Guard::Absent, "…");
    state.commit(one).await.unwrap();
    let refused = state.commit(two).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Conflict);
    assert_eq!(state.get("job/2").await.unwrap(), None);

    // Also where the claim was there already, and is given up meanwhile.
    let (mut again, mut release) = (Batch::new(), Batch::new());
    claims.take(&mut again, &volume(), job(1)).await.unwrap();
    claims
        .release(&mut release, &volume(), job(1))
        .await
        .unwrap();
    state.commit(release).await.unwrap();
    assert!(state.commit(again).await.is_err());
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Release,
    Share,
    Take,
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn claims_are_those_of_a_lock(
        steps in prop::collection::vec(
            (1_u8..4, prop::sample::select(vec![Step::Release, Step::Share, Step::Take])), 0..40)
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let (state, claims) = claims();
            let (mut exclusive, mut shared) = (None, BTreeSet::new());
            for (who, step) in steps {
                let (job, subject) = (job(who), volume());
                let alone = exclusive.is_none_or(|other| other == job);
                let mut batch = Batch::new();
                let (outcome, due) = match step {
                    Step::Release => {
                        exclusive = exclusive.filter(|other| *other != job);
                        shared.remove(&job);
                        (claims.release(&mut batch, &subject, job).await, true)
                    }
                    Step::Share => (claims.share(&mut batch, &subject, job).await, alone),
                    Step::Take => (
                        claims.take(&mut batch, &subject, job).await,
                        alone && shared.iter().all(|other| *other == job),
                    ),
                };
                assert_eq!(outcome.is_ok(), due);
                match step {
                    Step::Take if due => exclusive = Some(job),
                    Step::Share if due && exclusive.is_none() => drop(shared.insert(job)),
                    _ => {}
                }
                state.commit(batch).await.unwrap();
                let found = claims.get(&subject).await.unwrap();
                assert_eq!(found, Claim { exclusive, shared: shared.clone() });
                let rows = state.scan("", "").await.unwrap().collect().await.unwrap().len();
                assert_eq!(rows, usize::from(found != Claim::default()), "rows are left over");
            }
        });
    }
}
