use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Mutex, PoisonError};

use serde_json::{Value, json};

/// A process of the stock SDK, which does what it is told.
pub(crate) struct Hand {
    child: Child,
    pipes: Mutex<(ChildStdin, BufReader<ChildStdout>)>,
}

/// The folder of the lab.
pub(crate) fn lab() -> PathBuf {
    std::env::var_os("STILLPOINT_OPENSTACK_LAB").map_or("/var/tmp/oslab".into(), PathBuf::from)
}

impl Hand {
    pub(crate) fn of(project: &str) -> Self {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cloud/hand.py");
        let clouds = lab().join("clouds.yaml");
        assert!(
            clouds.exists(),
            "no lab at {}: run lab/test.sh",
            lab().display()
        );
        let mut child = Command::new("/usr/bin/python3")
            .arg(script)
            .env("OS_CLIENT_CONFIG_FILE", clouds)
            .env("STILLPOINT_OPENSTACK_LAB", lab())
            .env("STILLPOINT_OPENSTACK_CLOUD", project)
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("Debian's python3");
        let pipes = (
            child.stdin.take().expect("it is piped"),
            BufReader::new(child.stdout.take().expect("it is piped")),
        );
        Self {
            child,
            pipes: Mutex::new(pipes),
        }
    }

    /// Has it do something; what it cannot do is a panic with the reason.
    pub(crate) fn ask(&self, what: &str, with: Value) -> Value {
        match self.try_ask(what, with) {
            Ok(answer) => answer,
            Err(error) => panic!("the hand cannot {what}: {error}"),
        }
    }

    pub(crate) fn try_ask(&self, what: &str, with: Value) -> Result<Value, String> {
        let mut pipes = self.pipes.lock().unwrap_or_else(PoisonError::into_inner);
        writeln!(pipes.0, "{}", json!({ "do": what, "with": with })).expect("it listens");
        let mut line = String::new();
        pipes.1.read_line(&mut line).expect("it answers");
        let mut answer: Value = serde_json::from_str(&line).expect("it answers in JSON");
        match answer["error"].as_str() {
            Some(error) => Err(error.to_owned()),
            None => Ok(answer["ok"].take()),
        }
    }

    pub(crate) fn id(&self, what: &str, with: Value) -> String {
        self.ask(what, with).as_str().expect("an id").to_owned()
    }
}

impl Drop for Hand {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
