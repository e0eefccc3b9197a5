//! The part of the API that changes a running lab and tells what happens in it.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{DefaultBodyLimit, Path as Segments, Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, patch, post};
use axum::{Json, Router};
use dfaas_control::{CaptureOptions, LinkInfo, NodeInfo, Partition, paths};
use dfaas_model::{Change, NodeAction, Topology};
use futures::stream;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::{Refusal, blocking};
use crate::error::LabError;
use crate::supervisor::events::{self, Listener};
use crate::supervisor::lab::Lab;
use crate::supervisor::ready;

/// How long [`paths::READY`] waits unless told otherwise.
const READY_LIMIT: Duration = Duration::from_secs(120);

pub(super) fn routes() -> Router<Arc<Lab>> {
    Router::new()
        .route(
            &format!("{}/{{node}}/{{action}}", paths::NODES),
            post(change_node),
        )
        .route(&format!("{}/{{node}}/limits", paths::NODES), patch(change_limits))
        .route(&format!("{}/{{node}}/move", paths::NODES), post(roam))
        .route(&format!("{}/{{link}}/capture", paths::LINKS), get(capture))
        .route(
            paths::APPLY,
            post(apply).layer(DefaultBodyLimit::disable()), // a lab of a thousand nodes has some megabytes
        )
        .route(paths::EVENTS, get(tell_events))
        .route(paths::READY, post(wait_ready))
        .route(paths::REPLAYS, post(begin_replays))
        .route(
            paths::PARTITIONS,
            get(show_partitions).post(partition).delete(heal),
        )
}

#[derive(Deserialize)]
struct StartQuery {
    #[serde(default)]
    ready: bool,
}

async fn change_node(
    State(lab): State<Arc<Lab>>,
    Segments((node, action)): Segments<(String, String)>,
    Query(query): Query<StartQuery>,
) -> Result<Json<NodeInfo>, Refusal> {
    let known: Result<NodeAction, _> = serde_json::from_value(Value::from(action.as_str()));
    let Ok(known) = known else {
        let reason = format!("a node can stop, start, restart, kill, pause or resume, but not `{action}`");
        return Err(LabError::Setting(reason).into());
    };
    // Not in this task: a client that goes away must not leave half a change.
    let changing = tokio::spawn(async move { lab.change_node(&node, known, query.ready).await });
    finished(changing.await)
}

async fn change_limits(
    State(lab): State<Arc<Lab>>,
    Segments(node): Segments<String>,
    Json(limits): Json<Map<String, Value>>,
) -> Result<Json<NodeInfo>, Refusal> {
    let changing = tokio::spawn(async move { lab.change_limits(&node, &limits).await });
    finished(changing.await)
}

#[derive(Deserialize)]
struct MoveQuery {
    to: String,
    #[serde(default)]
    gap: f64,
}

async fn roam(
    State(lab): State<Arc<Lab>>,
    Segments(client): Segments<String>,
    Query(query): Query<MoveQuery>,
) -> Result<Json<LinkInfo>, Refusal> {
    let gap = seconds(query.gap)?;
    let moving = tokio::spawn(async move { lab.roam(&client, &query.to, gap).await });
    finished(moving.await)
}

fn seconds(number: f64) -> Result<Duration, LabError> {
    Duration::try_from_secs_f64(number)
        .map_err(|_| LabError::Setting(format!("{number} is no number of seconds to wait")))
}

fn finished<T>(done: Result<Result<T, LabError>, tokio::task::JoinError>) -> Result<Json<T>, Refusal> {
    match done {
        Ok(done) => Ok(Json(done?)),
        Err(error) => Err(Refusal(StatusCode::INTERNAL_SERVER_ERROR, error.to_string())),
    }
}

#[derive(Deserialize)]
struct ApplyQuery {
    #[serde(default)]
    dry_run: bool,
}

async fn apply(
    State(lab): State<Arc<Lab>>,
    Query(query): Query<ApplyQuery>,
    Json(wanted): Json<Topology>,
) -> Result<Json<Vec<Change>>, Refusal> {
    if query.dry_run {
        return Ok(Json(lab.changes(wanted).await?));
    }
    let applying = tokio::spawn(async move { lab.apply(wanted).await });
    finished(applying.await)
}

#[derive(Deserialize)]
struct EventsQuery {
    after: Option<u64>,
}

/// JSON lines, until the lab stops or the client goes away.
async fn tell_events(State(lab): State<Arc<Lab>>, Query(query): Query<EventsQuery>) -> Response {
    let listener = Listener::new(&lab, query.after);
    let lines = stream::unfold(Some(listener), |listener| async move {
        let mut listener = listener?;
        let events = listener.next().await?;
        let mut text = Vec::new();
        for event in &events {
            serde_json::to_writer(&mut text, event).ok()?;
            text.push(b'\n');
        }
        let over = events.iter().any(events::is_last);
        Some((
            Ok::<_, std::convert::Infallible>(Bytes::from(text)),
            (!over).then_some(listener),
        ))
    });
    let kind = [(header::CONTENT_TYPE, "application/x-ndjson")];
    (kind, Body::from_stream(lines)).into_response()
}

async fn capture(
    State(lab): State<Arc<Lab>>,
    Segments(link): Segments<String>,
    Query(options): Query<CaptureOptions>,
) -> Result<Response, Refusal> {
    let parts = blocking(move || lab.capture(&link, options)).await?.start();
    let body = stream::unfold(parts, |mut parts| async move {
        let part = parts.recv().await?;
        Some((Ok::<_, std::convert::Infallible>(part), parts))
    });
    let kind = [(header::CONTENT_TYPE, "application/x-pcapng")];
    Ok((kind, Body::from_stream(body)).into_response())
}

#[derive(Deserialize)]
struct ReadyQuery {
    seconds: Option<f64>,
}

async fn wait_ready(
    State(lab): State<Arc<Lab>>,
    Query(query): Query<ReadyQuery>,
) -> Result<Json<usize>, Refusal> {
    let limit = match query.seconds {
        None => READY_LIMIT,
        Some(limit) => seconds(limit)?,
    };
    Ok(Json(ready::whole_lab(&lab, limit).await?))
}

async fn begin_replays(State(lab): State<Arc<Lab>>) -> Result<Json<()>, Refusal> {
    let begun = blocking(move || {
        let topology = lab.topology();
        lab.with_all_links(|links| links.begin_replays(&topology))
    });
    begun.await.map(Json)
}

async fn show_partitions(State(lab): State<Arc<Lab>>) -> Json<Vec<Partition>> {
    Json(lab.partitions.in_force())
}

async fn partition(
    State(lab): State<Arc<Lab>>,
    Json(wanted): Json<Partition>,
) -> Result<Json<Vec<Partition>>, Refusal> {
    blocking(move || lab.partition(wanted)).await.map(Json)
}

/// The body is one partition, or nothing for all.
async fn heal(State(lab): State<Arc<Lab>>, body: Bytes) -> Result<Json<Vec<Partition>>, Refusal> {
    let one: Option<Partition> = if body.is_empty() {
        None
    } else {
        let read = serde_json::from_slice(&body);
        Some(read.map_err(|error| LabError::Setting(format!("the partition to end: {error}")))?)
    };
    blocking(move || lab.heal(one.as_ref())).await.map(Json)
}
