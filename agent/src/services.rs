//! Services that a strategy asks: the forecaster of node margin, the model of the reinforcement learning strategy.

use crate::config::HostPort;
use crate::http::{self, Question};
use crate::strategy::{self, Action, ActionError, Usage};
use hyper::Method;
use serde::Deserialize;
use std::time::Duration;
use thiserror::Error;

/// As long as the original waits for its model.
const MODEL_PATIENCE: Duration = Duration::from_millis(900);
const FORECASTER_PATIENCE: Duration = Duration::from_secs(2);

/// A service does not answer as it should.
#[derive(Debug, Error)]
pub enum ServiceError {
    /// No answer.
    #[error("the {service} {address} does not answer: {reason}")]
    NoAnswer {
        /// Which.
        service: &'static str,
        /// `host:port`.
        address: String,
        /// What happened.
        reason: String,
    },
    /// An answer other than 200.
    #[error("the {service} {address} answers {status}")]
    Status {
        /// Which.
        service: &'static str,
        /// `host:port`.
        address: String,
        /// HTTP status.
        status: u16,
    },
    /// The forecaster's answer cannot be used.
    #[error("the forecaster {address} sends no forecast: {reason}")]
    NoForecast {
        /// `host:port`.
        address: String,
        /// Why.
        reason: String,
    },
    /// The model's answer cannot be used.
    #[error("the model {address} sends no action: {source}")]
    NoAction {
        /// `host:port`.
        address: String,
        /// Why.
        source: ActionError,
    },
}

/// The original's forecaster: GET with a JSON body.
#[derive(Clone, Debug)]
pub struct Forecaster(HostPort);

/// Field names of the original, in question and answer.
#[derive(Debug, Deserialize)]
struct Forecast {
    cpu_usage_node: f64,
    ram_usage_node: f64,
    power_usage_node: f64,
}

impl Forecaster {
    /// A client that connects when it is asked something.
    #[must_use]
    pub fn new(address: HostPort) -> Self {
        Self(address)
    }

    /// What a node would use.
    ///
    /// # Errors
    /// When the service does not answer, or not with finite numbers.
    pub async fn forecast(&self, question: &strategy::Question) -> Result<Usage, ServiceError> {
        let load = question.load();
        let body = serde_json::json!({
            "rate_group_HIGH_USAGE": load.high,
            "rate_group_LOW_USAGE": load.low,
            "rate_group_MEDIUM_USAGE": load.medium,
            "node_type": question.node_type,
        });
        let question = Question {
            body: Some(body.to_string()),
            patience: FORECASTER_PATIENCE,
            ..Question::get("/node_usage")
        };
        let body = ask("forecaster", &self.0, question).await?;
        let refuse = |reason: String| ServiceError::NoForecast {
            address: self.0.to_string(),
            reason,
        };
        let forecasts: Vec<Forecast> =
            serde_json::from_slice(&body).map_err(|error| refuse(error.to_string()))?;
        let forecast = forecasts
            .first()
            .ok_or_else(|| refuse("the list is empty".to_owned()))?;
        Ok(Usage {
            cpu: forecast.cpu_usage_node,
            ram: forecast.ram_usage_node,
            power: forecast.power_usage_node,
        })
    }
}

/// The model's service: POST /action.
#[derive(Clone, Debug)]
pub struct Model {
    address: HostPort,
    own_id: String,
}

impl Model {
    /// A client that connects when it is asked something.
    #[must_use]
    pub fn new(address: HostPort, own_id: String) -> Self {
        Self { address, own_id }
    }

    /// What to do, given an observation.
    ///
    /// # Errors
    /// When the service does not answer within 0.9 s, or not with an action for this node.
    pub async fn act(&self, observation: &serde_json::Value) -> Result<Action, ServiceError> {
        let question = Question {
            method: Method::POST,
            body: Some(observation.to_string()),
            patience: MODEL_PATIENCE,
            ..Question::get("/action")
        };
        let body = ask("model", &self.address, question).await?;
        Action::from_json(&body, &self.own_id).map_err(|source| ServiceError::NoAction {
            address: self.address.to_string(),
            source,
        })
    }
}

async fn ask(
    service: &'static str,
    address: &HostPort,
    question: Question<'_>,
) -> Result<Vec<u8>, ServiceError> {
    let address = address.to_string();
    match http::ask(&address, question).await {
        Ok((200, body)) => Ok(body),
        Ok((status, _)) => Err(ServiceError::Status {
            service,
            address,
            status,
        }),
        Err(reason) => Err(ServiceError::NoAnswer {
            service,
            address,
            reason,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::strategy::Load;
    use axum::routing::get;
    use axum::{Json, Router};
    use serde_json::{Value, json};

    /// A service that answers what `answer` makes of the question, which comes in the body of a GET.
    async fn serve(answer: fn(Value) -> Value) -> HostPort {
        let handle = move |Json(question): Json<Value>| async move { Json(answer(question)) };
        let router = Router::new().route("/node_usage", get(handle));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        HostPort {
            host: "127.0.0.1".to_owned(),
            port,
        }
    }

    fn question() -> strategy::Question {
        let load = Load {
            high: 1.0,
            low: 20.0,
            medium: 3.0,
        };
        strategy::Question::new(2, load)
    }

    #[tokio::test]
    async fn a_forecast_as_the_original_gives_it() {
        let address = serve(|question| {
            let cpu = question["rate_group_LOW_USAGE"].as_f64().unwrap() * 2.0;
            json!([{"cpu_usage_node": cpu, "ram_usage_node": question["node_type"], "power_usage_node": 7.5}])
        });
        let usage = Forecaster::new(address.await)
            .forecast(&question())
            .await
            .unwrap();
        assert_eq!((usage.cpu, usage.ram, usage.power), (40.0, 2.0, 7.5));
    }

    #[tokio::test]
    async fn what_is_no_forecast() {
        for (answer, complaint) in [
            ((|_| json!([])) as fn(Value) -> Value, "the list is empty"),
            (|_| json!({"detail": "no"}), "invalid type"),
            (|_| json!([{"cpu_usage_node": "much"}]), "invalid type"),
        ] {
            let error = Forecaster::new(serve(answer).await)
                .forecast(&question())
                .await
                .unwrap_err();
            assert!(error.to_string().contains(complaint), "{error}");
        }
        let nobody = HostPort {
            host: "127.0.0.1".to_owned(),
            port: 1,
        };
        let error = Forecaster::new(nobody).forecast(&question()).await.unwrap_err();
        assert!(
            error.to_string().contains("127.0.0.1:1 does not answer"),
            "{error}"
        );
    }
}
