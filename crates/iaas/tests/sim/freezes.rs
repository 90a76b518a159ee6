//! Freezes hold writes, end by themselves, and are on record.

use std::time::Duration;

use stillpoint_core::{Capture, Consistency, ErrorKind, ResourceRef};
use stillpoint_iaas::sim::{At, Fault, NewInstance, Personality, SimCloud};
use stillpoint_iaas::{Observation, Operation, OperationKind, Provider};
use tokio::time::{sleep, timeout};

use crate::ask::{MIB, key, run, snapshot, submit, taken};

fn counting(cloud: &SimCloud) -> (ResourceRef, ResourceRef, ResourceRef) {
    let new = NewInstance::new("web-1")
        .disk("root", MIB)
        .disk("data", MIB);
    let web = cloud.add_instance(new.writing(Duration::from_millis(10)));
    let disk = |name| cloud.disk(&web, name).unwrap();
    (web.clone(), disk("root"), disk("data"))
}

fn count(cloud: &SimCloud, of: &ResourceRef) -> Vec<u8> {
    cloud.read(of, MIB - 8, 8)
}

fn freeze(instance: &ResourceRef, seconds: u64) -> Operation {
    Operation::Freeze {
        instance: instance.clone(),
        at_most: Duration::from_secs(seconds),
    }
}

#[tokio::test(start_paused = true)]
async fn parts_taken_under_one_freeze_are_of_one_instant() {
    for personality in [Personality::Declarative, Personality::Files] {
        let cloud = SimCloud::new(personality);
        let (web, root, data) = counting(&cloud);
        let provider = cloud.connect();
        run(&provider, "freeze", &freeze(&web, 300)).await.unwrap();
        let mut counts = Vec::new();
        for volume in [&root, &data] {
            let take = Operation::Snapshot(snapshot(volume, &[volume]));
            let seen = run(&provider, &format!("take-{}", volume.id()), &take).await;
            let taken = taken(seen.unwrap());
            assert_eq!(taken.consistency, Consistency::Filesystem);
            assert_eq!(taken.capture, Capture::Live);
            counts.push(count(&cloud, &taken.parts[0].snapshot));
        }
        assert_eq!(counts[0], counts[1], "{personality}");
        assert_ne!(counts[0], [0; 8]);

        let thaw = Operation::Thaw { instance: web };
        run(&provider, "thaw", &thaw).await.unwrap();
        assert_ne!(count(&cloud, &root), counts[0], "it writes again");
        let log = cloud.freeze_log();
        assert_eq!(log.len(), 1);
        assert!(
            !log[0].thawed_itself && log[0].duration().is_some(),
            "{}",
            log[0]
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_freeze_that_was_too_short_shows_in_what_is_reached() {
    let cloud = SimCloud::new(Personality::Declarative);
    let (web, root, _) = counting(&cloud);
    let provider = cloud.connect();
    let short = freeze(&web, 20);
    submit(&provider, "freeze", &short).await.unwrap();
    sleep(Duration::from_secs(1)).await;
    let held = provider.observe(&key("freeze"), &short, None).await;
    assert!(matches!(held, Ok(Observation::Done { .. })), "{held:?}");
    sleep(Duration::from_secs(30)).await;
    let log = cloud.freeze_log();
    assert_eq!(log[0].duration().unwrap().as_secs(), 20, "{}", log[0]);
    assert!(log[0].thawed_itself);

    let take = Operation::Snapshot(snapshot(&root, &[&root]));
    let seen = run(&provider, "take", &take).await.unwrap();
    assert_eq!(taken(seen).consistency, Consistency::Crash);
}

#[tokio::test(start_paused = true)]
async fn freezing_again_gives_more_time_and_stays_one_freeze() {
    let cloud = SimCloud::new(Personality::InProcess);
    let (web, ..) = counting(&cloud);
    let provider = cloud.connect();
    submit(&provider, "one", &freeze(&web, 10)).await.unwrap();
    sleep(Duration::from_secs(5)).await;
    submit(&provider, "two", &freeze(&web, 10)).await.unwrap();
    sleep(Duration::from_secs(9)).await;
    assert!(cloud.is_frozen(&web));
    sleep(Duration::from_secs(2)).await;
    assert!(!cloud.is_frozen(&web));
    assert_eq!(cloud.freeze_log().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn without_an_agent_nothing_is_frozen() {
    let cloud = SimCloud::new(Personality::Rest);
    let new = NewInstance::new("web-1").disk("root", MIB).without_agent();
    let web = cloud.add_instance(new);
    let root = cloud.disk(&web, "root").unwrap();
    let provider = cloud.connect();
    let mut take = snapshot(&web, &[&root]);
    take.quiesce = Some(Duration::from_secs(60));
    let before = cloud.inventory();
    let error = submit(&provider, "take", &Operation::Snapshot(take)).await;
    assert_eq!(error.unwrap_err().kind(), ErrorKind::Precondition);
    assert_eq!(cloud.inventory(), before);
    assert!(cloud.freeze_log().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_quiesce_whose_host_dies_thaws_itself() {
    let cloud = SimCloud::new(Personality::InProcess);
    let (web, root, data) = counting(&cloud);
    let provider = cloud.connect();
    // Both parts are of one instant here, so it thaws at once, and the log shows that.
    let mut take = snapshot(&web, &[&root, &data]);
    take.quiesce = Some(Duration::from_secs(60));
    submit(&provider, "take", &Operation::Snapshot(take))
        .await
        .unwrap();
    assert!(!cloud.is_frozen(&web));

    submit(&provider, "freeze", &freeze(&web, 30))
        .await
        .unwrap();
    sleep(Duration::from_secs(1)).await;
    cloud.crash();
    assert!(cloud.is_frozen(&web));
    cloud.settle().await;
    assert!(!cloud.is_frozen(&web));
    assert!(cloud.freeze_log()[1].thawed_itself);
}

#[tokio::test(start_paused = true)]
async fn a_freeze_that_hangs_holds_until_it_thaws_itself() {
    for done in [false, true] {
        let cloud = SimCloud::new(Personality::Declarative);
        let (web, ..) = counting(&cloud);
        let provider = cloud.connect();
        cloud.fault(At::submit(OperationKind::Freeze), Fault::LostReply { done });
        let hung = freeze(&web, 30);
        let wait = Duration::from_secs(10);
        let answer = timeout(wait, submit(&provider, "freeze", &hung)).await;
        assert!(answer.is_err(), "{answer:?}");
        assert_eq!(cloud.is_frozen(&web), done);
        let seen = provider.observe(&key("freeze"), &hung, None).await;
        assert_eq!(
            done,
            matches!(seen, Ok(Observation::Done { .. })),
            "{seen:?}"
        );
        cloud.settle().await;
        assert!(!cloud.is_frozen(&web));
    }
}
