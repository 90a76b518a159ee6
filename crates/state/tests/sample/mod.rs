//! What the tests of the catalogue put into it.

use std::collections::BTreeSet;

use jiff::Timestamp;
use stillpoint_core::{JobId, Labels, Snapshot, SnapshotId, SnapshotState};

pub(crate) fn snapshot(number: u8) -> Snapshot {
    let at = Timestamp::from_second(i64::from(number)).unwrap();
    Snapshot {
        id: SnapshotId::new(at, [number; 10]),
        source: "prod/instance/web-1".parse().unwrap(),
        name: format!("nightly-{number}"),
        description: String::new(),
        labels: Labels::new(),
        state: SnapshotState::Taken,
        parts: vec![],
        omitted: vec![],
        consistency: Default::default(),
        memory: Default::default(),
        created_at: at,
        taken_at: Some(at),
        verified: None,
        exports: vec![],
        pins: BTreeSet::new(),
        schedule: None,
        expires_at: None,
        job: JobId::new(at, [number; 10]),
    }
}
