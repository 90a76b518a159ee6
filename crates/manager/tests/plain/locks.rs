//! Locks, by level.

use std::sync::{Arc, Mutex};

use stillpoint_core::{Error, ErrorKind, Result};
use stillpoint_manager::{LockOnly, SecretKey};

use crate::Plain;

/// Notes who is locked, and when.
#[derive(Debug)]
struct Noted {
    name: &'static str,
    needs: Vec<String>,
    fails: bool,
    said: Arc<Mutex<Vec<String>>>,
}

impl LockOnly for Noted {
    fn depends_on(&self) -> &[String] {
        &self.needs
    }

    fn lock(&self, _: &str) -> Result<()> {
        self.said
            .lock()
            .unwrap()
            .push(format!("lock {}", self.name));
        match self.fails {
            true => Err(Error::new(ErrorKind::Busy, "it is in use")),
            false => Ok(()),
        }
    }

    fn unlock(&self, _: &str) -> Result<()> {
        self.said
            .lock()
            .unwrap()
            .push(format!("unlock {}", self.name));
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn locks_are_taken_in_levels_and_given_back_in_reverse() {
    let (archives, key) = (tempfile::tempdir().unwrap(), SecretKey::generate());
    let good = [
        "lock db",
        "lock api",
        "lock web",
        "unlock web",
        "unlock api",
        "unlock db",
    ];
    // What comes after one that cannot be locked is not even tried.
    let stopped = [
        "lock db",
        "lock api",
        "unlock api",
        "unlock web",
        "unlock db",
    ];
    for (fails, wanted) in [("", &good[..]), ("api", &stopped)] {
        let said = Arc::new(Mutex::new(Vec::new()));
        let noted = |name, needs: &[&str]| Noted {
            name,
            needs: needs.iter().map(|it| (*it).to_owned()).collect(),
            fails: fails == name,
            said: Arc::clone(&said),
        };
        let bed = Plain::new(archives.path(), &key, |it| {
            it.component("web", noted("web", &["api"]))
                .component("api", noted("api", &["db"]))
                .component("db", noted("db", &["files"]))
        });
        let captured = bed.capture(&format!("fails-{fails}")).await;
        assert_eq!(captured.is_err(), !fails.is_empty());
        let mut said = said.lock().unwrap().clone();
        // Unlocking is asked for more often than locking; what counts comes after the first lock.
        let first = said.iter().position(|it| it.starts_with("lock")).unwrap();
        said.drain(..first);
        let mut once: Vec<String> = Vec::new();
        for word in said {
            if !once.contains(&word) {
                once.push(word);
            }
        }
        assert_eq!(once, wanted);
    }
}
