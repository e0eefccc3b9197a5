//! A function that tells about its machine.

use std::convert::Infallible;
use std::{env, fs, thread};

use http::{Request, Response};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};

/// The longest body that is looked at, in bytes; more than one word means nothing.
const LONGEST: usize = 1 << 20;

/// With `verbose` as its body a request asks for more.
pub(super) async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let body = Limited::new(request.into_body(), LONGEST).collect().await;
    let verbose = body.is_ok_and(|body| body.to_bytes().trim_ascii() == b"verbose");
    Ok(Response::new(describe(verbose).into()))
}

/// What there is to tell; of the processors one by one if `verbose`.
fn describe(verbose: bool) -> String {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
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
        thread::available_parallelism().map_or(1, usize::from),
        memory / 1024,
    );
    if verbose {
        for model in models {
            text.push_str(&format!("CPU: {model}\n"));
        }
    }
    text
}
