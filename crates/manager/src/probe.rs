//! Whether what a restore replaces holds the journal of that restore.

use std::sync::Arc;

use jiff::Timestamp;
use stillpoint_core::{Result, SnapshotId};
use stillpoint_state::{Batch, Guard, State};

use crate::random;

/// Text that was just written to Stillpoint's own state, and is nowhere else.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Token(String);

impl Token {
    /// The text: letters, digits and `-`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// As hexadecimal digits of its bytes: as a database shows bytes.
    pub fn hex(&self) -> String {
        use std::fmt::Write as _;
        self.0.bytes().fold(String::new(), |mut hex, byte| {
            let _ = write!(hex, "{byte:02x}");
            hex
        })
    }
}

/// Writes a token to the state, for as long as this is asked of it, and takes it out again.
///
/// # Errors
/// Those of the state and of `ask`.
pub(crate) async fn while_marked<T>(
    state: &Arc<dyn State>,
    now: Timestamp,
    ask: impl AsyncFnOnce(Token) -> Result<T>,
) -> Result<T> {
    let token = Token(format!("probe-{}", SnapshotId::new(now, random::bytes()?)));
    let key = format!("manager/probe/{}", token.as_str());
    let mut batch = Batch::new();
    batch.put(key.clone(), Guard::Any, token.as_str().to_owned());
    state.commit(batch).await?;
    let answer = ask(token).await;
    let mut batch = Batch::new();
    batch.delete(key, Guard::Any);
    state.commit(batch).await?;
    answer
}
