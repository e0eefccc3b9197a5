//! A node in a container, and what one asks it.

use std::process::Command;
use std::time::Duration;

use testcontainers::core::{ExecCommand, IntoContainerPort, WaitFor};
use testcontainers::runners::AsyncRunner;
use testcontainers::{ContainerAsync, ContainerRequest, GenericImage, ImageExt};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// The port of HAProxy, where functions are called.
pub const PROXY: u16 = 80;
/// The port of the gateway.
pub const GATEWAY: u16 = 8080;
/// The port of HAProxy's metrics.
pub const METRICS: u16 = 8405;
/// What `ci/node-image.sh` makes.
const IMAGE: (&str, &str) = ("dfaas-node", "lite");

/// Whether there is an engine with the image. If not, the reason is printed, and `DFAAS_REQUIRE` may forbid the skip.
///
/// # Panics
/// If `DFAAS_REQUIRE` names `docker` and the image is missing.
#[expect(clippy::print_stderr, reason = "whoever runs the tests is to read it")]
pub fn have_image() -> bool {
    let image = format!("{}:{}", IMAGE.0, IMAGE.1);
    let found = Command::new("docker").args(["image", "inspect", &image]).output();
    let present = found.is_ok_and(|output| output.status.success());
    if !present {
        let required = std::env::var("DFAAS_REQUIRE").unwrap_or_default();
        assert!(
            !required.split(',').any(|it| it == "docker"),
            "docker is required, but there is no image {image}"
        );
        eprintln!("skipped: no Docker engine with an image {image}, which ci/node-image.sh makes");
    }
    present
}

/// A container of the image, with all ports published. On a network of the tests, since an engine may have none.
pub fn node(ready: WaitFor) -> ContainerRequest<GenericImage> {
    GenericImage::new(IMAGE.0, IMAGE.1)
        .with_wait_for(ready)
        .with_exposed_port(PROXY.tcp())
        .with_exposed_port(GATEWAY.tcp())
        .with_exposed_port(METRICS.tcp())
        .with_network("dfaas-image-tests")
        .with_startup_timeout(Duration::from_secs(120))
        .with_env_var("AGENT_BOOTSTRAP_NODES", "false")
        .with_env_var("AGENT_RECALC_PERIOD", "2s")
}

/// Starts a node and waits until the engine calls it healthy.
///
/// # Panics
/// If it does not.
pub async fn healthy(request: ContainerRequest<GenericImage>) -> ContainerAsync<GenericImage> {
    request.start().await.expect("a healthy node")
}

/// What an HTTP server says.
#[derive(Debug)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// Status line and headers.
    pub head: String,
    /// What follows them.
    pub body: String,
}

impl Answer {
    /// Takes an answer apart.
    ///
    /// # Panics
    /// If `text` is not an HTTP answer.
    pub fn parse(text: &str) -> Self {
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((text, ""));
        let status = head.split(' ').nth(1).and_then(|it| it.parse().ok());
        Self {
            status: status.unwrap_or_else(|| panic!("no HTTP answer: {text:?}")),
            head: head.to_owned(),
            body: body.to_owned(),
        }
    }
}

/// Sends a request to a published port of the container; with a body it is a POST.
///
/// # Panics
/// Without a whole HTTP answer.
pub async fn ask(
    node: &ContainerAsync<GenericImage>,
    port: u16,
    path: &str,
    head: &str,
    body: Option<&str>,
) -> Answer {
    let port = node
        .get_host_port_ipv4(port.tcp())
        .await
        .expect("a published port");
    let mut stream = TcpStream::connect(("127.0.0.1", port))
        .await
        .expect("a connection");
    let method = if body.is_some() { "POST" } else { "GET" };
    let body = body.unwrap_or("");
    // In the old version of HTTP, in which the end of the connection ends the answer.
    let request = format!(
        "{method} {path} HTTP/1.0\r\nHost: node\r\nContent-Length: {}\r\n{head}\r\n{body}",
        body.len()
    );
    stream
        .write_all(request.as_bytes())
        .await
        .expect("a server that reads");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.expect("a whole answer");
    Answer::parse(&String::from_utf8_lossy(&answer))
}

/// Calls a function through HAProxy until its answer has `status`: the agent may not know yet what the platform knows.
///
/// # Panics
/// After half a minute of other answers.
pub async fn call(node: &ContainerAsync<GenericImage>, function: &str, body: &str, status: u16) -> Answer {
    let mut answer = ask(node, PROXY, &format!("/function/{function}"), "", Some(body)).await;
    for _ in 0..150 {
        if answer.status == status {
            return answer;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
        answer = ask(node, PROXY, &format!("/function/{function}"), "", Some(body)).await;
    }
    panic!("{function} does not answer {status}: {answer:?}")
}

/// Standard output of a command in the container.
///
/// # Panics
/// If the command fails.
pub async fn inside(node: &ContainerAsync<GenericImage>, command: &str) -> String {
    let mut result = node
        .exec(ExecCommand::new(["bash", "-c", command]))
        .await
        .expect("an engine that runs commands");
    let stdout = result.stdout_to_vec().await.expect("output");
    let stderr = result.stderr_to_vec().await.expect("output");
    assert_eq!(
        result.exit_code().await.expect("an exit code"),
        Some(0),
        "{command}: {}",
        String::from_utf8_lossy(&stderr)
    );
    String::from_utf8_lossy(&stdout).into_owned()
}

/// What `docker logs` shows.
///
/// # Panics
/// If the engine does not say.
pub async fn logs(node: &ContainerAsync<GenericImage>) -> String {
    let stdout = node.stdout_to_vec().await.expect("logs");
    String::from_utf8_lossy(&stdout).into_owned()
}
