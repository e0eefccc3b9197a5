//! What watches a node: the distribution's Prometheus and node exporter, in the node itself, where its agent asks.

use std::fmt::Write;
use std::path::PathBuf;
use std::time::Duration;

use crate::supervisor::services::port;

const DIRECTORY: &str = "/run/dfaas/prometheus";

/// The longest that one reading may take.
const LONGEST: Duration = Duration::from_secs(10);

/// One thing to read.
struct Job {
    name: &'static str,
    port: u16,
    path: &'static str,
    /// Further lines of its configuration.
    more: &'static str,
}

/// The names of jobs, and what is added to their metrics, are those that DFaaS' queries ask for.
const JOBS: [Job; 6] = [
    Job {
        name: "agent",
        port: port::AGENT,
        path: "/metrics",
        more: "",
    },
    Job {
        name: "haproxy",
        port: port::HAPROXY_METRICS,
        path: "/metrics",
        more: "",
    },
    Job {
        name: "gateway",
        port: port::GATEWAY_METRICS,
        path: "/metrics",
        more: "",
    },
    Job {
        name: "provider",
        port: port::PROVIDER,
        path: "/metrics",
        more: "",
    },
    Job {
        name: "cadvisor",
        port: port::GATEWAY_METRICS,
        path: "/metrics/cadvisor",
        // Where DFaaS deploys its functions, in a Kubernetes cluster.
        more: "    metric_relabel_configs:\n      - { source_labels: [namespace], regex: openfaas-fn, target_label: namespace, replacement: default }\n",
    },
    Job {
        name: "node",
        port: port::NODE_EXPORTER,
        path: "/metrics",
        more: "    relabel_configs:\n      - { target_label: service, replacement: prometheus-prometheus-node-exporter }\n",
    },
];

/// The node exporter's command.
pub(super) fn node_exporter(program: String) -> Vec<String> {
    let address = format!("--web.listen-address=:{}", port::NODE_EXPORTER);
    vec![program, address, "--log.level=warn".to_owned()]
}

/// Prometheus' command and its configuration file.
pub(super) fn prometheus(
    program: String,
    node: &str,
    interval: Duration,
) -> (Vec<String>, Vec<(PathBuf, Vec<u8>)>) {
    let file = format!("{DIRECTORY}/prometheus.yml");
    let command = vec![
        program,
        format!("--config.file={file}"),
        format!("--storage.tsdb.path={DIRECTORY}/data"),
        format!("--web.listen-address=:{}", port::PROMETHEUS),
        "--log.level=warn".to_owned(),
    ];
    (
        command,
        vec![(file.into(), configuration(node, interval).into_bytes())],
    )
}

fn configuration(node: &str, interval: Duration) -> String {
    let timeout = interval.min(LONGEST).as_millis();
    let interval = interval.as_millis();
    let mut text = format!(
        "global: {{ scrape_interval: {interval}ms, scrape_timeout: {timeout}ms }}\nscrape_configs:\n"
    );
    for Job {
        name,
        port,
        path,
        more,
    } in JOBS
    {
        // Writing to a string cannot fail.
        _ = write!(
            text,
            "  - job_name: {name}\n    metrics_path: {path}\n    static_configs:\n      \
             - {{ targets: ['127.0.0.1:{port}'], labels: {{ instance: '{node}' }} }}\n{more}"
        );
    }
    text
}
