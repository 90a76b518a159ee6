//! For how long a large manager is locked, and how much memory its capture and its restore take, with
//! a real PostgreSQL 15 and files on a file system with reflinks:
//!
//! ```text
//! sh crates/providers/local/lab/reflink-fs.sh up /tmp/lab
//! STILLPOINT_LAB=/tmp/lab cargo test -p stillpoint-manager --test manager_window -- --ignored --nocapture
//! ```
//!
//! `STILLPOINT_MIB` says how large the database is; 1024 by default.

mod bed;

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use bed::{Postgres, depot};
use stillpoint_engine::{Engine, Request};
use stillpoint_manager::{
    Copying, Database, Files, Manager, NAME, RestoreManager, SecretKey, Server,
};
use stillpoint_state::{Memory, State};

const FILES: usize = 20_000;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL 15, root, a file system with reflinks and minutes: by hand, as the guide of this test says"]
async fn a_large_manager_is_locked_for_a_moment_and_streams() {
    let lab = PathBuf::from(std::env::var("STILLPOINT_LAB").expect("where the file systems are"));
    let mib: usize = std::env::var("STILLPOINT_MIB").map_or(1024, |it| it.parse().unwrap());
    let postgres = Postgres::start();
    let folder = tempfile::tempdir_in(lab.join("xfs")).unwrap();
    let key = SecretKey::generate();
    let manager = |name: &str, server: Server| {
        let at = folder.path().join(name);
        for name in ["files", "staging"] {
            fs::create_dir_all(at.join(name)).unwrap();
        }
        let state: Arc<dyn State> = Arc::new(Memory::new());
        let builder = Manager::builder("Large", "1")
            .component("database", Database::new(server))
            .component(
                "files",
                Files::new(at.join("files")).copying(Copying::Before),
            )
            .depot(depot(&folder.path().join("archives")), at.join("staging"))
            .seal_for(key.public())
            .identity(key.clone());
        let engine = Engine::builder(Arc::clone(&state));
        let engine = builder.register(state, engine).unwrap().0.build().unwrap();
        tokio::spawn(engine.run());
        (engine, at)
    };
    let server = postgres.create("large");
    // Half of it can be packed, as rows of a manager can.
    let rows = mib * 1024;
    let fill = format!(
        "CREATE TABLE large (id int PRIMARY KEY, body text);
         INSERT INTO large SELECT n, (SELECT string_agg(md5(n::text || i), '') FROM generate_series(1, 15) i) || repeat('of a manager ', 38)
         FROM generate_series(1, {rows}) n;"
    );
    server.transaction(&fill).unwrap();
    let (first, at) = manager("first", server.clone());
    for n in 0..FILES {
        let folder = at.join(format!("files/{}", n % 200));
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join(n.to_string()), format!("{n} ").repeat(200)).unwrap();
    }
    let size = server
        .query("SELECT pg_size_pretty(pg_database_size(current_database()))")
        .unwrap();
    println!("database {size}, {FILES} files");

    let start = Instant::now();
    let capture = Request::Capture {
        executor: NAME.to_owned(),
        name: "large".to_owned(),
        schedule: None,
    };
    let plan = first.plan(&capture).await.unwrap();
    let job = first
        .wait(first.start(&plan).await.unwrap())
        .await
        .unwrap()
        .into_result()
        .unwrap();
    let took = start.elapsed();
    let snapshot = first.snapshot_of(&job).await.unwrap();
    let captured = first.captured(&snapshot).await.unwrap();
    let locked = captured["place"]["locked_micros"].as_u64().unwrap() as f64 / 1e6;
    let share = locked / took.as_secs_f64() * 100.0;
    let size = captured["place"]["size"].as_u64().unwrap() >> 20;
    println!(
        "captured in {took:.1?} to {size} MiB, locked for {locked:.2} s: {share:.2} %, {}",
        peak()
    );

    let (second, at) = manager("second", postgres.create("large_again"));
    let start = Instant::now();
    let plan = second
        .plan(&RestoreManager::of("large").request())
        .await
        .unwrap();
    let job = second.start(&plan).await.unwrap();
    second.wait(job).await.unwrap().into_result().unwrap();
    println!("restored in {:.1?}, {}", start.elapsed(), peak());
    let digest = "SELECT count(*), sum(hashtext(body)::bigint) FROM large";
    let again = postgres.server("large_again");
    assert_eq!(again.query(digest).unwrap(), server.query(digest).unwrap());
    assert_eq!(fs::read_dir(at.join("files")).unwrap().count(), 200);
    assert!(share <= 5.0, "locked for {share:.2} % of the capture");
    assert!(peak_kib() < 256 << 10, "{}", peak());
}

fn peak() -> String {
    format!("at most {} MiB of memory", peak_kib() >> 10)
}

fn peak_kib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|it| it.starts_with("VmHWM")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}
