//! Limits are kept, and everything is told.

mod common;

use std::sync::Arc;
use std::time::Duration;

use common::{Bench, CloudClock, Story};
use stillpoint_core::Unit;
use stillpoint_engine::{Engine, Request, Take, What};
use stillpoint_iaas::sim::{NewInstance, Personality, SimCloud};
use stillpoint_iaas::{Limits, RateLimit};
use stillpoint_restore::Event;
use stillpoint_state::Memory;

#[tokio::test(start_paused = true)]
async fn one_call_in_ten_minutes_is_never_refused() {
    let rate = RateLimit {
        calls: 1,
        per: Duration::from_secs(600),
    };
    let limits = Limits {
        at_once: 4,
        rate: Some(rate),
        call_timeout: Duration::from_secs(30),
    };
    let cloud = SimCloud::builder(Personality::Declarative)
        .name("prod")
        .limits(limits)
        .build();
    let engine = Engine::builder(Arc::new(Memory::new()))
        .provider(Arc::new(cloud.connect()))
        .clock(Arc::new(CloudClock(cloud.clock())))
        .build()
        .unwrap();
    let driving = tokio::spawn(engine.run());
    let started = cloud.now();
    let mut jobs = Vec::new();
    for number in 0..12 {
        let name = format!("web-{number}");
        let web = cloud.add_instance(NewInstance::new(name).disk("root", 4096).off());
        let plan = engine.plan(&Request::Take(Take::of(web))).await.unwrap();
        jobs.push(engine.start(&plan).await.unwrap());
    }
    let mut ends = Vec::new();
    for job in jobs {
        let job = engine.wait(job).await.unwrap();
        assert!(job.is_good(), "{job:#?}");
        ends.push(job.ended_at.unwrap());
    }
    assert!(ends.is_sorted(), "first come, first served: {ends:?}");
    assert_eq!(cloud.calls().rate_limited, 0);
    let took = Duration::try_from(cloud.now().duration_since(started)).unwrap();
    assert!(
        took < Duration::from_secs(600 * 12),
        "no time is lost either: {took:?}"
    );
    driving.abort();
}

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
