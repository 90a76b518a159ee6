//! Lists are what a plain filter and sort would give, and changes by people lose nothing.

mod sample;

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;
use proptest::prelude::*;
use stillpoint_core::{ErrorKind, Labels, Snapshot, SnapshotId, SnapshotState};
use stillpoint_state::catalogue::{Author, Catalogue, Name, Order, Query, SortBy};
use stillpoint_state::{Batch, Guard, Memory, State};

use crate::sample::snapshot;

fn by_anna(catalogue: &Catalogue) -> Author {
    catalogue.by("anna", Timestamp::UNIX_EPOCH)
}

async fn holding(snapshots: &[Snapshot]) -> (Arc<dyn State>, Catalogue) {
    let state: Arc<dyn State> = Arc::new(Memory::new());
    let catalogue = Catalogue::new(Arc::clone(&state));
    for snapshot in snapshots {
        let mut batch = Batch::new();
        by_anna(&catalogue).insert(&mut batch, snapshot).unwrap();
        state.commit(batch).await.unwrap();
    }
    (state, catalogue)
}

fn snapshots() -> impl Strategy<Value = Vec<Snapshot>> {
    let one = (
        prop::sample::select(vec!["prod/instance/a", "prod/volume/a", "lab/instance/b"]),
        prop::sample::select(vec!["nightly", "nightly-2", "before upgrade"]),
        prop::sample::select(vec![SnapshotState::Taken, SnapshotState::Creating]),
        prop::option::of(0_i64..10),
        prop::sample::select(vec!["blue", "green", ""]),
    );
    prop::collection::vec(one, 0..25).prop_map(|all| {
        let build = |(number, (source, name, state, taken, label)): (
            usize,
            (&str, &str, _, Option<i64>, &str),
        )| {
            let mut snapshot = snapshot(number as u8);
            snapshot.source = source.parse().unwrap();
            snapshot.name = name.to_owned();
            snapshot.state = state;
            snapshot.taken_at = taken.map(|second| Timestamp::from_second(second).unwrap());
            if !label.is_empty() {
                snapshot
                    .labels
                    .insert("colour".to_owned(), label.to_owned());
            }
            snapshot
        };
        all.into_iter().enumerate().map(build).collect()
    })
}

fn queries() -> impl Strategy<Value = Query> {
    let instant = || prop::option::of((0_i64..12).prop_map(|s| Timestamp::from_second(s).unwrap()));
    let conditions = (
        prop::option::of(prop::sample::select(vec!["blue", "green"])),
        prop::option::of(Just(SnapshotState::Taken)),
        prop::option::of(Just("prod/instance/a".parse().unwrap())),
        prop::option::of(Just("prod".to_owned())),
        prop::option::of(prop::sample::select(vec![
            Name::Is("nightly".to_owned()),
            Name::Contains("night".to_owned()),
        ])),
    );
    let shape = (
        prop::sample::select(vec![SortBy::Date, SortBy::Name]),
        prop::sample::select(vec![Order::Ascending, Order::Descending]),
        0_usize..4,
        prop::option::of(0_usize..6),
    );
    (conditions, instant(), instant(), shape).prop_map(
        |((label, state, source, provider, name), from, before, (sort, order, offset, limit))| {
            Query {
                labels: label
                    .map(|value| ("colour".to_owned(), value.to_owned()))
                    .into_iter()
                    .collect(),
                states: state.into_iter().collect(),
                source,
                provider,
                name,
                from,
                before,
                sort,
                order,
                after: None,
                offset,
                limit,
            }
        },
    )
}

/// What the query means, said once more.
fn expected(snapshots: &[Snapshot], query: &Query) -> Vec<SnapshotId> {
    let date = |s: &Snapshot| s.taken_at.unwrap_or(s.created_at);
    let mut found: Vec<_> = snapshots
        .iter()
        .filter(|s| query.labels.iter().all(|(k, v)| s.labels.get(k) == Some(v)))
        .filter(|s| query.states.is_empty() || query.states.contains(&s.state))
        .filter(|s| query.source.iter().all(|source| *source == s.source))
        .filter(|s| {
            query
                .provider
                .iter()
                .all(|name| name == s.source.provider())
        })
        .filter(|s| match &query.name {
            Some(Name::Is(name)) => s.name == *name,
            Some(Name::Contains(part)) => s.name.contains(part),
            None => true,
        })
        .filter(|s| query.from.iter().all(|from| date(s) >= *from))
        .filter(|s| query.before.iter().all(|before| date(s) < *before))
        .collect();
    found.sort_by_key(|s| match query.sort {
        SortBy::Date => (date(s), String::new(), s.id),
        SortBy::Name => (Timestamp::MIN, s.name.clone(), s.id),
    });
    if query.order == Order::Descending {
        found.reverse();
    }
    found.into_iter().map(|s| s.id).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_list_is_a_filter_and_a_sort(snapshots in snapshots(), query in queries()) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let (_, catalogue) = holding(&snapshots).await;
            let due = expected(&snapshots, &query);
            let page = catalogue.list(&query).await.unwrap();
            let found: Vec<_> = page.rows.iter().map(|row| row.snapshot.id).collect();
            let limit = query.limit.unwrap_or(usize::MAX);
            let slice: Vec<_> = due.iter().copied().skip(query.offset).take(limit).collect();
            assert_eq!(found, slice);
            assert_eq!(page.total, due.len());

            // Turning pages shows each once, and ends.
            let mut query = Query { offset: 0, limit: Some(limit.clamp(1, 5)), ..query };
            let mut found = Vec::new();
            loop {
                let page = catalogue.list(&query).await.unwrap();
                assert_eq!(page.total, due.len());
                found.extend(page.rows.iter().map(|row| row.snapshot.id));
                query.after = page.next;
                if query.after.is_none() {
                    break;
                }
            }
            assert_eq!(found, due);

            let json = serde_json::to_string(&query).unwrap();
            assert_eq!(serde_json::from_str::<Query>(&json).unwrap(), query);
        });
    }
}

#[tokio::test]
async fn a_query_is_read_with_what_it_leaves_out_and_refused_with_what_it_misspells() {
    let query: Query = serde_json::from_str(r#"{"name":{"is":"nightly"},"limit":5}"#).unwrap();
    assert_eq!((query.sort, query.order), (SortBy::Date, Order::Descending));
    assert!(serde_json::from_str::<Query>(r#"{"lable":{}}"#).is_err());

    let (_, catalogue) = holding(&[snapshot(1), snapshot(2)]).await;
    let by_date = Query {
        limit: Some(1),
        ..Query::default()
    };
    let next = catalogue.list(&by_date).await.unwrap().next;
    let by_name = Query {
        sort: SortBy::Name,
        after: next,
        ..Query::default()
    };
    let refused = catalogue.list(&by_name).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Invalid);
}

#[tokio::test]
async fn people_rename_describe_label_and_pin() {
    let (_, catalogue) = holding(&[snapshot(1)]).await;
    let id = snapshot(1).id;
    by_anna(&catalogue).rename(id, "golden").await.unwrap();
    by_anna(&catalogue)
        .describe(id, "Before the upgrade.\nKeep.")
        .await
        .unwrap();
    let labels = Labels::from([("team".to_owned(), "db".to_owned())]);
    by_anna(&catalogue)
        .set_labels(id, labels.clone())
        .await
        .unwrap();
    by_anna(&catalogue).pin(id, "audit").await.unwrap();
    let row = by_anna(&catalogue).pin(id, "audit").await.unwrap();
    assert_eq!(row, catalogue.get(id).await.unwrap());
    assert_eq!(row.snapshot.name, "golden");
    assert_eq!(row.snapshot.labels, labels);
    assert_eq!(row.snapshot.pins, BTreeSet::from(["audit".to_owned()]));
    let row = by_anna(&catalogue).unpin(id, "audit").await.unwrap();
    let again = by_anna(&catalogue).unpin(id, "audit").await.unwrap();
    assert_eq!(row, again, "what changes nothing writes nothing");

    for refused in [
        by_anna(&catalogue).rename(id, "").await,
        by_anna(&catalogue).rename(id, &"x".repeat(256)).await,
        by_anna(&catalogue).rename(id, "a\nb").await,
        by_anna(&catalogue).describe(id, "\u{1b}[2J").await,
        by_anna(&catalogue).pin(id, "").await,
        by_anna(&catalogue)
            .set_labels(id, Labels::from([(String::new(), String::new())]))
            .await,
    ] {
        let error = refused.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
    }
    let missing = by_anna(&catalogue)
        .rename(snapshot(2).id, "x")
        .await
        .unwrap_err();
    assert_eq!(missing.kind(), ErrorKind::NotFound);
    assert!(missing.to_string().contains(&snapshot(2).id.to_string()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn changes_at_once_are_all_made() {
    let (_, catalogue) = holding(&[snapshot(1)]).await;
    let mut changes = tokio::task::JoinSet::new();
    for number in 0..8 {
        let catalogue = catalogue.clone();
        changes.spawn(async move {
            by_anna(&catalogue)
                .pin(snapshot(1).id, &format!("reason {number}"))
                .await
        });
    }
    assert!(changes.join_all().await.iter().all(Result::is_ok));
    assert_eq!(
        catalogue
            .get(snapshot(1).id)
            .await
            .unwrap()
            .snapshot
            .pins
            .len(),
        8
    );
}

#[tokio::test]
async fn what_is_pinned_is_not_deleted_and_what_is_being_deleted_not_pinned() {
    let (state, catalogue) = holding(&[snapshot(1)]).await;
    let id = snapshot(1).id;
    let row = by_anna(&catalogue).pin(id, "audit").await.unwrap();
    let mut batch = Batch::new();
    let refused = by_anna(&catalogue)
        .begin_delete(&mut batch, &row)
        .unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Precondition);
    assert_eq!(refused.reasons(), ["audit"]);
    assert!(batch.is_empty());

    // Pinned between the reading and the commit.
    let row = by_anna(&catalogue).unpin(id, "audit").await.unwrap();
    by_anna(&catalogue).begin_delete(&mut batch, &row).unwrap();
    by_anna(&catalogue).pin(id, "late").await.unwrap();
    let refused = state.commit(batch).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Conflict);

    let row = by_anna(&catalogue).unpin(id, "late").await.unwrap();
    let mut batch = Batch::new();
    by_anna(&catalogue).begin_delete(&mut batch, &row).unwrap();
    state.commit(batch).await.unwrap();
    let refused = by_anna(&catalogue).pin(id, "too late").await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Precondition, "{refused}");

    let row = catalogue.get(id).await.unwrap();
    assert_eq!(row.snapshot.state, SnapshotState::Deleting);
    let mut batch = Batch::new();
    by_anna(&catalogue).remove(&mut batch, &row).unwrap();
    state.commit(batch).await.unwrap();
    assert_eq!(
        catalogue.get(id).await.unwrap_err().kind(),
        ErrorKind::NotFound
    );
}

#[tokio::test]
async fn a_row_is_written_by_who_read_it_last() {
    let (state, catalogue) = holding(&[snapshot(1)]).await;
    let old = catalogue.get(snapshot(1).id).await.unwrap();
    by_anna(&catalogue)
        .rename(snapshot(1).id, "other")
        .await
        .unwrap();
    let (mut update, mut remove, mut insert) = (Batch::new(), Batch::new(), Batch::new());
    by_anna(&catalogue)
        .update(&mut update, &old, &old.snapshot)
        .unwrap();
    by_anna(&catalogue).remove(&mut remove, &old).unwrap();
    by_anna(&catalogue)
        .insert(&mut insert, &old.snapshot)
        .unwrap();
    for batch in [update, remove, insert] {
        assert_eq!(
            state.commit(batch).await.unwrap_err().kind(),
            ErrorKind::Conflict
        );
    }
}

#[tokio::test]
async fn a_row_that_cannot_be_read_is_named() {
    let (state, catalogue) = holding(&[snapshot(1)]).await;
    let key = format!("snapshot/{}", snapshot(1).id);
    let mut batch = Batch::new();
    batch.put(key.as_str(), Guard::Any, &b"{\"id\":"[..]);
    state.commit(batch).await.unwrap();
    for error in [
        catalogue.get(snapshot(1).id).await.unwrap_err(),
        catalogue.list(&Query::default()).await.unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::Corrupt);
        assert!(error.to_string().contains(&key), "{error}");
    }
}
