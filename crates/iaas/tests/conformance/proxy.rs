//! The fault proxy loses, delays and refuses what it is told to, and nothing else.

use std::sync::Arc;
use std::time::Duration;

use stillpoint_core::{ErrorKind, Labels, Retry, World};
use stillpoint_iaas::conformance::{Faulty, Trouble};
use stillpoint_iaas::sim::{At, Call, Personality, SimCloud, SimProvider};
use stillpoint_iaas::{Filter, Observation, Operation, OperationKind, Provider, ProviderExt};
use tokio::time::{sleep, timeout};

const LONG: Duration = Duration::from_secs(60);

fn proxy() -> (SimCloud, Faulty<SimProvider>) {
    let cloud = SimCloud::new(Personality::Rest);
    let proxy = Faulty::new(Arc::new(cloud.connect()));
    (cloud, proxy)
}

fn make() -> Operation {
    Operation::CreateVolume {
        name: "new".to_owned(),
        labels: Labels::new(),
        size: 4096,
        from: None,
    }
}

async fn submit(proxy: &dyn Provider, key: &str) -> stillpoint_core::Result<()> {
    proxy.submit(&key.parse()?, &make()).await.map(drop)
}

#[tokio::test(start_paused = true)]
async fn a_lost_reply_hangs_and_a_timeout_answers() {
    for done in [false, true] {
        for trouble in [Trouble::LostReply { done }, Trouble::TimedOut { done }] {
            let (cloud, proxy) = proxy();
            proxy.trouble(At::submit(OperationKind::CreateVolume), trouble);
            match (trouble, timeout(LONG, submit(&proxy, "make")).await) {
                (Trouble::LostReply { .. }, Err(_)) => {}
                (Trouble::TimedOut { .. }, Ok(Err(error))) => {
                    assert_eq!(error.world(), World::Unknown);
                }
                (_, answer) => panic!("{trouble:?} gives {answer:?}"),
            }
            let made = cloud.inventory().items.len();
            assert_eq!(made, usize::from(done), "{trouble:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_late_submit_comes_through_once_and_late() {
    let (cloud, proxy) = proxy();
    proxy.trouble(At::call(Call::Submit), Trouble::Late { by: LONG });
    let error = submit(&proxy, "make").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    sleep(LONG - Duration::from_secs(1)).await;
    assert!(cloud.inventory().items.is_empty());
    sleep(LONG).await;
    let seen = proxy.observe(&"make".parse().unwrap(), &make(), None).await;
    assert!(matches!(seen, Ok(Observation::Done { .. })), "{seen:?}");
    assert_eq!(cloud.inventory().items.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_does_not_come_through() {
    for (trouble, kind, wait) in [
        (
            Trouble::RateLimited {
                retry_after: Some(LONG),
            },
            ErrorKind::RateLimited,
            LONG,
        ),
        (
            Trouble::RateLimited { retry_after: None },
            ErrorKind::RateLimited,
            Duration::from_secs(1),
        ),
        (
            Trouble::Unavailable,
            ErrorKind::Unavailable,
            Duration::from_secs(1),
        ),
    ] {
        let (cloud, proxy) = proxy();
        proxy.trouble(At::call(Call::Submit), trouble);
        let error = submit(&proxy, "make").await.unwrap_err();
        assert_eq!((error.kind(), error.world()), (kind, World::Untouched));
        assert_eq!(error.retry(), Retry::After(wait));
        assert!(cloud.inventory().items.is_empty());
        submit(&proxy, "make").await.unwrap();
        assert_eq!(cloud.inventory().items.len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_stall_takes_its_time_with_any_call() {
    let (cloud, proxy) = proxy();
    let volume = cloud.add_volume("data", 4096);
    for call in [Call::Describe, Call::List, Call::Observe, Call::Cancel] {
        proxy.trouble(At::call(call), Trouble::Stall { by: LONG });
        let before = cloud.now();
        let key = "none".parse().unwrap();
        match call {
            Call::Describe => drop(proxy.describe(&volume).await.unwrap()),
            Call::List => {
                let listed = proxy.list_all(&Filter::default()).await.unwrap();
                assert_eq!(listed.len(), 1);
            }
            Call::Observe => drop(proxy.observe(&key, &make(), None).await.unwrap()),
            _ => proxy.cancel(&key, &make(), None).await.unwrap(),
        }
        assert!(cloud.now() >= before + LONG, "{call:?}");
    }
}
