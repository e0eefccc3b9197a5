//! The Data Plane API in front of a real HAProxy, asked as the original agent asks.

use crate::backend::Backend;
use crate::client::{Answer, get, request};
use crate::haproxy::{EXECUTABLE, Haproxy, own_address, turn, turn_alone};
use crate::keepalive::sustain;
use base64::Engine as _;
use dfaas_agent::config::DataplaneConfig;
use dfaas_agent::dataplane;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

const PORT: u16 = 27_555;
const RAW: &str = "/v3/services/haproxy/configuration/raw";

/// A node as the original agent finds it: HAProxy, the API in front of it, a functions platform.
struct Node {
    haproxy: Haproxy,
    _backend: Backend,
    server: JoinHandle<()>,
}

impl Node {
    async fn start() -> Self {
        let host = own_address();
        let haproxy = Haproxy::start(host).await;
        let path = |name: &str| haproxy.path(name).to_str().unwrap().to_owned();
        // Those of the original's variables that it shares, and what only this program needs.
        let environment: BTreeMap<String, String> = [
            ("AGENT_DATAPLANEAPI_HOST", host.to_string()),
            ("AGENT_DATAPLANEAPI_PORT", PORT.to_string()),
            ("AGENT_DATAPLANEAPI_PASSWORD", "secret".to_owned()),
            ("AGENT_STRATEGY", "of the original".to_owned()),
            (
                "AGENT_HAPROXY_HOST",
                "haproxy.default.svc.cluster.local".to_owned(),
            ),
            ("AGENT_HAPROXY_CONFIG_FILE", path("haproxy.cfg")),
            ("AGENT_HAPROXY_EXECUTABLE", EXECUTABLE.to_owned()),
            ("AGENT_HAPROXY_MASTER_SOCK_PATH", path("master.sock")),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into();
        let config = DataplaneConfig::read(&environment).unwrap();
        let listener = TcpListener::bind((host, PORT)).await.unwrap();
        let api = dataplane::Haproxy::new(&config).unwrap();
        let server = tokio::spawn(async move {
            dataplane::serve(listener, &config, api, std::future::pending()).await;
        });
        Self {
            _backend: Backend::start(host, &[]).await,
            haproxy,
            server,
        }
    }

    /// A configuration like the original's for recalc: other sockets, other tables than ours.
    fn configuration(&self, weight: u32) -> String {
        let host = self.haproxy.host;
        format!(
            "global\n    stats socket {} mode 660 level admin\n    maxconn 2000\n\
             defaults\n    mode http\n    timeout connect 5s\n    timeout client 60s\n    timeout server 60s\n\
             userlist dataplaneapi\n    user admin insecure-password admin\n\
             frontend fe_main\n    bind {host}:{}\n    option idle-close-on-response\n    acl figlet path_beg /function/figlet\n\
             \x20   http-request track-sc1 dst_port table st_users_func_figlet if figlet\n    use_backend be_figlet if figlet\n\
             backend be_figlet\n    balance roundrobin\n    http-response set-header X-Server %s\n\
             \x20   server openfaas-local {host}:{} weight {weight}\n\
             backend st_users_func_figlet\n    stick-table type integer size 10 expire 60s store http_req_cnt,http_req_rate(1s)\n\
             backend main\n    stick-table type string size 1 expire 5s store gpt(1)\n",
            self.haproxy.path("their.sock").display(),
            Haproxy::PORT,
            Backend::PORT,
        )
    }

    async fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let credentials = base64::engine::general_purpose::STANDARD.encode("admin:secret");
        let authorization = format!("Basic {credentials}");
        let headers = [&[("Authorization", authorization.as_str())], headers].concat();
        let address = SocketAddr::new(self.haproxy.host, PORT);
        request(address, method, path, &headers, body).await
    }

    async fn json(&self, path: &str) -> Value {
        let answer = self
            .ask("GET", &format!("/v3/services/haproxy{path}"), &[], "")
            .await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        serde_json::from_str(&answer.body).unwrap()
    }

    /// Posts a configuration as the original does, and waits until it is served.
    async fn configure(&self, text: &str) {
        let path = format!("{RAW}?skip_version=true");
        let answer = self
            .ask("POST", &path, &[("Content-Type", "text/plain")], text)
            .await;
        assert_eq!((answer.status, answer.body.as_str()), (202, text));
        let reload = format!("/reloads/{}", answer.headers["reload-id"]);
        for _ in 0..200 {
            let outcome = self.json(&reload).await;
            if outcome["status"] != "in_progress" {
                assert_eq!(outcome["status"], "succeeded", "{outcome}");
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("the reload does not end");
    }

    fn file(&self) -> String {
        std::fs::read_to_string(self.haproxy.path("haproxy.cfg")).unwrap()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// What an error is about.
fn fault(answer: &Answer) -> (u16, String) {
    let error: Value = serde_json::from_str(&answer.body).unwrap();
    assert_eq!(error["code"], answer.status, "{error}");
    (answer.status, error["message"].as_str().unwrap().to_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_original_configures_and_reads_tables() {
    let Some(_turn) = turn().await else { return };
    let node = Node::start().await;
    let before = node.ask("GET", RAW, &[], "").await;
    assert_eq!((before.status, before.body.as_str()), (200, node.file().as_str()));
    assert_eq!(before.headers["configuration-version"], "1");

    let text = node.configuration(100);
    node.configure(&text).await;
    let stored = node.ask("GET", RAW, &[], "").await;
    assert_eq!(stored.body, text);
    assert_eq!(stored.headers["configuration-version"], "2");
    assert_eq!(node.json("/configuration/version").await, json!(2));
    assert_eq!(node.file(), format!("# _version=2\n{text}"));

    for _ in 0..3 {
        let served = get(node.haproxy.address(), "/function/figlet", &[]).await;
        assert_eq!(
            (served.status, served.headers["x-server"].as_str()),
            (200, "openfaas-local")
        );
    }
    let tables = node.json("/runtime/stick_tables").await;
    let names = tables.as_array().unwrap().iter().map(|table| &table["name"]);
    let names: BTreeSet<&str> = names.filter_map(Value::as_str).collect();
    assert_eq!(names, BTreeSet::from(["main", "st_users_func_figlet"]));
    let entries = node
        .json("/runtime/stick_tables/st_users_func_figlet/entries")
        .await;
    let entry = &entries[0];
    assert_eq!(
        (&entry["key"], &entry["http_req_cnt"]),
        (&json!(Haproxy::PORT.to_string()), &json!(3))
    );
    assert!(entry["http_req_rate"].is_u64(), "{entry}");
    assert_eq!(
        node.json("/runtime/stick_tables/main/entries").await,
        json!([]),
        "there is one, and it is empty"
    );
    assert_eq!(node.json("/runtime/stick_tables/main").await["type"], "string");
    let path = "/runtime/stick_tables/st_users_func_figlet/entries?filter=http_req_cnt%20gt%205";
    assert_eq!(node.json(path).await, json!([]));

    // A weight that changes without a reload, as the maintainers ask for, and a server's state.
    let reloads = node.haproxy.reloads();
    let actions = [("X-Runtime-Actions", "SetServerWeight be_figlet openfaas-local 40")];
    let path = format!("{RAW}?version=2&skip_reload=true");
    let answer = node.ask("POST", &path, &actions, &node.configuration(40)).await;
    assert_eq!(answer.status, 201, "{}", answer.body);
    let server = "/runtime/backends/be_figlet/servers/openfaas-local";
    assert_eq!(node.json(server).await["uweight"], 40);
    let path = format!("/v3/services/haproxy{server}");
    let json_body = [("Content-Type", "application/json")];
    let answer = node
        .ask("PUT", &path, &json_body, r#"{"admin_state":"maint"}"#)
        .await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(
        get(node.haproxy.address(), "/function/figlet", &[]).await.status,
        503
    );
    assert_eq!(node.json(server).await["admin_state"], "maint");
    assert_eq!(node.haproxy.reloads(), reloads);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_refused_changes_nothing() {
    let Some(_turn) = turn().await else { return };
    let node = Node::start().await;
    let text = node.configuration(100);
    node.configure(&text).await;
    let file = node.file();
    let bad = text.replace("balance roundrobin", "balance sideways");
    let elsewhere = text.replace(&format!("bind {}", node.haproxy.host), "bind 192.0.2.1");
    assert_ne!(bad, text);
    assert_ne!(elsewhere, text);
    for (query, body, status, complaint) in [
        ("skip_version=true", bad.as_str(), 400, "balance only supports"),
        ("only_validate=true", bad.as_str(), 400, "balance only supports"),
        (
            "skip_version=true&force_reload=true",
            bad.as_str(),
            400,
            "balance only supports",
        ),
        (
            "skip_version=true",
            "global daemon",
            400,
            "no newline character found",
        ),
        (
            "version=7",
            text.as_str(),
            409,
            "version in configuration file is 2, given version is 7",
        ),
        ("", text.as_str(), 409, "given version is 0"),
        // Nothing is wrong with it but that this machine has no such address, which only the reload finds out.
        (
            "skip_version=true&force_reload=true",
            elsewhere.as_str(),
            400,
            "goes on with the configuration before",
        ),
    ] {
        let answer = node.ask("POST", &format!("{RAW}?{query}"), &[], body).await;
        let (code, message) = fault(&answer);
        assert!(
            code == status && message.contains(complaint),
            "{query}: {code} {message}"
        );
        assert_eq!(node.file(), file, "{query}: {message}");
        assert_eq!(
            get(node.haproxy.address(), "/function/figlet", &[]).await.status,
            200,
            "{query}"
        );
    }
    let valid = node
        .ask("POST", &format!("{RAW}?only_validate=true"), &[], &elsewhere)
        .await;
    assert_eq!((valid.status, node.file()), (202, file.clone()));

    let stranger = SocketAddr::new(node.haproxy.host, PORT);
    for headers in [&[][..], &[("Authorization", "Basic YWRtaW46YWRtaW4=")]] {
        let answer = request(
            stranger,
            "POST",
            &format!("{RAW}?skip_version=true"),
            headers,
            &text,
        )
        .await;
        assert_eq!(fault(&answer).0, 401);
        assert!(answer.headers.contains_key("www-authenticate"));
    }
    for (method, path, status) in [
        (
            "GET",
            "/v3/services/haproxy/runtime/stick_tables/none/entries",
            404,
        ),
        (
            "GET",
            "/v3/services/haproxy/runtime/stick_tables/main%3Bshow%20info/entries",
            404,
        ),
        (
            "GET",
            "/v3/services/haproxy/runtime/stick_tables/main/entries?filter=x;y",
            400,
        ),
        (
            "GET",
            "/v3/services/haproxy/runtime/stick_tables/main/entries?key=a%0Ab",
            400,
        ),
        ("GET", "/v3/services/haproxy/runtime/backends/none/servers", 404),
        ("GET", "/v3/services/haproxy/reloads/none", 404),
        ("GET", "/v3/nothing", 404),
        ("DELETE", RAW, 405),
    ] {
        assert_eq!(
            fault(&node.ask(method, path, &[], "").await).0,
            status,
            "{method} {path}"
        );
    }
    let answer = node.ask("POST", &format!("{RAW}?version=x"), &[], &text).await;
    assert_eq!(answer.status, 422, "{}", answer.body);
    assert_eq!(node.file(), file);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reloads_lose_no_request_and_a_dead_haproxy_begins_with_the_last_configuration() {
    let Some(_turn) = turn_alone().await else { return };
    let mut node = Node::start().await;
    node.configure(&node.configuration(1)).await;
    let load = tokio::spawn(sustain(
        node.haproxy.address(),
        "/function/figlet",
        300,
        Duration::from_secs(3),
    ));
    for weight in 2..5 {
        node.configure(&node.configuration(weight)).await;
    }
    let outcome = load.await.unwrap();
    assert_eq!(outcome.failures, BTreeMap::new());
    assert_eq!(outcome.served["openfaas-local"], outcome.sent);

    node.haproxy.kill();
    let text = node.configuration(5);
    let answer = node
        .ask(
            "POST",
            &format!("{RAW}?skip_version=true&force_reload=true"),
            &[],
            &text,
        )
        .await;
    let (status, message) = fault(&answer);
    assert!(
        status == 503 && message.contains("does not answer"),
        "{status} {message}"
    );
    let tables = node
        .ask("GET", "/v3/services/haproxy/runtime/stick_tables", &[], "")
        .await;
    assert_eq!(fault(&tables).0, 503);
    node.haproxy.start_again().await;
    assert_eq!(
        get(node.haproxy.address(), "/function/figlet", &[]).await.status,
        200
    );
    let server = node
        .json("/runtime/backends/be_figlet/servers/openfaas-local")
        .await;
    assert_eq!(server["iweight"], 5);
}
