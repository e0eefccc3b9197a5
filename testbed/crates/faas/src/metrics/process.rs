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
    let mut metric = |name: &str, help: &str, kind: &str, value: Option<f64>| {
        text.family(name, help, kind);
        if let Some(value) = value {
            text.sample(name, &[], value);
        }
    };
    let stat = stat_fields();
    let field = |index: usize| stat.get(index).copied();
    let (ticks, page) = (system(SysconfVar::CLK_TCK), system(SysconfVar::PAGE_SIZE));
    let used = (|| Some((field(USER_TIME)? + field(SYSTEM_TIME)?) / ticks?))();
    metric(
        "process_cpu_seconds_total",
        "Total user and system CPU time spent in seconds.",
        "counter",
        used,
    );
    let limit = getrlimit(Resource::RLIMIT_NOFILE)
        .ok()
        .map(|(soft, _)| soft as f64);
    metric(
        "process_max_fds",
        "Maximum number of open file descriptors.",
        "gauge",
        limit,
    );
    let open = fs::read_dir("/proc/self/fd")
        .ok()
        .map(|entries| entries.count() as f64);
    metric(
        "process_open_fds",
        "Number of open file descriptors.",
        "gauge",
        open,
    );
    let resident = (|| Some(field(RESIDENT_PAGES)? * page?))();
    metric(
        "process_resident_memory_bytes",
        "Resident memory size in bytes.",
        "gauge",
        resident,
    );
    let start = (|| Some(boot_time()? + field(START_TIME)? / ticks?))();
    let help = "Start time of the process since unix epoch in seconds.";
    metric("process_start_time_seconds", help, "gauge", start);
    metric(
        "process_virtual_memory_bytes",
        "Virtual memory size in bytes.",
        "gauge",
        field(VIRTUAL_SIZE),
    );
}

/// The numbers of `/proc/self/stat` after the name, which is in parentheses and may itself have spaces and
/// parentheses.
fn stat_fields() -> Vec<f64> {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit_once(')').map(|(_, rest)| rest).unwrap_or_default();
    fields
        .split_whitespace()
        .map(|field| field.parse().unwrap_or_default())
        .collect()
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
