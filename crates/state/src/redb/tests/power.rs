use stillpoint_core::ErrorKind;

use crate::redb::tests::disk::{Disk, Faults};
use crate::redb::tests::{batch, batches, formatted, open};
use crate::state::State;

const COMMITS: u64 = 4;
const MEDIA: u64 = 3;

/// Commits until the power goes, and returns what was acknowledged.
async fn commit_until_dark(disk: &Disk, power_until: Option<usize>, sync_lies: bool) -> Vec<u64> {
    let (state, _folder) = open(disk).unwrap();
    disk.set(Faults {
        power_until,
        sync_lies,
        ..Faults::default()
    });
    let mut acknowledged = Vec::new();
    for number in 0..COMMITS {
        match state.commit(batch(number, 700 << number)).await {
            Ok(_) => acknowledged.push(number),
            Err(error) => assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}"),
        }
    }
    acknowledged
}

/// How many cuts of the power were tried, and how many lost something.
async fn cut_the_power_everywhere(sync_lies: bool) -> (usize, usize) {
    let image = {
        let disk = formatted();
        disk.after_power_loss(&mut fastrand::Rng::with_seed(0))
    };
    let (mut tried, mut lost) = (0, 0);
    for cut in 0.. {
        let disk = Disk::holding(image.clone());
        let acknowledged = commit_until_dark(&disk, Some(cut), sync_lies).await;
        for seed in 0..MEDIA {
            let mut random = fastrand::Rng::with_seed(seed);
            let medium = Disk::holding(disk.after_power_loss(&mut random));
            tried += 1;
            let Ok((state, _folder)) = open(&medium) else {
                lost += 1;
                continue;
            };
            // One more may be there: it was under way.
            let there = batches(&state).await;
            let kept = there.starts_with(&acknowledged) && there.len() <= acknowledged.len() + 1;
            lost += usize::from(!kept);
        }
        if disk.operations() < cut {
            return (tried, lost);
        }
    }
    unreachable!("a run has an end")
}

#[tokio::test]
async fn what_was_acknowledged_survives_the_power() {
    let (tried, lost) = cut_the_power_everywhere(false).await;
    println!("{tried} media after power cuts at every write and sync: {lost} lost something");
    assert_eq!(lost, 0);
    assert!(tried > 100, "{tried}");
}

/// The test above can fail: without the sync it does.
#[tokio::test]
async fn a_sync_left_out_is_noticed() {
    let (tried, lost) = cut_the_power_everywhere(true).await;
    println!("without syncs: {lost} of {tried} lost something");
    assert!(lost > 0);
}
