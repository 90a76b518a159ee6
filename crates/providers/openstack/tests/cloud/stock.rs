//! The stock client and we know each other's snapshots.

use std::process::Command;

use serde_json::{Value, json};
use stillpoint_core::{Labels, ResourceKind};
use stillpoint_iaas::conformance::TestBed;
use stillpoint_iaas::{Filter, Operation, ProviderExt};

use crate::bed::{Bed, reference};
use crate::hand::lab;
use crate::things::{done, made, take};

/// What `openstack … -f json` prints.
fn openstack(bed: &Bed, words: &[&str]) -> Value {
    let output = Command::new("/usr/bin/openstack")
        .args(["--os-cloud", bed.project()])
        .args(words)
        .args(["-f", "json"])
        .env("OS_CLIENT_CONFIG_FILE", lab().join("clouds.yaml"))
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .output()
        .expect("the stock client");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "openstack {words:?}: {said}");
    serde_json::from_slice(&output.stdout).expect("JSON")
}

fn ids(listed: &Value) -> Vec<String> {
    let rows = listed.as_array().into_iter().flatten();
    rows.filter_map(|row| Some(row["ID"].as_str()?.to_owned()))
        .collect()
}

#[tokio::test]
#[ignore = "needs a cloud: lab/test.sh starts one and runs this"]
async fn each_lists_what_the_other_made() {
    let bed = Bed::new();
    let cloud = bed.provider();
    let name = bed.namespace();
    let size = bed.volume_size();
    let web = bed.make_web().await;
    let before = bed.items();

    // Ours, by theirs.
    let volumes = cloud
        .list_all(&Filter::kind(ResourceKind::Volume))
        .await
        .unwrap();
    let root = volumes
        .iter()
        .find(|it| it.name == format!("{name}-root"))
        .unwrap();
    let snapshot = made(
        &cloud,
        &format!("{name}.take"),
        &take(&root.reference, &name),
    )
    .await;
    let listed = ids(&openstack(&bed, &["volume", "snapshot", "list"]));
    assert!(listed.iter().any(|id| id == snapshot.id()), "{listed:?}");
    let create = Operation::CreateImage {
        name: name.clone(),
        labels: Labels::new(),
        from: snapshot.clone(),
    };
    let image = made(&cloud, &format!("{name}.image"), &create).await;
    let listed = ids(&openstack(&bed, &["image", "list", "--private"]));
    assert!(listed.iter().any(|id| id == image.id()), "{listed:?}");
    done(
        &cloud,
        &format!("{name}.image.gone"),
        &Operation::DeleteImage { image },
    )
    .await;
    done(
        &cloud,
        &format!("{name}.gone"),
        &Operation::DeleteSnapshot { snapshot },
    )
    .await;
    assert_eq!(bed.items(), before);

    // Theirs, by ours: an image, and a snapshot of each volume.
    let image = bed.hand.id(
        "create_server_image",
        json!([web.id(), format!("{name}-theirs")]),
    );
    let image = reference(&format!("image/{image}"));
    let images = cloud
        .list_all(&Filter::kind(ResourceKind::Image))
        .await
        .unwrap();
    assert!(images.iter().any(|it| it.reference == image));
    let snapshots = cloud
        .list_all(&Filter::kind(ResourceKind::Snapshot))
        .await
        .unwrap();
    let theirs: Vec<_> = snapshots
        .iter()
        .filter(|it| it.name.contains(&name))
        .collect();
    assert_eq!(theirs.len(), 2, "{snapshots:?}");
    let create = Operation::CreateVolume {
        name: name.clone(),
        labels: Labels::new(),
        size,
        from: Some(theirs[0].reference.clone()),
    };
    let volume = made(&cloud, &format!("{name}.volume"), &create).await;
    done(
        &cloud,
        &format!("{name}.volume.gone"),
        &Operation::DeleteVolume { volume },
    )
    .await;
    done(
        &cloud,
        &format!("{name}.theirs.gone"),
        &Operation::DeleteImage { image },
    )
    .await;
    assert_eq!(bed.items(), before, "no Cinder snapshot is orphaned");
}
