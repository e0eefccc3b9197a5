//! What functions use, under the names and labels of cAdvisor, from their cgroups. A machine that lets the platform make no
//! cgroups has none of these metrics but those of the machine.

use std::fs;
use std::sync::Arc;

use dfaas_process::Usage;

use super::text::Exposition;
use crate::function::Function;
use crate::registry::Registry;

/// Name, help, kind, and the value if it is known.
type Family = (
    &'static str,
    &'static str,
    &'static str,
    fn(&Usage) -> Option<f64>,
);

const FAMILIES: [Family; 4] = [
    (
        "container_cpu_usage_seconds_total",
        "Cumulative cpu time consumed in seconds.",
        "counter",
        |usage| usage.processor_time.map(|time| time.as_secs_f64()),
    ),
    (
        "container_memory_usage_bytes",
        "Current memory usage in bytes, including all memory regardless of when it was accessed",
        "gauge",
        |usage| usage.memory_bytes.map(|bytes| bytes as f64),
    ),
    (
        "container_memory_working_set_bytes",
        "Current working set in bytes.",
        "gauge",
        |usage| usage.working_set_bytes.map(|bytes| bytes as f64),
    ),
    (
        "container_processes",
        "Number of processes running inside the container.",
        "gauge",
        |usage| usage.processes.map(|count| count as f64),
    ),
];

/// Everything in the Prometheus text format 0.0.4.
pub(crate) fn exposition(registry: &Registry) -> String {
    let mut functions: Vec<(Arc<Function>, Usage)> = registry
        .all()
        .into_iter()
        .filter_map(|function| {
            let usage = function.usage()?;
            Some((function, usage))
        })
        .collect();
    functions.sort_by(|(one, _), (other, _)| one.full_name.cmp(&other.full_name));
    let mut text = Exposition::default();
    for (name, help, kind, value) in FAMILIES {
        text.family(name, help, kind);
        for (function, usage) in &functions {
            if let Some(value) = value(usage) {
                sample(&mut text, name, function, value);
            }
        }
    }
    let help = "Memory limit for the container.";
    text.family("container_spec_memory_limit_bytes", help, "gauge");
    for (function, _) in &functions {
        // As cAdvisor: without a limit it is 0.
        let limit = function.memory_limit.unwrap_or_default() as f64;
        sample(&mut text, "container_spec_memory_limit_bytes", function, limit);
    }
    machine(&mut text);
    text.into_string()
}

fn sample(text: &mut Exposition, name: &str, function: &Function, value: f64) {
    let namespace = function.deployment.namespace.as_str();
    // The cgroup that a container of the original has.
    let id = format!("/{namespace}/{}", function.name());
    let labels = [
        ("container", function.name()),
        ("id", &id),
        ("image", &function.image),
        ("name", function.name()),
        ("namespace", namespace),
    ];
    text.sample(name, &labels, value);
}

fn machine(text: &mut Exposition) {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    text.family("machine_cpu_cores", "Number of logical CPU cores.", "gauge");
    text.sample("machine_cpu_cores", &[], cores as f64);
    let memory = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let kibibytes = memory
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"))
        .and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok());
    let help = "Amount of memory installed on the machine.";
    text.family("machine_memory_bytes", help, "gauge");
    if let Some(kibibytes) = kibibytes {
        text.sample("machine_memory_bytes", &[], kibibytes * 1024.0);
    }
}
