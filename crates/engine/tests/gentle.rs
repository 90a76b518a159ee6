//! Everything is told.

mod common;

use common::{Bench, Story};
use stillpoint_core::Unit;
use stillpoint_engine::What;
use stillpoint_iaas::sim::Personality;
use stillpoint_restore::Event;

#[tokio::test(start_paused = true)]
async fn every_change_is_told_and_progress_never_goes_back() {
    for personality in Personality::ALL {
        for story in Story::ALL
            .into_iter()
            .filter(|story| story.works_on(personality))
        {
            let bench = Bench::new(personality);
            let request = bench.set_up(story).await;
            let mut events = bench.engine.events();
            let plan = bench.engine.plan(&request).await.unwrap();
            let id = bench.engine.start(&plan).await.unwrap();
            bench.finish(id).await;
            let (mut told, mut last, mut ended) = (Vec::new(), None, 0);
            while let Ok(event) = events.try_recv() {
                assert_eq!(event.job, id);
                match event.what {
                    What::Step { call, became, .. } => told.push(format!("{call} {became}")),
                    What::Progress { progress } => {
                        assert!(last.is_none_or(|last: stillpoint_core::Progress| {
                            progress.done() > last.done() && progress.total() == last.total()
                        }));
                        last = Some(progress);
                    }
                    What::Ended { .. } => ended += 1,
                    _ => {}
                }
            }
            let last = last.unwrap();
            assert_eq!(
                (last.done(), ended),
                (last.total(), 1),
                "{personality:?} {story:?}"
            );
            let moves = !matches!(story, Story::Accept | Story::Delete);
            assert_eq!(
                last.unit() == Unit::Bytes,
                moves,
                "{personality:?} {story:?}"
            );
            let journal = bench.engine.journal(id).await.unwrap();
            let recorded = journal
                .iter()
                .filter(|record| record.event.call().is_some())
                .count();
            assert_eq!(told.len(), recorded, "one event for each record: {told:?}");
            assert!(matches!(journal[0].event, Event::Recovered));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn progress_does_not_go_back_where_another_driver_goes_on() {
    for personality in Personality::ALL {
        let bench = Bench::new(personality);
        let request = bench.set_up(Story::Take).await;
        let mut events = bench.engine.events();
        let plan = bench.engine.plan(&request).await.unwrap();
        let id = bench.engine.start(&plan).await.unwrap();
        let (mut seen, mut drivers) = (Vec::new(), 1);
        loop {
            match events.recv().await.unwrap().what {
                What::Progress { progress } => seen.push(progress),
                What::Ended { .. } => break,
                _ => continue,
            }
            // The first driver is dropped where it stands, after each of its first steps.
            if drivers < 4 {
                drivers += 1;
                bench.engine.shutdown(std::time::Duration::ZERO).await;
                tokio::spawn(bench.engine.run());
            }
        }
        bench.finish(id).await;
        assert!(drivers > 1, "{personality:?}");
        let done: Vec<_> = seen.iter().map(stillpoint_core::Progress::done).collect();
        assert!(
            done.windows(2).all(|pair| pair[0] < pair[1]),
            "{personality:?}: {done:?}"
        );
        let last = seen.last().unwrap();
        assert_eq!(
            (last.done(), last.unit()),
            (last.total(), Unit::Bytes),
            "{personality:?}"
        );
    }
}
