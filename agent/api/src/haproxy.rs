//! The configuration HAProxy runs with until the agent has rendered its first one.

/// Where HAProxy's two Unix sockets are unless a node says otherwise.
pub mod sockets {
    /// Runtime API of the worker (`stats socket`).
    pub const RUNTIME: &str = "/run/haproxy/admin.sock";
    /// Command line of the master process (`haproxy -W -S …`).
    pub const MASTER: &str = "/run/haproxy/master.sock";
}

/// What the initial configuration depends on. [`Default`] is an ordinary node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InitialSettings {
    /// Path of the Runtime API's socket; its directory must exist when HAProxy starts.
    pub runtime_socket: String,
    /// Addresses (`*:80`, `127.0.0.1:8080`, `[::]:80`) for requests, at least one.
    pub binds: Vec<String>,
    /// Address of the Prometheus exporter.
    pub metrics_bind: String,
}

impl Default for InitialSettings {
    fn default() -> Self {
        Self {
            runtime_socket: sockets::RUNTIME.to_owned(),
            binds: vec!["*:80".to_owned(), "*:30080".to_owned()],
            metrics_bind: "*:8405".to_owned(),
        }
    }
}

/// The smallest valid configuration: every request is answered 503 "not configured yet", metrics are served, and the
/// agent can take over through the Runtime API and a reload without a refused connection.
#[must_use]
pub fn initial_haproxy_configuration(settings: &InitialSettings) -> String {
    let binds: String = settings
        .binds
        .iter()
        .map(|address| format!("    bind {}\n", bind_arguments(address)))
        .collect();
    format!(
        "# Until the agent has written its first configuration.\n\
         global\n\
         \x20   stats socket {runtime} mode 660 level admin expose-fd listeners\n\
         \x20   nbthread 1\n\
         \x20   fd-hard-limit 40000\n\
         \x20   log stdout format raw local0 notice\n\
         \n\
         defaults\n\
         \x20   mode http\n\
         \x20   timeout connect 5s\n\
         \x20   timeout client 60s\n\
         \x20   timeout server 60s\n\
         \n\
         frontend fe_main\n\
         {binds}\
         \x20   http-request return status 503 content-type text/plain string \"this node is not configured yet\\n\"\n\
         \n\
         frontend prometheus\n\
         \x20   bind {metrics}\n\
         \x20   http-request use-service prometheus-exporter if {{ path /metrics }}\n",
        runtime = settings.runtime_socket,
        metrics = bind_arguments(&settings.metrics_bind),
    )
}

/// What follows `bind`: the IPv6 wildcard also takes IPv4, whatever `net.ipv6.bindv6only` says.
#[must_use]
pub fn bind_arguments(address: &str) -> String {
    if address.starts_with("[::]:") {
        format!("{address} v4v6")
    } else {
        address.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn initial_configuration_has_what_the_agent_needs() {
        let text = initial_haproxy_configuration(&InitialSettings::default());
        for line in [
            "    stats socket /run/haproxy/admin.sock mode 660 level admin expose-fd listeners\n",
            "    bind *:80\n",
            "    bind *:30080\n",
            "    bind *:8405\n",
        ] {
            assert!(text.contains(line), "{line:?} is missing from\n{text}");
        }
        assert!(
            text.ends_with('\n'),
            "HAProxy refuses a last line without its end"
        );
    }

    #[test]
    fn nodes_that_start_without_the_testbed_start_with_the_same_file() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../images/node/haproxy.cfg");
        assert_eq!(
            std::fs::read_to_string(path).unwrap(),
            initial_haproxy_configuration(&InitialSettings::default())
        );
    }

    #[test]
    fn the_ipv6_wildcard_takes_ipv4_too() {
        assert_eq!(bind_arguments("[::]:80"), "[::]:80 v4v6");
        assert_eq!(bind_arguments("[::1]:80"), "[::1]:80");
        assert_eq!(bind_arguments("*:80"), "*:80");
    }
}
