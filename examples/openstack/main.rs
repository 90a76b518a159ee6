//! A server in an OpenStack cloud is taken, launched anew from its snapshot, and all that was made
//! is deleted again. Yours is only read, and stopped only where you say so.

mod ask;
mod tidy;

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use stillpoint::iaas::{Filter, ProviderExt};
use stillpoint::state::Memory;
use stillpoint::{
    Consistency, Detail, JobHandle, Resource, ResourceKind, Snapshot, Stillpoint, What,
};
use stillpoint_openstack::{CloudConfig, Launch, OpenStack};

use crate::ask::{Ask, USAGE};
use crate::tidy::tidy;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

#[tokio::main]
async fn main() -> Result<()> {
    let ask = Ask::read()?;
    let config = match &ask.cloud {
        Some(cloud) => CloudConfig::named(cloud),
        None => CloudConfig::from_env(),
    };
    let config = config.map_err(|error| format!("{error}\n\n{USAGE}"))?;
    let mut launch = Launch::default();
    launch.flavor = ask.flavor.clone();
    let cloud = Arc::new(OpenStack::builder("cloud", config).launch(launch).build()?);

    let servers = cloud
        .list_all(&Filter::kind(ResourceKind::Instance))
        .await?;
    println!("servers");
    servers.iter().for_each(show);
    let Some(wanted) = ask.server else {
        println!("\nNothing was changed: say which one with --server.");
        return Ok(());
    };
    let same = |it: &&Resource| it.name == wanted || it.reference.id() == wanted;
    let server = servers
        .iter()
        .find(same)
        .ok_or(format!("there is no server `{wanted}`"))?;

    // What is durable is in memory here; a service gives a file, and is then safe from `kill -9`.
    let still = Stillpoint::builder()
        .state(Arc::new(Memory::new()))
        .provider(cloud.clone())
        .build()?;
    let driving = tokio::spawn(still.run());
    let played = play(&still, &cloud, server, ask.power_off).await;
    still.shutdown(Duration::from_secs(10)).await;
    driving.await??;
    played
}

async fn play(
    still: &Stillpoint,
    cloud: &Arc<OpenStack>,
    server: &Resource,
    power_off: bool,
) -> Result<()> {
    let name = format!("{}-by-stillpoint", server.name);
    let mut take = still
        .snapshot(server.reference.clone())
        .named(&name)
        .label("made-by", "example");
    if power_off {
        take = take
            .at_least(Consistency::Filesystem)
            .may_power_off(Duration::from_secs(600));
    }
    let plan = take.plan().await?;
    println!("\n{plan}");
    let job = plan.start().await?;
    watch(still, &job).await?;
    let taken = job
        .status()
        .await?
        .snapshot
        .ok_or("a take without a snapshot")?;
    let taken = still.get(taken).await?;
    describe(&taken);

    let new = format!("{}-again", server.name);
    let job = still.restore(taken.id).to_new(&new).start().await?;
    let restored = watch(still, &job).await;
    // Whatever came of it, nothing of ours stays.
    tidy(cloud, &new, &taken).await?;
    restored?;
    let job = still.delete(taken.id).start().await?;
    watch(still, &job).await?;
    println!("\nall that was made is deleted again");
    Ok(())
}

fn show(server: &Resource) {
    let Detail::Instance { power, disks } = &server.detail else {
        return;
    };
    let disks: Vec<_> = disks
        .iter()
        .map(|disk| format!("{} {} GiB", disk.name, disk.size >> 30))
        .collect();
    println!("  {:<24} {power:?}, {}", server.name, disks.join(", "));
}

fn describe(snapshot: &Snapshot) {
    println!("\nsnapshot `{}`", snapshot.name);
    for part in &snapshot.parts {
        println!("  {:<8} {} ({:?})", part.disk, part.snapshot, part.copy);
    }
    for omission in &snapshot.omitted {
        println!("  without  {omission}");
    }
    if let Some(level) = snapshot.consistency.reached {
        println!("  reached  {level}");
    }
}

/// Shows what a job does, and waits for its end.
async fn watch(still: &Stillpoint, job: &JobHandle) -> Result<()> {
    let mut events = still.events();
    let mut end = std::pin::pin!(async { job.clone().await });
    loop {
        tokio::select! {
            ended = &mut end => { ended?; return Ok(()); }
            Ok(event) = events.recv() => if let What::Step { call, became, .. } = event.what {
                println!("  {call}: {became}");
            },
        }
    }
}
