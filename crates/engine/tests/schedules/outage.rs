use stillpoint_schedule::policy::{Jitter, Missed};

use crate::bed::{Bed, at, cron, hours, nightly, on};

#[tokio::test(start_paused = true)]
async fn every_night_everything_with_the_label_once() {
    let bed = Bed::new();
    bed.apply(&nightly()).await;
    bed.until(at("04T12:00")).await;
    assert_eq!(
        bed.runs().await,
        ["02T02:00 done 2", "03T02:00 done 2", "04T02:00 done 2"]
    );
    assert_eq!(
        bed.names().await,
        [
            "nightly-web-1-20260302-020000",
            "nightly-web-1-20260303-020000",
            "nightly-web-1-20260304-020000",
            "nightly-web-2-20260302-020000",
            "nightly-web-2-20260303-020000",
            "nightly-web-2-20260304-020000",
        ]
    );
    bed.check_none_twice("nights").await;
    for snapshot in bed.snapshots().await {
        assert_eq!(snapshot.schedule.as_deref(), Some("nightly"));
        assert!(snapshot.verified.is_some());
    }
}

/// Down from the second at noon for 72 hours; then up for a day.
async fn outage(missed: Missed) -> Vec<String> {
    let mut bed = Bed::new();
    let spec = on(cron("0 2 * * *").on_missed(missed));
    bed.apply(&spec).await;
    bed.until(at("02T12:00")).await;
    bed.down();
    bed.until(at("05T12:00")).await;
    bed.up();
    bed.until(at("06T12:00")).await;
    bed.check_none_twice(&format!("{missed:?}")).await;
    bed.runs().await
}

#[tokio::test(start_paused = true)]
async fn an_outage_of_72_hours_under_each_policy() {
    assert_eq!(
        outage(Missed::Skip).await,
        [
            "02T02:00 done 2",
            "03T02:00 missed to 05T02:00",
            "06T02:00 done 2"
        ]
    );
    assert_eq!(
        outage(Missed::Latest).await,
        [
            "02T02:00 done 2",
            "03T02:00 missed to 04T02:00",
            "05T02:00 done 2",
            "06T02:00 done 2"
        ]
    );
    assert_eq!(
        outage(Missed::All { at_most: 2 }).await,
        [
            "02T02:00 done 2",
            "03T02:00 missed to 03T02:00",
            "04T02:00 done 2",
            "05T02:00 done 2",
            "06T02:00 done 2"
        ]
    );
    assert_eq!(
        outage(Missed::Within { window: hours(12) }).await,
        [
            "02T02:00 done 2",
            "03T02:00 missed to 04T02:00",
            "05T02:00 done 2",
            "06T02:00 done 2"
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_great_many_missed_runs_are_made_up_for_one_after_another() {
    let mut bed = Bed::new();
    let all = Missed::All { at_most: 40 };
    bed.apply(&on(cron("0 * * * *").on_missed(all))).await;
    bed.until(at("01T12:30")).await;
    bed.down();
    bed.until(at("03T12:30")).await;
    bed.up();
    bed.until(at("03T12:59")).await;
    let runs = bed.runs().await;
    assert_eq!(runs.len(), 1 + 40);
    assert_eq!(runs[0], "01T13:00 missed to 01T20:00");
    assert!(
        runs[1..].iter().all(|run| run.ends_with("done 2")),
        "{runs:?}"
    );
    bed.check_none_twice("made up for").await;
}

#[tokio::test(start_paused = true)]
async fn a_clock_put_forward_is_an_outage() {
    let bed = Bed::new();
    bed.apply(&nightly()).await;
    bed.until(at("02T12:00")).await;
    bed.jump(hours(72));
    bed.until(at("06T12:00")).await;
    assert_eq!(
        bed.runs().await,
        [
            "02T02:00 done 2",
            "03T02:00 missed to 04T02:00",
            "05T02:00 done 2",
            "06T02:00 done 2"
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_clock_put_back_repeats_nothing_and_skips_nothing() {
    for back in [hours(1) / 2, hours(3), hours(50)] {
        let bed = Bed::new();
        bed.apply(&nightly()).await;
        bed.until(at("04T02:10")).await;
        bed.jump(-back);
        bed.until(at("06T12:00")).await;
        let nights = ["02", "03", "04", "05", "06"].map(|day| format!("{day}T02:00 done 2"));
        assert_eq!(bed.runs().await, nights, "{back:?}");
        bed.check_none_twice(&format!("{back:?}")).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_was_a_year_ahead_silences_nothing_even_over_a_restart() {
    let mut bed = Bed::new();
    bed.apply(&nightly()).await;
    bed.jump(hours(366 * 24));
    tokio::time::sleep(std::time::Duration::from_secs(600)).await;
    assert_eq!(
        bed.runs().await.len(),
        2,
        "the last night of that year, and those before"
    );
    bed.down();
    bed.jump(-hours(366 * 24));
    bed.up();
    bed.until(at("03T12:00")).await;
    let runs = bed.runs().await;
    // What was missed in the year that never was has the first night's key.
    assert!(runs.contains(&"03T02:00 done 2".to_owned()), "{runs:?}");
}

#[tokio::test(start_paused = true)]
async fn starts_are_spread_and_runs_are_not() {
    let bed = Bed::new();
    let jitter = Jitter::PerResource { at_most: hours(1) };
    bed.apply(&on(cron("0 2 * * *").with_jitter(jitter).unwrap()))
        .await;
    bed.until(at("03T12:00")).await;
    let mut minutes = Vec::new();
    for snapshot in bed.snapshots().await {
        let started = snapshot.created_at.strftime("%H:%M").to_string();
        minutes.push((snapshot.source.id().to_owned(), started));
    }
    minutes.sort();
    minutes.dedup();
    assert_eq!(
        minutes.len(),
        2,
        "the same for each at every run: {minutes:?}"
    );
    assert_ne!(minutes[0].1, minutes[1].1);
    assert_eq!(bed.runs().await, ["02T02:00 done 2", "03T02:00 done 2"]);
}
