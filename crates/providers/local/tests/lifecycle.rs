//! What each operation does when nothing goes wrong.

mod bed;

use std::fs;
use std::os::unix::fs::FileExt;

use bed::{
    Bed, MIB, allocated, create_instance, create_volume, drive, instance, snapshot, take, volume,
};
use stillpoint_core::{Capture, Consistency, Detail, ErrorKind, Labels, ResourceKind};
use stillpoint_iaas::{Filter, Operation, Output, Provider, ProviderExt};

#[tokio::test]
async fn a_snapshot_outlives_damage_and_the_volume_is_put_back() {
    let bed = Bed::new();
    let disk = bed.volume("disk.raw", 64 * MIB, 7);
    let provider = bed.open();
    let before = fs::read(bed.file("disk.raw")).unwrap();

    let taken = snapshot(&provider, "take", &disk).await;
    assert_eq!(taken.consistency, Consistency::Filesystem);
    assert_eq!(taken.capture, Capture::Offline);
    let part = &taken.parts[0];
    assert_eq!(part.size, 64 * MIB);

    let file = fs::OpenOptions::new()
        .write(true)
        .open(bed.file("disk.raw"))
        .unwrap();
    file.write_all_at(b"damage", 0).unwrap();
    drop(file);
    let revert = Operation::Revert {
        volume: disk.clone(),
        to: part.snapshot.clone(),
    };
    assert_eq!(
        drive(&provider, "revert", &revert).await.unwrap(),
        Output::Nothing
    );
    assert_eq!(fs::read(bed.file("disk.raw")).unwrap(), before);
    assert!(allocated(&bed.file("disk.raw")) < MIB, "holes stay holes");
}

#[tokio::test]
async fn a_volume_is_made_empty_or_from_a_snapshot_and_deleted() {
    let bed = Bed::new();
    let disk = bed.volume("disk.raw", 8 * MIB, 3);
    let provider = bed.open();
    let taken = snapshot(&provider, "take", &disk).await;

    let made = drive(
        &provider,
        "empty",
        &create_volume("empty.raw", 5 * MIB, None),
    )
    .await;
    assert_eq!(made.unwrap(), Output::Created(volume("empty.raw")));
    assert_eq!(fs::metadata(bed.file("empty.raw")).unwrap().len(), 5 * MIB);
    assert_eq!(allocated(&bed.file("empty.raw")), 0);

    let from = &taken.parts[0].snapshot;
    let larger = create_volume("copy.raw", 9 * MIB, Some(from));
    drive(&provider, "copy", &larger).await.unwrap();
    let (copy, original) = (
        fs::read(bed.file("copy.raw")).unwrap(),
        fs::read(bed.file("disk.raw")).unwrap(),
    );
    assert_eq!(copy[..original.len()], original);
    assert!(copy[original.len()..].iter().all(|&byte| byte == 0));

    let delete = Operation::DeleteVolume {
        volume: volume("copy.raw"),
    };
    drive(&provider, "delete", &delete).await.unwrap();
    drive(&provider, "delete-again", &delete).await.unwrap();
    assert!(!bed.file("copy.raw").exists());

    let delete = Operation::DeleteSnapshot {
        snapshot: from.clone(),
    };
    drive(&provider, "forget", &delete).await.unwrap();
    let left = provider
        .list_all(&Filter::kind(ResourceKind::Snapshot))
        .await
        .unwrap();
    assert!(left.is_empty());
}

#[tokio::test]
async fn a_name_that_is_taken_or_no_file_name_gives_way_to_the_key() {
    let bed = Bed::new();
    bed.volume("disk.raw", MIB, 3);
    let provider = bed.open();
    for (key, name) in [
        ("k1", "disk.raw"),
        ("k2", "a/b"),
        ("k3", ".hidden"),
        ("k4", ""),
    ] {
        let made = drive(&provider, key, &create_volume(name, MIB, None))
            .await
            .unwrap();
        assert_eq!(made, Output::Created(volume(key)));
        assert_eq!(provider.describe(&volume(key)).await.unwrap().name, name);
    }
}

#[tokio::test]
async fn an_instance_names_its_disks_and_is_taken_whole() {
    let bed = Bed::new();
    let (root, data) = (
        bed.volume("root.raw", 2 * MIB, 1),
        bed.volume("data.raw", 3 * MIB, 2),
    );
    let provider = bed.open();
    let made = drive(&provider, "web", &create_instance("web-1", &[&root]))
        .await
        .unwrap();
    assert_eq!(made, Output::Created(instance("web-1")));

    let alone = provider.describe(&instance("web-1")).await.unwrap();
    let attach = Operation::Attach {
        instance: instance("web-1"),
        volume: data.clone(),
        disk: "data".to_owned(),
    };
    drive(&provider, "attach", &attach).await.unwrap();
    let both = provider.describe(&instance("web-1")).await.unwrap();
    assert_ne!(alone.fingerprint, both.fingerprint);
    let Detail::Instance { disks, .. } = &both.detail else {
        panic!()
    };
    assert_eq!(
        disks.iter().map(|disk| disk.size).collect::<Vec<_>>(),
        [2 * MIB, 3 * MIB]
    );

    let whole = Operation::Snapshot(take(&instance("web-1"), &[&root, &data]));
    let Output::Snapshot(taken) = drive(&provider, "take", &whole).await.unwrap() else {
        panic!()
    };
    assert_eq!(taken.parts.len(), 2);
    let of_data = Filter {
        of: Some(data.clone()),
        ..Filter::default()
    };
    assert_eq!(provider.list_all(&of_data).await.unwrap().len(), 1);

    let delete = Operation::DeleteVolume {
        volume: data.clone(),
    };
    let refused = drive(&provider, "delete", &delete).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Precondition);
    assert!(
        refused.to_string().contains("attached to web-1"),
        "{refused}"
    );
    let detach = Operation::Detach {
        instance: instance("web-1"),
        volume: data,
    };
    drive(&provider, "detach", &detach).await.unwrap();
    drive(&provider, "delete", &delete).await.unwrap();
    let delete = Operation::DeleteInstance {
        instance: instance("web-1"),
    };
    drive(&provider, "gone", &delete).await.unwrap();
    assert!(provider.find(&instance("web-1")).await.unwrap().is_none());
}

#[tokio::test]
async fn an_image_is_made_from_a_snapshot_and_launches_a_volume() {
    let bed = Bed::new();
    let disk = bed.volume("disk.raw", 2 * MIB, 9);
    let provider = bed.open();
    let taken = snapshot(&provider, "take", &disk).await;
    let image = Operation::CreateImage {
        name: "golden".to_owned(),
        labels: Labels::new(),
        from: taken.parts[0].snapshot.clone(),
    };
    let Output::Created(image) = drive(&provider, "image", &image).await.unwrap() else {
        panic!()
    };
    assert_eq!(image.to_string(), "here/image/golden");
    drive(
        &provider,
        "launch",
        &create_volume("new.raw", 2 * MIB, Some(&image)),
    )
    .await
    .unwrap();
    assert_eq!(
        fs::read(bed.file("new.raw")).unwrap(),
        fs::read(bed.file("disk.raw")).unwrap()
    );
    drive(
        &provider,
        "gone",
        &Operation::DeleteImage {
            image: image.clone(),
        },
    )
    .await
    .unwrap();
    assert!(provider.find(&image).await.unwrap().is_none());
}

#[tokio::test]
async fn labels_are_set_beside_the_others_on_every_kind() {
    let bed = Bed::new();
    let disk = bed.volume("disk.raw", MIB, 9);
    let provider = bed.open();
    drive(&provider, "web", &create_instance("web", &[&disk]))
        .await
        .unwrap();
    let taken = snapshot(&provider, "take", &disk).await;
    for (index, resource) in [disk, instance("web"), taken.parts[0].snapshot.clone()]
        .iter()
        .enumerate()
    {
        for label in ["a", "b"] {
            let set = Operation::SetLabels {
                resource: resource.clone(),
                labels: Labels::from([(label.to_owned(), "1".to_owned())]),
            };
            drive(&provider, &format!("{index}.{label}"), &set)
                .await
                .unwrap();
        }
        let labels = provider.describe(resource).await.unwrap().labels;
        assert!(
            labels.contains_key("a") && labels.contains_key("b"),
            "{resource}: {labels:?}"
        );
    }
}
