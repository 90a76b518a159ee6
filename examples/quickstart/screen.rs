//! What a person sees: headings, facts, a bar. Colour only on a terminal without `NO_COLOR`.

use std::time::Duration;

use console::style;
use indicatif::{ProgressBar, ProgressStyle};
use stillpoint::{
    CopyKind, Job, JobEvent, Progress, Snapshot, SnapshotState, Stillpoint, VerifyLevel, What,
    Wish, catalogue::Query,
};

use crate::Result;

/// How often the bar moves where nothing else is heard.
const TICK: Duration = Duration::from_millis(100);

/// The story's next chapter.
pub(crate) fn chapter(number: u32, title: &str) {
    println!(
        "\n{} {}",
        style(format!("{number}.")).cyan().bold(),
        style(title).bold()
    );
}

/// One fact.
pub(crate) fn fact(name: &str, text: impl std::fmt::Display) {
    println!("   {} {text}", style(format!("{name:<14}")).dim());
}

/// One fact that was checked, and is as it should be.
pub(crate) fn proven(name: &str, text: impl std::fmt::Display) {
    println!(
        "   {} {text} {}",
        style(format!("{name:<14}")).dim(),
        style("✓").green()
    );
}

/// A page, indented.
pub(crate) fn page(text: impl std::fmt::Display) {
    for line in text.to_string().lines() {
        println!("   {line}");
    }
}

/// Starts what is asked and shows how far it is, until it is over.
pub(crate) async fn follow<W: Wish>(
    still: &Stillpoint,
    what: &str,
    ask: stillpoint::Ask<W>,
) -> Result<Job> {
    let mut events = still.events();
    let job = ask.start().await?;
    let bar = ProgressBar::new(0).with_style(ProgressStyle::with_template(
        "   {msg:<14} {bar:32} {percent:>3}%  {bytes} of {total_bytes}",
    )?);
    bar.set_message(what.to_owned());
    let ended = job.clone().into_future();
    tokio::pin!(ended);
    let ended = loop {
        tokio::select! {
            ended = &mut ended => break ended,
            Ok(event) = events.recv() => show(&bar, &event, job.id()),
            () = tokio::time::sleep(TICK) => bar.tick(),
        }
    };
    bar.finish_and_clear();
    Ok(ended?)
}

fn show(bar: &ProgressBar, event: &JobEvent, job: stillpoint::JobId) {
    if let (What::Progress { progress }, true) = (&event.what, event.job == job) {
        let progress: &Progress = progress;
        bar.set_length(progress.total());
        bar.set_position(progress.done());
    }
}

/// All there is to say of a snapshot, and above all what it is not.
pub(crate) fn snapshot(snapshot: &Snapshot) {
    fact(
        "snapshot",
        format_args!("`{}`  {}", snapshot.name, snapshot.id),
    );
    for part in &snapshot.parts {
        let copy = match part.copy {
            CopyKind::Full => "a full copy",
            CopyKind::Shallow => "shares blocks with its source",
            _ => "a copy",
        };
        let digest = part
            .digest
            .map_or("not read".into(), |digest| short(&digest));
        let boot = if part.boot { ", boots" } else { "" };
        fact(
            "  part",
            format_args!(
                "{:<8} {:>8}{boot}, {copy}, content {digest}",
                part.disk,
                size(part.size)
            ),
        );
    }
    for omission in &snapshot.omitted {
        fact("  without", omission);
    }
    let consistency = &snapshot.consistency;
    if let Some(reached) = consistency.reached {
        fact(
            "  consistency",
            format_args!("{reached} (at least {})", consistency.demanded),
        );
    }
    if let Some(at) = snapshot.taken_at {
        fact("  taken", format_args!("{at:.0}"));
    }
    fact(
        "  verified",
        match snapshot.verified.map(|verified| verified.level) {
            Some(VerifyLevel::Source) => "every byte was read back and matched its source",
            Some(_) => "every byte was read back twice, and matched itself",
            None => "no: its bytes were not read back",
        },
    );
}

/// The catalogue, the newest first.
pub(crate) async fn list(still: &Stillpoint) -> Result<()> {
    let page = still.snapshots(&Query::default()).await?;
    if page.rows.is_empty() {
        fact("snapshots", "none");
    }
    for row in page.rows {
        let it = row.snapshot;
        let state = match it.state {
            SnapshotState::Archived => "in an archive",
            SnapshotState::Taken => "taken",
            SnapshotState::Creating => "being taken",
            SnapshotState::Deleting => "being deleted",
            _ => "in part",
        };
        let pins: Vec<_> = it.pins.into_iter().collect();
        let pinned = if pins.is_empty() {
            String::new()
        } else {
            format!("  pinned: {}", pins.join(", "))
        };
        fact(
            state,
            format_args!("{:<40} {} parts{pinned}", it.name, it.parts.len()),
        );
    }
    Ok(())
}

/// The first digits of a digest, which are enough for the eye.
pub(crate) fn short(digest: &stillpoint::Digest) -> String {
    let mut text = digest.to_string();
    text.truncate(12);
    text
}

/// Bytes, as people say them.
pub(crate) fn size(bytes: u64) -> String {
    indicatif::BinaryBytes(bytes).to_string()
}
