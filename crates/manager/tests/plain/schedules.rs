//! A manager that captures itself.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use stillpoint_engine::{Engine, ScheduleSpec, Subject, TokioClock};
use stillpoint_manager::depot::Depot;
use stillpoint_manager::{Files, Manager, NAME, RecordState, SecretKey};
use stillpoint_state::{Memory, State};

#[tokio::test(start_paused = true)]
async fn a_schedule_captures_the_manager_and_keeps_some() {
    let (archives, key) = (tempfile::tempdir().unwrap(), SecretKey::generate());
    let folder = tempfile::tempdir().unwrap();
    for name in ["files", "staging"] {
        fs::create_dir(folder.path().join(name)).unwrap();
    }
    let clock = Arc::new(TokioClock::starting_at(
        "2026-03-01T12:00:00Z".parse().unwrap(),
    ));
    let state: Arc<dyn State> = Arc::new(Memory::new());
    let (engine, archives) = Manager::builder("Plain", "1")
        .component("files", Files::new(folder.path().join("files")))
        .depot(
            Depot::folder(archives.path(), "archives").unwrap(),
            folder.path().join("staging"),
        )
        .seal_for(key.public())
        .clock(Arc::clone(&clock) as Arc<dyn stillpoint_engine::Clock>)
        .register(Arc::clone(&state), Engine::builder(state))
        .unwrap();
    let engine = engine.clock(clock).build().unwrap();
    tokio::spawn(engine.run());
    let cron = stillpoint_schedule::Cron::parse("0 2 * * *").unwrap();
    let subject = Subject::Manager(NAME.to_owned());
    let mut nightly = ScheduleSpec::new("nightly", subject, cron);
    nightly.keep = Some(stillpoint_schedule::retention::Keep::new().last(2));
    let plan = engine.plan_schedule(&nightly).await.unwrap();
    engine.apply_schedule(&plan).await.unwrap();
    tokio::time::sleep(Duration::from_secs(4 * 86_400)).await;
    let records = archives.records().list().await.unwrap();
    let found: Vec<_> = records
        .iter()
        .map(|it| (it.id.as_str(), it.state))
        .collect();
    assert_eq!(
        found,
        [
            ("nightly-self-20260304-020000", RecordState::Created),
            ("nightly-self-20260305-020000", RecordState::Created),
        ]
    );
}
