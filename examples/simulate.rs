//! A small service of one's own, and a hundred worlds in which it is killed, cut off and misled.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use stillpoint::iaas::sim::{NewInstance, Personality, SimCloud};
use stillpoint::{Consistency, ErrorKind, ResourceRef, Result, Stillpoint};
use stillpoint_sim::{Node, Seeds, Trouble, World, test};

const DAY: Duration = Duration::from_secs(86_400);

/// Releases software: before each release a snapshot, and never two of one release.
#[derive(Clone)]
struct Releases {
    still: Stillpoint,
    web: ResourceRef,
}

impl Releases {
    /// What a process of it does when it starts.
    async fn start(node: Node, cloud: SimCloud, web: ResourceRef) -> Result<Self> {
        let still = Stillpoint::builder()
            .state(node.state())
            .provider(node.connect(&cloud))
            .clock(node.clock())
            .ids_from_seed(node.seed())
            .node(node.name())
            .build()?;
        node.spawn(still.run());
        Ok(Self { still, web })
    }

    async fn release(&self, version: u32) -> Result<()> {
        let taken = self
            .still
            .snapshot(self.web.clone())
            .once(format!("release-{version}"))
            .at_least(Consistency::Filesystem)
            .await?;
        assert!(taken.consistency.reached >= Some(Consistency::Filesystem));
        Ok(())
    }
}

async fn three_weeks(world: World) -> Result<()> {
    let cloud = world.cloud("prod", Personality::Rest);
    let web = cloud.add_instance(NewInstance::new("web-1").disk("root", 1 << 14).off());
    let of = (cloud.clone(), web.clone());
    let service = world.boot(move |node| Releases::start(node, of.0.clone(), of.1.clone()));

    world.trouble(Trouble::ALL);
    let mut released = 0;
    for version in 0..21 {
        let done = service
            .ask(|it| async move { it.release(version).await })
            .await;
        match done {
            Ok(()) => released += 1,
            // The cloud has its bad days. Nothing else may come out of this.
            Err(error) => assert_ne!(error.kind(), ErrorKind::Internal, "{error}"),
        }
        world.pass(DAY).await;
    }
    service
        .calm(|it, job| async move { it.still.job(job).resume().await })
        .await;
    service.check().await;

    // And what only this service can know: every release that was acknowledged has its snapshot.
    let snapshots = cloud.inventory().ours().count();
    assert!(
        snapshots >= released,
        "{snapshots} snapshots of {released} releases"
    );
    Ok(())
}

fn main() -> std::result::Result<(), Box<dyn Error>> {
    let worlds = Arc::new(std::sync::atomic::AtomicU32::new(0));
    test(Seeds::from(100), |world| async {
        worlds.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        three_weeks(world).await
    });
    println!(
        "{} worlds, and the service kept its word in each",
        worlds.load(std::sync::atomic::Ordering::Relaxed)
    );
    Ok(())
}
