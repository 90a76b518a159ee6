//! The routes, for every version of the interface that the client knows.

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::Uri;
use axum::middleware::from_fn_with_state;
use axum::routing::{get, post, put};

use crate::plane::Plane;
use crate::reply::Refusal;
use crate::{auth, entities, progress, snapshots};

/// Bytes of a plugin or a blueprint, which are held whole.
const LARGEST: usize = 64 << 20;

pub(crate) fn router(plane: Plane) -> Router {
    let routes = Router::new()
        .route("/version", get(entities::version))
        .route("/status", get(entities::status))
        .route("/provider/context", get(entities::provider_context))
        .route("/managers", get(entities::node))
        .route("/brokers", get(entities::node))
        .route("/db-nodes", get(entities::node))
        .route("/{kind}", get(entities::list))
        .route("/blueprints/{id}", put(entities::put_blueprint))
        .route("/deployments/{id}", put(entities::put_deployment))
        .route("/plugins/{id}", put(entities::put_plugin))
        .route("/secrets/{id}", put(entities::put_secret))
        .route("/snapshots", get(snapshots::list))
        .route(
            "/snapshots/{id}",
            get(snapshots::one)
                .put(snapshots::create)
                .delete(snapshots::delete)
                .patch(snapshots::set_status),
        )
        .route(
            "/snapshots/{id}/archive",
            get(snapshots::download)
                .put(snapshots::upload)
                // It goes to a file as it comes.
                .layer(DefaultBodyLimit::disable()),
        )
        .route("/snapshots/{id}/restore", post(snapshots::restore))
        .route("/executions/{id}", get(snapshots::execution))
        .route("/executions/{id}/progress", get(progress::watch))
        .route("/executions/{id}/{settled}", post(snapshots::settle))
        .route("/events", get(entities::none))
        .layer(DefaultBodyLimit::max(LARGEST))
        .layer(from_fn_with_state(plane.clone(), auth::check))
        // For everybody: while a restore goes on there may be no users to ask for.
        .route("/snapshot-status", get(snapshots::status))
        .fallback(unknown)
        .with_state(plane);
    let top = Router::new()
        .route("/api/version", get(entities::version))
        .fallback(unknown);
    ["v2.1", "v3", "v3.1"]
        .into_iter()
        .fold(top, |router, version| {
            router.nest(&format!("/api/{version}"), routes.clone())
        })
}

async fn unknown(uri: Uri) -> Refusal {
    Refusal::not_found(format!("there is no {}", uri.path()))
}
