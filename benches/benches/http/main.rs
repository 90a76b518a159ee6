//! Snapshots of 10,000 volumes of a cloud behind real HTTP, 50 ms a call and 64 at once, beside
//! the same number of calls made by nothing but the HTTP client.

mod provider;
mod server;

use std::env;
use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::{StreamExt, TryStreamExt, stream};
use stillpoint::{Result, Stillpoint};
use stillpoint_benches::{Table, scratch, setting};

use crate::provider::{AT_ONCE, Http};
use crate::server::CALL;

/// Says to the process that it is the server.
const SERVE: &str = "STILLPOINT_BENCH_SERVE";

/// Jobs that are asked for at once: more than calls, so that there is always one to be made.
const JOBS: usize = 256;

#[tokio::main]
async fn main() -> Result<()> {
    if env::var_os(SERVE).is_some() {
        server::serve().await;
        return Ok(());
    }
    let volumes = setting("STILLPOINT_BENCH_VOLUMES", 10_000);
    let (mut server, address) = start();
    let http = Arc::new(Http::new(&address));

    let ours = Lap::of(&http, take_all(Arc::clone(&http), volumes)).await?;
    assert_eq!(http.stats().await["snapshots"], volumes, "each has one");
    let bare = Lap::of(&http, call_all(&http, ours.calls)).await?;
    assert_eq!(bare.calls, ours.calls);
    drop(server.stdin.take());
    server.wait().expect("the server ends");

    let mut table = Table::new([
        "snapshots of volumes over HTTP",
        "time",
        "to ideal",
        "calls",
        "most at once",
        "CPU a volume",
        "goal",
    ]);
    table.row(ours.row(
        &format!("{volumes} volumes, engine and redb"),
        volumes,
        "1.1x",
    ));
    table.row(bare.row("the same calls by the client alone", volumes, ""));
    println!("{table}");
    println!(
        "ideal: {} ms a call, {AT_ONCE} at once, nothing else",
        CALL.as_millis()
    );
    Ok(())
}

/// Asks for a snapshot of each and waits until all are taken.
async fn take_all(http: Arc<Http>, volumes: u64) -> Result<()> {
    let folder = tempfile::tempdir_in(scratch(env!("CARGO_TARGET_TMPDIR"))).expect("a folder");
    let still = Stillpoint::builder()
        .provider(http)
        .state_file(folder.path().join("state.redb"))
        .build()?;
    let run = tokio::spawn(still.run());
    stream::iter(0..volumes)
        .map(|number| {
            let still = still.clone();
            tokio::spawn(async move {
                let take = still.snapshot(format!("http/volume/v{number}"));
                take.without_verification().await
            })
        })
        .buffer_unordered(JOBS)
        .for_each(|taken| async {
            taken.expect("it does not panic").expect("it is taken");
        })
        .await;
    still.shutdown(Duration::from_secs(10)).await;
    run.await.expect("it does not panic")
}

async fn call_all(http: &Http, calls: u64) -> Result<()> {
    stream::iter(0..calls)
        .map(|number| async move { http.get(&format!("volumes/v{number}")).await })
        .buffer_unordered(JOBS)
        .try_for_each(|_| async { Ok(()) })
        .await
}

/// What something cost.
struct Lap {
    time: Duration,
    cpu: Duration,
    calls: u64,
    most_at_once: u64,
}

impl Lap {
    async fn of(http: &Http, work: impl Future<Output = Result<()>>) -> Result<Self> {
        let before = http.stats().await["calls"].as_u64().expect("a count");
        let (started, cpu) = (Instant::now(), cpu());
        work.await?;
        let (time, cpu) = (started.elapsed(), self::cpu() - cpu);
        let after = http.stats().await;
        let count = |name: &str| after[name].as_u64().expect("a count");
        Ok(Self {
            time,
            cpu,
            calls: count("calls") - before,
            most_at_once: count("most_at_once"),
        })
    }

    fn row(&self, what: &str, volumes: u64, goal: &str) -> [String; 7] {
        let ideal = CALL.as_secs_f64() * self.calls as f64 / f64::from(AT_ONCE);
        [
            what.to_owned(),
            format!("{:.1} s", self.time.as_secs_f64()),
            format!("{:.2}x", self.time.as_secs_f64() / ideal),
            self.calls.to_string(),
            self.most_at_once.to_string(),
            format!("{:.2} ms", self.cpu.as_secs_f64() * 1e3 / volumes as f64),
            goal.to_owned(),
        ]
    }
}

/// Processor time of this process until now, in the clock ticks of 10 ms that `proc(5)` counts in.
fn cpu() -> Duration {
    let stat = fs::read_to_string("/proc/self/stat").expect("this is Linux");
    let (_, after_name) = stat.rsplit_once(')').expect("a name in brackets");
    let ticks = after_name.split_whitespace().skip(11).take(2);
    let ticks: u64 = ticks.map(|it| it.parse::<u64>().expect("a number")).sum();
    Duration::from_millis(ticks * 10)
}

fn start() -> (Child, String) {
    let mut server = Command::new(env::current_exe().expect("this program has a path"))
        .env(SERVE, "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("it can be started again");
    let mut address = String::new();
    BufReader::new(server.stdout.take().expect("it is piped"))
        .read_line(&mut address)
        .expect("it says where it is");
    (server, address.trim().to_owned())
}
