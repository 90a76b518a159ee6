//! What holds for every expression and every text.

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use stillpoint_schedule::{Cron, DaylightSaving, Fold, Gap, Schedule, SearchError, Zone};

const ZONES: [&str; 6] = [
    "UTC",
    "America/New_York",
    "Australia/Lord_Howe",
    "Pacific/Apia",
    "Africa/Casablanca",
    "-03:30",
];

/// Words in the shape of fields, right and wrong.
fn words() -> impl Strategy<Value = String> {
    let entry = prop_oneof![
        4 => r"[0-9]{1,2}",
        2 => r"\*",
        1 => r"\*?/[0-9]{1,3}",
        1 => r"-?[0-9]{1,2}-{1,2}[0-9]{1,2}(/[0-9])?",
        1 => r"(mon|TUE|wed|sun|jan|Feb|dec|L|last|monday|x)(-(fri|mar|7))?",
        1 => r"(mon|[0-9])[#%](-?[0-9]{1,2}|L|[0-9]\+[0-9])",
        1 => r"[0-9*?LWH~&,#%/é-]{1,6}",
    ];
    let field = prop::collection::vec(entry, 1..3).prop_map(|entries| entries.join(","));
    let zone = prop::sample::select(vec![
        "",
        " UTC",
        " Europe/Berlin",
        " +05:30",
        " GMT+2",
        " &",
    ]);
    (prop::collection::vec(field, 4..8), zone).prop_map(|(fields, zone)| fields.join(" ") + zone)
}

/// Expressions that parse.
fn crons() -> impl Strategy<Value = Cron> {
    let field = |min: u32, max: u32| {
        prop_oneof![
            3 => Just("*".to_owned()),
            3 => (min..=max).prop_map(|value| value.to_string()),
            1 => (min..=max, min..=max).prop_map(|(from, to)| format!("{from}-{to}")),
            1 => (2..30_u32).prop_map(|step| format!("*/{step}")),
            1 => prop::collection::vec(min..=max, 2..5)
                .prop_map(|values| values.iter().map(u32::to_string).collect::<Vec<_>>().join(",")),
        ]
    };
    let of_month =
        prop_oneof![4 => field(1, 31), 1 => Just("L".to_owned()), 1 => Just("-7--2,15".to_owned())];
    let of_week = prop_oneof![
        4 => field(0, 7), 1 => Just("mon#2,fri#-1".to_owned()), 1 => Just("tue%3+1,sun".to_owned()),
    ];
    let fields = (
        field(0, 59),
        field(0, 59),
        field(0, 24),
        of_month,
        field(1, 12),
        of_week,
    );
    (
        fields,
        any::<[bool; 2]>(),
        prop::sample::select(ZONES.to_vec()),
    )
        .prop_filter_map(
            "never fires",
            |((second, minute, hour, of_month, month, of_week), [seconds, both], zone)| {
                let second = if seconds {
                    format!("{second} ")
                } else {
                    String::new()
                };
                let both = if both { "&" } else { "" };
                Cron::parse(&format!(
                    "{second}{minute} {hour} {of_month} {month} {of_week}{both} {zone}"
                ))
                .ok()
            },
        )
}

fn instants() -> impl Strategy<Value = Timestamp> {
    (0..4_000_000_000_i64, 0..1_000_000_000_i32)
        .prop_map(|(second, nanosecond)| Timestamp::new(second, nanosecond).unwrap())
}

#[test]
fn a_star_beside_other_entries_is_a_star() {
    for (text, canonical) in [
        ("0 0 /2,* * 0", "0 0 * * 0"),
        ("* 0 1 1 *,0", "* 0 1 1 *"),
        ("0 0 L,* * mon#2,*", "0 0 * * *"),
    ] {
        assert_eq!(Cron::parse(text).unwrap(), Cron::parse(canonical).unwrap());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_read_or_refused_in_its_place(text in prop_oneof![".{0,60}", words()]) {
        match Cron::parse(&text) {
            Ok(cron) => prop_assert_eq!(Cron::parse(&cron.to_string()).unwrap(), cron),
            Err(error) => {
                prop_assert!((1..=text.chars().count() + 1).contains(&error.column), "{}", error);
                prop_assert!(error.to_string().len() < 400);
            }
        }
    }

    #[test]
    fn the_canonical_text_and_the_stored_form_are_the_same_expression(cron in crons()) {
        prop_assert_eq!(&cron.to_string().parse::<Cron>().unwrap(), &cron);
        let stored = serde_json::to_string(&cron).unwrap();
        prop_assert_eq!(&serde_json::from_str::<Cron>(&stored).unwrap(), &cron);
        prop_assert!(!cron.describe().is_empty());
    }

    #[test]
    fn runs_go_up_and_come_back(cron in crons(), from in instants()) {
        let runs: Vec<_> = cron.runs_after(from).take(20).collect();
        let mut last = from;
        for run in &runs {
            prop_assert!(run.at > last);
            // Nothing lies between: from anywhere before it, it is the next.
            let between = last + last.duration_until(run.at) / 2;
            prop_assert_eq!(cron.next_after(between).unwrap(), *run);
            prop_assert_eq!(cron.prev_before(run.at + SignedDuration::from_nanos(1)).unwrap(), *run);
            last = run.at;
        }
        let keys: std::collections::BTreeSet<_> = runs.iter().map(|run| run.key("s").to_string()).collect();
        prop_assert_eq!(keys.len(), runs.len());
    }

    #[test]
    fn the_default_policy_runs_every_wall_clock_match_once(cron in crons(), from in instants()) {
        let schedule = Schedule::cron(cron.clone());
        let fixed = |gap, fold| schedule.clone().on_clock_change(DaylightSaving::Fixed { gap, fold });
        let candidates = [fixed(Gap::Shift, Fold::First), fixed(Gap::Skip, Fold::Both)];
        let next = |schedule: &Schedule| schedule.next_after(from).unwrap();
        prop_assert!(candidates.iter().any(|schedule| next(schedule) == cron.next_after(from).ok()));
        prop_assert_eq!(schedule.next_after(from).unwrap(), cron.next_after(from).ok());
    }

    #[test]
    fn a_year_far_out_is_an_answer_or_an_error(cron in crons(), second in -377_705_023_201..253_402_207_200_i64) {
        let at = Timestamp::from_second(second).unwrap();
        for found in [cron.next_after(at), cron.prev_before(at)] {
            let known = matches!(found, Ok(_) | Err(SearchError::EndOfTime | SearchError::NeverFires));
            prop_assert!(known);
        }
    }

    #[test]
    fn a_schedule_is_what_was_stored(
        cron in crons(), zone in prop::sample::select(ZONES.to_vec()), paused in any::<bool>(), limit in 1..9_u32,
    ) {
        let mut schedule = Schedule::cron(cron).in_zone(Zone::named(zone).unwrap()).with_limit(limit).unwrap();
        if paused {
            schedule = schedule.pause(stillpoint_schedule::schedule::Pause::Indefinitely);
        }
        let stored = serde_json::to_string(&schedule).unwrap();
        prop_assert_eq!(serde_json::from_str::<Schedule>(&stored).unwrap(), schedule);
    }
}
