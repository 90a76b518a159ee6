//! The power goes after every single thing that is done to the folder, and takes what no fsync
//! has made sure of: all of it, none, or some. Then the folder is opened: what was acknowledged is
//! there, what was under way is done or was never begun, and nothing is left over.
//!
//! Each fsync is then left out in turn, and must be missed.

#[path = "../bed/mod.rs"]
mod bed;
mod medium;
mod recording;
#[path = "../victim/mod.rs"]
mod victim;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};

use bed::{Bed, create_volume, drive, key, take_volume, volume};
use medium::{Event, Medium};
use recording::Recording;
use stillpoint_core::{Disk, Labels, ResourceRef};
use stillpoint_iaas::{Observation, Operation, Provider};
use stillpoint_local::LocalProvider;
use victim::{OPERATIONS, operation, shape};

/// What is done to a folder, one after the other, each acknowledged before the next.
struct Story {
    name: String,
    world: World,
    steps: Vec<Step>,
}

/// Where a story begins.
enum World {
    /// In a folder that a power loss has left: this is what it did.
    Cut(fn(&Path)),
    /// In a folder that nobody has opened before.
    Empty,
    Whole,
}

enum Step {
    Ask(Operation),
    /// An instance is declared to have lost a disk.
    Declare,
    /// Bytes are written to a volume and flushed.
    Write(ResourceRef),
}

/// A story as it was told once, and the folder's shape after each of its steps.
struct Told {
    recording: Recording,
    events: Vec<Event>,
    acknowledged: Vec<usize>,
    shapes: Vec<Shape>,
}

type Shape = BTreeMap<String, String>;

fn stories() -> Vec<Story> {
    let story = |name: &str, steps| Story {
        name: name.to_owned(),
        world: World::Whole,
        steps,
    };
    let named = |id: &str| -> ResourceRef { id.parse().unwrap() };
    let delete = |snapshot: &str| {
        Step::Ask(Operation::DeleteSnapshot {
            snapshot: named(snapshot),
        })
    };
    let root = volume("root.raw");
    let take = || Step::Ask(take_volume(&volume("root.raw")));
    let mut stories: Vec<_> = OPERATIONS
        .into_iter()
        .map(|name| story(name, vec![Step::Ask(operation(name))]))
        .collect();
    stories.push(Story {
        world: World::Empty,
        ..story("a first snapshot", vec![take()])
    });
    stories.push(Story {
        world: World::Cut(|folder| {
            let deleted = folder.join(".stillpoint/deleted/volume.spare.raw");
            std::fs::hard_link(folder.join("spare.raw"), deleted).unwrap();
        }),
        ..story("a rename cut in two", Vec::new())
    });
    stories.push(story("a declaration", vec![Step::Declare]));
    stories.push(story("a write", vec![Step::Write(root.clone())]));
    stories.push(story(
        "taken, and deleted again",
        vec![take(), delete("here/snapshot/step-0.0")],
    ));
    stories.push(story(
        "reverted, and the snapshot deleted",
        vec![
            Step::Ask(operation("revert")),
            delete("here/snapshot/kept.0"),
        ],
    ));
    let gone = volume("new.raw");
    stories.push(story(
        "made, and deleted again",
        vec![
            Step::Ask(create_volume("new.raw", 8192, None)),
            Step::Ask(Operation::DeleteVolume { volume: gone }),
        ],
    ));
    let instance = named("here/instance/web");
    let labels = Labels::from([("a".to_owned(), "b".to_owned())]);
    let resource = named("here/snapshot/kept.0");
    stories.push(story(
        "labels, and no instance any more",
        vec![
            Step::Ask(Operation::SetLabels { resource, labels }),
            Step::Ask(Operation::DeleteInstance { instance }),
        ],
    ));
    stories
}

#[tokio::test]
async fn the_power_takes_nothing_that_was_acknowledged_and_leaves_nothing_half() {
    let mut told = Vec::new();
    for story in stories() {
        let tale = tell(&story).await;
        told.push((story, tale));
    }
    let mut sites: BTreeMap<String, BTreeSet<usize>> = BTreeMap::new();
    let mut media = 0;
    for (number, (story, tale)) in told.iter().enumerate() {
        match cut_everywhere(story, tale, None).await {
            Ok(tried) => media += tried,
            Err(lost) => panic!("{lost}"),
        }
        for site in tale.events.iter().filter_map(Event::site) {
            sites.entry(site.to_owned()).or_default().insert(number);
        }
    }
    let moments: usize = told.iter().map(|(_, tale)| tale.events.len() + 1).sum();
    println!(
        "{} stories, {moments} moments, {media} media: nothing lost",
        told.len()
    );
    assert!(media > 800, "far fewer media than there are: {media}");

    let mut missed_by_nobody = Vec::new();
    for (site, stories) in &sites {
        let mut missed = None;
        for number in stories {
            let (story, tale) = &told[*number];
            if let Err(lost) = cut_everywhere(story, tale, Some(site)).await {
                missed = Some(lost);
                break;
            }
        }
        match missed {
            Some(lost) => println!("without {site}: {}", lost.lines().next().unwrap()),
            None => missed_by_nobody.push(site),
        }
    }
    assert!(
        missed_by_nobody.is_empty(),
        "left out, and nothing is lost: {missed_by_nobody:#?}"
    );
}

fn place() -> PathBuf {
    let memory = PathBuf::from("/dev/shm");
    if memory.is_dir() {
        return memory;
    }
    std::env::temp_dir()
}

async fn tell(story: &Story) -> Told {
    let bed = match story.world {
        World::Empty => {
            let bed = Bed::new_in(&place());
            bed.volume("root.raw", 8192, 1);
            bed
        }
        World::Cut(_) | World::Whole => victim::world(&place()).await,
    };
    if let World::Cut(cut) = story.world {
        cut(bed.path());
    }
    let recording = Recording::of(bed.path());
    let provider = bed.open();
    let mut shapes = vec![shape(bed.path())];
    let mut acknowledged = Vec::new();
    for (number, step) in story.steps.iter().enumerate() {
        match step {
            Step::Ask(operation) => {
                drive(&provider, &format!("step-{number}"), operation)
                    .await
                    .unwrap();
            }
            Step::Declare => {
                let root = Disk {
                    name: "root".to_owned(),
                    volume: Some(volume("root.raw")),
                    size: 0,
                    boot: true,
                };
                provider.declare_instance("web", &[root]).await.unwrap();
            }
            Step::Write(volume) => {
                let bytes = provider.bytes().unwrap();
                for at in [0, 100] {
                    bytes.write(volume, at, "new".into()).await.unwrap();
                }
                bytes.flush(volume).await.unwrap();
            }
        }
        acknowledged.push(recording.length());
        shapes.push(shape(bed.path()));
    }
    drop(provider);
    let events = recording.end();
    Told {
        recording,
        events,
        acknowledged,
        shapes,
    }
}

/// What survives of what is not sure: nothing, everything, and so many times something.
const SOME: u64 = 8;

/// Cuts the power at every moment of a story, and says how many media were looked at; with an
/// fsync left out, until something is lost.
async fn cut_everywhere(
    story: &Story,
    told: &Told,
    left_out: Option<&str>,
) -> Result<usize, String> {
    let mut medium = Medium::at_rest(&told.recording.before);
    let mut seen = HashSet::new();
    let mut tried = 0;
    for moment in 0..=told.events.len() {
        if let Some(event) = moment.checked_sub(1).map(|last| &told.events[last])
            && (event.site().is_none() || event.site() != left_out)
        {
            medium.apply(event);
        }
        let done = told.acknowledged.iter().filter(|at| **at <= moment).count();
        for seed in 0..SOME + 2 {
            let mut random = fastrand::Rng::with_seed(seed);
            let tree = medium.after_power_loss(|| match seed {
                0 => false,
                1 => true,
                _ => random.bool(),
            });
            let mut hasher = DefaultHasher::new();
            (&tree, done).hash(&mut hasher);
            if !seen.insert(hasher.finish()) {
                continue;
            }
            tried += 1;
            let folder = told.recording.make(&tree);
            check(folder.path(), story, told, done).await.map_err(|lost| {
                let (name, last) = (&story.name, moment.checked_sub(1));
                let last = last.map(|last| &told.events[last]);
                format!("{name}, the power gone at {moment}, {done} steps acknowledged: {lost}\nlast: {last:?}")
            })?;
        }
    }
    Ok(tried)
}

/// Opens what the power has left.
async fn check(folder: &Path, story: &Story, told: &Told, done: usize) -> Result<(), String> {
    let provider = LocalProvider::open("here", folder)
        .map_err(|error| format!("it does not open: {error}"))?;
    let mut expected = told.shapes[done].clone();
    let mut found = shape(folder);
    match story.steps.get(done) {
        None => {}
        Some(Step::Ask(operation)) => {
            let key = key(&format!("step-{done}"));
            match provider.observe(&key, operation, None).await {
                Ok(Observation::Absent) => {}
                Ok(Observation::Done { .. }) => expected.clone_from(&told.shapes[done + 1]),
                other => return Err(format!("what was under way is {other:?}")),
            }
        }
        Some(Step::Declare) if found != expected => {
            expected.clone_from(&told.shapes[done + 1]);
        }
        Some(Step::Declare) => {}
        Some(Step::Write(volume)) => {
            // Half written is what a write that nobody flushed may be.
            expected.remove(volume.id());
            found.remove(volume.id());
        }
    }
    if found == expected {
        return Ok(());
    }
    let differ: Vec<_> = expected
        .keys()
        .chain(found.keys())
        .filter(|name| expected.get(*name) != found.get(*name))
        .map(|name| format!("{name}: {:?} for {:?}", found.get(name), expected.get(name)))
        .collect();
    Err(differ.join("; "))
}
