use stillpoint_engine::{Listing, Show};
use stillpoint_schedule::schedule::Pause;
use stillpoint_state::catalogue::{Order, SortBy};

use crate::bed::{Bed, at, cron, nightly, of_web_1, web};

#[tokio::test(start_paused = true)]
async fn what_is_to_come_is_on_top_in_every_order() {
    let bed = Bed::new();
    bed.apply(&of_web_1(cron("0 2 * * *"))).await;
    let mut other = of_web_1(cron("0 1 * * *"));
    other.name = "also".into();
    bed.apply(&other).await;
    bed.until(at("02T12:00")).await;
    bed.until(at("03T12:00")).await;
    let names = async |listing: Listing| -> Vec<String> {
        let rows = bed.engine.list(&listing).await.unwrap();
        rows.iter().map(|row| row.name().to_owned()).collect()
    };
    let (also, nightly) = ("also-web-1-2026030", "nightly-web-1-2026030");
    let (also, nightly) = (
        |day: u8| format!("{also}{day}-010000"),
        |day: u8| format!("{nightly}{day}-020000"),
    );
    let list = |parts: [&str; 2], rest: [String; 4]| -> Vec<String> {
        parts.into_iter().map(str::to_owned).chain(rest).collect()
    };
    assert_eq!(
        names(Listing::default()).await,
        list(
            ["also", "nightly"],
            [also(2), also(3), nightly(2), nightly(3)]
        ),
        "by name is the default"
    );
    let by = |sort, order| Listing {
        sort,
        order,
        ..Listing::default()
    };
    assert_eq!(
        names(by(SortBy::Name, Order::Descending)).await,
        list(
            ["nightly", "also"],
            [nightly(3), nightly(2), also(3), also(2)]
        )
    );
    assert_eq!(
        names(by(SortBy::Date, Order::Ascending)).await,
        list(
            ["also", "nightly"],
            [also(2), nightly(2), also(3), nightly(3)]
        )
    );
    assert_eq!(
        names(by(SortBy::Date, Order::Descending)).await,
        list(
            ["nightly", "also"],
            [nightly(3), also(3), nightly(2), also(2)]
        )
    );
    let show = |show| Listing {
        show,
        ..Listing::default()
    };
    assert_eq!(names(show(Show::Scheduled)).await, ["also", "nightly"]);
    assert_eq!(names(show(Show::Taken)).await.len(), 4);
    let rows = bed.engine.list(&show(Show::Scheduled)).await.unwrap();
    assert_eq!(rows[1].date(), at("04T02:00"), "the next date");

    let pause = Pause::Indefinitely;
    bed.engine.pause_schedule("also", pause).await.unwrap();
    assert_eq!(names(show(Show::Scheduled)).await, ["nightly"]);
}

#[tokio::test(start_paused = true)]
async fn a_list_of_one_resource_has_the_schedules_that_select_it() {
    let bed = Bed::new();
    bed.apply(&nightly()).await;
    bed.until(at("02T12:00")).await;
    let of = async |resource: stillpoint_core::ResourceRef| -> Vec<String> {
        let listing = Listing {
            source: Some(resource),
            ..Listing::default()
        };
        let rows = bed.engine.list(&listing).await.unwrap();
        rows.iter().map(|row| row.name().to_owned()).collect()
    };
    assert_eq!(
        of(web(1)).await,
        ["nightly", "nightly-web-1-20260302-020000"]
    );
    assert!(of("prod/instance/db-1".parse().unwrap()).await.is_empty());
}
