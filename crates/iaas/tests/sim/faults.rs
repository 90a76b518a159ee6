//! Every fault does what it says, and nothing else.

use std::time::Duration;

use stillpoint_core::{ErrorKind, Retry, World};
use stillpoint_iaas::sim::{At, Call, Fault, Personality, SimCloud};
use stillpoint_iaas::{Observation, OperationKind, Provider, ProviderExt};
use tokio::time::{sleep, timeout};

use crate::ask::{MIB, key, new_volume, run, submit};

const A_MINUTE: Duration = Duration::from_secs(60);

#[tokio::test(start_paused = true)]
async fn a_lost_answer_says_nothing_of_what_was_done() {
    for personality in Personality::ALL {
        for done in [false, true] {
            for fault in [Fault::LostReply { done }, Fault::TimedOut { done }] {
                let cloud = SimCloud::new(personality);
                let provider = cloud.connect();
                cloud.fault(At::submit(OperationKind::CreateVolume), fault);
                let make = new_volume(MIB, None);
                let answer = timeout(A_MINUTE, submit(&provider, "make", &make)).await;
                match (fault, answer) {
                    (Fault::LostReply { .. }, Err(_)) => {}
                    (Fault::TimedOut { .. }, Ok(Err(error))) => {
                        assert_eq!(error.kind(), ErrorKind::Timeout);
                        assert_eq!(error.world(), World::Unknown);
                    }
                    (_, answer) => panic!("{fault:?} on {personality} gives {answer:?}"),
                }
                cloud.settle().await;
                let made = cloud.inventory().ours().count();
                assert_eq!(made, usize::from(done), "{fault:?} on {personality}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_late_effect_shows_late_and_in_time() {
    let cloud = SimCloud::builder(Personality::Rest)
        .settle_time(A_MINUTE)
        .build();
    let provider = cloud.connect();
    let make = new_volume(MIB, None);
    for (by, fault) in [
        (
            50,
            Fault::Late {
                by: A_MINUTE - Duration::from_secs(10),
            },
        ),
        (
            90,
            Fault::PromiseBroken {
                by: A_MINUTE + Duration::from_secs(30),
            },
        ),
    ] {
        cloud.fault(At::submit(OperationKind::CreateVolume), fault);
        let before = cloud.inventory();
        let name = format!("make-{by}");
        let error = submit(&provider, &name, &make).await.unwrap_err();
        assert_eq!(error.world(), World::Unknown);
        sleep(Duration::from_secs(by - 1)).await;
        assert_eq!(cloud.inventory(), before, "{fault:?}");
        sleep(Duration::from_secs(2)).await;
        let seen = provider.observe(&key(&name), &make, None).await.unwrap();
        assert!(matches!(seen, Observation::Running { .. }), "{seen:?}");
        cloud.settle().await;
    }
}

#[tokio::test(start_paused = true)]
#[should_panic(expected = "breaks the promise")]
async fn an_effect_later_than_promised_must_be_asked_for_as_such() {
    let cloud = SimCloud::new(Personality::Declarative);
    cloud.fault(At::call(Call::Submit), Fault::Late { by: A_MINUTE });
}

#[tokio::test(start_paused = true)]
async fn a_refusal_changes_nothing_and_meets_only_its_call() {
    let retry_after = Some(Duration::from_secs(7));
    for (fault, kind, retry) in [
        (
            Fault::RateLimited { retry_after },
            ErrorKind::RateLimited,
            Retry::After(Duration::from_secs(7)),
        ),
        (
            Fault::RateLimited { retry_after: None },
            ErrorKind::RateLimited,
            Retry::After(Duration::from_secs(1)),
        ),
        (Fault::QuotaShort, ErrorKind::Quota, Retry::Never),
        (
            Fault::Unavailable,
            ErrorKind::Unavailable,
            Retry::After(Duration::from_secs(2)),
        ),
    ] {
        let cloud = SimCloud::new(Personality::Rest);
        let provider = cloud.connect();
        cloud.fault(At::submit(OperationKind::CreateVolume).nth(2), fault);
        let make = new_volume(MIB, None);
        submit(&provider, "one", &make).await.unwrap();
        let before = cloud.inventory();
        let error = submit(&provider, "two", &make).await.unwrap_err();
        assert_eq!((error.kind(), error.retry()), (kind, retry), "{error}");
        assert_eq!(error.world(), World::Untouched);
        assert_eq!(cloud.inventory(), before, "{fault:?}");
        submit(&provider, "two", &make).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_stuck_fails_in_the_end_and_names_what_it_left() {
    for personality in Personality::ALL {
        let cloud = SimCloud::new(personality);
        let provider = cloud.connect();
        let after = Duration::from_secs(10);
        cloud.fault(
            At::submit(OperationKind::CreateVolume),
            Fault::Fails { after },
        );
        let make = new_volume(MIB, None);
        let left = match run(&provider, "make", &make).await {
            Ok(Observation::Failed { left, .. }) => left,
            Ok(other) => panic!("{personality}: {other:?}"),
            Err(_) if personality == Personality::Process => Vec::new(),
            Err(error) => panic!("{personality}: {error}"),
        };
        let there = cloud.inventory();
        let ours: Vec<_> = there.ours().map(|(resource, _)| resource.clone()).collect();
        assert_eq!(left, ours, "{personality}");
    }
}

#[tokio::test(start_paused = true)]
async fn looking_can_fail_too() {
    let cloud = SimCloud::new(Personality::Rest);
    let provider = cloud.connect();
    for number in 0..7 {
        cloud.add_volume(&format!("volume-{number}"), MIB);
    }
    // The second page.
    cloud.fault(At::call(Call::List).nth(2), Fault::Unavailable);
    let error = provider.list_all(&Default::default()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert_eq!(
        provider.list_all(&Default::default()).await.unwrap().len(),
        7
    );

    let by = Duration::from_secs(30);
    cloud.fault(At::call(Call::Observe), Fault::Stall { by });
    let began = cloud.now();
    let (none, make) = (key("none"), new_volume(MIB, None));
    let seen = provider.observe(&none, &make, None).await;
    assert!(matches!(seen, Ok(Observation::Absent)));
    assert!(cloud.now() >= began + by);
}
