//! Small file systems. They need root.

use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

/// A file system of so many KiB, for as long as this lives.
pub struct Small(TempDir);

impl Small {
    pub fn new(kib: u64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let small = Self(folder);
        small.mount(&format!("size={kib}k"));
        small
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// Gives it so many KiB more than it has in use.
    pub fn leave(&self, kib: u64) {
        let about = rustix::fs::statvfs(self.path()).unwrap();
        let used = (about.f_blocks - about.f_bfree) * about.f_frsize;
        self.mount(&format!("remount,size={}k", used / 1024 + kib));
    }

    fn mount(&self, options: &str) {
        let mount = Command::new("mount")
            .args(["-t", "tmpfs", "-o", options, "tmpfs"])
            .arg(self.path())
            .status();
        assert!(mount.unwrap().success(), "it needs root");
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.path()).status();
    }
}
