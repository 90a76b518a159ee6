//! What a job is at, as it goes: Cloudify has no word for it.

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use serde_json::json;
use stillpoint::{JobEvent, JobId, Progress, What};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::TryRecvError;

use crate::plane::Plane;
use crate::reply::Refusal;
use crate::snapshots::{as_execution, job_id};

/// How often it is looked whether something has changed.
const LOOK: Duration = Duration::from_millis(100);

/// What a job is at, as server-sent events: one for each change, and the last when it has ended. How
/// far it is stands in `progress`, once it has moved.
pub(crate) async fn watch(
    State(plane): State<Plane>,
    Path(id): Path<String>,
) -> Result<Response, Refusal> {
    let handle = plane.still.job(job_id(&id)?);
    // Before the first look: what happens after it is told.
    let gauge = Gauge {
        events: handle.events(),
        job: handle.id(),
        moved: None,
    };
    handle.status().await?;
    let events = stream::unfold(
        (handle, gauge, None, false),
        |(handle, mut gauge, last, over)| async move {
            if over {
                return None;
            }
            loop {
                let job = handle.status().await.ok()?;
                let now = Some((handle.tree().await.ok()?, gauge.read()));
                if job.outcome.is_some() || now != last {
                    let (steps, moved) = now.as_ref()?;
                    let mut shown = as_execution(&job);
                    shown["steps"] = steps.lines().collect();
                    shown["progress"] = json!(moved);
                    let event = Ok::<_, std::io::Error>(Bytes::from(format!("data: {shown}\n\n")));
                    return Some((event, (handle, gauge, now, job.outcome.is_some())));
                }
                tokio::time::sleep(LOOK).await;
            }
        },
    );
    let headers = [(CONTENT_TYPE, "text/event-stream")];
    Ok((headers, Body::from_stream(events)).into_response())
}

/// How far a job is, as it was last told.
struct Gauge {
    events: Receiver<JobEvent>,
    job: JobId,
    moved: Option<Progress>,
}

impl Gauge {
    fn read(&mut self) -> Option<Progress> {
        loop {
            match self.events.try_recv() {
                Ok(event) if event.job == self.job => {
                    if let What::Progress { progress } = event.what {
                        self.moved = Some(progress);
                    }
                }
                // What was missed is made up for by what comes.
                Ok(_) | Err(TryRecvError::Lagged(_)) => {}
                Err(TryRecvError::Empty | TryRecvError::Closed) => return self.moved,
            }
        }
    }
}
