//! PostgreSQL's clients as the tests have them: what they are called with is written down, and one
//! of the calls may be the one in whose middle the server is killed.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use tempfile::TempDir;

/// A folder with a `psql` and a `pg_dump`.
pub struct Clients(TempDir);

impl Clients {
    /// Of the server in this folder.
    pub fn new(server: &Path, bin: &Path) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path().display();
        for name in ["psql", "pg_dump"] {
            let real = bin.join(name);
            // In the middle of what it is sent, or of what it sends.
            let middle = match name {
                "psql" => "exec < <(piece; end; cat)",
                _ => "exec > >(piece; end; cat)",
            };
            let script = format!(
                "#!/bin/bash\n\
                 n=$(flock {at}/lock sh -c 'n=$(($(cat {at}/count) + 1)); echo $n >{at}/count; echo $n')\n\
                 echo \"{name} $*\" >>{at}/calls\n\
                 [ \"$n\" = \"$(cat {at}/at)\" ] || exec {real} \"$@\"\n\
                 piece() {{ dd bs=4096 count=1 2>/dev/null; }}\n\
                 end() {{\n\
                 : >{at}/killing\n\
                 p=$(head -1 {server}/data/postmaster.pid)\n\
                 kill -STOP $p\n\
                 kill -9 $p $(cat /proc/$p/task/$p/children)\n\
                 rm -f {server}/data/postmaster.pid {server}/.s.PGSQL.5432.lock\n\
                 mv {at}/killing {at}/killed\n\
                 }}\n\
                 {middle}\n\
                 exec {real} \"$@\"\n",
                real = real.display(),
                server = server.display(),
            );
            let path = folder.path().join(name);
            fs::write(&path, script).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        }
        let clients = Self(folder);
        clients.kill_at(0);
        clients
    }

    pub fn bin(&self) -> PathBuf {
        self.0.path().to_owned()
    }

    /// All that they were called with, since ever.
    pub fn calls(&self) -> String {
        fs::read_to_string(self.0.path().join("calls")).unwrap_or_default()
    }

    /// Has the server killed in the middle of the call of this number from now on; 0: of none.
    pub fn kill_at(&self, call: usize) {
        fs::write(self.0.path().join("count"), "0").unwrap();
        fs::write(self.0.path().join("at"), call.to_string()).unwrap();
    }

    /// Whether the server was killed since this was asked last. One that is just being killed is
    /// waited for: whoever it has gone from may have failed already.
    pub fn killed(&self) -> bool {
        let at = self.0.path();
        loop {
            // In this order, since the one becomes the other.
            let killing = at.join("killing").exists();
            if fs::remove_file(at.join("killed")).is_ok() {
                return true;
            }
            if !killing {
                return false;
            }
            thread::sleep(Duration::from_millis(5));
        }
    }
}
