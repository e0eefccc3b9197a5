//! The functions this program has built in: one process per request, but for those that serve HTTP.

mod echo;
mod http;
mod memory;
mod model;
mod node_info;
mod sentiment;

use std::env;
use std::io::{self, Read, Write};
use std::process::ExitCode;
use std::time::Duration;

use dfaas_faas::parse_duration;
use rand::RngExt;

use crate::arguments::{Function, FunctionName};

/// Serves the one request of this process.
pub(crate) fn run(function: &Function) -> ExitCode {
    let outcome = match function.name {
        FunctionName::Nodeinfo => http::serve(node_info::answer),
        FunctionName::Sleep => sleep(),
        FunctionName::Model => model::model(),
        FunctionName::EatMemory => memory::eat(),
        FunctionName::Sentiment => sentiment::answer(),
        FunctionName::Echo => http::serve(echo::answer),
    };
    let (text, code) = match outcome {
        Ok(text) => (text, ExitCode::SUCCESS),
        Err(text) => (text, ExitCode::FAILURE),
    };
    // Whoever reads this has gone when it fails; there is nobody else to tell.
    let _ = io::stdout().write_all(text.as_bytes());
    code
}

/// A request's header, seen as a function sees it.
fn header(name: &str) -> Option<String> {
    env::var(format!("Http_{name}"))
        .ok()
        .filter(|value| !value.is_empty())
}

/// The request's body, as far as it matters to functions that take a few words.
fn body() -> Result<String, String> {
    const LONGEST: u64 = 1 << 20;
    let mut text = String::new();
    io::stdin()
        .take(LONGEST)
        .read_to_string(&mut text)
        .map_err(|error| error.to_string())?;
    Ok(text)
}

/// A variable of the function's environment; empty when it is not set.
fn variable(name: &str) -> String {
    env::var(name).unwrap_or_default()
}

fn sleep() -> Result<String, String> {
    let parse = |header: &str, text: &str| {
        parse_duration(text)
            .ok_or_else(|| format!("Error parsing {header} header: invalid duration {text:?}"))
    };
    let time = match (header("X_Min_Sleep"), header("X_Max_Sleep"), header("X_Sleep")) {
        (Some(least), Some(most), _) => {
            let (least, most) = (parse("X-Min-Sleep", &least)?, parse("X-Max-Sleep", &most)?);
            least + most.saturating_sub(least).mul_f64(rand::rng().random::<f64>())
        }
        (_, _, Some(time)) => parse("X-Sleep", &time)?,
        _ => match env::var("sleep_duration") {
            Ok(text) => parse_duration(&text)
                .ok_or_else(|| format!("Error parsing sleep_duration environment variable: {text:?}"))?,
            Err(_) => Duration::from_secs(2),
        },
    };
    std::thread::sleep(time);
    Ok(format!("Slept for: {:.6}s", time.as_secs_f64()))
}
