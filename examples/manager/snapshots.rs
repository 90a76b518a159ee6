//! Snapshots, as Cloudify's interface has them.

use std::collections::HashMap;
use std::io::{Read as _, Write as _};

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use futures_util::{StreamExt as _, stream};
use serde_json::{Value, json};
use stillpoint::control::{Archives, Record, RecordState};
use stillpoint::{Clock as _, Job, JobId, JobQuery, Outcome, Request, SystemClock};

use crate::entities::check_id;
use crate::plane::{KEYS, Plane};
use crate::reply::{Refusal, page};

type Reply = Result<Json<Value>, Refusal>;

/// Bytes that are read and sent at a time.
const PIECE: usize = 256 << 10;

pub(crate) async fn list(
    State(plane): State<Plane>,
    Query(query): Query<HashMap<String, String>>,
) -> Reply {
    let records = archives(&plane)?.records().list().await?;
    page(records.iter().map(shown).collect(), &query)
}

pub(crate) async fn one(State(plane): State<Plane>, Path(id): Path<String>) -> Reply {
    Ok(Json(shown(&archives(&plane)?.records().get(&id).await?)))
}

pub(crate) async fn create(
    State(plane): State<Plane>,
    Path(id): Path<String>,
    Json(body): Json<Value>,
) -> Result<Response, Refusal> {
    check_id(&id)?;
    let records = archives(&plane)?.records();
    let mut asked = Record::asked(&id, SystemClock.now());
    if body["include_credentials"] != false {
        asked.with.push(KEYS.to_owned());
    }
    if records.get(&id).await.is_ok() {
        let message = format!("snapshot with id={id} already exists");
        return Err(Refusal::new(
            StatusCode::CONFLICT,
            "conflict_error",
            message,
        ));
    }
    records.begin(asked).await?;
    match plane.still.capture(&id).start().await {
        Ok(job) => {
            let job = job.status().await?;
            Ok((StatusCode::CREATED, Json(as_execution(&job))).into_response())
        }
        Err(error) => {
            records.remove(&id).await?;
            Err(error.into())
        }
    }
}

pub(crate) async fn delete(State(plane): State<Plane>, Path(id): Path<String>) -> Reply {
    let archives = archives(&plane)?;
    let record = archives.records().get(&id).await?;
    if record.state.is_in_work() {
        return Err(Refusal::action(format!(
            "snapshot {id} is still being made"
        )));
    }
    // What was captured here is listed with all other snapshots, too.
    let query = stillpoint::catalogue::Query::default();
    let listed = plane.still.snapshots(&query).await?;
    let own = listed.rows.iter().find(|it| it.snapshot.name == id);
    match own {
        Some(row) if record.state == RecordState::Created => {
            plane.still.delete(row.snapshot.id).await?;
        }
        _ => archives.delete(&id).await?,
    }
    Ok(Json(shown(&record)))
}

/// A state is what was found to be so, and not what a client says.
pub(crate) async fn set_status(
    State(plane): State<Plane>,
    Path(id): Path<String>,
    Json(body): Json<Value>,
) -> Reply {
    let record = archives(&plane)?.records().get(&id).await?;
    if body["status"] == status_of(record.state) {
        return Ok(Json(shown(&record)));
    }
    let is = status_of(record.state);
    Err(Refusal::action(format!(
        "snapshot {id} is {is}, whatever is said of it"
    )))
}

pub(crate) async fn upload(
    State(plane): State<Plane>,
    Path(id): Path<String>,
    Query(query): Query<HashMap<String, String>>,
    body: Body,
) -> Result<Response, Refusal> {
    check_id(&id)?;
    if query.contains_key("snapshot_archive_url") {
        return Err(Refusal::bad_parameters(
            "send the archive: this manager fetches nothing",
        ));
    }
    let failed = |_| Refusal::internal("there is no room for the archive");
    let staging = plane.folder.join("staging");
    let mut file = tempfile::NamedTempFile::new_in(staging).map_err(failed)?;
    let mut pieces = body.into_data_stream();
    while let Some(piece) = pieces.next().await {
        let piece = piece.map_err(|_| Refusal::bad_parameters("the upload was cut off"))?;
        file.write_all(&piece).map_err(failed)?;
    }
    let holder = file.path().display().to_string();
    let record = archives(&plane)?.upload(&id, file.path(), &holder).await?;
    Ok((StatusCode::CREATED, Json(shown(&record))).into_response())
}

pub(crate) async fn download(
    State(plane): State<Plane>,
    Path(id): Path<String>,
) -> Result<Response, Refusal> {
    let failed = |_| Refusal::internal("the archive cannot be read");
    // It is gone as soon as it is open: what is open is read to its end all the same.
    let folder = tempfile::tempdir_in(plane.folder.join("staging")).map_err(failed)?;
    let path = folder.path().join("archive.zip");
    archives(&plane)?.download(&id, &path).await?;
    let file = std::fs::File::open(&path).map_err(failed)?;
    let size = file.metadata().map_err(failed)?.len();
    let pieces = stream::try_unfold(file, |mut file| async move {
        let read = tokio::task::spawn_blocking(move || {
            let mut piece = vec![0; PIECE];
            let length = file.read(&mut piece)?;
            piece.truncate(length);
            Ok::<_, std::io::Error>((!piece.is_empty()).then_some((Bytes::from(piece), file)))
        });
        read.await.map_err(std::io::Error::other)?
    });
    let headers = [
        (CONTENT_TYPE, "application/zip".to_owned()),
        (CONTENT_LENGTH, size.to_string()),
        (
            CONTENT_DISPOSITION,
            format!("attachment; filename={id}.zip"),
        ),
    ];
    Ok((headers, Body::from_stream(pieces)).into_response())
}

pub(crate) async fn restore(
    State(plane): State<Plane>,
    Path(id): Path<String>,
    Json(body): Json<Value>,
) -> Reply {
    if body["no_reboot"] == true && body["restore_certificates"] != true {
        return Err(Refusal::bad_parameters(
            "`no_reboot` is only relevant when `restore_certificates` is set to true",
        ));
    }
    // The list says first whether there is such a snapshot; a depot may know more.
    let record = archives(&plane)?.records().get(&id).await?;
    if !record.state.is_whole() {
        let status = status_of(record.state);
        return Err(Refusal::action(format!(
            "Snapshot {id} is {status}: it cannot be restored"
        )));
    }
    let ask = plane.still.restore_manager(&id);
    let ask = match body["force"].as_bool() {
        Some(true) => ask.danger_replace_what_is_there(),
        _ => ask,
    };
    let job = ask.start().await?;
    Ok(Json(as_execution(&job.status().await?)))
}

pub(crate) async fn status(State(plane): State<Plane>) -> Reply {
    let query = JobQuery {
        unfinished: true,
        ..JobQuery::default()
    };
    let jobs = plane.still.jobs(&query).await?;
    let running = jobs
        .iter()
        .any(|job| matches!(job.request, Request::Custom(_)));
    let status = if running { "running" } else { "not-running" };
    Ok(Json(json!({ "status": status })))
}

pub(crate) async fn execution(State(plane): State<Plane>, Path(id): Path<String>) -> Reply {
    Ok(Json(as_execution(
        &plane.still.job(job_id(&id)?).status().await?,
    )))
}

/// Takes a restore back (`undo`), or removes what it replaced (`accept`): Cloudify has no word for it.
pub(crate) async fn settle(
    State(plane): State<Plane>,
    Path((id, settled)): Path<(String, String)>,
) -> Reply {
    let restore = job_id(&id)?;
    let ask = match settled.as_str() {
        "accept" => plane.still.accept_manager(restore),
        "undo" => plane.still.undo_manager(restore),
        _ => return Err(Refusal::not_found(format!("there is no {settled}"))),
    };
    Ok(Json(as_execution(&ask.start().await?.status().await?)))
}

fn archives(plane: &Plane) -> Result<&Archives, Refusal> {
    Ok(plane.still.archives()?)
}

pub(crate) fn job_id(text: &str) -> Result<JobId, Refusal> {
    let id: Result<JobId, _> = text.parse();
    id.map_err(|_| Refusal::not_found(format!("there is no execution {text}")))
}

fn shown(record: &Record) -> Value {
    json!({
        "id": record.id,
        "created_at": record.created_at.to_string(),
        "status": status_of(record.state),
        "error": record.error.clone().unwrap_or_default(),
        "visibility": "private",
        "tenant_name": "default_tenant",
        "created_by": "admin",
    })
}

/// The words that Cloudify has for it: fewer than there are states.
fn status_of(state: RecordState) -> &'static str {
    match state {
        RecordState::Created => "created",
        RecordState::Uploaded => "uploaded",
        _ if state.is_in_work() => "creating",
        _ => "failed",
    }
}

pub(crate) fn as_execution(job: &Job) -> Value {
    let status = match &job.outcome {
        None => "started",
        Some(Outcome::Completed | Outcome::CompletedWithWarnings { .. }) => "terminated",
        Some(Outcome::Cancelled { .. }) => "cancelled",
        Some(_) => "failed",
    };
    let failed = matches!(status, "failed").then(|| match &job.error {
        Some(report) => stillpoint::Error::from(report.clone()).to_string(),
        None => job
            .outcome
            .as_ref()
            .map(ToString::to_string)
            .unwrap_or_default(),
    });
    let workflow = match &job.request {
        Request::Capture { .. } => "create_snapshot",
        _ => "restore_snapshot",
    };
    json!({
        "id": job.id.to_string(),
        "workflow_id": workflow,
        "status": status,
        "status_display": status,
        "error": failed.unwrap_or_default(),
        "created_at": job.started_at.to_string(),
        "ended_at": job.ended_at.map(|at| at.to_string()),
        "is_system_workflow": true,
        "tenant_name": "default_tenant",
        "created_by": "admin",
        "parameters": {},
    })
}
