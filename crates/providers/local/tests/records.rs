//! Records that are cut or flipped are told, and hurt nobody else.

mod bed;

use std::fs;

use bed::{Bed, MIB, create_instance, drive, instance, key, snapshot, take_volume};
use futures_util::StreamExt;
use proptest::prelude::*;
use stillpoint_core::{ErrorKind, ResourceKind};
use stillpoint_iaas::{Filter, Observation, Operation, Provider, ProviderExt};

#[tokio::test]
async fn every_cut_and_every_flipped_bit_is_found_and_the_others_are_listed() {
    let bed = Bed::new();
    let disk = bed.volume("disk.raw", MIB, 1);
    let provider = bed.open();
    snapshot(&provider, "good", &disk).await;
    let bad = snapshot(&provider, "bad", &disk).await.parts[0]
        .snapshot
        .clone();
    let path = bed.file(".stillpoint/snapshots/bad.0.json");
    let whole = fs::read(&path).unwrap();

    let cuts = (0..whole.len() - 1)
        .step_by(7)
        .map(|at| whole[..at].to_vec());
    let flips = (0..whole.len() - 1).map(|at| {
        let mut bytes = whole.clone();
        bytes[at] ^= 1 << (at % 8);
        bytes
    });
    let mut tried = 0;
    for damaged in cuts.chain(flips) {
        fs::write(&path, &damaged).unwrap();
        let text = String::from_utf8_lossy(&damaged).into_owned();
        let error = match provider.describe(&bad).await {
            Err(error) => error,
            Ok(found) => panic!("{text} was read as {found:?}"),
        };
        assert!(
            matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::Unsupported),
            "{error}"
        );
        assert!(error.to_string().contains("bad.0.json"), "{error}");
        assert!(error.advice().is_some());
        tried += 1;
    }
    assert!(tried > 400, "{tried}");

    let snapshots = Filter::kind(ResourceKind::Snapshot);
    let listed: Vec<_> = provider.list(&snapshots).collect().await;
    assert_eq!(listed.len(), 2);
    assert_eq!(listed[0].as_ref().unwrap().reference.id(), "good.0");
    let error = listed[1].as_ref().unwrap_err();
    assert!(error.to_string().contains("bad.0.json"), "{error}");
    // Kinds that are whole are listed whole.
    assert_eq!(
        provider
            .list_all(&Filter::kind(ResourceKind::Volume))
            .await
            .unwrap()
            .len(),
        1
    );

    let take = take_volume(&disk);
    match provider.observe(&key("bad"), &take, None).await.unwrap() {
        Observation::Unknown {
            settles_at: None,
            evidence,
        } => {
            assert!(evidence.contains("bad.0.json"), "{evidence}");
        }
        other => panic!("{other:?}"),
    }
    // What the advice says helps.
    drive(
        &provider,
        "rid",
        &Operation::DeleteSnapshot { snapshot: bad },
    )
    .await
    .unwrap();
    assert_eq!(provider.list_all(&snapshots).await.unwrap().len(), 1);
}

#[tokio::test]
async fn damage_of_each_kind_is_told_with_that_kind() {
    let bed = Bed::new();
    let disk = bed.volume("disk.raw", MIB, 1);
    let provider = bed.open();
    drive(&provider, "web", &create_instance("web", &[&disk]))
        .await
        .unwrap();
    let labels = [("a".to_owned(), "b".to_owned())].into();
    drive(
        &provider,
        "label",
        &Operation::SetLabels {
            resource: disk.clone(),
            labels,
        },
    )
    .await
    .unwrap();
    let taken = snapshot(&provider, "take", &disk).await.parts[0]
        .snapshot
        .clone();
    drop(provider);
    for (file, resource) in [
        ("volumes/disk.raw.json", disk.clone()),
        ("instances/web.json", instance("web")),
        ("snapshots/take.0.json", taken.clone()),
    ] {
        let path = bed.file(".stillpoint").join(file);
        let whole = fs::read(&path).unwrap();
        fs::write(&path, b"{}").unwrap();
        let provider = bed.open();
        let error = provider.describe(&resource).await.unwrap_err();
        assert_eq!(
            (error.kind(), error.resource()),
            (ErrorKind::Corrupt, Some(&resource))
        );
        assert!(error.to_string().contains(file), "{error}");
        fs::write(&path, whole).unwrap();
        provider.describe(&resource).await.unwrap();
    }
    let provider = bed.open();
    fs::write(bed.file(".stillpoint/snapshots/take.0.raw"), b"short").unwrap();
    let error = provider.describe(&taken).await.unwrap_err();
    assert!(
        error.to_string().contains("has 5 bytes instead of 1048576"),
        "{error}"
    );
    fs::remove_file(bed.file(".stillpoint/snapshots/take.0.raw")).unwrap();
    let revert = Operation::Revert {
        volume: disk,
        to: taken,
    };
    let error = drive(&provider, "revert", &revert).await.unwrap_err();
    assert!(error.to_string().contains("is missing"), "{error}");
}

#[tokio::test]
async fn a_damaged_commit_is_one_operations_trouble() {
    let bed = Bed::new();
    let disk = bed.volume("disk.raw", MIB, 1);
    drop(bed.open());
    fs::write(bed.file(".stillpoint/commits/bad.json"), b"{\"version\":1").unwrap();
    fs::write(bed.file(".stillpoint/staged/bad.0.raw"), b"its bytes").unwrap();
    fs::write(bed.file(".stillpoint/staged/other.0.raw"), b"nobody's").unwrap();
    let provider = bed.open();
    assert!(bed.file(".stillpoint/staged/bad.0.raw").exists());
    assert!(!bed.file(".stillpoint/staged/other.0.raw").exists());
    let take = take_volume(&disk);
    match provider.observe(&key("bad"), &take, None).await.unwrap() {
        Observation::Unknown { evidence, .. } => {
            assert!(evidence.contains("commits/bad.json"), "{evidence}");
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(
        provider
            .submit(&key("bad"), &take)
            .await
            .unwrap_err()
            .kind(),
        ErrorKind::Corrupt
    );
    assert_eq!(
        provider
            .cancel(&key("bad"), &take, None)
            .await
            .unwrap_err()
            .kind(),
        ErrorKind::Corrupt
    );
    drive(&provider, "other", &take).await.unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn no_bytes_in_place_of_records_do_more_than_fail(bytes in prop::collection::vec(any::<u8>(), 0..200), name in "[a-z.]{1,12}") {
        let bed = Bed::new();
        bed.volume("disk.raw", 4096, 1);
        drop(bed.open());
        for area in ["commits", "images", "instances", "snapshots", "staged", "volumes"] {
            fs::write(bed.file(".stillpoint").join(area).join(format!("{name}.json")), &bytes).unwrap();
        }
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let provider = bed.open();
            let listed: Vec<_> = provider.list(&Filter::default()).collect().await;
            assert!(listed[..listed.len() - 1].iter().all(Result::is_ok));
            assert!(listed.last().unwrap().is_err());
        });
    }
}
