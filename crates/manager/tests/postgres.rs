//! Captures and restores of managers with a real PostgreSQL 15: `apt-get install postgresql`, and
//! root, which starts it as the user `postgres`.

mod bed;

use bed::{Bed, Postgres};
use stillpoint_core::{ErrorKind, Unit};
use stillpoint_engine::{JobEvent, What};
use stillpoint_manager::{RecordState, RestoreManager, SecretKey, SettleManager};
use tokio::sync::broadcast::Receiver;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL 15 and root: .ci/run has both"]
async fn a_manager_is_captured_and_restored_on_a_fresh_one() {
    let postgres = Postgres::start();
    let archives = tempfile::tempdir().unwrap();
    let key = SecretKey::generate();
    let first = Bed::new(&postgres, "first", archives.path(), &key);
    first.live();
    let before = first.content();
    let mut events = first.engine.events();
    let captured = first.capture("monday").await.unwrap();
    ends_at_its_total(&mut events).await;
    assert_eq!(first.content(), before, "a capture changes nothing");
    let snapshot = first.engine.snapshot_of(&captured).await.unwrap();
    assert!(snapshot.verified.is_some());
    let record = first.records.get("monday").await.unwrap();
    assert_eq!(record.state, RecordState::Created);

    let second = Bed::new(&postgres, "second", archives.path(), &key);
    second
        .server
        .transaction("INSERT INTO licences VALUES ('of the second')")
        .unwrap();
    let mut events = second.engine.events();
    second.restore("monday").await.unwrap();
    assert_eq!(second.content(), before);
    ends_at_its_total(&mut events).await;
    let own = |sql: &str| second.server.query(sql).unwrap();
    assert_eq!(own("SELECT id FROM licences"), "of the second");
    assert_eq!(own("SELECT count(*) FROM sessions"), "0");
    assert_eq!(
        own("SELECT count(*) FROM executions WHERE status = 'started'"),
        "0"
    );

    let refused = second.restore("monday").await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Precondition);
    assert!(
        refused
            .to_string()
            .contains("500 blueprints, 1 secrets, 1 plugins"),
        "{refused}"
    );
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL 15 and root: .ci/run has both"]
async fn no_zero_byte_is_sent_to_a_database() {
    let postgres = Postgres::start();
    let archives = tempfile::tempdir().unwrap();
    let bed = Bed::new(&postgres, "first", archives.path(), &SecretKey::generate());
    // What psql would leave out is the end of the quotation.
    let cut = "INSERT INTO secrets VALUES ('a\0', 'b');\nDELETE FROM secrets; --')";
    let sent = [
        bed.server.transaction(cut),
        bed.server.query("SELECT '\0'").map(drop),
    ];
    for error in sent.map(Result::unwrap_err) {
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert!(error.to_string().contains("zero byte"), "{error}");
    }
}

/// What is told of a job: bytes, never back, also within a step, and in the end all of them.
async fn ends_at_its_total(events: &mut Receiver<JobEvent>) {
    let (mut told, mut total) = (vec![0], None);
    loop {
        match events.recv().await.unwrap().what {
            What::Progress { progress } => {
                assert_eq!(progress.unit(), Unit::Bytes);
                told.push(progress.done());
                total = Some(progress.total());
            }
            What::Ended { .. } => break,
            _ => {}
        }
    }
    assert!(told.is_sorted(), "it never goes back: {told:?}");
    assert_eq!(told.last().copied(), total, "it ends at its total");
    assert!(told.len() > 3, "also within a step: {told:?}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL 15 and root: .ci/run has both"]
async fn a_restore_is_undone_or_accepted() {
    let postgres = Postgres::start();
    let archives = tempfile::tempdir().unwrap();
    let key = SecretKey::generate();
    let bed = Bed::new(&postgres, "first", archives.path(), &key);
    bed.live();
    let monday = bed.content();
    bed.capture("monday").await.unwrap();
    bed.server
        .transaction("DELETE FROM secrets; UPDATE tenants SET name = 'renamed' WHERE id = 1")
        .unwrap();
    std::fs::write(bed.folder.path().join("plugins/two"), "later").unwrap();
    let tuesday = bed.content();

    let mut over = RestoreManager::of("monday");
    over.danger_replace_what_is_there = true;
    let restored = bed.run(&over.request()).await.unwrap();
    assert_eq!(bed.content(), monday);
    let settle = |undo| SettleManager {
        restore: restored.id,
        undo,
    };
    bed.run(&settle(true).request()).await.unwrap();
    assert_eq!(bed.content(), tuesday);
    assert_eq!(bed.leftovers(), [""; 0], "nothing is kept after an undo");
    let again = bed.run(&settle(true).request()).await.unwrap_err();
    assert_eq!(again.kind(), ErrorKind::NotFound);

    let restored = bed.run(&over.request()).await.unwrap();
    let accept = SettleManager {
        restore: restored.id,
        undo: false,
    };
    assert_ne!(bed.leftovers(), [""; 0], "what was there is kept");
    bed.run(&accept.request()).await.unwrap();
    assert_eq!(bed.content(), monday);
    assert_eq!(
        bed.leftovers(),
        [""; 0],
        "nothing is kept once it is accepted"
    );
    let records = bed.records.list().await.unwrap();
    assert_eq!(records.len(), 1, "safety archives are gone: {records:?}");
}
