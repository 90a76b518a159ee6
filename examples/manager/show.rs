//! The example without arguments: one manager in use, captured, and restored on a fresh second one.

use std::path::Path;

use stillpoint::control::{SecretKey, Server};

use crate::Fallible;
use crate::old;
use crate::plane::Plane;
use crate::postgres::Postgres;

const USED: &str = "
INSERT INTO tenants VALUES ('research');
INSERT INTO users SELECT 'ada', 'salt', encode(sha256('saltada'), 'hex'), 'user';
INSERT INTO blueprints (id, tenant_name) SELECT 'blueprint-' || n, 'research' FROM generate_series(1, 100) n;
INSERT INTO deployments SELECT 'deployment-' || n, 'research', 'blueprint-' || n, jsonb_build_object('size', n) FROM generate_series(1, 100) n;
INSERT INTO plugins VALUES ('plugin-1', 'research');
INSERT INTO secrets VALUES ('token', 'research', 'a secret of the example');
";

pub(crate) async fn run() -> Fallible<()> {
    println!("A PostgreSQL, and two managers on it\n");
    let postgres = Postgres::start()?;
    let folder = tempfile::tempdir()?;
    let key = SecretKey::generate();
    let manager = |name: &'static str| {
        let (at, key) = (folder.path().join(name), key.clone());
        let server = postgres.create(name);
        async move {
            std::fs::create_dir_all(&at)?;
            Plane::open(server?, &at, key).await
        }
    };
    let first = manager("first").await?;
    first.server.transaction(USED)?;
    std::fs::create_dir_all(first.folder.join("plugins/plugin-1"))?;
    std::fs::write(
        first.folder.join("plugins/plugin-1/plugin.wgn"),
        vec![7; 1 << 20],
    )?;
    for n in 1..=100 {
        let blueprint = first
            .folder
            .join(format!("blueprints/research/blueprint-{n}"));
        std::fs::create_dir_all(&blueprint)?;
        std::fs::write(
            blueprint.join("blueprint.yaml"),
            format!("inputs: {{ size: {n} }}\n"),
        )?;
    }
    println!("first   {}", summary(&first.server)?);

    let snapshot = first.still.capture("monday").await?;
    let captured = first.still.archives()?.records().get("monday").await?;
    println!(
        "captured `{}`: {} bytes, read back and matched",
        snapshot.name,
        captured.size.unwrap_or(0)
    );

    let second = manager("second").await?;
    println!("second  {}", summary(&second.server)?);
    // As a download and an upload would.
    let way = folder.path().join("on-its-way.zip");
    first.still.archives()?.download("monday", &way).await?;
    second
        .still
        .archives()?
        .upload("monday", &way, "the example")
        .await?;

    let plan = second.still.restore_manager("monday").plan().await?;
    println!("\n{plan}");
    plan.start().await?.await?;
    println!("second  {}", summary(&second.server)?);
    let (one, other) = (digest(&first)?, digest(&second)?);
    if one != other {
        return Err("the two managers differ".into());
    }
    println!("rows and files of both are equal ✓");

    let again = second.still.restore_manager("monday").plan().await?;
    println!("again   refused: {}", again.blocked_by().join("; "));
    for manager in [first, second] {
        manager
            .still
            .shutdown(std::time::Duration::from_secs(5))
            .await;
    }
    old::run(&postgres, folder.path()).await
}

pub(crate) fn summary(server: &Server) -> Fallible<String> {
    let kinds = [
        "tenants",
        "users",
        "blueprints",
        "deployments",
        "plugins",
        "secrets",
    ];
    let counts = kinds.map(|it| format!("(SELECT count(*) || ' {it}' FROM {it})"));
    Ok(server.query(&format!("SELECT {}", counts.join(" || ', ' || ")))?)
}

/// A digest over all rows and all files.
fn digest(plane: &Plane) -> Fallible<String> {
    use sha2::{Digest as _, Sha256};
    let mut all = Sha256::new();
    for table in [
        "tenants",
        "users",
        "blueprints",
        "deployments",
        "plugins",
        "secrets",
    ] {
        let rows =
            format!("SELECT t::text FROM {table} t WHERE t::text NOT LIKE '(admin,%' ORDER BY 1");
        all.update(plane.server.query(&rows)?);
    }
    for name in ["blueprints", "plugins"] {
        files(&plane.folder.join(name), &mut |bytes| all.update(bytes))?;
    }
    Ok(all
        .finalize()
        .iter()
        .map(|it| format!("{it:02x}"))
        .collect())
}

fn files(folder: &Path, take: &mut dyn FnMut(&[u8])) -> Fallible<()> {
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        paths.push(entry?.path());
    }
    paths.sort();
    for path in paths {
        take(path.file_name().unwrap_or_default().as_encoded_bytes());
        match path.is_dir() {
            true => files(&path, take)?,
            false => take(&std::fs::read(&path)?),
        }
    }
    Ok(())
}
