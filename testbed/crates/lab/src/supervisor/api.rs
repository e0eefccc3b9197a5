//! The control API: HTTP and JSON on the lab's Unix socket.

mod live;

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path as Segments, Query, Request, State};
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, post};
use axum::{Json, Router};
use dfaas_control::{ErrorBody, LabDetail, LinkChange, LinkInfo, paths};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use tokio::net::UnixListener;

use crate::error::LabError;
use crate::supervisor::driven::Entrance;
use crate::supervisor::lab::Lab;
use crate::supervisor::splice;

/// Listens on the control socket. Only the user who started the lab may connect.
pub(crate) fn listen(socket: &Path) -> Result<UnixListener, LabError> {
    let listener =
        UnixListener::bind(socket).map_err(|source| LabError::file("listen on", socket, source))?;
    std::fs::set_permissions(socket, std::fs::Permissions::from_mode(0o600))
        .map_err(|source| LabError::file("protect", socket, source))?;
    Ok(listener)
}

/// Serves the API until the task is dropped.
pub(crate) async fn serve(listener: UnixListener, lab: Arc<Lab>) {
    let router = Router::new()
        .route(paths::LAB, get(show_lab).delete(shut_down))
        .route(&format!("{}/{{node}}/init", paths::NODES), post(enter_node))
        .route(
            &format!("{}/{{node}}/ports/{{port}}/{{*path}}", paths::NODES),
            any(node_request),
        )
        .route(
            &format!("{}/{{link}}", paths::LINKS),
            get(show_link).patch(change_link),
        )
        .merge(live::routes())
        .with_state(lab);
    if let Err(error) = axum::serve(listener, router).await {
        tracing::error!(%error, "the control API ended");
    }
}

/// A refused call: a status and the body that goes with it.
struct Refusal(StatusCode, String);

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        (self.0, Json(ErrorBody { error: self.1 })).into_response()
    }
}

impl From<LabError> for Refusal {
    fn from(error: LabError) -> Self {
        let status = match &error {
            LabError::Unknown { .. } => StatusCode::NOT_FOUND,
            LabError::Setting(_) => StatusCode::BAD_REQUEST,
            LabError::NotReady { .. } => StatusCode::GATEWAY_TIMEOUT,
            error if error.exit_code() == 3 => StatusCode::NOT_IMPLEMENTED, // this machine cannot
            _ => StatusCode::CONFLICT,
        };
        Self(status, error.to_string())
    }
}

#[derive(Deserialize)]
struct LabQuery {
    #[serde(default = "wanted")]
    links: bool,
}

fn wanted() -> bool {
    true
}

async fn show_lab(State(lab): State<Arc<Lab>>, Query(query): Query<LabQuery>) -> Json<LabDetail> {
    Json(lab.detail(query.links))
}

async fn shut_down(State(lab): State<Arc<Lab>>) -> StatusCode {
    lab.request_shutdown();
    StatusCode::ACCEPTED
}

async fn enter_node(
    State(lab): State<Arc<Lab>>,
    Segments(node): Segments<String>,
) -> Result<Json<Entrance>, Refusal> {
    Ok(Json(lab.enter(&node).await?))
}

async fn show_link(
    State(lab): State<Arc<Lab>>,
    Segments(link): Segments<String>,
) -> Result<Json<LinkInfo>, Refusal> {
    blocking(move || lab.link(&link)).await.map(Json)
}

async fn change_link(
    State(lab): State<Arc<Lab>>,
    Segments(link): Segments<String>,
    Json(change): Json<LinkChange>,
) -> Result<Json<LinkInfo>, Refusal> {
    blocking(move || lab.change_link(&link, &change)).await.map(Json)
}

/// Runs what waits for the kernel or the engine.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, LabError> + Send + 'static,
) -> Result<T, Refusal> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => Ok(done?),
        Err(error) => Err(Refusal(StatusCode::INTERNAL_SERVER_ERROR, error.to_string())),
    }
}

/// Passes one HTTP request on to a port of a node, over its loopback interface.
async fn node_request(
    State(lab): State<Arc<Lab>>,
    Segments((node, port, path)): Segments<(String, u16, String)>,
    mut request: Request,
) -> Result<Response, Refusal> {
    lab.known(&node)?;
    let unreachable = |reason: String| {
        Refusal(
            StatusCode::BAD_GATEWAY,
            format!("node `{node}` does not answer on port {port}: {reason}"),
        )
    };
    let network = lab
        .network()
        .ok_or_else(|| unreachable("the lab has no network yet".to_owned()))?;
    let stream = splice::connect(&network, &node, port)
        .await
        .map_err(|error| unreachable(error.to_string()))?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|error| unreachable(error.to_string()))?;
    tokio::spawn(connection);
    let target = match request.uri().query() {
        Some(query) => format!("/{path}?{query}"),
        None => format!("/{path}"),
    };
    *request.uri_mut() = target
        .parse::<Uri>()
        .map_err(|error| Refusal(StatusCode::BAD_REQUEST, format!("path `{target}`: {error}")))?;
    let response = sender
        .send_request(request)
        .await
        .map_err(|error| unreachable(error.to_string()))?;
    Ok(response.map(Body::new))
}
