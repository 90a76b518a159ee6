use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use stillpoint_core::{Error, ErrorKind, Result, Retry, World as Left};
use stillpoint_state::{Batch, Committed, Entry, Revision, Scan, State};

use crate::fence::Fence;
use crate::world::World;

/// The durable state as one life of the service sees it.
#[derive(Clone)]
pub(crate) struct LifeState {
    pub(crate) world: World,
    pub(crate) fence: Fence,
    pub(crate) life: u64,
}

/// A write on its way: it counts as given up where nobody waits for it any more, unless that is
/// because the process died.
struct Writing<'a> {
    state: &'a LifeState,
    number: u64,
}

impl Drop for Writing<'_> {
    fn drop(&mut self) {
        if !self.state.fence.is_dead() {
            self.state.world.disk().forget(self.number);
        }
    }
}

#[async_trait]
impl State for LifeState {
    async fn get(&self, key: &str) -> Result<Option<Entry>> {
        self.fence.pass().await;
        self.readable()?;
        self.world.disk().kept().get(key).await
    }

    async fn scan(&self, from: &str, to: &str) -> Result<Scan> {
        self.fence.pass().await;
        self.readable()?;
        self.world.disk().kept().scan(from, to).await
    }

    async fn commit(&self, batch: Batch) -> Result<Committed> {
        let what = keys(&batch);
        let life = self.life;
        self.world
            .touch(&self.fence, life, format!("#{life} writes {what}"))
            .await;
        let writing = Writing {
            state: self,
            number: self.world.disk().accept(batch),
        };
        self.world.dawdle().await;
        self.fence.pass().await;
        let faulty = self.world.state_fault();
        let done = if faulty == Some(false) {
            self.world.disk().forget(writing.number);
            Ok(None)
        } else {
            self.world.disk().write(writing.number).map(Some)
        };
        let said = match &done {
            Ok(Some(committed)) => format!("at {}", committed.revision),
            Ok(None) => "not".to_owned(),
            Err(error) => format!("refused: {:?}", error.kind()),
        };
        self.world
            .touch(&self.fence, life, format!("#{life} written {said}"))
            .await;
        match (done, faulty) {
            (Ok(Some(committed)), None) => Ok(committed),
            (Err(error), _) => Err(error),
            // Whoever asks cannot tell the two apart.
            (Ok(_), _) => Err(away().leaving(Left::Unknown)),
        }
    }

    async fn changed(&self, prefix: &str, since: Revision) -> Result<()> {
        self.fence.pass().await;
        self.world.disk().changed(prefix, since).await;
        self.fence.pass().await;
        Ok(())
    }
}

impl LifeState {
    fn readable(&self) -> Result<()> {
        match self.world.state_fault() {
            Some(_) => Err(away()),
            None => Ok(()),
        }
    }
}

/// A batch in the trace.
fn keys(batch: &Batch) -> String {
    match batch.clone().into_operations() {
        Ok(operations) => {
            let written = operations.iter().filter(|(_, it)| it.write.is_some());
            written
                .map(|(key, _)| key.as_str())
                .collect::<Vec<_>>()
                .join(" ")
        }
        Err(error) => error.to_string(),
    }
}

fn away() -> Error {
    Error::new(ErrorKind::Unavailable, "the state is away for a moment")
        .retry_with(Retry::After(Duration::from_secs(1)))
}

impl fmt::Debug for LifeState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LifeState")
            .field("life", &self.life)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for LifeState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the simulation's state")
    }
}
