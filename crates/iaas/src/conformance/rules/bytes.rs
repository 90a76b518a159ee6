use ::bytes::Bytes;
use stillpoint_core::ResourceRef;

use crate::bytes::VolumeBytes;
use crate::conformance::bed::TestBed;
use crate::conformance::breach::{Breach, Held, Verdict, ensure};
use crate::conformance::trial::Trial;

const NO_BYTES: Held = Held::NotPromised("it gives no access to bytes");
const NO_OTHER_WAY: Held = Held::NotPromised("the bed cannot read bytes by itself");

/// Odd, so that reads lie across every boundary there is.
const STEP: usize = 10_007;

pub(in crate::conformance) async fn bytes_are_read<B: TestBed>(
    trial: &mut Trial<'_, B>,
) -> Verdict {
    let Some(bytes) = trial.provider().bytes() else {
        return Ok(NO_BYTES);
    };
    let volume = trial.volume().await;
    let Some(expected) = all_by_bed(trial, &volume).await else {
        return Ok(NO_OTHER_WAY);
    };
    let size = bytes.size(&volume).await?;
    ensure!(
        size == expected.len() as u64,
        "{volume} has {} bytes, and says {size}",
        expected.len()
    );
    for at in (0..expected.len()).step_by(STEP) {
        let end = expected.len().min(at + STEP + 1);
        let read = bytes.read(&volume, at as u64, STEP + 1).await?;
        ensure!(
            read == expected[at..end],
            "the {} bytes read at {at} are not those of {volume}",
            read.len()
        );
    }
    let past = bytes.read(&volume, size, 16).await?;
    ensure!(past.is_empty(), "there are {past:?} past the end");
    Ok(Held::Kept)
}

pub(in crate::conformance) async fn bytes_are_written<B: TestBed>(
    trial: &mut Trial<'_, B>,
) -> Verdict {
    let Some(bytes) = trial.provider().bytes() else {
        return Ok(NO_BYTES);
    };
    let volume = trial.volume().await;
    let Some(mut expected) = all_by_bed(trial, &volume).await else {
        return Ok(NO_OTHER_WAY);
    };
    let end = expected.len();
    for (at, text) in [(4090, "over a block's end"), (end - 3, "end"), (7, "")] {
        let text = Bytes::from(text);
        expected[at..at + text.len()].copy_from_slice(&text);
        bytes.write(&volume, at as u64, text).await?;
    }
    bytes.flush(&volume).await?;
    let past = bytes
        .write(&volume, end as u64 - 1, Bytes::from("past"))
        .await;
    ensure!(past.is_err(), "a write past the end is a success");
    ensure!(
        all_by_bed(trial, &volume).await.as_ref() == Some(&expected),
        "{volume} does not hold what was written"
    );
    Ok(Held::Kept)
}

pub(in crate::conformance) async fn extents_hold_all<B: TestBed>(
    trial: &mut Trial<'_, B>,
) -> Verdict {
    let Some(bytes) = trial.provider().bytes() else {
        return Ok(NO_BYTES);
    };
    let volume = trial.volume().await;
    let Some(mut rest) = all_by_bed(trial, &volume).await else {
        return Ok(NO_OTHER_WAY);
    };
    let mut at = 0;
    loop {
        let extents = bytes.extents(&volume, at).await?;
        let Some(last) = extents.last() else { break };
        for extent in &extents {
            ensure!(
                extent.length > 0,
                "an extent of no length at {}",
                extent.offset
            );
            ensure!(
                extent.end() > at && extent.end() <= rest.len() as u64,
                "{extent:?} after {at}, in {} bytes",
                rest.len()
            );
            let range = index(extent.offset)?..index(extent.end())?;
            rest[range].fill(0);
            at = extent.end();
        }
        ensure!(last.end() == at, "extents are not in order");
    }
    let missed = rest.iter().position(|&byte| byte != 0);
    ensure!(
        missed.is_none(),
        "the byte at {missed:?} is in no extent, and not zero"
    );
    Ok(Held::Kept)
}

pub(in crate::conformance) async fn snapshots_are_read_only<B: TestBed>(
    trial: &mut Trial<'_, B>,
) -> Verdict {
    if trial.provider().bytes().is_none() {
        return Ok(NO_BYTES);
    }
    let volume = trial.volume().await;
    let snapshot = trial.snapshot_of(&volume).await?;
    let before = trial.inventory().await;
    let bytes: &dyn VolumeBytes = trial.provider().bytes().expect("it has just been there");
    let answer = bytes
        .write(&snapshot, 0, Bytes::from("not in a snapshot"))
        .await;
    ensure!(answer.is_err(), "writing to {snapshot} is a success");
    ensure!(
        trial.inventory().await == before,
        "refusing to write to {snapshot} has changed something"
    );
    Ok(Held::Kept)
}

async fn all_by_bed<B: TestBed>(trial: &Trial<'_, B>, volume: &ResourceRef) -> Option<Vec<u8>> {
    let size = usize::try_from(trial.bed.volume_size()).ok()?;
    trial.bed.read(volume, 0, size).await
}

fn index(offset: u64) -> Result<usize, Breach> {
    usize::try_from(offset).map_err(|_| Breach::new(format!("{offset} is past all memory")))
}
