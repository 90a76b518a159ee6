//! A state that is damaged, and one that somebody else has.

use std::fs;
use std::process::{Command, Stdio};

use stillpoint::local::LocalProvider;
use stillpoint::state::Redb;
use stillpoint::{ErrorKind, JobQuery, Stillpoint};

use crate::bed::{self, Bed, WEB, files};
use crate::{end, says};

#[tokio::test]
async fn a_state_that_is_cut_or_flipped() {
    let bed = Bed::new().await;
    let still = bed.start();
    still.snapshot(WEB).await.unwrap();
    let jobs = still.jobs(&JobQuery::default()).await.unwrap();
    end(still.clone()).await;
    drop(still);
    tokio::task::yield_now().await;
    let path = bed.state_file();
    let whole = fs::read(&path).unwrap();
    let flipped = |at: usize| {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        bytes
    };
    let mut found = 0;
    let places = (0..whole.len() - 4).filter(|at| whole[*at..].starts_with(b"jobs"));
    for bytes in places
        .map(flipped)
        .chain([whole[..whole.len() / 2].to_vec()])
    {
        fs::write(&path, &bytes).unwrap();
        match bed.builder().build() {
            // It was in a page that nothing leads to any more.
            Ok(still) => assert_eq!(still.jobs(&JobQuery::default()).await.unwrap(), jobs),
            Err(error) => {
                says(&error, ErrorKind::Corrupt, &["state.redb"]);
                assert!(
                    fs::read(&path).unwrap() == bytes,
                    "what is damaged is left for a person to look at"
                );
                found += 1;
            }
        }
        tokio::task::yield_now().await;
    }
    assert!(
        found >= 2,
        "of a cut and a flip in a live page {found} were found"
    );
    fs::write(&path, &whole).unwrap();
    bed.builder().build().unwrap();
}

/// The other process of the next test: holds a bed until its input ends.
#[test]
#[ignore = "the other process of a test, which starts it"]
fn holder() {
    let Some(dir) = std::env::var_os("STILLPOINT_HELD") else {
        return;
    };
    let dir = std::path::Path::new(&dir);
    let provider = LocalProvider::open("here", bed::folder(dir)).unwrap();
    let state = Redb::open_or_create(bed::state_file(dir)).unwrap();
    println!("held");
    std::io::stdin().read_line(&mut String::new()).unwrap();
    drop((provider, state));
}

#[tokio::test]
async fn two_processes_on_one_folder_and_on_one_state() {
    let bed = Bed::new().await;
    let mut other = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "state::holder", "--nocapture"])
        .env("STILLPOINT_HELD", bed.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let told = std::io::BufReader::new(other.stdout.take().unwrap());
    let mut lines = std::io::BufRead::lines(told);
    assert!(lines.any(|line| line.unwrap().contains("held")));
    let pid = other.id().to_string();
    let before = files(&bed.folder());

    let error = bed.builder().build().unwrap_err();
    says(&error, ErrorKind::Busy, &[&pid]);
    let error = Stillpoint::builder()
        .state_file(bed.state_file())
        .build()
        .unwrap_err();
    says(&error, ErrorKind::Busy, &["state.redb", &pid]);
    let own = bed.path().join("own.redb");
    let error = Stillpoint::builder()
        .folder("here", bed.folder())
        .state_file(own)
        .build()
        .unwrap_err();
    says(&error, ErrorKind::Busy, &["volumes/.stillpoint/lock", &pid]);
    assert_eq!(files(&bed.folder()), before);
    drop(other.stdin.take());
    assert!(other.wait().unwrap().success());
    bed.builder().build().unwrap();
}
