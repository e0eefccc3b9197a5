//! Whether a service of a node answers: small HTTP requests over the node's loopback interface.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use dfaas_netns::Network;
use http_body_util::{BodyExt, Empty, Limited};
use hyper_util::rt::TokioIo;

use crate::supervisor::splice;

/// How long one answer may take.
const ANSWER_LIMIT: Duration = Duration::from_secs(5);
/// Metrics pages are the largest answers asked for.
const LARGEST_ANSWER: usize = 1 << 20;

/// An answer to a probe.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: String,
}

/// One GET request; `None` while nothing answers there.
pub(crate) async fn get(network: &Arc<Network>, node: &str, port: u16, path: &str) -> Option<Answer> {
    match tokio::time::timeout(ANSWER_LIMIT, attempt(network, node, port, path)).await {
        Ok(Ok(answer)) => Some(answer),
        Ok(Err(reason)) => {
            tracing::trace!(node, port, path, reason, "no answer yet");
            None
        }
        Err(_) => None,
    }
}

async fn attempt(network: &Arc<Network>, node: &str, port: u16, path: &str) -> Result<Answer, String> {
    let stream = splice::connect(network, node, port)
        .await
        .map_err(|error| error.to_string())?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|error| error.to_string())?;
    let connection = tokio::spawn(connection);
    let request = http::Request::get(path)
        .header("host", node)
        .header("connection", "close")
        .body(Empty::<Bytes>::new())
        .map_err(|error| error.to_string())?;
    let response = sender
        .send_request(request)
        .await
        .map_err(|error| error.to_string())?;
    let status = response.status().as_u16();
    let body = Limited::new(response.into_body(), LARGEST_ANSWER)
        .collect()
        .await
        .map_err(|error| error.to_string())?;
    connection.abort();
    Ok(Answer {
        status,
        body: String::from_utf8_lossy(&body.to_bytes()).into_owned(),
    })
}

/// The value of an unlabelled metric in Prometheus' text format.
pub(crate) fn metric(page: &str, name: &str) -> Option<f64> {
    page.lines().find_map(|line| {
        let value = line.strip_prefix(name)?.strip_prefix(' ')?;
        value.split_ascii_whitespace().next()?.parse().ok()
    })
}

#[cfg(test)]
mod tests {
    use super::metric;

    #[test]
    fn a_metric_is_found_by_its_whole_name() {
        let page = "# TYPE peers gauge\npeers_seen 7\npeers 2\npeers{a=\"b\"} 3\n";
        assert_eq!(metric(page, "peers"), Some(2.0));
        assert_eq!(metric(page, "peer"), None);
    }
}
