//! The functions platform: any OpenFaaS gateway.

use crate::config::PlatformConfig;
use crate::http::{self, Question};
use crate::strategy::FunctionName;
use serde::Deserialize;
use std::collections::BTreeMap;
use thiserror::Error;

/// Label that says how many requests per second a function is made for on this node.
const MAXIMUM_RATE_LABEL: &str = "dfaas.maxrate";
/// Label that says how many milliseconds it may take.
const TIMEOUT_LABEL: &str = "dfaas.timeout_ms";
/// What the proxy adds to that, as in the original: the platform's own timeout is to come first.
const TIMEOUT_MARGIN: u32 = 1000;
/// A day; HAProxy's own bound is 24 of them.
const LONGEST_TIMEOUT: u32 = 24 * 3600 * 1000;
/// More functions than a node can have: each is a part of HAProxy's configuration and of every message, and peers refuse
/// messages that name more.
pub(crate) const MAXIMUM_FUNCTIONS: usize = 1024;
/// The longest name that fits everywhere it appears (Kubernetes' bound for a name).
const LONGEST_NAME: usize = 63;

/// The platform does not answer as it should.
#[derive(Debug, Error)]
pub enum PlatformError {
    /// No answer.
    #[error("the OpenFaaS gateway {gateway} does not answer: {reason}")]
    NoAnswer {
        /// `host:port`.
        gateway: String,
        /// What happened.
        reason: String,
    },
    /// An answer other than 200.
    #[error("the OpenFaaS gateway {gateway} answers {status} to GET {path}{}", hint(*.status))]
    Status {
        /// `host:port`.
        gateway: String,
        /// What was asked.
        path: &'static str,
        /// HTTP status.
        status: u16,
    },
    /// The list of functions cannot be read.
    #[error("the OpenFaaS gateway {gateway} sends an unreadable list of functions: {source}")]
    Unreadable {
        /// `host:port`.
        gateway: String,
        /// The decoder's reason.
        source: serde_json::Error,
    },
}

fn hint(status: u16) -> &'static str {
    if status == 401 {
        "; set AGENT_OPENFAAS_USER and AGENT_OPENFAAS_PASS"
    } else {
        ""
    }
}

/// The platform's functions.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Functions {
    /// Functions to balance and the requests per second each is made for.
    pub balanced: BTreeMap<FunctionName, u32>,
    /// Functions that are not balanced, and why. The proxy hands their requests to the gateway as they come.
    pub skipped: BTreeMap<FunctionName, String>,
    /// How long the proxy waits for an answer, in milliseconds, where the platform says how long a function may take.
    pub timeouts: BTreeMap<FunctionName, u32>,
    /// Copies of each function that are running.
    pub replicas: BTreeMap<FunctionName, u32>,
}

impl Functions {
    /// Leaves so many that the proxy and the peers can take them: the first by name, so that they stay the same.
    fn limit(&mut self) {
        let reason = || format!("there are {MAXIMUM_FUNCTIONS} others already");
        while self.balanced.len() > MAXIMUM_FUNCTIONS {
            let Some((name, _)) = self.balanced.pop_last() else {
                return;
            };
            self.timeouts.remove(&name);
            self.skipped.insert(name, reason());
        }
    }
}

/// A client of the gateway.
#[derive(Clone, Debug)]
pub struct Platform {
    config: PlatformConfig,
}

impl Platform {
    /// A client that connects when it is asked something.
    #[must_use]
    pub fn new(config: PlatformConfig) -> Self {
        Self { config }
    }

    /// What is deployed.
    ///
    /// # Errors
    /// When the gateway does not answer, refuses, or sends something else.
    pub async fn functions(&self) -> Result<Functions, PlatformError> {
        let body = self.get("/system/functions").await?;
        parse(&body).map_err(|source| PlatformError::Unreadable {
            gateway: self.config.gateway.to_string(),
            source,
        })
    }

    /// Whether the gateway says it is well.
    ///
    /// # Errors
    /// When it does not.
    pub async fn health(&self) -> Result<(), PlatformError> {
        self.get("/healthz").await.map(|_| ())
    }

    async fn get(&self, path: &'static str) -> Result<Vec<u8>, PlatformError> {
        let gateway = self.config.gateway.to_string();
        let question = Question {
            credentials: self.config.credentials.as_ref(),
            ..Question::get(path)
        };
        match http::ask(&gateway, question).await {
            Ok((200, body)) => Ok(body),
            Ok((status, _)) => Err(PlatformError::Status {
                gateway,
                path,
                status,
            }),
            Err(reason) => Err(PlatformError::NoAnswer { gateway, reason }),
        }
    }
}

#[derive(Deserialize)]
struct Deployed {
    name: String,
    #[serde(default)]
    labels: Option<BTreeMap<String, String>>,
    #[serde(default)]
    replicas: Option<f64>,
}

fn parse(body: &[u8]) -> Result<Functions, serde_json::Error> {
    let deployed: Option<Vec<Deployed>> = serde_json::from_slice(body)?;
    let mut functions = Functions::default();
    for Deployed {
        name,
        labels,
        replicas,
    } in deployed.unwrap_or_default()
    {
        let label = |name| labels.as_ref().and_then(|labels| labels.get(name));
        let rate = label(MAXIMUM_RATE_LABEL).cloned();
        if is_function_name(&name) {
            let timeout = label(TIMEOUT_LABEL).and_then(|text| text.trim().parse::<u32>().ok());
            let timeout = timeout.map(|timeout| timeout.saturating_add(TIMEOUT_MARGIN).min(LONGEST_TIMEOUT));
            functions
                .timeouts
                .extend(timeout.map(|timeout| (name.clone(), timeout)));
            let replicas = replicas.map_or(1.0, |count| count.clamp(0.0, 1e6)) as u32;
            functions.replicas.insert(name.clone(), replicas);
        }
        match maximum_rate(&name, rate.as_deref()) {
            Ok(rate) => functions.balanced.insert(name, rate).map(|_| ()),
            Err(reason) => functions.skipped.insert(name, reason).map(|_| ()),
        };
    }
    functions.limit();
    Ok(functions)
}

fn maximum_rate(name: &str, label: Option<&str>) -> Result<u32, String> {
    if !is_function_name(name) {
        return Err("its name has characters that HAProxy cannot take".to_owned());
    }
    let text = label.ok_or_else(|| format!("it has no label {MAXIMUM_RATE_LABEL}"))?;
    text.trim()
        .parse()
        .map_err(|_| format!("its label {MAXIMUM_RATE_LABEL}={text:?} is not a whole number"))
}

/// Names that are safe in a configuration, in a map file and in a path: letters, digits, and single `.`, `_`, `-`
/// between them, as containerd has it.
#[must_use]
pub fn is_function_name(name: &str) -> bool {
    let ends = |letter: Option<char>| letter.is_some_and(|letter| letter.is_ascii_alphanumeric());
    name.len() <= LONGEST_NAME
        && ends(name.chars().next())
        && ends(name.chars().last())
        && name
            .chars()
            .all(|letter| letter.is_ascii_alphanumeric() || ".-_".contains(letter))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::HostPort;
    use proptest::prelude::*;
    use serde_json::json;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    #[test]
    fn the_gateways_list() {
        let body = br#"[
            {"name":"figlet","image":"i","labels":{"dfaas.maxrate":"30","dfaas.timeout_ms":"6000"},"replicas":1},
            {"name":"no-label","labels":{}}, {"name":"no-labels"}, {"name":"null-labels","labels":null},
            {"name":"bad","labels":{"dfaas.maxrate":"ten"}}, {"name":"a b","labels":{"dfaas.maxrate":"1"}}
        ]"#;
        let functions = parse(body).unwrap();
        assert_eq!(functions.balanced, BTreeMap::from([("figlet".to_owned(), 30)]));
        assert_eq!(functions.timeouts, BTreeMap::from([("figlet".to_owned(), 7000)]));
        assert_eq!(functions.replicas["figlet"], 1);
        let skipped: Vec<&str> = functions.skipped.keys().map(String::as_str).collect();
        assert_eq!(skipped, ["a b", "bad", "no-label", "no-labels", "null-labels"]);
        assert!(
            functions.skipped["bad"].contains("dfaas.maxrate=\"ten\""),
            "{:?}",
            functions.skipped
        );
        assert_eq!(parse(b"[]").unwrap(), Functions::default());
        assert!(parse(b"<html>").is_err());
    }

    #[test]
    fn names() {
        for name in ["figlet", "a-b_c.d", "X9"] {
            assert!(is_function_name(name), "{name}");
        }
        for name in ["", "-a", "a-", "a b", "a/b", "a;b", "a\nb", "ä", &"a".repeat(64)] {
            assert!(!is_function_name(name), "{name:?}");
        }
    }

    #[test]
    fn labels_that_are_no_rate() {
        for rate in ["-5", "NaN", "inf", "1e3", "10.5", "99999999999", "", " ", "0x10"] {
            let body =
                json!([{"name": "figlet", "labels": {"dfaas.maxrate": rate, "dfaas.timeout_ms": rate}}]);
            let functions = parse(body.to_string().as_bytes()).unwrap();
            assert!(
                functions.balanced.is_empty() && functions.timeouts.is_empty(),
                "{rate:?}"
            );
            assert!(
                functions.skipped["figlet"].contains(&format!("={rate:?} is not")),
                "{functions:?}"
            );
        }
        let most = json!([{"name": "f", "labels": {"dfaas.maxrate": " 4294967295 ", "dfaas.timeout_ms": "4294967295"}}]);
        let functions = parse(most.to_string().as_bytes()).unwrap();
        assert_eq!(
            (functions.balanced["f"], functions.timeouts["f"]),
            (u32::MAX, LONGEST_TIMEOUT)
        );
    }

    #[test]
    fn more_functions_than_a_node_can_have() {
        let one = |number: u32| json!({"name": format!("f{number:05}"), "labels": {"dfaas.maxrate": "1"}});
        let list: Vec<serde_json::Value> = (0..5000).map(one).collect();
        let functions = parse(json!(list).to_string().as_bytes()).unwrap();
        assert_eq!(functions.balanced.len(), MAXIMUM_FUNCTIONS);
        assert!(functions.balanced.contains_key("f01023"), "the first by name");
        assert!(
            functions.skipped["f01024"].contains("1024 others"),
            "{}",
            functions.skipped["f01024"]
        );
    }

    /// A gateway that answers this to whatever it is asked, and hangs up.
    async fn gateway(answer: Vec<u8>) -> Platform {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let _ = stream.read(&mut [0; 1024]).await;
                // A client that has heard enough hangs up first.
                let _ = stream.write_all(&answer).await;
            }
        });
        let host = "127.0.0.1".to_owned();
        Platform::new(PlatformConfig {
            gateway: HostPort { host, port },
            credentials: None,
        })
    }

    #[tokio::test]
    async fn rubbish_is_named_as_what_it_is() {
        let good = br#"[{"name":"figlet"}]"#;
        let with = |status: &str, body: &[u8]| {
            let head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n", body.len());
            [head.as_bytes(), body].concat()
        };
        let cut = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n[{\"name\":".to_vec();
        for (answer, complaint) in [
            (
                with("200 OK", b"[{\"name\":\"fig"),
                "unreadable list of functions",
            ),
            (
                with("200 OK", b"<html>504</html>"),
                "unreadable list of functions",
            ),
            (
                with("200 OK", b"{\"name\":\"figlet\"}"),
                "unreadable list of functions",
            ),
            (with("200 OK", b"[{\"name\":7}]"), "unreadable list of functions"),
            (
                with("200 OK", &vec![b'['; 200_000]),
                "unreadable list of functions",
            ),
            (
                with("200 OK", &vec![b' '; 9 << 20]),
                "does not answer: length limit exceeded",
            ),
            (with("502 Bad Gateway", good), "answers 502"),
            (with("401 Unauthorized", good), "AGENT_OPENFAAS_USER"),
            (cut, "does not answer"),
            (b"SSH-2.0-OpenSSH_9.2\r\n".to_vec(), "does not answer"),
            (Vec::new(), "does not answer"),
        ] {
            let start = String::from_utf8_lossy(&answer[..answer.len().min(80)]).into_owned();
            let error = gateway(answer).await.functions().await.unwrap_err().to_string();
            assert!(error.contains(complaint), "{start:?}: {error}");
        }
        let functions = gateway(with("200 OK", good)).await.functions().await.unwrap();
        assert!(functions.skipped.contains_key("figlet"));
    }

    proptest! {
        #[test]
        fn any_bytes_are_answered(bytes: Vec<u8>) {
            let _ = parse(&bytes);
        }
    }
}
