use stillpoint_engine::{Alarm, Health, Select, Subject};
use stillpoint_iaas::OperationKind;
use stillpoint_iaas::sim::{At, Fault};

use crate::bed::{Bed, at, cron, hours, nightly, of_web_1};

async fn alarms(bed: &Bed) -> Vec<Alarm> {
    let health = bed.engine.health().await.unwrap();
    let json = serde_json::to_string(&health).unwrap();
    assert_eq!(serde_json::from_str::<Health>(&json).unwrap(), health);
    health.alarms().map(|(_, alarm)| alarm.clone()).collect()
}

#[tokio::test(start_paused = true)]
async fn alarms_are_levels_they_go_when_what_is_wrong_goes() {
    let bed = Bed::new();
    let mut spec = of_web_1(cron("0 2 * * *"));
    spec.stale_after = Some(hours(26));
    bed.apply(&spec).await;
    assert_eq!(
        alarms(&bed).await,
        [],
        "it had no time to take anything yet"
    );
    bed.until(at("02T12:00")).await;
    assert_eq!(alarms(&bed).await, []);

    let always = At::submit(OperationKind::Snapshot).times(1000);
    bed.cloud.fault(always, Fault::QuotaShort);
    bed.until(at("03T12:00")).await;
    let now = alarms(&bed).await;
    assert!(
        matches!(now[0], Alarm::Failing { failed: 1, .. }),
        "{now:?}"
    );
    assert!(
        matches!(&now[1], Alarm::Stale { age, .. } if *age > hours(26)),
        "{now:?}"
    );
    assert_eq!(now.len(), 2);
    assert_eq!(alarms(&bed).await.len(), 2, "asking twice changes nothing");

    bed.cloud.clear_faults();
    bed.until(at("04T12:00")).await;
    assert_eq!(alarms(&bed).await, []);
}

#[tokio::test(start_paused = true)]
async fn what_was_never_taken_is_stale_from_the_schedule_on() {
    let bed = Bed::new();
    let mut spec = of_web_1(cron("0 2 * * *"));
    spec.of = Subject::Instances(Select::these(["prod/instance/gone".parse().unwrap()]));
    spec.stale_after = Some(hours(26));
    bed.apply(&spec).await;
    bed.until(at("03T12:00")).await;
    let now = alarms(&bed).await;
    assert!(matches!(now[1], Alarm::Stale { last: None, .. }), "{now:?}");
}

#[tokio::test(start_paused = true)]
async fn only_verified_is_good() {
    let bed = Bed::new();
    let mut spec = of_web_1(cron("0 2 * * *"));
    spec.stale_after = Some(hours(26));
    spec.manner.verify = false;
    bed.apply(&spec).await;
    bed.until(at("03T12:00")).await;
    assert_eq!(alarms(&bed).await, [], "nobody asked for more than taken");
    spec.manner.verify = true;
    bed.apply(&spec).await;
    let now = alarms(&bed).await;
    assert!(
        matches!(now[..], [Alarm::Stale { last: None, .. }]),
        "{now:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn missed_is_we_were_down_and_overdue_is_we_still_are() {
    let mut bed = Bed::new();
    bed.apply(&nightly()).await;
    bed.down();
    bed.look();
    bed.until(at("02T02:04")).await;
    assert_eq!(alarms(&bed).await, [], "within the grace");
    bed.until(at("04T12:00")).await;
    let now = alarms(&bed).await;
    assert!(
        matches!(now[..], [Alarm::Overdue { run }] if run.at == at("02T02:00")),
        "{now:?}"
    );
    let always = At::submit(OperationKind::Snapshot).times(1000);
    bed.cloud.fault(always, Fault::QuotaShort);
    bed.up();
    bed.until(at("04T12:10")).await;
    let now = alarms(&bed).await;
    assert!(
        matches!(now[..], [Alarm::Failing { .. }, Alarm::Missed(missed)] if missed.last.at == at("03T02:00")),
        "{now:?}"
    );
    bed.cloud.clear_faults();
    bed.until(at("05T12:00")).await;
    assert_eq!(alarms(&bed).await, [], "a good run has come since");
}

#[tokio::test(start_paused = true)]
async fn nothing_selected_is_said() {
    let bed = Bed::new();
    let mut spec = nightly();
    spec.of = Subject::Instances(Select::label("backup", "typo"));
    bed.apply(&spec).await;
    assert_eq!(alarms(&bed).await, [Alarm::SelectsNothing]);
    bed.until(at("02T12:00")).await;
    assert_eq!(bed.runs().await, ["02T02:00 empty"]);
}
