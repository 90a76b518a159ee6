//! What an older copy of the catalogue has forgotten is found and removed, and what is somebody
//! else's is not.
#![cfg(feature = "sim")]

use std::sync::Arc;

use stillpoint::iaas::sim::{NewInstance, Personality, SimCloud, clock_from};
use stillpoint::state::{Batch, Memory, State};
use stillpoint::{ErrorKind, Stillpoint, TokioClock};

#[tokio::test(start_paused = true)]
async fn found_and_removed() {
    let start = "2026-03-01T12:00:00Z".parse().unwrap();
    let cloud = SimCloud::builder(Personality::Rest)
        .name("prod")
        .clock(clock_from(start))
        .build();
    let web = cloud.add_instance(NewInstance::new("web-1").disk("root", 1 << 16).off());
    let theirs = cloud.add_snapshot("theirs", &cloud.disk(&web, "root").unwrap());
    let state: Arc<dyn State> = Arc::new(Memory::new());
    let still = Stillpoint::builder()
        .state(Arc::clone(&state))
        .provider(Arc::new(cloud.connect()))
        .clock(Arc::new(TokioClock::starting_at(start)))
        .build()
        .unwrap();
    tokio::spawn(still.run());

    let before = cloud.inventory();
    let taken = still.snapshot(web).await.unwrap();
    let made = &taken.parts[0].snapshot;
    let row = still.catalogue().get(taken.id).await.unwrap();
    let mut older = Batch::new();
    still.by("a backup").remove(&mut older, &row).unwrap();
    state.commit(older).await.unwrap();

    let found = still.orphans("prod").await.unwrap();
    let untracked: Vec<_> = found.untracked.iter().map(|it| &it.resource).collect();
    assert_eq!(untracked, [made]);
    assert!(found.foreign.contains(&theirs), "{found:?}");
    let refused = still.remove(theirs).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Precondition, "{refused}");
    let nonsense = still.remove("no reference").plan().await.unwrap_err();
    assert_eq!(nonsense.kind(), ErrorKind::Invalid, "{nonsense}");

    still.remove(made.clone()).await.unwrap();
    assert_eq!(before.diff(&cloud.inventory()), []);
    assert!(still.orphans("prod").await.unwrap().untracked.is_empty());
}
