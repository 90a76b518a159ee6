use std::collections::BTreeSet;

use stillpoint_core::{Detail, ErrorKind, Labels, Power, Resource, ResourceKind, ResourceRef};

use crate::capabilities::Identity;
use crate::conformance::bed::TestBed;
use crate::conformance::breach::{Breach, Held, Verdict, ensure};
use crate::conformance::trial::Trial;
use crate::ext::ProviderExt;
use crate::operation::{Operation, OperationKind};
use crate::provider::Filter;

/// More than a page of any provider in a test.
const MANY: usize = 7;

pub(in crate::conformance) async fn list_is_whole<B: TestBed>(trial: &mut Trial<'_, B>) -> Verdict {
    for _ in 0..MANY {
        trial.volume().await;
    }
    let everything = Filter::default();
    if trial.can.identity == Identity::TicketOnly {
        // Such a system need not list, but then it must say so.
        return match trial.provider().list_all(&everything).await {
            Ok(_) => Ok(Held::Kept),
            Err(error) if error.kind() == ErrorKind::Unsupported => {
                Ok(Held::NotPromised("it lists nothing"))
            }
            Err(error) => Err(error.into()),
        };
    }
    let listed = trial.provider().list_all(&everything).await?;
    let there = trial.inventory().await;
    ensure!(
        listed.len() == there.len(),
        "{} listed, {} there",
        listed.len(),
        there.len()
    );
    for resource in &listed {
        ensure!(
            there.contains_key(&resource.reference),
            "{} is listed, and not there",
            resource.reference
        );
    }
    let distinct: BTreeSet<_> = listed.iter().map(|one| &one.reference).collect();
    ensure!(distinct.len() == listed.len(), "something is listed twice");
    let again = trial.provider().list_all(&everything).await?;
    ensure!(
        again == listed,
        "a second list has another order or content"
    );
    Ok(Held::Kept)
}

pub(in crate::conformance) async fn filters_are_kept<B: TestBed>(
    trial: &mut Trial<'_, B>,
) -> Verdict {
    if trial.can.identity == Identity::TicketOnly {
        return Ok(Held::NotPromised("it need not list"));
    }
    let (_, volumes) = trial.instance().await?;
    trial.snapshot_of(&volumes[0]).await?;
    let other = trial.volume().await;
    let snapshot = trial.snapshot_of(&other).await?;
    let labels = Labels::from([("kept".to_owned(), trial.name())]);
    let mut labelled = trial.create_volume();
    if let Operation::CreateVolume { labels: its, .. } = &mut labelled {
        its.clone_from(&labels);
    }
    let labelled = trial.created(&labelled).await?;

    let by_label = Filter {
        labels,
        ..Filter::default()
    };
    let of_other = Filter {
        of: Some(other),
        ..Filter::kind(ResourceKind::Snapshot)
    };
    for (filter, only) in [(by_label, labelled), (of_other, snapshot)] {
        let listed = trial.provider().list_all(&filter).await?;
        let found: Vec<_> = listed.iter().map(|one| &one.reference).collect();
        ensure!(found == [&only], "{filter:?} finds {found:?} for {only}");
    }
    let instances = Filter::kind(ResourceKind::Instance);
    for found in trial.provider().list_all(&instances).await? {
        ensure!(
            found.reference.kind() == ResourceKind::Instance,
            "{} is listed among the instances",
            found.reference
        );
    }
    Ok(Held::Kept)
}

pub(in crate::conformance) async fn missing_is_not_found<B: TestBed>(
    trial: &mut Trial<'_, B>,
) -> Verdict {
    let name = trial.provider().to_string();
    for kind in [ResourceKind::Instance, ResourceKind::Volume] {
        let missing = ResourceRef::new(name.clone(), kind, trial.name())?;
        match trial.provider().describe(&missing).await {
            Ok(found) => ensure!(false, "{missing} does not exist, and is {found:?}"),
            Err(error) => ensure!(
                error.kind() == ErrorKind::NotFound,
                "{missing} does not exist, and gives {:?}: {error}",
                error.kind()
            ),
        }
    }
    Ok(Held::Kept)
}

pub(in crate::conformance) async fn names_are_kept<B: TestBed>(
    trial: &mut Trial<'_, B>,
) -> Verdict {
    let labels = Labels::from([
        (
            "purpose".to_owned(),
            "nightly, before the upgrade".to_owned(),
        ),
        ("long".to_owned(), "x".repeat(60)),
    ]);
    let name = trial.name();
    let volume = trial
        .created(&Operation::CreateVolume {
            name: name.clone(),
            labels: labels.clone(),
            size: trial.bed.volume_size(),
            from: None,
        })
        .await?;
    check_names(&describe(trial, &volume).await?, &name, &labels)?;
    if trial.can.identity == Identity::TicketOnly {
        return Ok(Held::Kept);
    }
    let source = trial.volume().await;
    let mut take = trial.take(&source, std::slice::from_ref(&source));
    take.labels.clone_from(&labels);
    let name = take.name.clone();
    for part in trial.taken(&Operation::Snapshot(take)).await?.parts {
        check_names(&describe(trial, &part.snapshot).await?, &name, &labels)?;
    }
    Ok(Held::Kept)
}

fn check_names(resource: &Resource, name: &str, labels: &Labels) -> Result<(), Breach> {
    ensure!(
        resource.name == name,
        "{} was named `{name}`, and is `{}`",
        resource.reference,
        resource.name
    );
    for (key, value) in labels {
        ensure!(
            resource.labels.get(key) == Some(value),
            "{} should have {key}={value}, and has {:?}",
            resource.reference,
            resource.labels
        );
    }
    Ok(())
}

pub(in crate::conformance) async fn other_labels_stay<B: TestBed>(
    trial: &mut Trial<'_, B>,
) -> Verdict {
    if trial.can.identity == Identity::TicketOnly || trial.lacks(&[OperationKind::SetLabels]) {
        return Ok(Held::NotPromised("labels cannot be set and read"));
    }
    let volume = trial.created(&trial.create_volume()).await?;
    let label = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    for labels in [
        Labels::from([label("one", "1"), label("two", "2")]),
        Labels::from([label("two", "ii"), label("three", "3")]),
    ] {
        let resource = volume.clone();
        trial
            .done(&Operation::SetLabels { resource, labels })
            .await?;
    }
    let has = describe(trial, &volume).await?.labels;
    for (key, value) in [("one", "1"), ("two", "ii"), ("three", "3")] {
        ensure!(
            has.get(key).is_some_and(|has| has == value),
            "{volume} should have {key}={value}, and has {has:?}"
        );
    }
    Ok(Held::Kept)
}

pub(in crate::conformance) async fn fingerprint_is_the_shape<B: TestBed>(
    trial: &mut Trial<'_, B>,
) -> Verdict {
    let (instance, volumes) = trial.instance().await?;
    let before = (
        describe(trial, &instance).await?.fingerprint,
        describe(trial, &volumes[1]).await?.fingerprint,
    );
    trial.bed.fill(&volumes[1], 2).await;
    trial.bed.power_off(&instance).await;
    let after = (
        describe(trial, &instance).await?.fingerprint,
        describe(trial, &volumes[1]).await?.fingerprint,
    );
    ensure!(
        before == after,
        "bytes and power are no shape: {before:?}, then {after:?}"
    );
    if trial.lacks(&[OperationKind::Detach]) {
        return Ok(Held::Kept);
    }
    trial
        .done(&Operation::Detach {
            instance: instance.clone(),
            volume: volumes[1].clone(),
        })
        .await?;
    for (resource, was) in [(&instance, before.0), (&volumes[1], before.1)] {
        let now = describe(trial, resource).await?.fingerprint;
        ensure!(now != was, "{resource} lost a disk, and still is {now}");
    }
    Ok(Held::Kept)
}

pub(in crate::conformance) async fn powered_off_is_off<B: TestBed>(
    trial: &mut Trial<'_, B>,
) -> Verdict {
    if trial.lacks(&[OperationKind::PowerOff]) {
        return Ok(Held::NotPromised("it powers nothing off"));
    }
    let (instance, _) = trial.instance().await?;
    trial
        .done(&Operation::PowerOff {
            instance: instance.clone(),
        })
        .await?;
    let seen = describe(trial, &instance).await?;
    let off = matches!(
        seen.detail,
        Detail::Instance {
            power: Power::Off,
            ..
        }
    );
    ensure!(off, "it was powered off, and is {:?}", seen.detail);
    Ok(Held::Kept)
}

async fn describe<B: TestBed>(
    trial: &Trial<'_, B>,
    resource: &ResourceRef,
) -> Result<Resource, Breach> {
    Ok(trial.provider().describe(resource).await?)
}
