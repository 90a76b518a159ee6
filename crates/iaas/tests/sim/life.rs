//! What each personality can do works.

use stillpoint_core::{Detail, Power};
use stillpoint_iaas::sim::{NewInstance, Personality, SimCloud};
use stillpoint_iaas::{Operation, OperationKind, Output, Provider, ProviderExt};

use crate::ask::{MIB, new_volume, output, run, snapshot, taken};

#[tokio::test(start_paused = true)]
async fn a_volume_is_taken_and_made_again_with_equal_bytes() {
    for personality in Personality::ALL {
        let cloud = SimCloud::new(personality);
        let volume = cloud.add_volume("data", MIB);
        cloud.fill(&volume, 7);
        let was = cloud.digest(&volume);
        let provider = cloud.connect();

        let take = Operation::Snapshot(snapshot(&volume, &[&volume]));
        let seen = run(&provider, "take", &take).await.unwrap();
        let part = taken(seen).parts.remove(0);
        cloud.fill(&volume, 8);
        assert_ne!(cloud.digest(&volume), was, "{personality}");
        assert_eq!(cloud.digest(&part.snapshot), was, "{personality}");

        let again = new_volume(MIB, Some(part.snapshot.clone()));
        match run(&provider, "make", &again).await {
            Ok(seen) => {
                let Output::Created(copy) = output(seen) else {
                    panic!("{personality} makes no volume");
                };
                assert_eq!(cloud.digest(&copy), was, "{personality}");
            }
            Err(error) => {
                assert_eq!(personality, Personality::Process, "{error}");
                assert_eq!(error.kind(), stillpoint_core::ErrorKind::Unsupported);
            }
        }

        let capabilities = provider.capabilities().await.unwrap();
        if capabilities.can(OperationKind::Revert) {
            let revert = Operation::Revert {
                volume: volume.clone(),
                to: part.snapshot.clone(),
            };
            output(run(&provider, "back", &revert).await.unwrap());
            assert_eq!(cloud.digest(&volume), was, "{personality}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_instance_is_frozen_powered_and_taken_apart() {
    let cloud = SimCloud::new(Personality::Declarative);
    let new = NewInstance::new("web-1")
        .disk("root", MIB)
        .disk("data", MIB);
    let web = cloud.add_instance(new.ephemeral("scratch", MIB));
    let data = cloud.disk(&web, "data").unwrap();
    let provider = cloud.connect();

    let off = Operation::PowerOff {
        instance: web.clone(),
    };
    output(run(&provider, "off", &off).await.unwrap());
    let detach = Operation::Detach {
        instance: web.clone(),
        volume: data.clone(),
    };
    output(run(&provider, "detach", &detach).await.unwrap());
    let Detail::Instance { power, disks } = provider.describe(&web).await.unwrap().detail else {
        panic!("an instance");
    };
    assert_eq!(power, Power::Off);
    let names: Vec<_> = disks.iter().map(|disk| disk.name.as_str()).collect();
    assert_eq!(names, ["root", "scratch"]);

    let delete = Operation::DeleteVolume {
        volume: data.clone(),
    };
    output(run(&provider, "delete", &delete).await.unwrap());
    assert!(provider.find(&data).await.unwrap().is_none());
    assert!(!cloud.inventory().items.contains_key(&data));
}
