//! The plan is what runs: planning asks the provider for nothing, and a job for just what its
//! plan says, each once.

mod bed;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bed::{Bed, Moment, WEB, Watcher, files, watched};
use stillpoint::{JobId, JobQuery, Planned, SnapshotId, Stillpoint};

/// Every submit, as `<step> <operation>`.
type Calls = Arc<Mutex<Vec<String>>>;

#[derive(Clone, Copy, Debug)]
enum Story {
    Accept,
    Delete,
    Image,
    InPlace,
    New,
    OneDisk,
    Take,
    Template,
    Undo,
    Volume,
}

impl Story {
    const ALL: [Self; 10] = [
        Self::Accept,
        Self::Delete,
        Self::Image,
        Self::InPlace,
        Self::New,
        Self::OneDisk,
        Self::Take,
        Self::Template,
        Self::Undo,
        Self::Volume,
    ];

    async fn plan(self, still: &Stillpoint, before: SnapshotId, restore: JobId) -> Planned {
        match self {
            Self::Accept => still.accept(restore).plan().await,
            Self::Delete => still.delete(before).plan().await,
            Self::Image => still.snapshot(WEB).as_image().plan().await,
            Self::InPlace => still.restore(before).plan().await,
            Self::New => still.restore(before).to_new("copy").plan().await,
            Self::OneDisk => still.restore(before).disks(["data"]).plan().await,
            Self::Take => still.snapshot(WEB).plan().await,
            Self::Template => {
                still
                    .restore(before)
                    .disks(["root"])
                    .as_template("golden")
                    .plan()
                    .await
            }
            Self::Undo => still.undo(restore).plan().await,
            Self::Volume => {
                still
                    .snapshot("here/volume/data.img")
                    .without_verification()
                    .plan()
                    .await
            }
        }
        .unwrap()
    }

    /// The steps whose operations the provider is asked for.
    fn calls(self) -> &'static [&'static str] {
        match self {
            Self::Accept | Self::Delete => {
                &["delete.0.0 DeleteSnapshot", "delete.1.0 DeleteSnapshot"]
            }
            Self::Image => &[
                "snapshot.0 Snapshot",
                "image CreateImage",
                "tidy.0 DeleteSnapshot",
            ],
            Self::InPlace => &["safeguard.0 Snapshot", "revert.0 Revert", "revert.1 Revert"],
            Self::New => &[
                "volume.0 CreateVolume",
                "volume.1 CreateVolume",
                "instance CreateInstance",
            ],
            Self::OneDisk => &["safeguard.0 Snapshot", "revert.0 Revert"],
            Self::Take | Self::Volume => &["snapshot.0 Snapshot"],
            Self::Template => &["image CreateImage"],
            Self::Undo => &[
                "safeguard.0 Snapshot",
                "revert.0 Revert",
                "revert.1 Revert",
                "tidy.0.0 DeleteSnapshot",
                "tidy.0.1 DeleteSnapshot",
                "used.0.0 DeleteSnapshot",
                "used.1.0 DeleteSnapshot",
            ],
        }
    }
}

#[tokio::test]
async fn the_plan_is_what_runs() {
    for story in Story::ALL {
        let bed = Bed::new().await;
        let calls = Calls::default();
        let watcher = Watcher::new({
            let calls = Arc::clone(&calls);
            move |moment| {
                if let Moment::Submit(key, operation) = moment {
                    let key = key.to_string();
                    let step = key
                        .split_once(".do.")
                        .map_or(key.as_str(), |(_, step)| step);
                    calls
                        .lock()
                        .unwrap()
                        .push(format!("{step} {:?}", operation.kind()));
                }
            }
        });
        let still = watched(bed.path(), &watcher).unwrap();
        tokio::spawn(still.run());
        let before = still.snapshot(WEB).await.unwrap().id;
        let restore = still.restore(before).await.unwrap().id;
        calls.lock().unwrap().clear();

        let there = (
            files(&bed.folder()),
            still.jobs(&JobQuery::default()).await.unwrap(),
        );
        let planned = story.plan(&still, before, restore).await;
        assert_eq!(
            calls.lock().unwrap().as_slice(),
            [""; 0],
            "{story:?}: a dry run asks for nothing"
        );
        let now = (
            files(&bed.folder()),
            still.jobs(&JobQuery::default()).await.unwrap(),
        );
        assert_eq!(now, there, "{story:?}: a dry run changes nothing");

        let job = planned.start().await.unwrap();
        job.clone().await.unwrap();
        assert_eq!(job.plan().await.unwrap(), *planned.as_plan(), "{story:?}");
        let mut made = calls.lock().unwrap().clone();
        made.sort_unstable();
        let mut wanted: Vec<String> = story.calls().iter().map(|it| (*it).to_owned()).collect();
        wanted.sort_unstable();
        assert_eq!(made, wanted, "{story:?}:\n{planned}");
        still.shutdown(Duration::from_secs(10)).await;
    }
}
