use std::time::Duration;

use stillpoint::iaas::{Filter, Observation, Operation, OperationKey, Provider, ProviderExt};
use stillpoint::{Resource, ResourceKind, Snapshot};
use stillpoint_openstack::OpenStack;

use crate::Result;

/// Deletes the server that was launched, and its volumes.
pub(crate) async fn tidy(cloud: &OpenStack, server: &str, taken: &Snapshot) -> Result<()> {
    let key = format!("example.{}", taken.id);
    for found in named(cloud, ResourceKind::Instance, |it| it.name == server).await? {
        let delete = Operation::DeleteInstance {
            instance: found.reference,
        };
        done(cloud, &format!("{key}.instance"), &delete).await?;
    }
    let volumes: Vec<_> = taken
        .parts
        .iter()
        .map(|part| format!("{server}-{}", part.disk))
        .collect();
    let made = named(cloud, ResourceKind::Volume, |it| volumes.contains(&it.name)).await?;
    for (number, found) in made.into_iter().enumerate() {
        let delete = Operation::DeleteVolume {
            volume: found.reference,
        };
        done(cloud, &format!("{key}.volume.{number}"), &delete).await?;
    }
    Ok(())
}

async fn named(
    cloud: &OpenStack,
    kind: ResourceKind,
    wanted: impl Fn(&Resource) -> bool,
) -> Result<Vec<Resource>> {
    let mut all = cloud.list_all(&Filter::kind(kind)).await?;
    all.retain(wanted);
    Ok(all)
}

/// What the engine does for a job, without being durable.
async fn done(cloud: &OpenStack, key: &str, operation: &Operation) -> Result<()> {
    let key: OperationKey = key.parse()?;
    let ticket = cloud.submit(&key, operation).await?;
    loop {
        match cloud.observe(&key, operation, Some(&ticket)).await? {
            Observation::Done { .. } => {
                println!("  {operation}: done");
                return Ok(());
            }
            Observation::Running { look_again_in, .. } => {
                tokio::time::sleep(look_again_in.max(Duration::from_millis(100))).await;
            }
            other => return Err(format!("{operation}: {other:?}").into()),
        }
    }
}
