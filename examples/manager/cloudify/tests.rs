//! What snapshots of real managers come to, item by item.

use std::io::Cursor;
use std::path::Path;

use stillpoint_archive::{OpenOptions, Strictness};

use super::*;

/// Where the archives of real managers are.
const REAL: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../crates/archive/testdata/cloudify"
);

/// The SQL and what had no place, of that version's archive with its dump changed.
fn converted(version: &str, change: impl Fn(String) -> String) -> (String, Vec<String>) {
    let path = Path::new(REAL).join(format!("cloudify-{version}.zip"));
    // As managers are given them: real ones have directories with data.
    let options = OpenOptions::new().strictness(Strictness::Lenient);
    let snapshot = Snapshot::of(&options.open(path).unwrap()).unwrap();
    let dump = || -> Result<Box<dyn Read>> {
        let real = snapshot.files().read("pg_data").unwrap();
        let changed = change(String::from_utf8(real).unwrap());
        Ok(Box::new(Cursor::new(changed)))
    };
    let (mut sql, mut unplaced) = (Vec::new(), Vec::new());
    rows("", &snapshot, &dump, &mut sql, &mut |it| unplaced.push(it)).unwrap();
    (String::from_utf8(sql).unwrap(), unplaced)
}

/// Up to 6.4 the whole list is known, row by row and file by file.
#[test]
fn what_has_no_place_of_an_old_manager_is_named_exactly() {
    let files = |ssl: usize, stage: usize| {
        [
            "1 files of admin_account.json".to_owned(),
            "1 files of agents.json".into(),
            "6 files of composer".into(),
            "1 files of composer_data".into(),
            "1 files of networks.json".into(),
            "1 files of rest-security.conf".into(),
            format!("{ssl} files of ssl"),
            format!("{stage} files of stage"),
            "1 files of stage_data".into(),
            "2 files of uploaded-blueprints".into(),
        ]
    };
    let rows = |events: usize, logs: usize, operations: usize, roles: usize| {
        [
            format!("{events} rows of table events"),
            "5 rows of table executions".into(),
            format!("{logs} rows of table logs"),
            "3 rows of table node_instances".into(),
            "3 rows of table nodes".into(),
            format!("{operations} rows of table operations"),
            "2 rows of table tasks_graphs".into(),
            format!("{roles} rows of table users_roles"),
            format!("{roles} rows of table users_tenants"),
        ]
    };
    let user = |name: &str| format!("user {name}: the password has another hash here");

    let (_, unplaced) = converted("4.0", |it| it);
    let wanted = [
        "6 rows of table executions",
        "6 rows of table node_instances",
        "6 rows of table nodes",
        "1 files of agents.json",
        "1 files of es_data",
        "1 files of uploaded-blueprints",
    ];
    assert_eq!(unplaced, wanted);

    let (_, unplaced) = converted("4.6.0", |it| it);
    let wanted = [&[user("admin")][..], &rows(24, 1, 25, 1), &files(9, 5)];
    assert_eq!(unplaced, wanted.concat());

    let (_, unplaced) = converted("5.0.5", |it| it);
    let users = [user("manager_status_reporter"), user("admin")];
    let wanted = [&users[..], &rows(28, 2, 31, 2), &files(13, 4)];
    assert_eq!(unplaced, wanted.concat());
}

/// The real managers had none: two rows are put where theirs would stand.
#[test]
fn secrets_that_another_manager_encrypted_are_named_and_their_values_are_not() {
    for version in ["4.6.0", "5.0.5"] {
        let (sql, unplaced) = converted(version, |dump| {
            let head = dump
                .lines()
                .find(|it| it.starts_with("COPY secrets ("))
                .unwrap();
            let rows = "1\ttoken\tgAAAAABsealed\tx\tx\t0\t0\ttenant\tf\n\
                        2\tkey\tgAAAAABsealed\tx\tx\t0\t0\tprivate\tt";
            dump.replace(head, &format!("{head}\n{rows}"))
        });
        let secrets: Vec<&String> = unplaced
            .iter()
            .filter(|it| it.starts_with("secret"))
            .collect();
        let why = "it is encrypted by a key of the manager that it is of";
        let wanted = [format!("secret token: {why}"), format!("secret key: {why}")];
        assert_eq!(secrets, [&wanted[0], &wanted[1]], "{version}");
        assert!(!sql.contains("secrets"), "{version}: {sql}");
        assert!(!unplaced.concat().contains("sealed"), "{version}");
    }
}

/// From 7.0 on secrets come in clear, and have a place.
#[test]
fn a_later_manager_is_placed_and_blueprints_come_before_what_refers_to_them() {
    let (sql, unplaced) = converted("7.1", |it| it);
    let kinds: Vec<&str> = sql
        .lines()
        .map(|it| it.split(' ').nth(2).unwrap())
        .collect();
    let count = |kind: &str| kinds.iter().filter(|it| **it == kind).count();
    let placed = ["tenants", "blueprints", "plugins", "secrets", "deployments"].map(count);
    assert_eq!(placed, [3, 4, 3, 2, 2]);
    let of = |kind: &str| kinds.iter().position(|it| *it == kind);
    assert!(of("blueprints") < of("deployments") && of("tenants") < of("blueprints"));
    assert!(unplaced.contains(&"3 users".to_owned()), "{unplaced:?}");
}
