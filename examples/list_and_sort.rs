//! Find snapshots again: by label, by time, by name, a page at a time; rename and pin one.

use std::error::Error;

use stillpoint::catalogue::{Order, Query, SortBy};
use stillpoint::{ErrorKind, Stillpoint};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    std::fs::write(folder.path().join("disk.img"), [7; 4096])?;
    let still = Stillpoint::builder()
        .folder("here", folder.path())
        .state_file(folder.path().join(".state.redb"))
        .build()?;
    tokio::spawn(still.run());
    for (name, kind) in [
        ("monday", "nightly"),
        ("release-1", "manual"),
        ("tuesday", "nightly"),
    ] {
        still
            .snapshot("here/volume/disk.img")
            .named(name)
            .label("kind", kind)
            .await?;
    }

    let all = still.snapshots(&Query::default()).await?;
    println!("the newest first: {:?}", names(&all));
    assert_eq!(names(&all), ["tuesday", "release-1", "monday"]);

    let nightly = Query {
        labels: [("kind".to_owned(), "nightly".to_owned())].into(),
        sort: SortBy::Name,
        order: Order::Ascending,
        ..Query::default()
    };
    let nightly = still.snapshots(&nightly).await?;
    println!("nightly, by name: {:?}", names(&nightly));
    assert_eq!(names(&nightly), ["monday", "tuesday"]);

    let mut pages = Query {
        limit: Some(2),
        ..Query::default()
    };
    let first = still.snapshots(&pages).await?;
    pages.after = first.next.clone();
    let second = still.snapshots(&pages).await?;
    println!(
        "in pages of two:  {:?}, {:?}, of {}",
        names(&first),
        names(&second),
        first.total
    );
    assert_eq!(names(&second), ["monday"]);

    let release = all.rows[1].snapshot.id;
    still.by("anna").rename(release, "release-1.0").await?;
    still.by("anna").pin(release, "customers have it").await?;
    let refused = still.delete(release).await.expect_err("it is pinned");
    println!("deleting a pinned one: {refused}");
    assert_eq!(refused.kind(), ErrorKind::Precondition);
    Ok(())
}

fn names(page: &stillpoint::catalogue::Page) -> Vec<&str> {
    page.rows
        .iter()
        .map(|row| row.snapshot.name.as_str())
        .collect()
}
