//! A PostgreSQL of the example's own: in a folder, on a socket there, gone with it.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use stillpoint::control::Server;
use tempfile::TempDir;

use crate::Fallible;

/// A server that ends with the value.
pub(crate) struct Postgres {
    folder: TempDir,
    bin: PathBuf,
}

impl Postgres {
    pub(crate) fn start() -> Fallible<Self> {
        let bin = PathBuf::from("/usr/lib/postgresql/15/bin");
        if !bin.join("initdb").exists() {
            return Err("PostgreSQL 15 is missing: apt install postgresql".into());
        }
        // A socket's path is short, and a user without rights must get there.
        let folder = tempfile::Builder::new()
            .prefix("manager-pg-")
            .tempdir_in("/tmp")?;
        let postgres = Self { folder, bin };
        let at = postgres.folder.path();
        if rustix::process::getuid().is_root() {
            run(Command::new("chown").arg("postgres").arg(at))?;
        }
        let data = at.join("data");
        // Only who may open the folder gets to the socket in it.
        let new = ["-A", "trust", "-N", "-U", "control", "-D"];
        run(postgres.program("initdb").args(new).arg(&data))?;
        let options = format!(
            "-c listen_addresses='' -c unix_socket_directories={} -c fsync=off",
            at.display()
        );
        run(postgres
            .program("pg_ctl")
            .args(["-w", "-o", &options, "-l"])
            .arg(at.join("log"))
            .arg("-D")
            .arg(&data)
            .arg("start"))?;
        Ok(postgres)
    }

    /// A new database in it.
    pub(crate) fn create(&self, name: &str) -> Fallible<Server> {
        let socket = self.folder.path().display().to_string();
        let server = Server::new(socket, "control", "postgres");
        server.query(&format!("CREATE DATABASE {name}"))?;
        Ok(server.on(name))
    }

    /// One of its programs; PostgreSQL refuses to run as root.
    fn program(&self, name: &str) -> Command {
        let path = self.bin.join(name);
        let mut command = match rustix::process::getuid().is_root() {
            true => {
                let mut command = Command::new("runuser");
                command.args(["-u", "postgres", "--"]).arg(path);
                command
            }
            false => Command::new(path),
        };
        command.current_dir("/tmp").stdin(Stdio::null());
        command
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        let data = self.folder.path().join("data");
        let mut stop = self.program("pg_ctl");
        stop.args(["-w", "-m", "immediate", "-D"])
            .arg(data)
            .arg("stop");
        if let Err(error) = run(&mut stop) {
            eprintln!("PostgreSQL may still run: {error}");
        }
    }
}

fn run(command: &mut Command) -> Fallible<()> {
    let ran = command
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .output()?;
    match ran.status.success() {
        true => Ok(()),
        false => Err(String::from_utf8_lossy(&ran.stderr).into_owned().into()),
    }
}
