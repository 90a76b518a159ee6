//! For how long a large manager is locked, and how much memory its capture and its restore take, with
//! a real PostgreSQL 15 and files on a file system with reflinks:
//!
//! ```text
//! sh crates/providers/local/lab/reflink-fs.sh up /tmp/lab
//! STILLPOINT_LAB=/tmp/lab cargo test --release -p stillpoint-manager --test manager_window -- --ignored --nocapture
//! ```
//!
//! `STILLPOINT_MIB` says how large the database is; 1024 by default. The memory is that of this
//! process, from the start of the capture or of the restore on; `psql` and `pg_dump` have theirs.

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

    forget_peak();
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
    let (took, captured_with) = (start.elapsed(), peak_kib());
    let snapshot = first.snapshot_of(&job).await.unwrap();
    let captured = first.captured(&snapshot).await.unwrap();
    let locked = captured["place"]["locked_micros"].as_u64().unwrap() as f64 / 1e6;
    let share = locked / took.as_secs_f64() * 100.0;
    let size = captured["place"]["size"].as_u64().unwrap() >> 20;
    println!(
        "captured in {took:.1?} to {size} MiB, locked for {locked:.2} s: {share:.2} %, {}",
        memory(captured_with)
    );

    let (second, at) = manager("second", postgres.create("large_again"));
    forget_peak();
    let start = Instant::now();
    let plan = second
        .plan(&RestoreManager::of("large").request())
        .await
        .unwrap();
    let job = second.start(&plan).await.unwrap();
    second.wait(job).await.unwrap().into_result().unwrap();
    let restored_with = peak_kib();
    let memory_again = memory(restored_with);
    println!("restored in {:.1?}, {memory_again}", start.elapsed());
    let digest = "SELECT count(*), sum(hashtext(body)::bigint) FROM large";
    let again = postgres.server("large_again");
    assert_eq!(again.query(digest).unwrap(), server.query(digest).unwrap());
    assert_eq!(fs::read_dir(at.join("files")).unwrap().count(), 200);
    assert!(share <= 5.0, "locked for {share:.2} % of the capture");
    for kib in [captured_with, restored_with] {
        assert!(kib < 256 << 10, "{}", memory(kib));
    }
}

fn memory(kib: u64) -> String {
    format!("at most {} MiB of memory", kib >> 10)
}

/// Has the kernel count the most memory from now on.
fn forget_peak() {
    fs::write("/proc/self/clear_refs", "5").unwrap();
}

fn peak_kib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|it| it.starts_with("VmHWM")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}
