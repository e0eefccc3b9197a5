//! The agent's settings as its environment.

use indexmap::IndexMap;

use super::super::agent_file::AgentFile;
use super::super::topology::{AgentSettings, DEFAULT_RECALC_PERIOD};
use crate::document::spanned::Spanned;
use crate::error::{Fault, Problem, Problems};
use crate::units::TimeSpan;

const PREFIX: &str = "AGENT_";
const RECALC_PERIOD: &str = "recalc_period";
const STRATEGY: &str = "strategy";

/// Strategies the built-in agent has: those of `dfaas-agent-api`, which this crate does not depend on.
const STRATEGIES: [&str; 10] = [
    "recalcstrategy",
    "latencyawarestrategy",
    "nodemarginstrategy",
    "staticstrategy",
    "alllocalstrategy",
    "rlagentstrategy",
    "randomstrategy",
    "latencythresholdstrategy",
    "random",
    "latency-threshold",
];

/// Settings of the agent, without their prefix. Another agent (`binary:`) may have any; and `env:` takes any.
const SETTINGS: &[&str] = &[
    "bootstrap_force",
    "bootstrap_nodes",
    "bootstrap_nodes_file",
    "bootstrap_nodes_list",
    "compat",
    "debug",
    "forecaster_host",
    "forecaster_port",
    "group_list_file_name",
    "haproxy_bind",
    "haproxy_config_file",
    "haproxy_config_update_command",
    "haproxy_executable",
    "haproxy_host",
    "haproxy_master_sock_path",
    "haproxy_metrics_bind",
    "haproxy_peers_bind",
    "haproxy_port",
    "haproxy_sock_path",
    "haproxy_threads",
    "httpserver_host",
    "httpserver_port",
    "kad_idle_time",
    "latency_threshold_ms",
    "limitin_enforce",
    "listen",
    "log_colors",
    "log_datetime",
    "neighbours",
    "nms_cpu_threshold",
    "nms_power_threshold",
    "nms_ram_threshold",
    "node_ip",
    "node_type",
    "openfaas_host",
    "openfaas_pass",
    "openfaas_port",
    "openfaas_user",
    "private_key_file",
    "pubsub_topic",
    "random_reject",
    "random_seed",
    "rate_window",
    RECALC_PERIOD,
    "rendezvous",
    "rlmodel_explore",
    "rlmodel_host",
    "rlmodel_port",
    STRATEGY,
];

/// Turns the section into environment variables.
pub(super) fn settings(file: Option<&AgentFile>, problems: &mut Problems) -> AgentSettings {
    let Some(file) = file else {
        return with_period(AgentSettings::default());
    };
    let binary = file.binary.as_ref().map(|binary| binary.value.clone());
    if let Some(path) = file.binary.as_ref().filter(|path| !path.value.starts_with('/')) {
        let message = format!("`{}` is not an absolute path", path.value);
        problems.add(Problem::new(Fault::Value { message }, path.span).label("must begin with `/`"));
    }
    let mut settings = AgentSettings {
        binary,
        env: IndexMap::new(),
        recalc_period: DEFAULT_RECALC_PERIOD,
    };
    for (key, value) in &file.settings {
        let known = SETTINGS.contains(&key.value.as_str());
        if settings.binary.is_none() && !known {
            let problem = Problem::new(
                Fault::UnknownKey {
                    key: key.value.clone(),
                },
                key.span,
            )
            .label("the agent has no such setting");
            problems.add(match crate::error::suggestion(&key.value, SETTINGS) {
                Some(help) => problem.help(help),
                None => problem.help("`agent.env` takes any environment variable"),
            });
            continue;
        }
        let mut text = value.value.0.clone();
        match key.value.as_str() {
            RECALC_PERIOD => {
                if let Some(period) = period(&text, value.span, problems) {
                    settings.recalc_period = period.0;
                    text = period.to_string();
                }
            }
            STRATEGY if settings.binary.is_none() => check_strategy(&text, value, problems),
            _ => {}
        }
        settings
            .env
            .insert(format!("{PREFIX}{}", key.value.to_uppercase()), text);
    }
    for (name, value) in file.env.iter().flatten() {
        super::nodes::check_variable(name, problems);
        if name.value == format!("{PREFIX}RECALC_PERIOD")
            && let Some(period) = period(&value.value.0, value.span, problems)
        {
            settings.recalc_period = period.0;
        }
        settings.env.insert(name.value.clone(), value.value.0.clone());
    }
    with_period(settings)
}

/// The period is always said, so that nothing depends on an agent's own default.
fn with_period(mut settings: AgentSettings) -> AgentSettings {
    let text = TimeSpan(settings.recalc_period).to_string();
    settings
        .env
        .entry(format!("{PREFIX}RECALC_PERIOD"))
        .or_insert(text);
    settings
}

fn period(text: &str, span: crate::document::tree::Span, problems: &mut Problems) -> Option<TimeSpan> {
    match text.parse::<TimeSpan>() {
        Ok(period) if period.0.is_zero() => {
            let message = "the recalc period is zero".to_owned();
            problems.add(Problem::new(Fault::Value { message }, span).label("must be more"));
            None
        }
        Ok(period) => Some(period),
        Err(error) => {
            let problem = Problem::new(
                Fault::Value {
                    message: error.to_string(),
                },
                span,
            );
            problems.add(match error.help() {
                Some(help) => problem.help(help),
                None => problem,
            });
            None
        }
    }
}

fn check_strategy<T>(name: &str, value: &Spanned<T>, problems: &mut Problems) {
    if STRATEGIES.contains(&name) {
        return;
    }
    let fault = Fault::UnknownStrategy {
        name: name.to_owned(),
    };
    let problem = Problem::new(fault, value.span)
        .label("no strategy has this name")
        .suggest(name, STRATEGIES);
    problems.add(problem);
}
