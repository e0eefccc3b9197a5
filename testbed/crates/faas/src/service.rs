//! Answering one request to one of the three servers.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_TYPE, HeaderValue};
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use jiff::Timestamp;
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::call::{self, Entrance, RequestBody};
use crate::function::full_name;
use crate::identity::{self, Identity};
use crate::logs::{self, LogRequest};
use crate::namespaces::FunctionNamespace;
use crate::platform::Platform;
use crate::registry::Refusal;
use crate::reply::{self, Reply};
use crate::route::{self, Resource};
use crate::secrets::Secret;
use crate::types::{DeleteRequest, FunctionDeployment, FunctionStatus, NAMESPACE, ScaleRequest};
use crate::{metrics, queue, scaling};

const NDJSON: HeaderValue = HeaderValue::from_static("application/x-ndjson");

/// Longest document a client may send about functions, in bytes. The original reads any; a name of a megabyte gets its
/// refusal here too.
const LARGEST_DOCUMENT: usize = 4 << 20;

/// Which of the servers a request came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Gateway,
    Provider,
    Metrics,
}

/// The answer to a request.
pub(crate) async fn answer(
    platform: Arc<Platform>,
    role: Role,
    peer: SocketAddr,
    request: Request<Incoming>,
) -> Reply {
    let request = request.map(|body| body.map_err(io::Error::other).boxed_unsync());
    if role == Role::Metrics {
        return answer_metrics(&platform, &request);
    }
    let Some(resource) = route::resource(request.uri().path()) else {
        return reply::text(StatusCode::BAD_REQUEST, "400 Bad Request");
    };
    let resource = match resource {
        Resource::Invoke { name, path } => {
            let entrance = if role == Role::Gateway {
                Entrance::Gateway
            } else {
                Entrance::Provider
            };
            return call::answer(platform, entrance, peer, &name, path, request).await;
        }
        Resource::Queue { name, path } if role == Role::Gateway && platform.has_queue => {
            return queue::accept(&platform, name, path, request).await;
        }
        other => other,
    };
    // Routes come before credentials: who has none still learns what is not there.
    if let Some(refusal) = check_route(role, &resource, request.method()) {
        return refusal;
    }
    let open = role == Role::Provider && matches!(resource, Resource::Namespaces | Resource::Namespace(_));
    let open = open || matches!(resource, Resource::Health | Resource::Metrics | Resource::Root);
    if let Some(credentials) = platform.credentials.as_ref().filter(|_| !open)
        && !credentials.admit(request.headers())
    {
        return reply::unauthorized();
    }
    let started = Instant::now();
    let counted = counted_path(&resource, request.uri().path());
    let method = request.method().clone();
    let answer = answer_system(&platform, role, resource, request).await;
    if let Some(path) = counted {
        let code = answer.status().as_u16();
        platform
            .provider_metrics
            .finished(code, &method, &path, started.elapsed());
    }
    answer
}

/// Why a resource cannot be had by this method here; `None` when it can.
fn check_route(role: Role, resource: &Resource, method: &Method) -> Option<Reply> {
    let gateway = role == Role::Gateway;
    let methods: &[Method] = match resource {
        Resource::Root | Resource::UserInterface(_) if gateway => &[Method::GET],
        Resource::Alert if gateway => &[Method::POST],
        Resource::Metrics if !gateway => &[Method::GET, Method::HEAD],
        Resource::Health | Resource::Info | Resource::Namespaces | Resource::Logs | Resource::Function(_) => {
            &[Method::GET]
        }
        Resource::Functions | Resource::Secrets | Resource::Namespace(_) => {
            &[Method::GET, Method::POST, Method::PUT, Method::DELETE]
        }
        Resource::Scale(_) => &[Method::POST],
        _ => return Some(reply::not_found()),
    };
    (!methods.contains(method)).then(reply::method_not_allowed)
}

/// The path under which the provider counts a request; names of functions are left out.
fn counted_path(resource: &Resource, path: &str) -> Option<String> {
    match resource {
        Resource::Function(_) => Some("/system/function".to_owned()),
        Resource::Scale(_) => Some("/system/scale-function".to_owned()),
        Resource::Info
        | Resource::Functions
        | Resource::Namespaces
        | Resource::Namespace(_)
        | Resource::Secrets
        | Resource::Logs => Some(path.to_owned()),
        _ => None,
    }
}

async fn answer_system(
    platform: &Arc<Platform>,
    role: Role,
    resource: Resource,
    request: Request<RequestBody>,
) -> Reply {
    let query = request.uri().query().map(str::to_owned);
    let namespace = route::query_value(query.as_deref(), "namespace");
    let method = request.method().clone();
    let registry = &platform.registry;
    match (resource, &method) {
        (Resource::Root, _) => reply::to_user_interface(),
        (Resource::UserInterface(file), _) if file.is_empty() => reply::user_interface(),
        (Resource::UserInterface(_), _) => reply::not_found(),
        (Resource::Health, _) => reply::empty(StatusCode::OK),
        (Resource::Metrics, _) => exposition(platform.provider_metrics.exposition()),
        (Resource::Info, _) => info(platform, role),
        (Resource::Namespaces, _) => reply::json(&registry.namespaces.names()),
        (Resource::Namespace(name), &Method::GET) => show_namespace(platform, &name),
        (Resource::Function(name), _) => status(platform, &name, &namespace),
        (Resource::Functions, &Method::GET) => list(platform, role, &namespace),
        (Resource::Secrets, &Method::GET) => list_secrets(platform, &namespace),
        (Resource::Logs, _) => logs(platform, role, query.as_deref()),
        (resource, _) => match document(request).await {
            Ok(body) => {
                let platform = platform.clone();
                // Functions are started and files written, which takes its time.
                let change = move || change(&platform, role, &resource, &method, &namespace, &body);
                tokio::task::spawn_blocking(change)
                    .await
                    .unwrap_or_else(|_| reply::empty(StatusCode::INTERNAL_SERVER_ERROR))
            }
            Err(refusal) => refusal,
        },
    }
}

/// Everything that changes something.
fn change(
    platform: &Platform,
    role: Role,
    resource: &Resource,
    method: &Method,
    namespace: &str,
    body: &[u8],
) -> Reply {
    let registry = &platform.registry;
    let deployment = || FunctionDeployment::from_body(body).map_err(Refusal::Invalid);
    match (resource, method) {
        (Resource::Scale(_), _) => scale(platform, role, namespace, body),
        (Resource::Secrets, method) => reply::outcome(change_secret(platform, method, namespace, body)),
        (Resource::Namespace(name), method) => change_namespace(platform, method, name, body),
        (Resource::Alert, _) => match scaling::handle_alert(registry, body) {
            Ok(()) => reply::empty(StatusCode::OK),
            Err(refusal) => reply::text(refusal.status(), refusal.text().to_owned()),
        },
        (_, &Method::POST) => reply::outcome(deployment().and_then(|deployment| registry.deploy(deployment))),
        (_, &Method::PUT) => reply::outcome(deployment().and_then(|deployment| registry.update(deployment))),
        _ => reply::outcome(remove(platform, namespace, body)),
    }
}

/// The namespace is that of the document, else that of the query.
fn remove(platform: &Platform, namespace: &str, body: &[u8]) -> Result<(), Refusal> {
    let request = DeleteRequest::from_body(body).map_err(Refusal::Invalid)?;
    let asked = if request.namespace.is_empty() {
        namespace
    } else {
        &request.namespace
    };
    let namespace = platform.registry.namespaces.resolve(asked)?;
    platform.registry.remove(namespace, &request.function)
}

/// The gateway keeps the number between 1 and 5; only the provider scales to zero.
fn scale(platform: &Platform, role: Role, namespace: &str, body: &[u8]) -> Reply {
    let request = match ScaleRequest::from_body(body) {
        Ok(request) => request,
        Err(_) if role == Role::Gateway => {
            return reply::error(StatusCode::BAD_REQUEST, "Error unmarshalling request body");
        }
        Err(sentence) => return reply::error(StatusCode::BAD_REQUEST, &sentence),
    };
    let replicas = if role == Role::Gateway && platform.identity == Identity::Faasd {
        request.replicas.clamp(1, scaling::MOST)
    } else {
        request.replicas
    };
    let namespace = if request.namespace.is_empty() {
        namespace
    } else {
        &request.namespace
    };
    let registry = &platform.registry;
    let scaled = registry
        .namespaces
        .resolve(namespace)
        .and_then(|namespace| registry.scale(namespace, &request.service, replicas));
    reply::outcome(scaled)
}

fn list(platform: &Platform, role: Role, namespace: &str) -> Reply {
    let namespace = match platform.registry.namespaces.resolve(namespace) {
        Ok(namespace) => namespace,
        Err(refusal) => {
            // The gateway reads this one list itself, and ends the provider's line a second time.
            let end = if role == Role::Gateway { "\n" } else { "" };
            return reply::error(refusal.status(), &format!("{}{end}", refusal.text()));
        }
    };
    let counts = platform.metrics.invocations();
    let entries: Vec<FunctionStatus> = platform
        .registry
        .all()
        .iter()
        .filter(|function| function.deployment.namespace == namespace)
        .map(|function| function.list_entry(counts.get(&function.full_name).copied().unwrap_or_default()))
        .collect();
    reply::json(&entries)
}

fn status(platform: &Platform, name: &str, namespace: &str) -> Reply {
    let namespaces = &platform.registry.namespaces;
    match namespaces.resolve(namespace) {
        Err(refusal) => reply::refused(&refusal),
        Ok(namespace) => match platform.registry.find(namespace, name) {
            Some(function) => reply::json(&function.status()),
            None => reply::empty(StatusCode::NOT_FOUND),
        },
    }
}

fn info(platform: &Platform, role: Role) -> Reply {
    let (identity, name) = (platform.identity, &platform.provider_name);
    if role == Role::Provider {
        reply::json(&identity::provider_info(identity, name))
    } else {
        reply::json(&identity::gateway_info(identity, name))
    }
}

fn show_namespace(platform: &Platform, name: &str) -> Reply {
    match platform.registry.namespaces.find(name) {
        Ok(namespace) => reply::json_line(&namespace),
        Err(refusal) => reply::refused(&refusal),
    }
}

fn change_namespace(platform: &Platform, method: &Method, name: &str, body: &[u8]) -> Reply {
    let path = (*method != Method::POST).then_some(name);
    let registry = &platform.registry;
    let namespaces = &registry.namespaces;
    let changed = FunctionNamespace::from_body(body, path).and_then(|namespace| match *method {
        Method::POST => namespaces.create(namespace).map(|()| StatusCode::CREATED),
        Method::PUT => namespaces.update(namespace).map(|()| StatusCode::ACCEPTED),
        _ => namespaces
            .remove(name, || registry.has_functions(name))
            .map(|()| StatusCode::ACCEPTED),
    });
    match changed {
        Ok(status) => {
            registry.save_namespaces();
            reply::empty(status)
        }
        Err(refusal) => reply::refused(&refusal),
    }
}

/// The original forgets to say that this is JSON.
fn list_secrets(platform: &Platform, namespace: &str) -> Reply {
    let namespaces = &platform.registry.namespaces;
    let listed = namespaces
        .resolve(namespace)
        .and_then(|namespace| platform.registry.secrets.list(namespace));
    match listed {
        Ok(listed) => {
            let mut reply = reply::json(&listed);
            reply.headers_mut().insert(CONTENT_TYPE, reply::TEXT);
            reply
        }
        Err(refusal) => reply::refused(&refusal),
    }
}

/// The namespace of a removal is in the query, that of everything else in the document.
fn change_secret(platform: &Platform, method: &Method, namespace: &str, body: &[u8]) -> Result<(), Refusal> {
    let secret = Secret::from_body(body)?;
    let (namespaces, secrets) = (&platform.registry.namespaces, &platform.registry.secrets);
    if *method == Method::DELETE {
        return secrets.remove(namespaces.resolve(namespace)?, &secret);
    }
    secrets.put(namespaces.resolve(secret.namespace())?, &secret)
}

/// The gateway reads the provider's lines and writes them anew, without the provider's header.
fn logs(platform: &Platform, role: Role, query: Option<&str>) -> Reply {
    let gateway = role == Role::Gateway;
    let mut request = match LogRequest::from_query(query, Timestamp::now()) {
        Ok(request) => request,
        Err(_) if gateway => {
            let sentence = "unknown log request error (422)";
            return reply::error(StatusCode::INTERNAL_SERVER_ERROR, sentence);
        }
        Err(reason) => return reply::error(StatusCode::UNPROCESSABLE_ENTITY, &reason),
    };
    if request.namespace.is_empty() {
        request.namespace = NAMESPACE.to_owned();
    }
    let name = full_name(&request.name, &request.namespace);
    let journals = &platform.registry.journals;
    let journal = if request.follow {
        // It may speak later.
        Some(journals.open(&name))
    } else {
        journals.find(&name)
    };
    let past = journal
        .as_ref()
        .map(|journal| request.past(journal).0)
        .unwrap_or_default();
    if gateway && past.is_empty() && !request.follow {
        return reply::empty(StatusCode::OK);
    }
    let (parts, receiver) = mpsc::channel(16);
    match journal.filter(|_| request.follow) {
        Some(journal) => drop(tokio::spawn(logs::stream(
            request,
            journal,
            platform.bounds.service_timeout,
            parts,
        ))),
        None => drop(tokio::spawn(async move {
            for line in past {
                if parts.send(Ok(line)).await.is_err() {
                    return;
                }
            }
        })),
    }
    let mut reply = reply::with_stream(StatusCode::OK, receiver);
    let kind = if gateway { reply::TEXT } else { NDJSON };
    reply.headers_mut().insert(CONTENT_TYPE, kind);
    if !gateway {
        let kept = HeaderValue::from_static("Keep-Alive");
        reply.headers_mut().insert(CONNECTION, kept);
    }
    reply
}

fn exposition(text: String) -> Reply {
    let mut exposition = reply::with_body(StatusCode::OK, text);
    exposition
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(metrics::CONTENT_TYPE));
    exposition
}

fn answer_metrics(platform: &Platform, request: &Request<RequestBody>) -> Reply {
    match (request.uri().path(), request.method()) {
        ("/metrics", &(Method::GET | Method::HEAD)) => {
            exposition(platform.metrics.exposition(&platform.registry))
        }
        ("/metrics/cadvisor", &(Method::GET | Method::HEAD)) => {
            exposition(metrics::containers(&platform.registry))
        }
        ("/healthz", &Method::GET) => reply::empty(StatusCode::OK),
        ("/metrics" | "/metrics/cadvisor" | "/healthz", _) => reply::method_not_allowed(),
        _ => reply::not_found(),
    }
}

/// The body of a request about functions.
async fn document(request: Request<RequestBody>) -> Result<Bytes, Reply> {
    match Limited::new(request.into_body(), LARGEST_DOCUMENT)
        .collect()
        .await
    {
        Ok(body) => Ok(body.to_bytes()),
        Err(failure) if failure.is::<http_body_util::LengthLimitError>() => Err(reply::error(
            StatusCode::PAYLOAD_TOO_LARGE,
            "request body too large",
        )),
        Err(failure) => Err(reply::error(StatusCode::BAD_REQUEST, &failure.to_string())),
    }
}
