//! A whole agent under the reinforcement learning strategy, with a stand-in for the model's service.

use crate::client::{self, get};
use crate::federation::Seat;
use crate::haproxy::turn;
use axum::extract::State;
use axum::routing::post;
use axum::{Json, Router};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const MODEL_PORT: u16 = 27_066;

/// What the service answers next, and what it was asked last.
#[derive(Clone)]
struct Model {
    answer: Arc<Mutex<Value>>,
    asked: Arc<Mutex<Value>>,
}

async fn act(State(model): State<Model>, Json(question): Json<Value>) -> Json<Value> {
    *model.asked.lock().unwrap() = question;
    Json(model.answer.lock().unwrap().clone())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_model_decides_and_rubbish_changes_nothing() {
    let Some(_turn) = turn().await else { return };
    let seat = Seat::new(41);
    let host = seat.host.to_string();
    let node = format!("node_{}", seat.identity.peer_id());
    let model = Model {
        answer: Arc::new(Mutex::new(json!({ &node: {"local": 0.5, "reject": 0.5} }))),
        asked: Arc::default(),
    };
    let router = Router::new()
        .route("/action", post(act))
        .with_state(model.clone());
    let listener = tokio::net::TcpListener::bind((seat.host, MODEL_PORT))
        .await
        .unwrap();
    let service = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    let settings = [
        ("AGENT_STRATEGY", "rlagentstrategy"),
        ("AGENT_RECALC_PERIOD", "1s"),
        ("AGENT_RLMODEL_HOST", host.as_str()),
        ("AGENT_RLMODEL_PORT", "27066"),
    ];
    let running = seat.take(10, &[], &settings).await;
    let address = running.haproxy.address();
    for _ in 0..100 {
        if get(address, "/function/figlet", &[]).await.status == 403 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let outcome = client::load(address, "/function/figlet", &[], 20, 2).await;
    assert_eq!(
        (outcome.total(&host), outcome.total("403")),
        (20, 20),
        "{outcome:?}"
    );
    let asked = model.asked.lock().unwrap().clone();
    assert_eq!(asked["agent_parameters"]["explore"], false, "{asked}");
    assert!(asked["observation"][&node]["input_rate"].is_number(), "{asked}");

    // Rubbish, then silence: the last action stays in force, and both are counted.
    *model.answer.lock().unwrap() = json!({ "node_of-somebody-else": {"local": 1.0} });
    let failures = || running.metric("dfaas_agent_strategy_failures_total");
    let before = failures().await.unwrap();
    for _ in 0..100 {
        if failures().await.unwrap() > before {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(failures().await.unwrap() > before);
    service.abort();
    let outcome = client::load(address, "/function/figlet", &[], 20, 2).await;
    assert_eq!(
        (outcome.total(&host), outcome.total("403")),
        (20, 20),
        "{outcome:?}"
    );
    running.end().await;
}
