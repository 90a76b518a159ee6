use jiff::civil::date;
use stillpoint_core::ErrorKind;
use stillpoint_engine::{Applied, SchedulePlan, ScheduleSpec, Select, Subject, Warning};
use stillpoint_iaas::OperationKind;
use stillpoint_iaas::sim::{At, Fault, Personality};
use stillpoint_schedule::Schedule;
use stillpoint_schedule::retention::Keep;
use stillpoint_schedule::schedule::Pause;

use crate::bed::{Bed, at, cron, hours, nightly, of_web_1, on};

#[tokio::test(start_paused = true)]
async fn the_same_name_is_the_same_schedule() {
    let bed = Bed::new();
    let plan = bed.engine.plan_schedule(&nightly()).await.unwrap();
    assert_eq!(plan.change, Applied::Created);
    assert_eq!(plan.selects.len(), 2);
    assert_eq!(plan.next[0].run.at, at("02T02:00"));
    assert_eq!(plan.next.len(), 5);
    assert!(
        bed.engine.schedules().await.unwrap().is_empty(),
        "a plan changes nothing"
    );
    let json = serde_json::to_string(&plan).unwrap();
    let stored: SchedulePlan = serde_json::from_str(&json).unwrap();
    assert_eq!(stored, plan);
    bed.engine.apply_schedule(&stored).await.unwrap();

    let again = bed.engine.plan_schedule(&nightly()).await.unwrap();
    assert_eq!(again.change, Applied::Unchanged);
    let mut changed = on(cron("0 3 * * *"));
    changed.keep = Some(Keep::new().daily(7));
    let update = bed.engine.plan_schedule(&changed).await.unwrap();
    assert_eq!(
        update.change,
        Applied::Updated(vec!["when".into(), "keep".into()])
    );
    bed.engine.apply_schedule(&update).await.unwrap();
    assert_eq!(bed.engine.schedules().await.unwrap().len(), 1);
    let out_of_date = bed.engine.apply_schedule(&stored).await.unwrap_err();
    assert_eq!(out_of_date.kind(), ErrorKind::Conflict);
    bed.until(at("02T12:00")).await;
    assert_eq!(bed.runs().await, ["02T03:00 done 2"]);
}

#[tokio::test(start_paused = true)]
async fn a_service_that_applies_at_every_start_misses_what_it_missed() {
    let mut bed = Bed::new();
    bed.apply(&nightly()).await;
    bed.down();
    bed.until(at("03T12:00")).await;
    bed.up();
    bed.apply(&nightly()).await;
    bed.until(at("03T12:10")).await;
    assert_eq!(
        bed.runs().await,
        ["02T02:00 missed to 02T02:00", "03T02:00 done 2"]
    );
}

#[tokio::test(start_paused = true)]
async fn other_times_count_from_when_they_are_applied() {
    let mut bed = Bed::new();
    bed.apply(&nightly()).await;
    bed.down();
    bed.until(at("03T12:00")).await;
    // Nobody promised three o'clock for the days before.
    bed.apply(&on(cron("0 3 * * *"))).await;
    bed.up();
    bed.until(at("04T12:00")).await;
    assert_eq!(bed.runs().await, ["04T03:00 done 2"]);
}

#[tokio::test(start_paused = true)]
async fn a_pause_outlives_another_apply_and_what_falls_into_it_is_not_missed() {
    let bed = Bed::new();
    bed.apply(&nightly()).await;
    let pause = Pause::Indefinitely;
    bed.engine.pause_schedule("nightly", pause).await.unwrap();
    let mut changed = nightly();
    changed.keep = Some(Keep::new().daily(7));
    let plan = bed.engine.plan_schedule(&changed).await.unwrap();
    assert!(plan.warnings.contains(&Warning::Paused(pause)), "{plan}");
    bed.engine.apply_schedule(&plan).await.unwrap();
    bed.until(at("04T12:00")).await;
    let status = bed.engine.schedule("nightly").await.unwrap();
    assert_eq!((status.paused, status.next), (Some(pause), None));
    assert!(bed.runs().await.is_empty());
    bed.engine.resume_schedule("nightly").await.unwrap();
    bed.until(at("05T12:00")).await;
    assert_eq!(bed.runs().await, ["05T02:00 done 2"]);
}

#[tokio::test(start_paused = true)]
async fn what_is_removed_fires_no_more_and_its_snapshots_stay() {
    let bed = Bed::new();
    bed.apply(&nightly()).await;
    bed.until(at("02T12:00")).await;
    bed.engine.remove_schedule("nightly").await.unwrap();
    bed.until(at("04T12:00")).await;
    assert_eq!(bed.runs().await, ["02T02:00 done 2"]);
    assert_eq!(bed.snapshots().await.len(), 2);
    let gone = bed.engine.remove_schedule("nightly").await.unwrap_err();
    assert_eq!(gone.kind(), ErrorKind::NotFound);
    bed.apply(&nightly()).await;
    bed.until(at("05T12:00")).await;
    assert_eq!(bed.runs().await, ["02T02:00 done 2", "05T02:00 done 2"]);
}

async fn warnings(bed: &Bed, spec: &ScheduleSpec) -> Vec<Warning> {
    let plan = bed.engine.plan_schedule(spec).await.unwrap();
    let page = plan.to_string();
    for warning in &plan.warnings {
        assert!(page.contains(&format!("warning: {warning}")), "{page}");
    }
    plan.warnings
}

#[tokio::test(start_paused = true)]
async fn what_is_odd_is_said() {
    let bed = Bed::new();
    assert_eq!(warnings(&bed, &nightly()).await, [Warning::KeepsEverything]);
    let kept = |mut spec: ScheduleSpec| {
        spec.keep = Some(Keep::new().daily(7).weekly(4));
        spec
    };
    assert_eq!(warnings(&bed, &kept(nightly())).await, []);

    let late = warnings(&bed, &kept(on(cron("0 0 29 2 *")))).await;
    assert!(matches!(late[..], [Warning::FiresLate { .. }]), "{late:?}");
    let over = Schedule::once(date(2026, 2, 1).at(2, 0, 0, 0)).unwrap();
    assert_eq!(warnings(&bed, &kept(on(over))).await, [Warning::NeverFires]);

    let mut stale = kept(nightly());
    stale.stale_after = Some(hours(20));
    let between = warnings(&bed, &stale).await;
    assert!(
        matches!(between[..], [Warning::StaleBetweenRuns { between, .. }] if between == hours(24)),
        "{between:?}"
    );
    let mut unverified = kept(nightly());
    unverified.manner.verify = false;
    assert_eq!(
        warnings(&bed, &unverified).await,
        [Warning::NeverVerified { provider: None }]
    );
    // Where nobody can read a snapshot back, the same is said of the provider, and where nothing
    // is to be deleted it does not matter.
    let unread = Bed::on(Personality::Process);
    let (one, provider) = (of_web_1(cron("0 2 * * *")), Some("prod".to_owned()));
    assert_eq!(
        warnings(&unread, &kept(one.clone())).await,
        [Warning::NeverVerified { provider }]
    );
    assert_eq!(warnings(&unread, &one).await, [Warning::KeepsEverything]);
    let mut nothing = kept(nightly());
    nothing.of = Subject::Instances(Select::label("backup", "typo"));
    assert_eq!(warnings(&bed, &nothing).await, [Warning::SelectsNothing]);

    // It took five minutes, and runs every four.
    let by = std::time::Duration::from_secs(5 * 60);
    let snapshots = At::submit(OperationKind::Snapshot).times(2);
    bed.cloud.fault(snapshots, Fault::Slow { by });
    bed.apply(&kept(nightly())).await;
    bed.until(at("02T12:00")).await;
    let overlaps = warnings(&bed, &kept(on(cron("*/4 * * * *")))).await;
    assert!(
        matches!(overlaps[..], [Warning::Overlaps { by, .. }] if by >= hours(1) / 60),
        "{overlaps:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn what_could_never_work_is_refused() {
    let bed = Bed::new();
    let refused = async |spec: &ScheduleSpec, kind: ErrorKind, says: &str| {
        let error = bed.engine.plan_schedule(spec).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.to_string().contains(says), "{error}");
    };
    for name in ["", "a b", "a/b", "ä", &"x".repeat(64)] {
        let mut spec = nightly();
        spec.name = name.into();
        refused(&spec, ErrorKind::Invalid, "no name of a schedule").await;
    }
    let mut spec = nightly();
    spec.keep = Some(Keep::new());
    refused(&spec, ErrorKind::Invalid, "keeps nothing").await;
    let mut spec = nightly();
    spec.stale_after = Some(hours(0));
    refused(&spec, ErrorKind::Invalid, "stale at once").await;
    let mut spec = nightly();
    spec.of = Subject::Instances(Select::all().on("prdo"));
    refused(
        &spec,
        ErrorKind::NotFound,
        "no provider `prdo`, known: prod",
    )
    .await;
    let mut spec = nightly();
    spec.of = Subject::Manager("nobody".into());
    refused(&spec, ErrorKind::NotFound, "no executor `nobody`").await;
    // What nobody takes snapshots of is refused when it is applied, not skipped when it fires.
    let mut spec = nightly();
    spec.of = Subject::Instances(Select::these(["prod/image/golden".parse().unwrap()]));
    refused(
        &spec,
        ErrorKind::Unsupported,
        "takes no snapshots of a image",
    )
    .await;
}
