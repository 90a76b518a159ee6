use std::sync::Arc;

use serde_json::Value;
use stillpoint_core::{ErrorKind, Result};
use stillpoint_engine::background::blocking;

use super::Task;
use crate::failure::of_archive;
use crate::records::RecordState;
use crate::remove::remove;

impl Task {
    /// Deletes what was captured; where nobody knows what that is, what this job has left.
    pub(super) async fn discard(&self, captured: &Value) -> Result<Value> {
        let (inner, token) = (Arc::clone(&self.inner), self.token.clone());
        blocking(move || inner.unlock_all(&token)).await?;
        match captured["place"]["archive"].as_str() {
            Some(archive) => self.remove_archive(archive).await?,
            None => {
                let records = self.inner.records.list().await?;
                let ours = records
                    .into_iter()
                    .filter(|it| it.holder.as_deref() == Some(&self.token));
                for record in ours {
                    if record.state.is_whole() || record.state.is_in_work() {
                        self.remove_archive(&record.id).await?;
                    }
                }
                Value::Null
            }
        };
        self.tidy().await
    }

    /// Takes an archive off the list and out of the depot; none is a success.
    pub(super) async fn remove_archive(&self, id: &str) -> Result<Value> {
        let records = &self.inner.records;
        match records.get(id).await {
            Ok(record) if record.state.is_in_work() => {
                let stopped = RecordState::Cancelled;
                records.advance(id, stopped, |_| {}).await?;
                records.advance(id, RecordState::Deleting, |_| {}).await?;
            }
            Ok(_) => {
                records.advance(id, RecordState::Deleting, |_| {}).await?;
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        let deleted = self.inner.depot.delete(id).await;
        deleted.map_err(|error| of_archive(id, error))?;
        records.remove(id).await?;
        Ok(Value::Null)
    }

    /// Removes all that was on its way.
    pub(super) async fn tidy(&self) -> Result<Value> {
        let folder = self.folder();
        blocking(move || remove(&folder)).await?;
        Ok(Value::Null)
    }
}
