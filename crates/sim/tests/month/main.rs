//! A month of an engine's life: every sort of request on three clouds of different sorts, with
//! everything that can go wrong.

mod operator;

use std::time::Duration;

use stillpoint_core::Result;
use stillpoint_engine::Engine;
use stillpoint_iaas::sim::{NewInstance, Personality};
use stillpoint_sim::{Node, Seeds, Trouble, World, run, test};

use crate::operator::Operator;

const MONTH: Duration = Duration::from_secs(30 * 86_400);

#[test]
fn whatever_happens_in_a_month_the_catalogue_is_the_truth() {
    // .ci/run runs a thousand.
    test(Seeds::from(12), month);
}

#[test]
fn equal_seeds_have_equal_traces() {
    for seed in 0..2 {
        let (first, second) = (run(seed, month), run(seed, month));
        assert_eq!(first.failure(), None);
        assert_eq!(
            first.trace().parts_from(second.trace()),
            None,
            "seed {seed}"
        );
        assert_eq!(first.trace().fingerprint(), second.trace().fingerprint());
        assert!(first.trace().len() > 1000, "{}", first.trace().len());
    }
    assert_ne!(
        run(0, month).trace().fingerprint(),
        run(1, month).trace().fingerprint()
    );
}

async fn start(node: Node) -> Result<Engine> {
    let engine = node.engine().build()?;
    node.spawn(engine.run());
    Ok(engine)
}

async fn month(world: World) -> Result<()> {
    let mut dice = world.dice();
    let mut sorts = Personality::ALL.to_vec();
    dice.shuffle(&mut sorts);
    let mut instances = Vec::new();
    for (number, personality) in sorts.into_iter().take(3).enumerate() {
        let cloud = world.cloud(&format!("{personality}-{number}"), personality);
        for name in ["web", "db"] {
            let mut instance = NewInstance::new(name).disk("root", 8192).disk("data", 4096);
            if dice.bool() {
                instance = instance.off();
            } else if dice.bool() {
                instance = instance.writing(Duration::from_secs(7));
            }
            let instance = cloud.add_instance(instance.ephemeral("scratch", 4096));
            let root = cloud.disk(&instance, "root").expect("it was made with one");
            cloud.fill(&root, dice.u64(..));
            cloud.add_snapshot(&format!("of-{name}-by-another"), &root);
            instances.push((cloud.clone(), instance));
        }
    }
    let service = world.boot(start);
    world.trouble(Trouble::ALL);
    let operators = ["anna", "bert", "cleo"]
        .map(|name| Operator::new(name, &world, service.clone(), instances.clone()).work(MONTH));
    futures_util::future::join_all(operators).await;
    service
        .calm(|engine, job| async move { engine.resume(job).await })
        .await;
    service.check().await;
    Ok(())
}
