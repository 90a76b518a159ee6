//! What ends a client whose job is stopped, whatever it waits for.

use std::process::Child;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use crate::mutex::lock;
use crate::site::Site;

/// How often it is looked.
const LOOK: Duration = Duration::from_millis(100);

/// Ends the watch when it is dropped.
#[derive(Debug)]
pub(super) struct Watch(#[expect(dead_code, reason = "its end is what is heard")] Sender<()>);

impl Watch {
    /// Has the child killed once the job is to stop.
    pub(super) fn of(child: &Arc<Mutex<Child>>, site: &Site) -> Self {
        let (over, heard) = channel();
        let (child, site) = (Arc::clone(child), site.clone());
        thread::spawn(move || {
            while heard.recv_timeout(LOOK) == Err(RecvTimeoutError::Timeout) {
                if site.check().is_err() {
                    // One that is over already cannot be killed, and needs not to be.
                    let _ = lock(&child).kill();
                    return;
                }
            }
        });
        Self(over)
    }
}
