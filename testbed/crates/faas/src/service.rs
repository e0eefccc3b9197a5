//! Answering one request to one of the three servers.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use serde::Serialize;

use crate::call::{self, Entrance};
use crate::metrics;
use crate::platform::Platform;
use crate::registry::{Refusal, check_namespace};
use crate::reply::{self, Reply};
use crate::route::{self, Resource};
use crate::types::{FunctionDeployment, FunctionStatus, NAMESPACE, ScaleRequest, function_to_delete};

/// Longest document a client may send about functions, in bytes.
const LARGEST_DOCUMENT: usize = 1 << 20;

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
    if role == Role::Metrics {
        return answer_metrics(&platform, &request);
    }
    let Some(resource) = route::resource(request.uri().path()) else {
        return reply::text(StatusCode::BAD_REQUEST, "400 Bad Request");
    };
    if let Resource::Invoke { name, path } = resource {
        let entrance = if role == Role::Gateway {
            Entrance::Gateway
        } else {
            Entrance::Provider
        };
        return call::answer(platform, entrance, peer, &name, path, request).await;
    }
    // Routes come before credentials: who has none still learns what is not there.
    match (&resource, request.method()) {
        (Resource::Root, &Method::GET) if role == Role::Gateway => return reply::to_user_interface(),
        (Resource::Root, _) if role == Role::Gateway => return reply::method_not_allowed(),
        (Resource::Root | Resource::Unknown, _) => return reply::not_found(),
        (Resource::Health, &Method::GET) => return reply::empty(StatusCode::OK),
        (Resource::Functions, &(Method::GET | Method::POST | Method::PUT | Method::DELETE))
        | (Resource::Info | Resource::Namespaces | Resource::Function(_), &Method::GET)
        | (Resource::Scale(_), &Method::POST) => {}
        _ => return reply::method_not_allowed(),
    }
    let open = role == Role::Provider && resource == Resource::Namespaces;
    if let Some(credentials) = platform.credentials.as_ref().filter(|_| !open)
        && !credentials.admit(request.headers())
    {
        return reply::unauthorized();
    }
    answer_system(&platform, role, resource, request).await
}

async fn answer_system(
    platform: &Platform,
    role: Role,
    resource: Resource,
    request: Request<Incoming>,
) -> Reply {
    let namespace = route::query_value(request.uri().query(), "namespace");
    let method = request.method().clone();
    match (resource, method) {
        (Resource::Info, _) => info(role),
        (Resource::Namespaces, _) => reply::json(&[NAMESPACE]),
        (Resource::Function(name), _) => status(platform, &name, &namespace),
        (Resource::Functions, Method::GET) => list(platform, role, &namespace),
        (resource, method) => match document(request).await {
            Ok(body) => change(platform, role, &resource, &method, &namespace, &body),
            Err(refusal) => refusal,
        },
    }
}

/// Everything that changes functions.
fn change(
    platform: &Platform,
    role: Role,
    resource: &Resource,
    method: &Method,
    namespace: &str,
    body: &[u8],
) -> Reply {
    let registry = &platform.registry;
    let result = match (resource, method) {
        (Resource::Scale(_), _) => return scale(platform, role, namespace, body),
        (_, &Method::POST) => FunctionDeployment::from_body(body)
            .map_err(Refusal::Invalid)
            .and_then(|deployment| registry.deploy(deployment)),
        (_, &Method::PUT) => FunctionDeployment::from_body(body)
            .map_err(Refusal::Invalid)
            .and_then(|deployment| registry.update(deployment)),
        // faasd takes the namespace of a removal from the query, not from the document.
        _ => function_to_delete(body)
            .map_err(Refusal::Invalid)
            .and_then(|name| {
                check_namespace(namespace)?;
                registry.remove(&name)
            }),
    };
    reply::outcome(result)
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
    let replicas = if role == Role::Gateway {
        request.replicas.clamp(1, 5)
    } else {
        request.replicas
    };
    let namespace = if request.namespace.is_empty() {
        namespace
    } else {
        &request.namespace
    };
    let scaled =
        check_namespace(namespace).and_then(|()| platform.registry.scale(&request.service, replicas));
    reply::outcome(scaled)
}

fn list(platform: &Platform, role: Role, namespace: &str) -> Reply {
    if let Err(refusal) = check_namespace(namespace) {
        // The gateway reads this one list itself, and ends the provider's line a second time.
        let end = if role == Role::Gateway { "\n" } else { "" };
        return reply::error(StatusCode::BAD_REQUEST, &format!("{}{end}", refusal.text()));
    }
    let counts = platform.metrics.invocations();
    let entries: Vec<FunctionStatus> = platform
        .registry
        .all()
        .iter()
        .map(|function| function.list_entry(counts.get(&function.full_name).copied().unwrap_or_default()))
        .collect();
    reply::json(&entries)
}

fn status(platform: &Platform, name: &str, namespace: &str) -> Reply {
    if let Err(refusal) = check_namespace(namespace) {
        return reply::outcome(Err(refusal));
    }
    match platform.registry.find(name) {
        Some(function) => reply::json(&function.status()),
        None => reply::empty(StatusCode::NOT_FOUND),
    }
}

/// Name, version and commit of the platform this one stands for.
fn info(role: Role) -> Reply {
    #[derive(Serialize)]
    struct Version {
        #[serde(skip_serializing_if = "str::is_empty")]
        commit_message: &'static str,
        sha: &'static str,
        release: &'static str,
    }
    #[derive(Serialize)]
    struct Provider {
        provider: &'static str,
        version: Version,
        orchestration: &'static str,
    }
    #[derive(Serialize)]
    struct Gateway {
        provider: Provider,
        version: Version,
        arch: &'static str,
    }
    let provider = Provider {
        provider: "faasd",
        version: Version {
            commit_message: "",
            sha: "e4848cd829286c174bda45b40fc8c5ae5c571d08",
            release: "0.19.0",
        },
        orchestration: "containerd",
    };
    if role == Role::Provider {
        return reply::json(&provider);
    }
    let version = Version {
        commit_message: "See GitHub for latest changes",
        sha: "1ab3f323564423e4de43f8f324a752a297447a1a",
        release: call::GATEWAY_RELEASE,
    };
    reply::json(&Gateway {
        provider,
        version,
        arch: "",
    })
}

fn answer_metrics(platform: &Platform, request: &Request<Incoming>) -> Reply {
    match (request.uri().path(), request.method()) {
        ("/metrics", &(Method::GET | Method::HEAD)) => {
            let mut exposition =
                reply::with_body(StatusCode::OK, platform.metrics.exposition(&platform.registry));
            exposition
                .headers_mut()
                .insert(CONTENT_TYPE, HeaderValue::from_static(metrics::CONTENT_TYPE));
            exposition
        }
        ("/healthz", &Method::GET) => reply::empty(StatusCode::OK),
        ("/metrics" | "/healthz", _) => reply::method_not_allowed(),
        _ => reply::not_found(),
    }
}

/// The body of a request about functions.
async fn document(request: Request<Incoming>) -> Result<Bytes, Reply> {
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
