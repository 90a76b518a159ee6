//! Tokens that end, and jobs that do not.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use stillpoint_engine::{Request, Take};
use stillpoint_iaas::conformance::TestBed;
use stillpoint_iaas::{Operation, Provider};

use crate::bed::Bed;
use crate::hand::Hand;
use crate::jobs::{ended, engine, finish};
use crate::things::{done, made, take};

/// How long a token lives, in seconds.
const LIFE: u64 = 12;

/// Keystone, with tokens that end soon; when it is dropped, as it was.
struct ShortLived {
    hand: Arc<Hand>,
    before: u64,
}

impl ShortLived {
    fn new(bed: &Bed) -> Self {
        let hand = Arc::clone(&bed.hand);
        let before = hand.ask("token_life", json!([LIFE]));
        let before = before.as_u64().expect("so many seconds");
        Self { hand, before }
    }
}

impl Drop for ShortLived {
    fn drop(&mut self) {
        if let Err(error) = self.hand.try_ask("token_life", json!([self.before])) {
            eprintln!("tokens still end early: {error}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cloud: lab/test.sh starts one and runs this"]
async fn a_token_that_is_revoked_is_replaced() {
    let bed = Bed::new();
    let name = bed.namespace();
    let volume = bed.make_volume(&name, bed.volume_size()).await;
    let before = bed.items();
    let cloud = bed.provider();
    cloud.describe(&volume).await.unwrap();
    bed.hand.ask("token_revoked", json!([]));
    let key = format!("{name}.take");
    let snapshot = made(&cloud, &key, &take(&volume, &name)).await;
    bed.hand.ask("token_revoked", json!([]));
    let delete = Operation::DeleteSnapshot { snapshot };
    done(&cloud, &format!("{name}.gone"), &delete).await;
    assert_eq!(bed.items(), before);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cloud: lab/test.sh starts one and runs this"]
async fn tokens_that_end_by_themselves_are_renewed_in_the_middle_of_jobs() {
    // Keystone is everybody's.
    let bed = Bed::alone();
    let web = bed.make_web().await;
    let before = bed.items();
    let short = ShortLived::new(&bed);
    let folder = tempfile::tempdir().unwrap();
    let engine = engine(&bed, &folder.path().join("state"));
    tokio::spawn(engine.run());
    // The plan is made with one token, and the job begins with the next.
    let plan = engine.plan(&Request::Take(Take::of(web))).await.unwrap();
    tokio::time::sleep(Duration::from_secs(LIFE + 1)).await;
    let id = engine.start(&plan).await.unwrap();
    let taken = ended(&engine, id).await.unwrap().into_result().unwrap();
    tokio::time::sleep(Duration::from_secs(LIFE + 1)).await;
    let snapshot = taken.snapshot.unwrap();
    finish(&engine, &Request::Delete { snapshot })
        .await
        .unwrap();
    drop(short);
    assert_eq!(bed.items(), before);
    engine.shutdown(Duration::from_secs(5)).await;
}
