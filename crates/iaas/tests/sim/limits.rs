//! What is more than the limits allow is refused, and says when to come back.

use std::time::Duration;

use stillpoint_core::{ErrorKind, Retry};
use stillpoint_iaas::sim::{Personality, SimCloud};
use stillpoint_iaas::{Limits, RateLimit};
use tokio::time::sleep;

use crate::ask::{MIB, new_volume, submit};

#[tokio::test(start_paused = true)]
async fn one_call_per_ten_minutes_is_one_call_per_ten_minutes() {
    let per = Duration::from_secs(600);
    let cloud = SimCloud::builder(Personality::Rest)
        .limits(Limits {
            at_once: 64,
            rate: Some(RateLimit { calls: 1, per }),
            call_timeout: Duration::from_secs(60),
        })
        .build();
    let provider = cloud.connect();
    let make = new_volume(MIB, None);
    submit(&provider, "one", &make).await.unwrap();
    let error = submit(&provider, "two", &make).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::RateLimited);
    let Retry::After(wait) = error.retry() else {
        panic!("{error}");
    };
    assert!(
        wait <= per && wait > per - Duration::from_secs(5),
        "{wait:?}"
    );
    sleep(wait).await;
    submit(&provider, "two", &make).await.unwrap();
    assert_eq!(cloud.calls().submits, 3);
    assert_eq!(cloud.calls().rate_limited, 1);
}

#[tokio::test(start_paused = true)]
async fn no_more_run_at_once_than_may() {
    let cloud = SimCloud::builder(Personality::Rest)
        .limits(Limits {
            at_once: 2,
            rate: None,
            call_timeout: Duration::from_secs(60),
        })
        .build();
    let provider = cloud.connect();
    let make = new_volume(MIB, None);
    submit(&provider, "one", &make).await.unwrap();
    submit(&provider, "two", &make).await.unwrap();
    let error = submit(&provider, "three", &make).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::RateLimited);
    assert_eq!(cloud.calls().rate_limited, 1);
    cloud.settle().await;
    submit(&provider, "three", &make).await.unwrap();
}
