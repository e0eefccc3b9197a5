//! What a function's environment tells its watchdog.

use std::fmt;
use std::time::Duration;

use crate::duration::{go_text, parse_duration};

/// Settings of the classic watchdog, with its defaults.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// `fprocess` split at single spaces: no shell, no quoting. Empty when there is none.
    pub(crate) command: Vec<String>,
    /// Time for a request's body to arrive; zero is no limit.
    pub(crate) read_timeout: Duration,
    /// A reply later than this after its request is not sent; zero is no limit.
    pub(crate) write_timeout: Duration,
    /// Time a process may take before it is killed; zero is no limit.
    pub(crate) exec_timeout: Duration,
    /// Requests served at the same time; zero is no limit.
    pub(crate) max_in_flight: usize,
    /// Whether standard error belongs to the reply.
    pub(crate) combine_output: bool,
    /// Whether the program sees the request as `Http_*` variables.
    pub(crate) cgi_headers: bool,
    /// Whether the program gets headers and body as one JSON document.
    pub(crate) marshal_request: bool,
    /// Whether replies go to the log.
    pub(crate) write_debug: bool,
    /// Content type of all replies, unless empty.
    pub(crate) content_type: String,
    /// Time between SIGTERM and the end of service.
    pub(crate) healthcheck_interval: Duration,
}

impl Settings {
    pub(crate) fn from_environment(environment: &[(String, String)]) -> Self {
        let text = |name: &str| {
            environment
                .iter()
                .find(|(key, _)| key == name)
                .map_or("", |(_, value)| value.as_str())
        };
        let time =
            |name: &str, default: u64| parse_duration(text(name)).unwrap_or(Duration::from_secs(default));
        // Only the exact word switches on; an empty or absent value leaves the default.
        let switch = |name: &str, default: bool| match text(name) {
            "" => default,
            value => value == "true",
        };
        let command = match text("fprocess") {
            "" => Vec::new(),
            command => command.split(' ').map(str::to_owned).collect(),
        };
        Settings {
            command,
            read_timeout: time("read_timeout", 30),
            write_timeout: time("write_timeout", 30),
            exec_timeout: time("exec_timeout", 0),
            max_in_flight: text("max_inflight").parse().unwrap_or(0),
            combine_output: switch("combine_output", true),
            cgi_headers: switch("cgi_headers", true),
            marshal_request: switch("marshal_request", false),
            write_debug: switch("write_debug", false),
            content_type: text("content_type").to_owned(),
            healthcheck_interval: parse_duration(text("healthcheck_interval"))
                .unwrap_or_else(|| time("write_timeout", 30)),
        }
    }

    /// What a watchdog logs when it starts.
    pub(crate) fn introduction(&self) -> Vec<String> {
        let [read, write, hard, health] = [
            self.read_timeout,
            self.write_timeout,
            self.exec_timeout,
            self.healthcheck_interval,
        ]
        .map(go_text);
        vec![
            "Version: 0.3.3\tSHA: bf545828573185cd03ebc60254ba3d01d6bbcc5b".to_owned(),
            format!("Timeouts: read: {read} write: {write} hard: {hard} health: {health}."),
            "Listening on port: 8080".to_owned(),
            "Writing lock-file to: /tmp/.lock".to_owned(),
            "Metrics listening on port: 8081".to_owned(),
        ]
    }
}

/// For the log, like the line a watchdog starts with.
impl fmt::Display for Settings {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "command: {:?}, timeouts: read: {} write: {} hard: {}, max in flight: {}",
            self.command.join(" "),
            go_text(self.read_timeout),
            go_text(self.write_timeout),
            go_text(self.exec_timeout),
            self.max_in_flight
        )
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Settings;

    fn settings(pairs: &[(&str, &str)]) -> Settings {
        let environment: Vec<_> = pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        Settings::from_environment(&environment)
    }

    #[test]
    fn defaults_are_the_watchdogs() {
        let settings = settings(&[]);
        assert!(settings.command.is_empty());
        assert_eq!(settings.read_timeout, Duration::from_secs(30));
        assert_eq!(settings.write_timeout, Duration::from_secs(30));
        assert_eq!(settings.exec_timeout, Duration::ZERO);
        assert_eq!(settings.max_in_flight, 0);
        assert!(settings.combine_output && settings.cgi_headers);
        assert!(!settings.marshal_request && !settings.write_debug);
    }

    #[test]
    fn reads_the_environment() {
        let settings = settings(&[
            ("fprocess", "ls  /x"),
            ("exec_timeout", "4"),
            ("write_timeout", "500ms"),
            ("max_inflight", "2"),
            ("combine_output", "false"),
            ("cgi_headers", "yes"),
            ("read_timeout", "soon"),
        ]);
        assert_eq!(settings.command, ["ls", "", "/x"]);
        assert_eq!(settings.exec_timeout, Duration::from_secs(4));
        assert_eq!(settings.write_timeout, Duration::from_millis(500));
        assert_eq!(
            settings.read_timeout,
            Duration::from_secs(30),
            "nonsense leaves the default"
        );
        assert_eq!(settings.max_in_flight, 2);
        assert!(!settings.combine_output && !settings.cgi_headers);
    }
}
