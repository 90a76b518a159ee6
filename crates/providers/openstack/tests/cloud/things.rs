//! What the kit does not try: bytes, images, and disks on a hypervisor.

use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt};
use serde_json::json;
use stillpoint_core::{CopyKind, Error, ErrorKind, Labels, Memory, ResourceRef, Result};
use stillpoint_iaas::conformance::TestBed;
use stillpoint_iaas::{
    DiskOf, Observation, Operation, OperationKey, Output, Provider, TakeSnapshot, Ticket,
};
use stillpoint_openstack::{NewImage, OpenStack};

use crate::bed::{Bed, reference};

/// Longer than any operation takes.
const LONG: Duration = Duration::from_secs(300);

/// Runs an operation to its end.
pub(crate) async fn run(cloud: &OpenStack, key: &str, operation: &Operation) -> Observation {
    let key: OperationKey = key.parse().unwrap();
    let ticket = cloud.submit(&key, operation).await.unwrap();
    over(cloud, &key, operation, &ticket).await
}

/// Watches an operation to its end.
async fn over(
    cloud: &OpenStack,
    key: &OperationKey,
    operation: &Operation,
    ticket: &Ticket,
) -> Observation {
    let start = Instant::now();
    loop {
        match cloud.observe(key, operation, Some(ticket)).await.unwrap() {
            Observation::Running { look_again_in, .. } => {
                assert!(start.elapsed() < LONG, "{operation}: it does not end");
                tokio::time::sleep(look_again_in).await;
            }
            over => return over,
        }
    }
}

pub(crate) async fn made(cloud: &OpenStack, key: &str, operation: &Operation) -> ResourceRef {
    match run(cloud, key, operation).await {
        Observation::Done { output, twins } if twins.is_empty() => output.created().remove(0),
        other => panic!("{operation}: {other:?}"),
    }
}

pub(crate) async fn done(cloud: &OpenStack, key: &str, operation: &Operation) {
    match run(cloud, key, operation).await {
        Observation::Done { .. } => {}
        other => panic!("{operation}: {other:?}"),
    }
}

pub(crate) fn take(volume: &ResourceRef, name: &str) -> Operation {
    Operation::Snapshot(TakeSnapshot {
        source: volume.clone(),
        parts: vec![DiskOf {
            disk: "root".into(),
            volume: volume.clone(),
        }],
        name: name.into(),
        labels: Labels::from([("purpose".to_owned(), "test".to_owned())]),
        group: false,
        quiesce: None,
        memory: Memory::No,
        copy: CopyKind::Shallow,
    })
}

#[tokio::test]
#[ignore = "needs a cloud: lab/test.sh starts one and runs this"]
async fn bytes_come_back_in_new_volumes_images_and_the_volume_itself() {
    let bed = Bed::new();
    let cloud = bed.provider();
    let name = bed.namespace();
    let volume = bed.make_volume(&name, bed.volume_size()).await;
    bed.fill(&volume, 1).await;
    let was = bed.digest(&volume).await.unwrap();
    let snapshot = made(&cloud, &format!("{name}.take"), &take(&volume, &name)).await;
    bed.fill(&volume, 2).await;
    assert_ne!(bed.digest(&volume).await.unwrap(), was);
    assert_eq!(bed.digest(&snapshot).await.unwrap(), was, "the snapshot");

    let create = Operation::CreateVolume {
        name: name.clone(),
        labels: Labels::new(),
        size: bed.volume_size(),
        from: Some(snapshot.clone()),
    };
    let copy = made(&cloud, &format!("{name}.volume"), &create).await;
    assert_eq!(bed.digest(&copy).await.unwrap(), was, "the new volume");

    let create = Operation::CreateImage {
        name: name.clone(),
        labels: Labels::from([("purpose".to_owned(), "test".to_owned())]),
        from: snapshot.clone(),
    };
    let image = made(&cloud, &format!("{name}.image"), &create).await;
    assert_eq!(
        cloud.describe(&image).await.unwrap().labels["purpose"],
        "test"
    );
    let there = cloud.image_bytes(&image).await.unwrap();
    assert_eq!(
        (there.size, there.format.as_str()),
        (bed.volume_size(), "raw")
    );
    let pattern: u8 = 38; // what `fill` writes at the start for seed 1
    let part = cloud
        .read_image(&image, (1 << 20) - 3..(1 << 20) + 2)
        .await
        .unwrap();
    let part: Vec<_> = part.try_collect().await.unwrap();
    assert_eq!(part.concat(), [pattern, pattern, pattern, 0, 0]);

    let revert = Operation::Revert {
        volume: volume.clone(),
        to: snapshot,
    };
    done(&cloud, &format!("{name}.revert"), &revert).await;
    assert_eq!(bed.digest(&volume).await.unwrap(), was, "the volume itself");
}

#[tokio::test]
#[ignore = "needs a cloud: lab/test.sh starts one and runs this"]
async fn an_image_goes_in_and_comes_out_as_it_was() {
    const CHUNK: usize = 1 << 20;
    let bed = Bed::new();
    let before = bed.items();
    let cloud = bed.provider();
    let name = bed.namespace();
    // Longer than any buffer on its way, and no chunk like the one before.
    let chunk = |number: usize| {
        let bytes = (0..CHUNK).map(move |at| (at.wrapping_mul(number + 7) >> 5) as u8);
        bytes.collect::<Vec<u8>>()
    };
    let all: Vec<u8> = (0..9).flat_map(chunk).collect();
    let given = move |end: Result<Bytes>| {
        let chunks = (0..9).map(move |number| Ok(Bytes::from(chunk(number))));
        futures_util::stream::iter(chunks.chain([end])).boxed()
    };
    let new = NewImage::new(&name, "raw").label("purpose", "test");
    let key: OperationKey = format!("{name}.in").parse().unwrap();

    // Cut off half-way it is no image; then it is written whole, and once.
    let cut = Err(Error::new(ErrorKind::Unavailable, "the source is gone"));
    let error = cloud
        .upload_image(&key, &new, given(cut))
        .await
        .unwrap_err();
    println!("cut off: {error}");
    assert_eq!(bed.items(), before);
    let nothing = || Ok(Bytes::new());
    let image = cloud.upload_image(&key, &new, given(nothing())).await;
    let image = image.unwrap();
    let again = cloud.upload_image(&key, &new, given(nothing())).await;
    assert_eq!(again.unwrap(), image);
    let there = cloud.image_bytes(&image).await.unwrap();
    assert_eq!(there.size, all.len() as u64);
    assert_eq!(
        cloud.describe(&image).await.unwrap().labels["purpose"],
        "test"
    );

    let out = cloud.download_image(&image).await.unwrap();
    let out: Vec<_> = out.try_collect().await.unwrap();
    assert!(out.concat() == all, "it came out as it went in");
    let range = cloud
        .read_image(&image, 3_000_000..3_000_100)
        .await
        .unwrap();
    let range: Vec<_> = range.try_collect().await.unwrap();
    assert_eq!(range.concat(), all[3_000_000..3_000_100]);
    done(
        &cloud,
        &format!("{name}.gone"),
        &Operation::DeleteImage { image },
    )
    .await;
    assert_eq!(bed.items(), before);
}

#[tokio::test]
#[ignore = "needs a cloud: lab/test.sh starts one and runs this"]
async fn the_root_disk_of_an_image_backed_server_is_taken_stopped_and_put_back() {
    let bed = Bed::new();
    let cloud = bed.provider();
    let name = bed.namespace();
    let base = bed.hand.id("image", json!([name, 8]));
    let server = bed.hand.id("from_image", json!([name, base, "m1.nano"]));
    let before = bed.items();
    let root = reference(&format!("volume/root-of-{server}"));

    let snapshot = made(&cloud, &format!("{name}.take"), &take(&root, &name)).await;
    assert_eq!(snapshot.kind(), stillpoint_core::ResourceKind::Image);

    // Another one is stopped on its way.
    let (key, other) = (format!("{name}.stop").parse().unwrap(), take(&root, &name));
    let ticket = cloud.submit(&key, &other).await.unwrap();
    cloud.cancel(&key, &other, Some(&ticket)).await.unwrap();
    match over(&cloud, &key, &other, &ticket).await {
        Observation::Absent => {}
        // It was quicker than we were.
        Observation::Done {
            output: Output::Snapshot(taken),
            ..
        } => {
            let image = taken.parts[0].snapshot.clone();
            done(
                &cloud,
                &format!("{name}.stopped"),
                &Operation::DeleteImage { image },
            )
            .await;
        }
        other => panic!("{other:?}"),
    }

    let instance = reference(&format!("instance/{server}"));
    done(
        &cloud,
        &format!("{name}.off"),
        &Operation::PowerOff {
            instance: instance.clone(),
        },
    )
    .await;
    let revert = Operation::Revert {
        volume: root,
        to: snapshot.clone(),
    };
    done(&cloud, &format!("{name}.revert"), &revert).await;
    done(
        &cloud,
        &format!("{name}.on"),
        &Operation::PowerOn { instance },
    )
    .await;

    done(
        &cloud,
        &format!("{name}.gone"),
        &Operation::DeleteImage { image: snapshot },
    )
    .await;
    let after = bed.items();
    assert!(after.keys().eq(before.keys()), "{before:?} {after:?}");
}
