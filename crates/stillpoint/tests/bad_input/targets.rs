//! Targets that are not what the plan was made for.

use std::fs::OpenOptions;
use std::sync::Arc;

use stillpoint::iaas::{Operation, Provider};
use stillpoint::local::LocalProvider;
use stillpoint::{ErrorKind, Stillpoint};

use crate::bed::{Bed, WEB, web};
use crate::{end, inventory, says};

#[tokio::test]
async fn a_target_that_was_cut_or_has_grown() {
    for size in [4096, 200_000] {
        let bed = Bed::new().await;
        let still = bed.start();
        let taken = still.snapshot(WEB).await.unwrap();
        let planned = still.restore(taken.id).plan().await.unwrap();
        OpenOptions::new()
            .write(true)
            .open(bed.file("root.img"))
            .unwrap()
            .set_len(size)
            .unwrap();
        let before = inventory(&bed, &still).await;
        let error = planned.start().await.unwrap_err();
        says(
            &error,
            ErrorKind::Conflict,
            &["here/volume/root.img is not what it was"],
        );
        let error = still.restore(taken.id).await.unwrap_err();
        says(&error, ErrorKind::Precondition, &["`root`", "128 KiB"]);
        assert_eq!(inventory(&bed, &still).await, before);
        end(still).await;
    }
}

#[tokio::test]
async fn a_plan_for_another_target() {
    let bed = Bed::new().await;
    let still = bed.start();
    let planned = still.snapshot(WEB).plan().await.unwrap();
    let stored = serde_json::to_string(planned.as_plan()).unwrap();
    end(still).await;
    let other = Bed::new().await;
    let elsewhere = Stillpoint::builder()
        .folder("there", other.folder())
        .state_file(other.state_file())
        .build()
        .unwrap();
    let plan = serde_json::from_str(&stored).unwrap();
    let before = inventory(&other, &elsewhere).await;
    let error = elsewhere.planned(plan).start().await.unwrap_err();
    says(&error, ErrorKind::NotFound, &["`here`", "there"]);
    assert_eq!(inventory(&other, &elsewhere).await, before);
}

#[tokio::test]
async fn a_target_that_lost_a_disk() {
    let bed = Bed::new().await;
    let provider = Arc::new(LocalProvider::open("here", bed.folder()).unwrap());
    let still = Stillpoint::builder()
        .provider(Arc::clone(&provider) as Arc<_>)
        .state_file(bed.state_file())
        .build()
        .unwrap();
    tokio::spawn(still.run());
    let taken = still.snapshot(WEB).await.unwrap();
    let planned = still.restore(taken.id).plan().await.unwrap();
    let detach = Operation::Detach {
        instance: web(),
        volume: taken.parts[1].volume.clone(),
    };
    provider
        .submit(&"somebody".parse().unwrap(), &detach)
        .await
        .unwrap();
    let before = inventory(&bed, &still).await;
    let error = planned.start().await.unwrap_err();
    says(
        &error,
        ErrorKind::Conflict,
        &["here/instance/web is not what it was"],
    );
    let error = still.restore(taken.id).await.unwrap_err();
    says(
        &error,
        ErrorKind::Precondition,
        &["here/instance/web has no disk `data` any more"],
    );
    assert_eq!(inventory(&bed, &still).await, before);
    end(still).await;
}
