//! The `process_*` metrics of this program, read from the kernel when asked for.

use std::fs;

use nix::sys::resource::{Resource, getrlimit};
use nix::unistd::{SysconfVar, sysconf};

use super::text::Exposition;

/// Fields of `/proc/PID/stat` after the name, counted from zero (proc(5) counts from one and includes pid and
/// name, so these are its fields 14, 15, 22, 23 and 24).
const USER_TIME: usize = 11;
const SYSTEM_TIME: usize = 12;
const START_TIME: usize = 19;
const VIRTUAL_SIZE: usize = 20;
const RESIDENT_PAGES: usize = 21;

/// Writes what the kernel tells; what it does not tell is left out.
pub(super) fn write(text: &mut Exposition) {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The name is in parentheses and may itself contain spaces and parentheses.
    let fields: Vec<f64> = stat
        .rsplit_once(')')
        .map(|(_, rest)| {
            rest.split_whitespace()
                .map(|field| field.parse().unwrap_or_default())
                .collect()
        })
        .unwrap_or_default();
    let (Some(ticks), Some(page)) = (system(SysconfVar::CLK_TCK), system(SysconfVar::PAGE_SIZE)) else {
        return;
    };
    if fields.len() <= RESIDENT_PAGES {
        return;
    }
    let mut metric = |name: &str, help: &str, kind: &str, value: f64| {
        text.family(name, help, kind);
        text.sample(name, &[], value);
    };
    let used = (fields[USER_TIME] + fields[SYSTEM_TIME]) / ticks;
    metric(
        "process_cpu_seconds_total",
        "Total user and system CPU time spent in seconds.",
        "counter",
        used,
    );
    if let Ok((soft, _)) = getrlimit(Resource::RLIMIT_NOFILE) {
        metric(
            "process_max_fds",
            "Maximum number of open file descriptors.",
            "gauge",
            soft as f64,
        );
    }
    if let Ok(open) = fs::read_dir("/proc/self/fd") {
        metric(
            "process_open_fds",
            "Number of open file descriptors.",
            "gauge",
            open.count() as f64,
        );
    }
    let resident = fields[RESIDENT_PAGES] * page;
    metric(
        "process_resident_memory_bytes",
        "Resident memory size in bytes.",
        "gauge",
        resident,
    );
    if let Some(boot) = boot_time() {
        let start = boot + fields[START_TIME] / ticks;
        let help = "Start time of the process since unix epoch in seconds.";
        metric("process_start_time_seconds", help, "gauge", start);
    }
    metric(
        "process_virtual_memory_bytes",
        "Virtual memory size in bytes.",
        "gauge",
        fields[VIRTUAL_SIZE],
    );
}

fn system(variable: SysconfVar) -> Option<f64> {
    sysconf(variable).ok().flatten().map(|value| value as f64)
}

/// Unix time of the machine's start.
fn boot_time() -> Option<f64> {
    let stat = fs::read_to_string("/proc/stat").ok()?;
    stat.lines()
        .find_map(|line| line.strip_prefix("btime "))?
        .trim()
        .parse()
        .ok()
}
