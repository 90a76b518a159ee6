//! Take, list, restore in place, undo, restore to new, template, delete: on every sort of cloud.

mod common;

use common::Bench;
use stillpoint_core::{Consistency, SnapshotState, VerifyLevel};
use stillpoint_engine::{Request, Restore, Scope, Take, Target};
use stillpoint_iaas::sim::Personality;

#[tokio::test(start_paused = true)]
async fn the_whole_story() {
    for personality in Personality::ALL {
        println!("on {personality:?}");
        let bench = Bench::new(personality);
        let before = bench.cloud.inventory();

        let taken = bench.take().await.unwrap();
        assert_eq!(taken.state, SnapshotState::Taken);
        assert_eq!(taken.parts.len(), 2);
        assert_eq!(taken.omitted[0].to_string(), "disk `scratch` (ephemeral)");
        let reached = match personality {
            // A CPI does not say what writes, and takes one disk after the other.
            Personality::Process => Consistency::PerVolume,
            _ => Consistency::Filesystem,
        };
        assert_eq!(taken.consistency.reached, Some(reached));
        if let Some(verified) = taken.verified {
            assert!(verified.level >= VerifyLevel::ReadBack);
        }

        if personality != Personality::Process {
            let restore = Request::Restore(Restore::in_place(taken.id));
            bench.cloud.fill(&bench.disk("root"), 99);
            let damaged = bench.cloud.digest(&bench.disk("root"));

            let restored = bench.run(restore.clone()).await.unwrap();
            assert_eq!(
                Some(bench.cloud.digest(&bench.disk("root"))),
                taken.parts[0].digest
            );
            assert_eq!(
                bench.snapshots().await.len(),
                2,
                "the safety snapshot is listed"
            );

            bench.run(Request::Undo { job: restored.id }).await.unwrap();
            assert_eq!(bench.cloud.digest(&bench.disk("root")), damaged);
            assert_eq!(bench.snapshots().await.len(), 1);

            let again = bench.run(restore).await.unwrap();
            bench.run(Request::Accept { job: again.id }).await.unwrap();
            assert_eq!(bench.snapshots().await.len(), 1);
            bench
                .run(Request::Undo { job: again.id })
                .await
                .unwrap_err();

            let new = Restore {
                to: Target::New {
                    name: "web-2".into(),
                },
                ..Restore::in_place(taken.id)
            };
            let job = bench.run(Request::Restore(new)).await.unwrap();
            assert_eq!(job.made.len(), 3, "an instance and its volumes");
            for made in &job.made {
                bench.cloud.remove(made);
            }

            let template = Target::Template {
                name: "golden".into(),
            };
            let template = Restore {
                to: template,
                ..Restore::in_place(taken.id)
            };
            let job = bench.run(Request::Restore(template)).await.unwrap();
            assert_eq!(job.made.len(), 1);
            bench.cloud.remove(&job.made[0]);

            let image = Take {
                scope: Scope::Image,
                ..Take::of(bench.web.clone())
            };
            let image = bench
                .run(Request::Take(image))
                .await
                .unwrap()
                .snapshot
                .unwrap();
            let image = bench.snapshot(image).await;
            assert_eq!(image.parts.len(), 1);
            assert_eq!(image.parts[0].digest, taken.parts[0].digest);
            let launch = Target::New {
                name: "web-3".into(),
            };
            let launch = Restore {
                to: launch,
                ..Restore::in_place(image.id)
            };
            let job = bench.run(Request::Restore(launch)).await.unwrap();
            for made in job.made {
                bench.cloud.remove(&made);
            }
            bench
                .run(Request::Delete { snapshot: image.id })
                .await
                .unwrap();
        }

        bench
            .run(Request::Delete { snapshot: taken.id })
            .await
            .unwrap();
        assert!(bench.snapshots().await.is_empty());
        bench.cloud.settle().await;
        let left = before.diff(&bench.cloud.inventory());
        assert!(left.is_empty(), "{personality:?} left {left:#?}");
    }
}
