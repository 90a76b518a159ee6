//! A durable journal append, beside the bare append and `fdatasync` of the same bytes and beside
//! redb without our layers; and 64 jobs at once beside one alone.

use std::fs::File;
use std::io::Write;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use redb::{Database, TableDefinition};
use stillpoint::state::journal::Journal;
use stillpoint::state::lease::{Lease, Leases};
use stillpoint::state::{Batch, Redb, State};
use stillpoint::{JobId, Result};
use stillpoint_benches::{Laps, Table, scratch, setting};

/// About what a record of a real job has.
const RECORD: [u8; 300] = [b'r'; 300];

const JOBS: u8 = 64;

/// Appends of each of the jobs in a lap.
const APPENDS: u64 = 8;

const ROWS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("rows");

#[tokio::main]
async fn main() -> Result<()> {
    let folder = tempfile::tempdir_in(scratch(env!("CARGO_TARGET_TMPDIR"))).expect("a folder");
    let state: Arc<dyn State> = Arc::new(Redb::create(folder.path().join("state.redb"))?);
    let now = Timestamp::now();
    let lease = Leases::new(Arc::clone(&state))
        .acquire("engine", "bench", now, Duration::from_secs(30))
        .await?;
    let job = |number| Journal::new(Arc::clone(&state), JobId::new(now, [number; 10]));
    let bare = File::create(folder.path().join("bare")).expect("a file");
    let alone = Database::create(folder.path().join("alone.redb")).expect("a database");

    let mut single = [Laps::default(), Laps::default(), Laps::default()];
    let first = job(255);
    for seq in 0..setting("STILLPOINT_BENCH_APPENDS", 400) {
        let started = Instant::now();
        append(&state, &first, &lease, seq).await?;
        single[0].push(started.elapsed());
        single[1].time(|| append_bare(&bare));
        single[2].time(|| append_redb(&alone, seq));
    }
    let [ours, bare, alone] = &single;
    let mut table = Table::new([
        "a single durable append",
        "median",
        "quickest",
        "to the bare one",
        "goal",
    ]);
    let to_bare = |laps: &Laps| format!("{:.2}x", laps.ratio(bare));
    let quickest = |laps: &Laps| format!("{:.1?}", laps.range().0);
    table.row([
        "journal on redb, guarded by a lease".to_owned(),
        ours.to_string(),
        quickest(ours),
        to_bare(ours),
        "2x".to_owned(),
    ]);
    table.row([
        "redb alone".to_owned(),
        alone.to_string(),
        quickest(alone),
        to_bare(alone),
        String::new(),
    ]);
    table.row([
        format!("append of {} bytes and fdatasync", RECORD.len()),
        bare.to_string(),
        quickest(bare),
        "1x".to_owned(),
        String::new(),
    ]);
    println!("{table}");

    let journals: Vec<_> = (0..JOBS).map(job).collect();
    let (mut one, mut all) = (Laps::default(), Laps::default());
    let single_job = job(254);
    for round in 0..setting("STILLPOINT_BENCH_ROUNDS", 25) {
        let from = round * APPENDS;
        let started = Instant::now();
        run(&state, &single_job, &lease, from).await?;
        one.push(started.elapsed());
        let started = Instant::now();
        let tasks: Vec<_> = journals
            .iter()
            .map(|journal| {
                let (state, journal, lease) = (Arc::clone(&state), journal.clone(), lease.clone());
                tokio::spawn(async move { run(&state, &journal, &lease, from).await })
            })
            .collect();
        for task in tasks {
            task.await.expect("no job panics")?;
        }
        all.push(started.elapsed());
    }
    let rate = |laps: &Laps, jobs| {
        let appends = (APPENDS * jobs) as f64;
        format!("{:.0}", appends / laps.median().as_secs_f64())
    };
    let gained = f64::from(JOBS) / all.ratio(&one);
    let mut table = Table::new(["jobs at once", "appends a second", "to one alone", "goal"]);
    table.row([
        "1".to_owned(),
        rate(&one, 1),
        "1x".to_owned(),
        String::new(),
    ]);
    table.row([
        JOBS.to_string(),
        rate(&all, u64::from(JOBS)),
        format!("{gained:.1}x"),
        "8x".to_owned(),
    ]);
    println!("{table}");
    Ok(())
}

async fn append(state: &Arc<dyn State>, journal: &Journal, lease: &Lease, seq: u64) -> Result<()> {
    let mut batch = Batch::new();
    journal.append(&mut batch, lease, seq, &RECORD);
    state.commit(batch).await?;
    Ok(())
}

async fn run(state: &Arc<dyn State>, journal: &Journal, lease: &Lease, from: u64) -> Result<()> {
    for seq in from..from + APPENDS {
        append(state, journal, lease, seq).await?;
    }
    Ok(())
}

fn append_bare(mut file: &File) {
    file.write_all(&RECORD).expect("there is space");
    file.sync_data().expect("the disk works");
}

fn append_redb(database: &Database, seq: u64) {
    let transaction = database.begin_write().expect("nobody else writes");
    let mut rows = transaction.open_table(ROWS).expect("it is of these types");
    rows.insert(seq, RECORD.as_slice()).expect("there is space");
    drop(rows);
    transaction.commit().expect("the disk works");
}
