//! The agent's settings as its environment.

use dfaas_agent_api::environment::{STRATEGIES, VARIABLES};
use indexmap::IndexMap;

use super::super::agent_file::AgentFile;
use super::super::topology::{AgentSettings, DEFAULT_RECALC_PERIOD};
use crate::document::spanned::Spanned;
use crate::error::{Fault, Problem, Problems};
use crate::units::TimeSpan;

const PREFIX: &str = "AGENT_";
const RECALC_PERIOD: &str = "recalc_period";
const STRATEGY: &str = "strategy";

/// Settings of the agent, without their prefix. Another agent (`binary:`) may have any; and `env:` takes any.
fn known_settings() -> Vec<String> {
    let names = VARIABLES.iter().filter_map(|it| it.name.strip_prefix(PREFIX));
    names.map(str::to_lowercase).collect()
}

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
    let known = known_settings();
    for (key, value) in &file.settings {
        if settings.binary.is_none() && !known.contains(&key.value) {
            let problem = Problem::new(
                Fault::UnknownKey {
                    key: key.value.clone(),
                },
                key.span,
            )
            .label("the agent has no such setting");
            let known: Vec<&str> = known.iter().map(String::as_str).collect();
            problems.add(match crate::error::suggestion(&key.value, &known) {
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
        .suggest(name, STRATEGIES.iter().copied());
    problems.add(problem);
}
