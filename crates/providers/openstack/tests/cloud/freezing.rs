//! What is granted and refused by what an image says of its guests. None here has an agent.

use std::time::Duration;

use serde_json::json;
use stillpoint_core::{Consistency, ErrorKind, Memory, World};
use stillpoint_engine::{Request, Take};
use stillpoint_iaas::conformance::TestBed;
use stillpoint_iaas::{DiskOf, Operation, OperationKey, Provider, TakeSnapshot};

use crate::bed::{Bed, reference};
use crate::jobs::{engine, finish};

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cloud: lab/test.sh starts one and runs this"]
async fn without_the_properties_it_is_refused_before_anything_is_touched() {
    let bed = Bed::new();
    let size = bed.volume_size();
    let web = bed.make_instance(&bed.namespace(), &[("root", size)]).await;
    let before = bed.items();
    let folder = tempfile::tempdir().unwrap();
    let engine = engine(&bed, &folder.path().join("state"));
    tokio::spawn(engine.run());
    let take = Take {
        at_least: Consistency::Filesystem,
        ..Take::of(web)
    };
    let refused = finish(&engine, &Request::Take(take)).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Precondition);
    let why = "its image lacks hw_qemu_guest_agent and os_require_quiesce";
    assert!(refused.message().contains(why), "{refused}");
    assert_eq!(bed.items(), before);
    engine.shutdown(Duration::from_secs(5)).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cloud: lab/test.sh starts one and runs this"]
async fn with_the_properties_and_no_agent_nova_fails_and_nothing_is_left() {
    let bed = Bed::new();
    let cloud = bed.provider();
    let name = bed.namespace();
    let image = bed.hand.id("freezing_image", json!([name, 8]));
    let root = bed.hand.id("volume_of", json!([name, image]));
    let data = bed.make_volume(&name, bed.volume_size()).await;
    let web = bed.hand.id("from_volume", json!([name, [root, data.id()]]));
    let web = reference(&format!("instance/{web}"));
    let before = bed.items();
    let can = cloud.outlook(&web).await.unwrap().can.expect("more");
    assert_eq!(can.live, Some(Consistency::Filesystem));
    assert!(can.composite);

    let part = |id: &str| DiskOf {
        disk: id.to_owned(),
        volume: reference(&format!("volume/{id}")),
    };
    let key: OperationKey = format!("{name}.take").parse().unwrap();
    let take = Operation::Snapshot(TakeSnapshot {
        source: web.clone(),
        parts: vec![part(&root), part(data.id())],
        name,
        labels: Default::default(),
        group: true,
        quiesce: Some(Duration::from_secs(60)),
        memory: Memory::No,
        copy: can.copy,
    });
    let error = cloud.submit(&key, &take).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.world()),
        (ErrorKind::Precondition, World::Untouched),
        "{error}"
    );
    assert!(error.message().contains("could not freeze"), "{error}");
    assert_eq!(bed.items(), before);

    // With no demands Cinder takes it. The lab's has Nova do that, which freezes there, too, and
    // Cinder tells no reason; nothing is left of it.
    let folder = tempfile::tempdir().unwrap();
    let engine = engine(&bed, &folder.path().join("state"));
    tokio::spawn(engine.run());
    let job = finish(&engine, &Request::Take(Take::of(web))).await;
    let error = job.unwrap_err();
    assert_eq!(error.world(), World::RolledBack, "{error}");
    assert!(error.message().contains("in state `error`"), "{error}");
    assert_eq!(bed.items(), before);
    engine.shutdown(Duration::from_secs(5)).await;
}
