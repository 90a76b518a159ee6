//! Random batches: memory does what a map does, and redb does what memory does.

use std::collections::BTreeMap;

use proptest::prelude::*;
use stillpoint_core::ErrorKind;
use stillpoint_state::{Batch, Conflict, Guard, Memory, Redb, Revision, State, Write};

#[derive(Clone, Debug)]
struct Op {
    key: &'static str,
    guard: Guessed,
    write: Option<Write>,
}

/// A guard as a caller makes it who knows more or less.
#[derive(Clone, Copy, Debug)]
enum Guessed {
    Absent,
    Any,
    Right,
    Version(u64),
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let key = prop::sample::select(vec!["a", "a/b", "a/ü", "b", "c", "c\u{10ffff}"]);
    let guard = prop_oneof![
        1 => Just(Guessed::Absent),
        3 => Just(Guessed::Any),
        4 => Just(Guessed::Right),
        1 => (0_u64..8).prop_map(Guessed::Version),
    ];
    let value = prop::collection::vec(any::<u8>(), 0..20);
    let write = prop_oneof![
        1 => Just(None),
        1 => Just(Some(Write::Delete)),
        3 => value.prop_map(|value| Some(Write::Put(value.into()))),
    ];
    let op = (key, guard, write).prop_map(|(key, guard, write)| Op { key, guard, write });
    prop::collection::vec(op, 0..5)
}

/// The state as a map, written as plainly as can be.
#[derive(Debug, Default)]
struct Model {
    entries: BTreeMap<String, (Vec<u8>, Revision)>,
    revision: Revision,
}

impl Model {
    fn version(&self, key: &str) -> Option<Revision> {
        self.entries.get(key).map(|entry| entry.1)
    }

    fn guard(&self, op: &Op) -> Guard {
        match (op.guard, self.version(op.key)) {
            (Guessed::Absent, _) | (Guessed::Right, None) => Guard::Absent,
            (Guessed::Any, _) => Guard::Any,
            (Guessed::Right, Some(version)) => Guard::At(version),
            (Guessed::Version(number), _) => Guard::At(Revision::new(number)),
        }
    }

    /// None where a guard fails.
    fn commit(&mut self, ops: &[Op]) -> Option<Revision> {
        let holds = |op: &Op| match self.guard(op) {
            Guard::Absent => self.version(op.key).is_none(),
            Guard::Any => true,
            Guard::At(version) => self.version(op.key) == Some(version),
        };
        if !ops.iter().all(holds) {
            return None;
        }
        if ops.iter().any(|op| op.write.is_some()) {
            self.revision = self.revision.next();
        }
        for op in ops {
            match &op.write {
                Some(Write::Delete) => drop(self.entries.remove(op.key)),
                Some(Write::Put(value)) => {
                    let entry = (value.to_vec(), self.revision);
                    self.entries.insert(op.key.to_owned(), entry);
                }
                None => {}
            }
        }
        Some(self.revision)
    }
}

fn batch(model: &Model, ops: &[Op]) -> Batch {
    let mut batch = Batch::new();
    for op in ops {
        let guard = model.guard(op);
        match op.write.clone() {
            Some(Write::Delete) => batch.delete(op.key, guard),
            Some(Write::Put(value)) => batch.put(op.key, guard, value),
            None => batch.require(op.key, guard),
        };
    }
    batch
}

async fn follows(state: &dyn State, batches: &[Vec<Op>]) {
    let mut model = Model::default();
    for ops in batches {
        let batch = batch(&model, ops);
        let valid = batch.check().is_ok();
        let outcome = state.commit(batch).await;
        if !valid {
            assert_eq!(outcome.unwrap_err().kind(), ErrorKind::Invalid);
            continue;
        }
        match (model.commit(ops), outcome) {
            (Some(revision), Ok(committed)) => assert_eq!(committed.revision, revision),
            (None, Err(error)) => {
                let conflict = Conflict::of(&error).unwrap();
                for refusal in conflict.refusals() {
                    assert_eq!(refusal.found, model.version(&refusal.key));
                    assert!(!refusal.demanded.holds(refusal.found));
                }
            }
            other => panic!("{ops:?}: {other:?}"),
        }
        let scan = state.scan("", "").await.unwrap();
        assert_eq!(scan.revision(), model.revision);
        let found: Vec<_> = scan.collect().await.unwrap();
        let found: Vec<_> = found
            .into_iter()
            .map(|entry| (entry.key, (entry.value.to_vec(), entry.version)))
            .collect();
        let due: Vec<_> = model.entries.clone().into_iter().collect();
        assert_eq!(found, due);
    }
}

fn run(future: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap()
        .block_on(future);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn memory_is_a_map(batches in prop::collection::vec(ops(), 0..30)) {
        run(async { follows(&Memory::new(), &batches).await });
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 40, ..ProptestConfig::default() })]

    #[test]
    fn redb_is_a_map(batches in prop::collection::vec(ops(), 0..15)) {
        let folder = tempfile::tempdir().unwrap();
        let state = Redb::create(folder.path().join("state.redb")).unwrap();
        run(async { follows(&state, &batches).await });
    }
}
