//! What a function's environment tells its watchdog.

use std::fmt;
use std::time::Duration;

use crate::catalogue::WatchdogMode;
use crate::duration::{go_text, parse_duration};

/// How requests reach the function's command.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Mode {
    /// The classic watchdog.
    #[default]
    Classic,
    /// of-watchdog: a process per request, its output passed on as it comes.
    Streaming,
    /// of-watchdog: a process per request, its output answered when it has ended.
    Serializing,
    /// of-watchdog: one process that serves HTTP.
    Http,
    /// of-watchdog: files of the function.
    Static,
}

impl Mode {
    fn of_watchdog(name: &str) -> Self {
        match name {
            "http" => Mode::Http,
            "serializing" => Mode::Serializing,
            "static" => Mode::Static,
            _ => Mode::Streaming,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Mode::Classic => "classic",
            Mode::Streaming => "streaming",
            Mode::Serializing => "serializing",
            Mode::Http => "http",
            Mode::Static => "static",
        }
    }
}

/// Settings of a watchdog, with its defaults.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) mode: Mode,
    /// Where the process of [`Mode::Http`] listens, with `http://`.
    pub(crate) upstream_url: String,
    /// Directory of [`Mode::Static`].
    pub(crate) static_path: String,
    /// Whether lines of a function's output are marked with their stream.
    pub(crate) prefix_logs: bool,
    /// Whether lines about requests have their identifier.
    pub(crate) log_call_id: bool,
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
    pub(crate) fn from_environment(environment: &[(String, String)], watchdog: WatchdogMode) -> Self {
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
        let is_classic = watchdog == WatchdogMode::Classic;
        let command = match (text("fprocess"), text("function_process")) {
            ("", other) if !is_classic => other,
            (command, _) => command,
        };
        let either = |name: &str, other: &str| match text(name) {
            "" => text(other).to_owned(),
            value => value.to_owned(),
        };
        Settings {
            mode: if is_classic {
                Mode::Classic
            } else {
                Mode::of_watchdog(text("mode"))
            },
            upstream_url: either("http_upstream_url", "upstream_url"),
            static_path: match text("static_path") {
                "" => "/home/app/public".to_owned(),
                path => path.to_owned(),
            },
            prefix_logs: switch("prefix_logs", true),
            log_call_id: switch("log_callid", false),
            command: match command {
                "" => Vec::new(),
                command => command.split(' ').map(str::to_owned).collect(),
            },
            read_timeout: time("read_timeout", 30),
            write_timeout: time("write_timeout", 30),
            exec_timeout: time("exec_timeout", if is_classic { 0 } else { 30 }),
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
        let listening = ["Listening on port: 8080", "Writing lock-file to: /tmp/.lock"];
        let metrics = "Metrics listening on port: 8081";
        let timeouts = format!("Timeouts: read: {read} write: {write} hard: {hard} health: {health}");
        let mut lines = Vec::new();
        if self.mode == Mode::Classic {
            lines.push("Version: 0.3.3\tSHA: bf545828573185cd03ebc60254ba3d01d6bbcc5b".to_owned());
            lines.push(format!("{timeouts}."));
        } else {
            let command = self.command.join(" ");
            lines.push("Version: 0.10.10\tSHA: 467ba069d6b200d6a414075cf6e09ed53fb48e10".to_owned());
            if self.mode == Mode::Http {
                let (program, arguments) = command.split_once(' ').unwrap_or((&command, ""));
                lines.push(format!("Forking: {program}, arguments: [{arguments}]"));
                lines.push("Started logging: stderr from function.".to_owned());
                lines.push("Started logging: stdout from function.".to_owned());
            }
            lines.push(format!(
                "Watchdog mode: {}\tfprocess: {command:?}",
                self.mode.name()
            ));
            lines.push(timeouts);
        }
        lines.extend(listening.map(str::to_owned));
        lines.push(metrics.to_owned());
        lines
    }
}

/// For the log, like the line a watchdog starts with.
impl fmt::Display for Settings {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "watchdog: {}, command: {:?}, timeouts: read: {} write: {} hard: {}, max in flight: {}",
            self.mode.name(),
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

    use super::{Mode, Settings};
    use crate::catalogue::WatchdogMode;

    fn settings(pairs: &[(&str, &str)]) -> Settings {
        let environment: Vec<_> = pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        Settings::from_environment(&environment, WatchdogMode::Classic)
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

    #[test]
    fn of_watchdog_has_modes_and_other_defaults() {
        let environment = [
            ("function_process", "node index.js"),
            ("upstream_url", "http://127.0.0.1:3000"),
        ];
        let mut environment = environment
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .to_vec();
        let read = |environment: &[(String, String)]| {
            Settings::from_environment(environment, WatchdogMode::OfWatchdog)
        };
        let settings = read(&environment);
        assert_eq!(settings.mode, Mode::Streaming);
        assert_eq!(settings.command, ["node", "index.js"]);
        assert_eq!(settings.exec_timeout, Duration::from_secs(30));
        environment.push(("mode".to_owned(), "http".to_owned()));
        let settings = read(&environment);
        assert_eq!(settings.mode, Mode::Http);
        assert_eq!(settings.upstream_url, "http://127.0.0.1:3000");
        assert_eq!(settings.introduction()[1], "Forking: node, arguments: [index.js]");
    }
}
