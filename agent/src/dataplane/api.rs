//! The endpoints.

use super::actions::{commands, is_plain};
use super::answer::Refusal;
use super::haproxy::{Conflict, Haproxy, Stored};
use super::reloads::Outcome;
use super::servers::servers;
use super::tables::{Table, entries, tables};
use crate::config::DataplaneConfig;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, Query, Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::net::TcpListener;

const PREFIX: &str = "/v3/services/haproxy";
/// Ten thousand functions' worth of configuration.
const MAXIMUM_BODY: usize = 16 << 20;
/// Where what a client says of a table's entries is looked at: the operators of `show table NAME data.FIELD OPERATOR VALUE`.
const OPERATORS: [&str; 6] = ["eq", "ne", "le", "ge", "lt", "gt"];

type Answer<T> = Result<T, Refusal>;
type Parameters = Query<BTreeMap<String, String>>;
type Proxy = State<Arc<Haproxy>>;

/// Answers until `ended` says so.
pub async fn serve(
    listener: TcpListener,
    config: &DataplaneConfig,
    haproxy: Haproxy,
    ended: impl Future<Output = ()> + Send + 'static,
) {
    let haproxy = Arc::new(haproxy);
    let server = axum::serve(listener, router(config, Arc::clone(&haproxy))).with_graceful_shutdown(ended);
    tokio::select! {
        served = server => if let Err(error) = served {
            tracing::error!(%error, "the server of the Data Plane API ended");
        },
        () = haproxy.reload_when_asked() => {}
    }
}

fn router(config: &DataplaneConfig, haproxy: Arc<Haproxy>) -> Router {
    let credentials = format!("{}:{}", config.user, config.password);
    let expected = format!("Basic {}", STANDARD.encode(credentials));
    let endpoints = Router::new()
        .route("/configuration/raw", get(configuration).post(configure))
        .route("/configuration/version", get(version))
        .route("/reloads", get(all_reloads))
        .route("/reloads/{id}", get(one_reload))
        .route("/runtime/stick_tables", get(all_tables))
        .route("/runtime/stick_tables/{name}", get(one_table))
        .route("/runtime/stick_tables/{name}/entries", get(table_entries))
        .route("/runtime/backends/{backend}/servers", get(all_servers))
        .route(
            "/runtime/backends/{backend}/servers/{server}",
            get(one_server).put(change_server),
        )
        .with_state(haproxy);
    Router::new()
        .nest(PREFIX, endpoints)
        .fallback(unknown)
        .method_not_allowed_fallback(not_allowed)
        .layer(DefaultBodyLimit::max(MAXIMUM_BODY))
        .layer(middleware::from_fn(move |request: Request, next: Next| {
            let allowed = request
                .headers()
                .get(header::AUTHORIZATION)
                .is_some_and(|given| given.as_bytes() == expected.as_bytes());
            async move {
                if allowed {
                    next.run(request).await
                } else {
                    let message = "unauthenticated for invalid credentials";
                    Refusal::new(StatusCode::UNAUTHORIZED, message).into_response()
                }
            }
        }))
}

async fn unknown(uri: Uri) -> Refusal {
    Refusal::missing(format!("path {} was not found", uri.path()))
}

async fn not_allowed(method: Method) -> Refusal {
    let message = format!("method {method} is not allowed");
    Refusal::new(StatusCode::METHOD_NOT_ALLOWED, message)
}

/// A flag in the query, as the real API reads it.
fn flag(parameters: &BTreeMap<String, String>, name: &str) -> bool {
    parameters.get(name).is_some_and(|value| {
        let value = value.to_ascii_lowercase();
        ["true", "1", "yes", "ok", "y", "on", "t"].contains(&value.as_str())
    })
}

/// A whole number in the query.
fn number<T: std::str::FromStr>(parameters: &BTreeMap<String, String>, name: &str) -> Answer<Option<T>> {
    let parse = |value: &String| value.parse().map_err(|_| Refusal::no_number(name, value));
    parameters.get(name).map(parse).transpose()
}

/// A configuration with the headers that describe it.
fn shown(status: StatusCode, stored: Stored) -> Response {
    let headers = [
        (header::CONTENT_TYPE, "text/plain".to_owned()),
        (
            header::HeaderName::from_static("configuration-version"),
            stored.version.to_string(),
        ),
    ];
    (status, headers, stored.text).into_response()
}

async fn configuration(haproxy: Proxy) -> Answer<Response> {
    Ok(shown(StatusCode::OK, haproxy.stored()?))
}

async fn version(haproxy: Proxy) -> Answer<Json<u64>> {
    Ok(Json(haproxy.stored()?.version))
}

/// A whole configuration that is to take the place of the one there.
async fn configure(
    haproxy: Proxy,
    parameters: Parameters,
    headers: HeaderMap,
    body: Bytes,
) -> Answer<Response> {
    let text = std::str::from_utf8(&body).map_err(|_| Refusal::bad("invalid configuration: not UTF-8"))?;
    if text.is_empty() {
        return Err(Refusal::no_data());
    }
    if !text.contains('\n') {
        return Err(Refusal::bad("invalid configuration: no newline character found"));
    }
    if flag(&parameters, "only_validate") {
        haproxy.validate(text).await?;
        return Ok(shown(StatusCode::ACCEPTED, haproxy.stored()?));
    }
    // Without a version the change is one of version 0, which no configuration has.
    let given = number(&parameters, "version")?.unwrap_or(0);
    let given = (!flag(&parameters, "skip_version")).then_some(given);
    let stored = haproxy.store(text, given).await?.map_err(conflict)?;
    if flag(&parameters, "skip_reload") {
        let actions = headers
            .get("x-runtime-actions")
            .map(HeaderValue::to_str)
            .transpose();
        let actions = actions.map_err(|_| Refusal::bad("X-Runtime-Actions is no text"))?;
        haproxy
            .run(&commands(actions.unwrap_or("")).map_err(Refusal::bad)?)
            .await?;
        return Ok(shown(StatusCode::CREATED, stored));
    }
    if flag(&parameters, "force_reload") {
        haproxy.load().await?;
        return Ok(shown(StatusCode::CREATED, stored));
    }
    let id = haproxy.load_soon();
    let mut response = shown(StatusCode::ACCEPTED, stored);
    if let Ok(id) = HeaderValue::from_str(&id) {
        response.headers_mut().insert("reload-id", id);
    }
    Ok(response)
}

fn conflict(conflict: Conflict) -> Refusal {
    let Conflict { stored, given } = conflict;
    let message =
        format!("version mismatch: version in configuration file is {stored}, given version is {given}");
    Refusal::new(StatusCode::CONFLICT, message)
}

async fn all_reloads(haproxy: Proxy) -> Json<Vec<Outcome>> {
    Json(haproxy.reloads.all())
}

async fn one_reload(haproxy: Proxy, Path(id): Path<String>) -> Answer<Json<Outcome>> {
    let found = haproxy.reloads.find(&id);
    found
        .map(Json)
        .ok_or_else(|| Refusal::missing(format!("reload {id} not found")))
}

async fn all_tables(haproxy: Proxy) -> Answer<Json<Vec<Table>>> {
    Ok(Json(tables(&haproxy.ask_worker("show table").await?)))
}

async fn one_table(haproxy: Proxy, Path(name): Path<String>) -> Answer<Json<Table>> {
    find_table(&haproxy, &name).await.map(Json)
}

async fn find_table(haproxy: &Haproxy, name: &str) -> Answer<Table> {
    let all = tables(&haproxy.ask_worker("show table").await?);
    all.into_iter()
        .find(|table| table.name == name)
        .ok_or_else(|| Refusal::missing(format!("no data for table {name}: not found")))
}

async fn table_entries(
    haproxy: Proxy,
    Path(name): Path<String>,
    parameters: Parameters,
) -> Answer<Json<Vec<Value>>> {
    // A name that is in the list holds nothing that could be another command.
    let table = find_table(&haproxy, &name).await?.name;
    let condition = condition(&parameters)?;
    let answer = haproxy
        .ask_worker(&format!("show table {table}{condition}"))
        .await?;
    let all = entries(&answer);
    let offset: usize = number(&parameters, "offset")?.unwrap_or(0);
    if !all.is_empty() && offset >= all.len() {
        let size = all.len();
        let message = format!("Offset {offset} is larger than the slice size {size}");
        return Err(Refusal::bad(message));
    }
    let count: usize = number(&parameters, "count")?.unwrap_or(usize::MAX);
    Ok(Json(all.into_iter().skip(offset).take(count).collect()))
}

/// What follows the table's name in the command.
fn condition(parameters: &BTreeMap<String, String>) -> Answer<String> {
    let mut text = String::new();
    if let Some(filter) = parameters.get("filter").filter(|filter| !filter.is_empty()) {
        // The real API looks at the first only, too.
        let first = filter.split(',').next().unwrap_or(filter);
        let words: Vec<&str> = first.split_whitespace().collect();
        let good = matches!(words.as_slice(), [field, operator, value]
            if is_plain(field) && OPERATORS.contains(operator) && value.parse::<i64>().is_ok());
        if !good {
            return Err(Refusal::bad(format!(
                "filter {first:?} is not `FIELD OPERATOR NUMBER`"
            )));
        }
        text.push_str(&format!(" data.{}", words.join(" ")));
    }
    if let Some(key) = parameters.get("key").filter(|key| !key.is_empty()) {
        if !is_plain(key) {
            return Err(Refusal::bad(format!("key {key:?} has letters that no key has")));
        }
        text.push_str(&format!(" key {key}"));
    }
    Ok(text)
}

async fn all_servers(haproxy: Proxy, Path(backend): Path<String>) -> Answer<Json<Vec<Value>>> {
    servers_of(&haproxy, &backend).await.map(Json)
}

async fn servers_of(haproxy: &Haproxy, backend: &str) -> Answer<Vec<Value>> {
    let unknown = || Refusal::missing(format!("backend {backend} does not exist"));
    if !is_plain(backend) {
        return Err(unknown());
    }
    let text = haproxy
        .ask_worker(&format!("show servers state {backend}"))
        .await?;
    if text.contains("Can't find backend") {
        return Err(unknown());
    }
    Ok(servers(&text))
}

async fn one_server(haproxy: Proxy, Path((backend, server)): Path<(String, String)>) -> Answer<Json<Value>> {
    find_server(&haproxy, &backend, &server).await.map(Json)
}

async fn find_server(haproxy: &Haproxy, backend: &str, server: &str) -> Answer<Value> {
    let all = servers_of(haproxy, backend).await?;
    all.into_iter()
        .find(|found| found["name"] == server)
        .ok_or_else(|| Refusal::missing(format!("server {server} does not exist in backend {backend}")))
}

/// Changes what the body names of a server's states.
async fn change_server(
    haproxy: Proxy,
    Path((backend, server)): Path<(String, String)>,
    Json(wanted): Json<Value>,
) -> Answer<Json<Value>> {
    find_server(&haproxy, &backend, &server).await?;
    let mut changes = Vec::new();
    for (field, command, known) in [
        ("admin_state", "state", ["ready", "drain", "maint"]),
        ("operational_state", "health", ["up", "stopping", "down"]),
    ] {
        match wanted[field].as_str() {
            Some(value) if known.contains(&value) => {
                changes.push(format!("set server {backend}/{server} {command} {value}"));
            }
            None if wanted[field].is_null() => {}
            _ => {
                let message = format!("{field} is none of {}", known.join(", "));
                return Err(Refusal::bad(message));
            }
        }
    }
    haproxy.run(&changes).await?;
    find_server(&haproxy, &backend, &server).await.map(Json)
}
