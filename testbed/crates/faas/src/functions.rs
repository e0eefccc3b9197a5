//! The functions this program has built in, each one process per request.

use std::env;
use std::io::{self, Read, Write};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use dfaas_faas::parse_duration;
use rand::RngExt;

use crate::arguments::{Function, FunctionName};

/// Serves the one request of this process.
pub(crate) fn run(function: &Function) -> ExitCode {
    let outcome = match function.name {
        FunctionName::Nodeinfo => node_info(),
        FunctionName::Sleep => sleep(),
        FunctionName::Model => model(),
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

fn node_info() -> Result<String, String> {
    let mut wanted = String::new();
    io::stdin()
        .take(1024)
        .read_to_string(&mut wanted)
        .map_err(|error| error.to_string())?;
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let architecture = match env::consts::ARCH {
        "x86_64" => "x64",
        "aarch64" => "arm64",
        other => other,
    };
    let cpu_info = read("/proc/cpuinfo");
    let models: Vec<&str> = cpu_info
        .lines()
        .filter_map(|line| line.strip_prefix("model name"))
        .filter_map(|line| line.split_once(':'))
        .map(|(_, model)| model.trim())
        .collect();
    let memory: u64 = read("/proc/meminfo")
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"))
        .and_then(|line| line.split_whitespace().next()?.parse().ok())
        .unwrap_or_default();
    let uptime = read("/proc/uptime")
        .split_whitespace()
        .next()
        .unwrap_or_default()
        .to_owned();
    let mut text = format!(
        "Hostname: {}\n\nArch: {architecture}\nCPUs: {}\nTotal mem: {}MB\nPlatform: linux\nUptime: {uptime}\n",
        read("/proc/sys/kernel/hostname").trim(),
        std::thread::available_parallelism().map_or(1, usize::from),
        memory / 1024,
    );
    if wanted.trim() == "verbose" {
        for model in models {
            text.push_str(&format!("CPU: {model}\n"));
        }
    }
    Ok(text)
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

/// Takes the time that `service_time` describes, waiting or computing as `work` says.
fn model() -> Result<String, String> {
    let started = Instant::now();
    let text = env::var("service_time").unwrap_or_default();
    let time = draw(&text).ok_or_else(|| {
        format!(
            "service_time {text:?}: expected a time, \"uniform TIME TIME\", \"exponential TIME\" or \"normal TIME TIME\""
        )
    })?;
    match env::var("work").as_deref() {
        Ok("cpu") => {
            while started.elapsed() < time {
                std::hint::spin_loop();
            }
        }
        Ok("sleep") | Err(_) => std::thread::sleep(time),
        Ok(other) => return Err(format!("work {other:?}: expected \"sleep\" or \"cpu\"")),
    }
    Ok(format!("{:.6}\n", time.as_secs_f64()))
}

/// A service time from its distribution.
fn draw(text: &str) -> Option<Duration> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let time = |text: &str| parse_duration(text).map(|time| time.as_secs_f64());
    // Both draws are in (0, 1], so that their logarithm exists.
    let random = || 1.0 - rand::rng().random::<f64>();
    let seconds = match words.as_slice() {
        [constant] => time(constant)?,
        ["uniform", least, most] => {
            let (least, most) = (time(least)?, time(most)?);
            least + (most - least) * random()
        }
        ["exponential", mean] => -time(mean)? * random().ln(),
        // Box and Muller; a normal service time may not be negative.
        ["normal", mean, deviation] => {
            let angle = (std::f64::consts::TAU * random()).cos();
            let draw = time(mean)? + time(deviation)? * (-2.0 * random().ln()).sqrt() * angle;
            draw.max(0.0)
        }
        _ => return None,
    };
    Duration::try_from_secs_f64(seconds).ok()
}

#[cfg(test)]
mod tests {
    use super::draw;

    fn mean(text: &str) -> f64 {
        let draws = 20_000;
        (0..draws).map(|_| draw(text).unwrap().as_secs_f64()).sum::<f64>() / f64::from(draws)
    }

    #[test]
    fn distributions_have_their_means() {
        // Four standard errors of the mean of 20 000 draws.
        for (text, expected, error) in [
            ("20ms", 0.020, 1e-9),
            ("uniform 10ms 30ms", 0.020, 0.000_17),
            ("exponential 20ms", 0.020, 0.000_57),
            ("normal 20ms 5ms", 0.020, 0.000_15),
        ] {
            assert!((mean(text) - expected).abs() <= error, "{text}: {}", mean(text));
        }
    }

    #[test]
    fn nonsense_is_no_distribution() {
        for text in ["", "uniform 1ms", "exponential x", "poisson 3ms", "uniform 3s 1"] {
            if text == "uniform 3s 1" {
                assert!(draw(text).is_some(), "bounds in either order");
            } else {
                assert!(draw(text).is_none(), "{text}");
            }
        }
    }
}
