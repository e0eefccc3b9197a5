//! Labs with `dfaas` nodes, and scenarios on them: the whole chain, and its bad days.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "federation/runs.rs"]
mod runs;
mod support;

use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use nix::sys::signal::Signal;
use support::{Lab, TESTBED, federation, is_running, kill, text, wait_for};

const TWO_NODES: &str = "
name: NAME
defaults:
  dfaas:
    agent: { recalc_period: 2s }
    functions: { figlet: { maxrate: 10 } }
nodes:
  n1: { kind: dfaas }
  n2: { kind: dfaas }
  user: { kind: client }
  s1: { kind: switch }
links:
  - { endpoints: [n1, s1], delay: 2ms }
  - { endpoints: [n2, s1] }
  - { endpoints: [user, s1] }
";

#[test]
fn a_federation_serves_requests_logs_and_goes_without_a_trace() {
    if !federation() {
        return;
    }
    let lab = Lab::new(TWO_NODES);
    lab.up();
    let banner = lab.ok(&["invoke", "n1", "figlet", "-d", "Hi"]);
    assert!(banner.contains("_   _ _"), "figlet's banner: {banner}");
    let unknown = lab.run(&["invoke", "n1", "nosuch", "-d", "x"]);
    assert_eq!(unknown.status.code(), Some(5), "{}", text(&unknown));

    functions_come_and_go(&lab);
    functions_are_apart(&lab);

    // Over the network, as a user of another machine would.
    let response = lab.ok(&[
        "exec",
        "user",
        "--",
        "curl",
        "-s",
        "-i",
        "http://n2/function/figlet",
        "-d",
        "Hello",
    ]);
    assert!(response.starts_with("HTTP/1.1 200"), "{response}");
    let detail = lab.json(&["inspect", "--json"]);
    let peer = detail["nodes"][1]["peer_id"].as_str().unwrap();
    assert!(
        response.contains(peer),
        "the DFaaS-Node-ID header names n2: {response}"
    );

    for service in ["haproxy", "faas", "agent"] {
        let services = detail["nodes"][0]["services"].as_array().unwrap();
        assert!(
            services
                .iter()
                .any(|it| it["name"] == service && it["state"] == "running" && it["restarts"] == 0)
        );
    }
    assert!(!lab.ok(&["logs", "n1", "agent"]).is_empty());
    assert!(
        lab.ok(&["logs", "n1"]).contains("faas"),
        "all services, each behind its name"
    );
    let wrong = lab.run(&["logs", "n1", "agnet"]);
    assert_eq!(wrong.status.code(), Some(2), "{}", text(&wrong));

    lab.end();
}

fn functions_come_and_go(lab: &Lab) {
    let told = lab.json(&[
        "deploy",
        "n1",
        "--image",
        "shasum",
        "--label",
        "dfaas.maxrate=5",
        "--json",
    ]);
    assert_eq!(told, serde_json::json!({ "node": "n1", "function": "shasum" }));
    let listed = lab.ok(&["functions", "n1"]);
    assert!(
        listed.contains("shasum") && listed.contains("dfaas.maxrate=5"),
        "{listed}"
    );
    let listed = lab.json(&["functions", "n1", "--json"]);
    let listed = listed.as_array().unwrap();
    assert!(listed.iter().any(|it| it["name"] == "shasum"), "{listed:?}");
    let refusals: [(&[&str], &str); 5] = [
        (
            &["deploy", "n1", "--image", "ghcr.io/nope/none"],
            "ghcr.io/nope/none:latest: not found",
        ),
        (&["undeploy", "n1", "nosuch"], "service nosuch not found"),
        (&["functions", "user"], "node `user` has no FaaS platform"),
        (&["functions", "n9"], "has no node `n9`; did you mean `n2`?"),
        (&["invoke", "user", "figlet"], "node `user` has no FaaS platform"),
    ];
    for (arguments, reason) in refusals {
        let refused = lab.run(arguments);
        assert_eq!(refused.status.code(), Some(2), "{}", text(&refused));
        assert!(text(&refused).contains(reason), "{}", text(&refused));
    }
    lab.ok(&["undeploy", "n1", "shasum"]);
    assert!(!lab.ok(&["functions", "n1"]).contains("shasum"));
}

/// What a function of a node sees of itself and of the node. Its program is a shell that reads the request as a script.
fn functions_are_apart(lab: &Lab) {
    let shell = ["--image", "alpine", "--fprocess", "sh"];
    lab.ok(&[&["deploy", "n1", "--name", "inside"][..], &shell].concat());
    let kinds = ["pid", "mnt", "net", "uts", "ipc"];
    let look = kinds
        .map(|kind| format!("readlink /proc/self/ns/{kind}"))
        .join("; ");
    let ask = |script: &str| {
        let path = "http://127.0.0.1:8080/function/inside";
        lab.ok(&["exec", "n1", "--", "curl", "-sS", path, "-d", script])
    };
    let (inside, node) = (ask(&look), lab.ok(&["exec", "n1", "--", "sh", "-c", &look]));
    assert_eq!(inside.lines().count(), kinds.len(), "{inside}");
    for (function, node) in inside.lines().zip(node.lines()) {
        assert_ne!(function, node);
    }
    assert_eq!(
        ask("id -u; hostname; ls /sys/class/net; grep -E 'CapEff|NoNewPrivs' /proc/self/status"),
        "1000\ninside\nlo\nCapEff:\t0000000000000000\nNoNewPrivs:\t1\n"
    );
    let forbidden = [
        "cat /etc/shadow",
        "touch /usr/bin/x",
        "mount -t tmpfs none /tmp",
        "ls /proc/1/root",
        "ls /run/dfaas",
        "chown 0:0 /tmp",
    ];
    for line in forbidden {
        let tried = ask(&format!("{line} 2>&1 && echo worked; exit 0"));
        assert!(!tried.contains("worked") && !tried.is_empty(), "{line}: {tried}");
    }
    lab.ok(&[
        &["deploy", "n1", "--name", "greedy", "--memory", "20Mi"][..],
        &shell,
    ]
    .concat());
    let log = lab.ok(&["logs", "n1", "faas"]);
    let missing = log.matches("functions run without limits of").count();
    if support::ordinary_user().is_some() {
        assert_eq!(missing, 1, "said once for all functions: {log}");
    } else {
        assert_eq!(missing, 0, "{log}");
        let greedy = [
            "-sS",
            "http://127.0.0.1:8080/function/greedy",
            "-d",
            "tail /dev/zero",
        ];
        let killed = lab.ok(&[&["exec", "n1", "--", "curl"][..], &greedy].concat());
        assert!(killed.starts_with("exit status 137"), "{killed}");
    }
    lab.ok(&["undeploy", "n1", "inside"]);
    lab.ok(&["undeploy", "n1", "greedy"]);
}

#[test]
fn peer_ids_come_from_the_seed() {
    if !federation() {
        return;
    }
    let topology = "name: NAME\nseed: 7\nnodes: { n1: { kind: dfaas, functions: { env: {} } } }\n";
    let peer_id = || {
        let lab = Lab::new(topology);
        lab.up();
        let detail = lab.json(&["inspect", "--json"]);
        detail["nodes"][0]["peer_id"].as_str().unwrap().to_owned()
    };
    assert_eq!(peer_id(), peer_id());
}

#[test]
fn a_killed_supervisor_takes_the_services_with_it() {
    if !federation() {
        return;
    }
    let lab = Lab::new(TWO_NODES);
    lab.up();
    let processes = lab.processes();
    assert!(
        processes.len() > 8,
        "two nodes with an init and three services each: {processes:?}"
    );
    kill(lab.supervisor_pid(), Signal::SIGKILL);
    wait_for("all processes end", || {
        processes.iter().all(|pid| !is_running(*pid))
    });
    lab.ok(&["down"]);
    lab.assert_gone(&processes);
}

#[test]
fn a_service_that_dies_at_start_is_named_with_its_last_words() {
    if !federation() {
        return;
    }
    let lab = Lab::new("name: NAME\nnodes:\n  n1: { kind: dfaas, agent: { binary: /bin/false } }\n");
    let output = lab.run(&["up", lab.file().to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(5), "{}", text(&output));
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        message.contains("node `n1`: service `agent` ended while it started (exit code 1)"),
        "{message}"
    );
    lab.assert_gone(&Default::default());
}

/// What another agent does at least: it tells HAProxy of a function through the API that the original uses.
const OTHER_AGENT: &str = r#"#!/bin/sh
configuration="global
    log stdout format raw local0 notice
defaults
    mode http
    timeout connect 5s
    timeout client 60s
    timeout server 60s
frontend fe_main
    bind *:80
    http-request track-sc1 dst_port table st_users_func_figlet
    default_backend be_figlet
backend be_figlet
    server openfaas-local $AGENT_OPENFAAS_HOST:$AGENT_OPENFAAS_PORT
backend st_users_func_figlet
    stick-table type integer size 10 expire 60s store http_req_cnt,http_req_rate(1s)
"
until curl -sf -u "$AGENT_DATAPLANEAPI_USER:$AGENT_DATAPLANEAPI_PASSWORD" -H 'Content-Type: text/plain' --data-binary "$configuration" \
  "http://$AGENT_DATAPLANEAPI_HOST:$AGENT_DATAPLANEAPI_PORT/v3/services/haproxy/configuration/raw?skip_version=true"; do sleep 0.1; done
exec sleep 1000
"#;

#[test]
fn another_agent_reaches_haproxy_through_the_api_of_the_original() {
    if !federation() {
        return;
    }
    let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("other-agent-{}", std::process::id()));
    std::fs::write(&program, OTHER_AGENT).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    let lab = Lab::new(&format!(
        "name: NAME\nnodes:\n  n1:\n    kind: dfaas\n    functions: {{ figlet: {{}} }}\n    agent: {{ binary: {}, openfaas_port: 8090 }}\n",
        program.display()
    ));
    lab.up();
    let banner = lab.ok(&["invoke", "n1", "figlet", "-d", "Hi"]);
    assert!(banner.contains("_   _ _"), "figlet's banner: {banner}");
    let entries =
        "http://127.0.0.1:5555/v3/services/haproxy/runtime/stick_tables/st_users_func_figlet/entries";
    let entries = lab.ok(&["exec", "n1", "--", "curl", "-s", "-u", "admin:admin", entries]);
    let entries: serde_json::Value = serde_json::from_str(&entries).unwrap();
    assert!(
        entries[0]["http_req_cnt"].as_u64() >= Some(2),
        "ready, and ours: {entries}"
    );
    let log = lab.ok(&["logs", "n1", "dataplane"]);
    assert!(log.contains("serving the Data Plane API"), "{log}");
    // The platform is where the other agent looks for it, and so do the verbs.
    lab.ok(&["deploy", "n1", "--image", "shasum"]);
    assert!(lab.ok(&["functions", "n1"]).contains("shasum"));
    lab.ok(&["undeploy", "n1", "shasum"]);
    let functions = lab.ok(&["functions", "n1"]);
    assert!(
        !functions.contains("shasum") && functions.contains("figlet"),
        "{functions}"
    );
    lab.ok(&["down"]);
    std::fs::remove_file(program).unwrap();
}

#[test]
fn a_missing_haproxy_is_named_with_the_remedy() {
    if !federation() {
        return;
    }
    let lab = Lab::new(TWO_NODES);
    // In a mount namespace of its own, something that cannot be run lies over HAProxy.
    let output = Command::new("unshare")
        .args([
            "--mount",
            "sh",
            "-c",
            "mount --bind /dev/null /usr/sbin/haproxy && exec \"$0\" up \"$1\"",
            TESTBED,
        ])
        .arg(lab.file())
        .env("DFAAS_TESTBED_STATE", lab.state())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(3), "{}", text(&output));
    assert!(
        String::from_utf8_lossy(&output.stderr).contains("apt install haproxy"),
        "{}",
        text(&output)
    );
    lab.assert_gone(&Default::default());
}

#[test]
fn published_ports_lead_into_the_node() {
    if !federation() {
        return;
    }
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = free.local_addr().unwrap().port();
    drop(free);
    let lab = Lab::new(&format!(
        "name: NAME\nnodes:\n  n1: {{ kind: dfaas, functions: {{ figlet: {{ maxrate: 10 }} }}, ports: [\"{port}:80\"] }}\n"
    ));
    lab.up();
    let url = format!("http://127.0.0.1:{port}/function/figlet");
    let output = Command::new("curl")
        .args(["-s", "-d", "Hi", &url])
        .output()
        .unwrap();
    assert!(
        String::from_utf8_lossy(&output.stdout).contains("_   _ _"),
        "{}",
        text(&output)
    );
    nothing_is_smuggled_past_the_proxy(&lab, port);
}

/// Requests whose length proxy and platform could understand differently: the platform serves no more than the proxy answers.
fn nothing_is_smuggled_past_the_proxy(lab: &Lab, port: u16) {
    let calls = || {
        let listed = lab.json(&["functions", "n1", "--json"]);
        listed[0]["invocationCount"].as_f64().unwrap_or_default()
    };
    let hidden = "POST /function/figlet HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nx";
    let length = hidden.len() + 5;
    for (framing, body) in [
        (
            format!("Content-Length: {length}\r\nTransfer-Encoding: chunked"),
            "0\r\n\r\n",
        ),
        (
            format!("Transfer-Encoding: chunked\r\nContent-Length: {length}"),
            "0\r\n\r\n",
        ),
        (
            format!("Content-Length: {length}\r\nTransfer-Encoding: xchunked"),
            "0\r\n\r\n",
        ),
        (
            format!("Content-Length: {length}\r\nTransfer-Encoding:\x0bchunked"),
            "0\r\n\r\n",
        ),
        (
            format!("Content-Length: {length}\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: identity"),
            "0\r\n\r\n",
        ),
        (format!("Content-Length: 0\r\nContent-Length: {length}"), "12345"),
        (format!("Content-Length: 0\r\n Content-Length: {length}"), "12345"),
    ] {
        let before = calls();
        let mut stream = std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream
            .set_read_timeout(Some(std::time::Duration::from_secs(20)))
            .unwrap();
        let request = format!("POST /function/figlet HTTP/1.1\r\nHost: x\r\n{framing}\r\n\r\n{body}{hidden}");
        stream.write_all(request.as_bytes()).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let mut raw = Vec::new();
        stream.read_to_end(&mut raw).unwrap();
        let answers = String::from_utf8_lossy(&raw).matches("HTTP/1.1 ").count();
        #[expect(clippy::cast_precision_loss, reason = "there are two at most")]
        let answers = answers as f64;
        assert!((1.0..=2.0).contains(&answers), "{framing:?}: {answers} answers");
        assert!(calls() - before <= answers, "{framing:?}: {answers} answers");
    }
}

#[test]
fn a_watched_lab_answers_what_dfaas_asks_prometheus() {
    if !federation()
        || !support::have("prometheus", Path::new("/usr/bin/prometheus").is_file())
        || !support::have(
            "prometheus",
            Path::new("/usr/bin/prometheus-node-exporter").is_file(),
        )
    {
        return;
    }
    let lab = Lab::new(
        "name: NAME
nodes: { n1: { kind: dfaas, agent: { strategy: alllocalstrategy, recalc_period: 2s }, functions: { figlet: { maxrate: 100 } } } }
",
    );
    lab.up();
    // Names of what runs, and who the agent is.
    let services = || {
        let services = lab.json(&["inspect", "--json"])["nodes"][0]["services"].clone();
        let services = services.as_array().unwrap().iter();
        let agent = services.clone().find(|it| it["name"] == "agent").unwrap()["pid"].clone();
        let running = services.filter(|it| it["state"] == "running");
        (running.map(|it| it["name"].clone()).collect::<Vec<_>>(), agent)
    };
    let unwatched = services();
    let own = std::fs::read_to_string(lab.file()).unwrap();
    let watched = format!("{own}monitoring: {{ prometheus: true, scrape_interval: 250ms }}\n");
    let file = lab.directory.path().join("watched.yaml");
    std::fs::write(&file, watched).unwrap();
    let said = lab.ok(&["apply", file.to_str().unwrap()]);
    assert_eq!(said, "monitoring: none ⇒ every 250ms\n1 change made\n");
    let (names, agent) = services();
    assert_eq!(names, ["haproxy", "faas", "agent", "node-exporter", "prometheus"]);
    assert_eq!(agent, unwatched.1, "nothing else was touched");
    let ask = |query: &str| -> Option<f64> {
        let url = "http://127.0.0.1:9090/api/v1/query";
        let query = format!("query={query}");
        let arguments = ["exec", "n1", "--", "curl", "-sG", url, "--data-urlencode", &query];
        let reply = lab.json(&arguments);
        assert_eq!(reply["status"], "success", "{query}: {reply}");
        reply["data"]["result"][0]["value"][1].as_str()?.parse().ok()
    };
    let node = r#"service="prometheus-prometheus-node-exporter""#;
    let own = r#"proxy=~"function_.*",proxy!~".*_forwarded""#;
    let local = format!(r#"{own},server="openfaas-local""#);
    let queries = [
        // What strategies of DFaaS ask for, with the period in place.
        "rate(gateway_functions_seconds_sum[10s]) / rate(gateway_functions_seconds_count[10s])".to_owned(),
        "rate(gateway_function_invocation_total[10s])".to_owned(),
        "gateway_service_count".to_owned(),
        format!(r#"1 - (avg by (instance) (rate(node_cpu_seconds_total{{{node}, mode="idle"}}[10s])))"#),
        r#"1 - avg by (instance) (rate(node_cpu_seconds_total{job="node",mode="idle"}[10s]))"#.to_owned(),
        "1 - (avg_over_time(node_memory_MemFree_bytes[10s]) + avg_over_time(node_memory_Cached_bytes[10s]) \
         + avg_over_time(node_memory_Buffers_bytes[10s])) / avg_over_time(node_memory_MemTotal_bytes[10s])"
            .to_owned(),
        format!("sum by (proxy) (rate(haproxy_backend_http_requests_total{{{own}}}[10s]))"),
        "avg by (function_name) (last_over_time(gateway_service_count[10s]))".to_owned(),
        "sum by (function_name) (rate(gateway_functions_seconds_sum[10s])) \
         / sum by (function_name) (rate(gateway_functions_seconds_count[10s]))"
            .to_owned(),
        format!(
            r#"sum by (proxy, server) (rate(haproxy_server_http_responses_total{{{own},code="2xx"}}[10s]))"#
        ),
        format!(
            r#"sum by (proxy) (increase(haproxy_server_http_responses_total{{{local},code="2xx"}}[10s]))"#
        ),
        "dfaas_agent_strategy_iterations_total or dfaas_agent_strategy_iterations".to_owned(),
    ];
    // A function's processor time and memory are those of its cgroup, which ordinary users may not make.
    let of_cgroups = [
        format!(
            r#"sum by (container) (irate(container_cpu_usage_seconds_total{{container=~"figlet|env"}}[10s]))
            / on() group_left() sum by (instance) (irate(node_cpu_seconds_total{{{node}}}[10s]))"#
        ),
        r#"sum by (container) (avg_over_time(container_memory_usage_bytes{container=~"figlet|env"}[10s]))
           / on() group_left() avg_over_time(node_memory_MemTotal_bytes[10s])"#
            .to_owned(),
        r#"100 * sum by (instance) (rate(container_cpu_usage_seconds_total{namespace="default", container="figlet"}[10s]))
           / on(instance) machine_cpu_cores"#
            .to_owned(),
    ];
    let asked = queries
        .iter()
        .chain(of_cgroups.iter().filter(|_| support::ordinary_user().is_none()));
    let mut left: Vec<&String> = asked.collect();
    wait_for("six jobs are read", || ask("sum(up)") == Some(6.0));
    // Rates need some readings with calls between them.
    for _ in 0..20 {
        lab.ok(&["invoke", "n1", "figlet", "-d", "Hi"]);
        left.retain(|query| !ask(query).is_some_and(f64::is_finite));
        if left.is_empty() {
            break;
        }
    }
    assert!(left.is_empty(), "no values for {left:#?}");
    lab.ok(&["apply", lab.file().to_str().unwrap()]);
    assert_eq!(services(), unwatched);
}

#[test]
fn credentials_of_the_file_are_asked_for_and_known_to_the_agent() {
    if !federation() {
        return;
    }
    let lab = Lab::new(
        "name: NAME\nnodes:\n  n1: { kind: dfaas, faas: { identity: native, basic_auth: { user: admin, password: secret } }, functions: { env: { maxrate: 10 } } }\n",
    );
    lab.up(); // ready: the agent has read the list of functions
    let list = |credentials: &[&str]| {
        let mut arguments = vec![
            "exec",
            "n1",
            "--",
            "curl",
            "-s",
            "-o",
            "/dev/null",
            "-w",
            "%{http_code}",
        ];
        arguments.extend(credentials);
        arguments.push("http://127.0.0.1:8080/system/functions");
        lab.ok(&arguments)
    };
    assert_eq!(list(&[]), "401");
    assert_eq!(list(&["-u", "admin:secret"]), "200");
    let refused = lab.run(&["functions", "n1"]);
    assert_eq!(refused.status.code(), Some(2), "{}", text(&refused));
    assert!(
        text(&refused).contains("--user USER:PASSWORD"),
        "{}",
        text(&refused)
    );
    // Its platform stands for itself, which has replicas and limits of processors.
    let user = ["--user", "admin:secret"];
    let deploy = ["deploy", "n1", "--image", "cat", "--cpu", "500m"];
    let labels = [
        "--label",
        "dfaas.maxrate=1",
        "--label",
        "com.openfaas.scale.min=2",
    ];
    lab.ok(&[&deploy[..], &labels, &user].concat());
    let listed = lab.json(&[&["functions", "n1", "--json"][..], &user].concat());
    let cat = listed.as_array().unwrap().iter().find(|it| it["name"] == "cat");
    assert_eq!(cat.unwrap()["limits"]["cpu"], "500m", "{listed}");
    assert_eq!(cat.unwrap()["replicas"], 2, "{listed}");
}
