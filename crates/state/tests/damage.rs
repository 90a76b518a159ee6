//! A file that is cut or changed is refused with what to do, or was changed where nothing is.

use std::fs;
use std::path::Path;

use stillpoint_core::{ErrorKind, Result};
use stillpoint_state::{Batch, Entry, Guard, Redb, State};

const COMMITS: u64 = 6;

/// What the state holds after each commit.
type History = Vec<Vec<Entry>>;

async fn fill(state: &Redb) -> History {
    let mut history = vec![Vec::new()];
    for commit in 0..COMMITS {
        let mut batch = Batch::new();
        for key in 0..20 {
            let value = format!("{commit}/{key}/").repeat(10);
            batch.put(
                format!("entry/{:02}", (commit * 7 + key) % 40),
                Guard::Any,
                value,
            );
        }
        state.commit(batch).await.unwrap();
        history.push(all(state).await.unwrap());
    }
    history
}

async fn all(state: &Redb) -> Result<Vec<Entry>> {
    state.scan("", "").await?.collect().await
}

/// Opens what stands at `path`, and returns all entries as they are read.
async fn read(path: &Path) -> Result<Vec<Entry>> {
    let read_only = Redb::open_read_only(path)?;
    let entries = all(&read_only).await?;
    drop(read_only);
    let opened = Redb::open(path)?;
    assert_eq!(
        all(&opened).await?,
        entries,
        "read only, there is something else"
    );
    Ok(entries)
}

/// Damages copies: a bit in every fifth byte of the header and in `pages` others, and cuts.
/// Returns how many were refused and how many made no difference.
async fn damage(whole: &[u8], pages: usize, right: impl Fn(&[Entry]) -> bool) -> (usize, usize) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.redb");
    let (mut refused, mut harmless) = (0, 0);
    let header = (0..whole.len().min(320)).step_by(5);
    let pages = (320..whole.len()).step_by(whole.len() / pages + 1);
    let flips = header.chain(pages).map(|at| {
        let mut bytes = whole.to_vec();
        bytes[at] ^= 1 << (at % 8);
        (format!("bit {} of byte {at}", at % 8), bytes)
    });
    let cuts =
        (0..=8)
            .map(|eighth| whole.len() * eighth / 8)
            .chain([1, 511, 4096, whole.len() - 1]);
    let cuts = cuts
        .filter(|length| *length < whole.len())
        .map(|length| (format!("cut to {length}"), whole[..length].to_vec()));
    for (what, bytes) in flips.chain(cuts) {
        fs::write(&path, &bytes).unwrap();
        match read(&path).await {
            Ok(entries) => {
                assert!(right(&entries), "{what}: read as if nothing was wrong");
                harmless += 1;
            }
            Err(error) => {
                assert!(
                    matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::Invalid),
                    "{what}: {error:?}"
                );
                assert!(error.advice().is_some(), "{what}: {error}");
                assert!(Redb::open(&path).is_err(), "{what}: opened the second time");
                assert!(fs::read(&path).unwrap() == bytes, "{what}: it was changed");
                refused += 1;
            }
        }
    }
    (refused, harmless)
}

async fn closed(pages: usize) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.redb");
    let state = Redb::create(&path).unwrap();
    let history = fill(&state).await;
    drop(state);
    let due = history.last().unwrap();
    let whole = fs::read(&path).unwrap();
    let (refused, harmless) = damage(&whole, pages, |entries| entries == due).await;
    println!(
        "closed, {} bytes: {refused} refused, {harmless} harmless",
        whole.len()
    );
    assert!(refused > 20 && harmless > 20);
}

#[tokio::test]
async fn a_closed_file_is_found_damaged_or_reads_as_it_was() {
    closed(60).await;
}

#[tokio::test]
#[ignore = "takes minutes: damages thousands of copies"]
async fn a_closed_file_is_found_damaged_or_reads_as_it_was_wherever() {
    closed(6000).await;
}

/// After a crash, damage to the last commit cannot be told from one that was cut off.
#[tokio::test]
async fn a_file_left_by_a_crash_is_found_damaged_or_reads_as_it_was_or_before_the_last_commit() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.redb");
    let state = Redb::create(&path).unwrap();
    let history = fill(&state).await;
    let whole = fs::read(&path).unwrap();
    drop(state);
    let last = &history[history.len() - 2..];
    let (refused, harmless) = damage(&whole, 60, |entries| last.iter().any(|l| l == entries)).await;
    println!(
        "crashed, {} bytes: {refused} refused, {harmless} harmless",
        whole.len()
    );
    assert!(refused > 20 && harmless > 20);
}

#[tokio::test]
async fn what_is_no_state_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.redb");
    let open = || Redb::open(&path).unwrap_err();

    let missing = open();
    assert_eq!(missing.kind(), ErrorKind::NotFound);
    assert!(missing.to_string().contains("mounted"), "{missing}");

    fs::write(&path, "").unwrap();
    assert_eq!(
        open().kind(),
        ErrorKind::Corrupt,
        "an empty file is no new state"
    );
    assert_eq!(
        Redb::open_or_create(&path).unwrap_err().kind(),
        ErrorKind::Corrupt
    );
    assert_eq!(Redb::create(&path).unwrap_err().kind(), ErrorKind::Conflict);
    assert_eq!(fs::read(&path).unwrap(), b"", "it was left as it is");

    fs::write(&path, "Dear diary, ".repeat(1000)).unwrap();
    assert_eq!(open().kind(), ErrorKind::Corrupt);

    fs::remove_file(&path).unwrap();
    let other = redb::Database::create(&path).unwrap();
    let transaction = other.begin_write().unwrap();
    transaction
        .open_table(redb::TableDefinition::<u64, u64>::new("theirs"))
        .unwrap();
    transaction.commit().unwrap();
    drop(other);
    let theirs = open();
    assert_eq!(theirs.kind(), ErrorKind::Invalid);
    assert!(theirs.to_string().contains("something else"), "{theirs}");

    let folder_itself = Redb::open(folder.path()).unwrap_err();
    assert!(
        folder_itself.to_string().contains("cannot open"),
        "{folder_itself}"
    );
    let nowhere = Redb::create(folder.path().join("missing/state.redb")).unwrap_err();
    assert_eq!(nowhere.kind(), ErrorKind::NotFound);
}
