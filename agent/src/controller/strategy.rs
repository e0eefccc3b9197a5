//! The strategy that was configured, and the answers it asks for.

use crate::config::{StrategyConfig, StrategyKind};
use crate::proxy::Mode;
use crate::services::{Forecaster, Model, ServiceError};
use crate::strategy::{
    Answers, FunctionName, Learning, LearningSettings, Margin, Question, Recalc, Rule, Split, Spread,
    Strategy, Usage,
};
use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// What a strategy depends on outside this process.
#[derive(Debug, Default)]
pub(super) struct Services {
    forecaster: Option<Forecaster>,
    model: Option<Model>,
}

impl Services {
    pub(super) fn new(kind: &StrategyKind, own_id: &str) -> Self {
        match kind {
            StrategyKind::Margin { forecaster, .. } => Self {
                forecaster: forecaster.clone().map(Forecaster::new),
                model: None,
            },
            StrategyKind::Learning { model, .. } => Self {
                forecaster: None,
                model: Some(Model::new(model.clone(), own_id.to_owned())),
            },
            _ => Self::default(),
        }
    }

    /// Adds forecasts to the answers.
    pub(super) async fn forecast(
        &self,
        questions: Vec<Question>,
        answers: &mut Answers,
    ) -> Result<(), ServiceError> {
        let Some(forecaster) = &self.forecaster else {
            return Ok(());
        };
        for question in questions {
            let usage: Usage = forecaster.forecast(&question).await?;
            answers.forecasts.insert(question, usage);
        }
        Ok(())
    }

    /// Adds actions to the answers.
    pub(super) async fn act(
        &self,
        observations: Vec<(FunctionName, serde_json::Value)>,
        answers: &mut Answers,
    ) -> Result<(), ServiceError> {
        let Some(model) = &self.model else { return Ok(()) };
        let asked = observations.iter().map(|(function, observation)| async move {
            Ok((function.clone(), model.act(observation).await?))
        });
        let actions: Result<BTreeMap<_, _>, ServiceError> = futures::future::try_join_all(asked)
            .await
            .map(|actions| actions.into_iter().collect());
        answers.actions = actions?;
        Ok(())
    }
}

/// The strategy of a node, at its beginning.
pub(super) fn start(config: &StrategyConfig, own_id: &str, port: u16) -> Box<dyn Strategy> {
    let (period, compatibility) = (config.period, config.compatibility);
    let split = |rule| -> Box<dyn Strategy> { Box::new(Split::new(rule, period, compatibility, port)) };
    match &config.kind {
        StrategyKind::Recalc => Box::new(Recalc::new(own_id.to_owned(), period, compatibility)),
        StrategyKind::LatencyAware => {
            let recalc = Recalc::new(own_id.to_owned(), period, compatibility);
            Box::new(recalc.spreading(Spread::Nearest))
        }
        StrategyKind::Margin { settings, .. } => {
            Box::new(Margin::new(settings.clone(), period, compatibility))
        }
        StrategyKind::Static => split(Rule::Static),
        StrategyKind::AllLocal => split(Rule::AllLocal),
        StrategyKind::Random { seed, reject } => split(Rule::random(seed.unwrap_or_else(some_seed), *reject)),
        StrategyKind::LatencyThreshold(threshold) => split(Rule::LatencyThreshold(*threshold)),
        StrategyKind::Learning { explore, .. } => Box::new(Learning::new(LearningSettings {
            own_id: own_id.to_owned(),
            explore: *explore,
            period,
            port,
            compatibility,
        })),
    }
}

/// How the proxy has to treat requests under a strategy.
pub(crate) fn mode(kind: &StrategyKind) -> Mode {
    match kind {
        StrategyKind::Recalc | StrategyKind::LatencyAware => Mode::Overflow,
        StrategyKind::Margin { .. } | StrategyKind::Static => Mode::Split {
            names_origin: false,
            stages: false,
        },
        StrategyKind::AllLocal | StrategyKind::Random { .. } | StrategyKind::LatencyThreshold(_) => {
            Mode::Split {
                names_origin: true,
                stages: false,
            }
        }
        StrategyKind::Learning { .. } => Mode::Split {
            names_origin: true,
            stages: true,
        },
    }
}

/// How often the strategy takes its steps.
pub(super) fn rhythm(config: &StrategyConfig) -> Duration {
    match config.kind {
        StrategyKind::Learning { .. } => Learning::TICK,
        _ => config.period,
    }
}

/// Another seed at every start.
fn some_seed() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    now.as_secs() ^ u64::from(now.subsec_nanos()) << 32 ^ u64::from(std::process::id())
}
