use std::path::Path;
use std::process::Command;

use clap::Args;
use dfaas_lab::{Engine, EngineFacts};
use dfaas_netns::KernelFeatures;
use nix::unistd::{AccessFlags, access};
use serde::Serialize;

use super::{block_on, print, print_json};
use crate::error::CliError;
use crate::style::Style;

#[derive(Debug, Args)]
pub(crate) struct DoctorArguments {
    /// Print the findings as JSON
    #[arg(long)]
    json: bool,
}

/// The runtime whose containers may run systemd and containers of their own.
const SYSBOX: &str = "sysbox-runc";

/// How much a finding matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Verdict {
    /// There.
    Ok,
    /// Something works otherwise or less well without it.
    Limited,
    /// Labs cannot run without it.
    Missing,
}

/// One thing looked at.
#[derive(Debug, Serialize)]
struct Finding {
    what: &'static str,
    verdict: Verdict,
    detail: String,
}

pub(crate) fn run(arguments: &DoctorArguments) -> Result<u8, CliError> {
    let rootless = !nix::unistd::geteuid().is_root();
    // First of all: what follows is found out as a lab's supervisor would find it.
    let mut findings = vec![privileges(), kernel()];
    findings.extend(network_features());
    findings.extend([real_time(), cgroups(rootless)]);
    if rootless {
        let detail = "driver `docker` needs root: nodes with it are refused";
        findings.push(finding("docker", Verdict::Limited, detail));
    } else {
        findings.extend(docker()?);
    }
    findings.extend(programs());
    let fit = findings.iter().all(|finding| finding.verdict != Verdict::Missing);
    if arguments.json {
        print_json(&serde_json::json!({ "fit": fit, "findings": findings }))?;
    } else {
        print(&text(&findings))?;
    }
    Ok(if fit { 0 } else { 3 })
}

fn text(findings: &[Finding]) -> String {
    let style = Style::for_stdout();
    let width = findings
        .iter()
        .map(|finding| finding.what.len())
        .max()
        .unwrap_or(0);
    let mut text = String::new();
    for finding in findings {
        let mark = match finding.verdict {
            Verdict::Ok => style.good("✔"),
            Verdict::Limited => style.warning("!"),
            Verdict::Missing => style.bad("✘"),
        };
        text.push_str(&format!("{mark} {:<width$}  {}\n", finding.what, finding.detail));
    }
    text
}

fn finding(what: &'static str, verdict: Verdict, detail: impl Into<String>) -> Finding {
    Finding {
        what,
        verdict,
        detail: detail.into(),
    }
}

fn privileges() -> Finding {
    if nix::unistd::geteuid().is_root() {
        return finding("privileges", Verdict::Ok, "root");
    }
    match dfaas_lab::enter_user_namespace() {
        Ok(()) => finding("privileges", Verdict::Limited, dfaas_lab::ROOTLESS_LIMITS),
        Err(error) => finding("privileges", Verdict::Missing, error.to_string()),
    }
}

fn kernel() -> Finding {
    match nix::sys::utsname::uname() {
        Ok(name) => finding(
            "kernel",
            Verdict::Ok,
            format!("Linux {}", name.release().to_string_lossy()),
        ),
        Err(errno) => finding("kernel", Verdict::Limited, errno.desc()),
    }
}

fn network_features() -> Vec<Finding> {
    let features = match dfaas_netns::probe_kernel() {
        Ok(features) => features,
        Err(error) => return vec![finding("namespaces", Verdict::Missing, error.to_string())],
    };
    let KernelFeatures { netem, tbf, .. } = features;
    vec![
        finding(
            "namespaces",
            Verdict::Ok,
            "network namespaces and veth pairs can be made",
        ),
        if features.can_join() {
            finding(
                "link joins",
                Verdict::Ok,
                "clsact, u32, mirred: backend `tc` can carry links",
            )
        } else {
            finding(
                "link joins",
                Verdict::Limited,
                "no clsact, u32 or mirred: all links use backend `wire`",
            )
        },
        if netem {
            finding(
                "netem",
                Verdict::Ok,
                "delay, jitter and loss can be done by the kernel",
            )
        } else {
            finding(
                "netem",
                Verdict::Limited,
                "not in this kernel: delay, jitter, loss and rates below 100 Mbit/s use backend `wire`",
            )
        },
        if tbf {
            finding("tbf", Verdict::Ok, "rates can be done by the kernel")
        } else {
            finding(
                "tbf",
                Verdict::Limited,
                "not in this kernel: rates use backend `wire`",
            )
        },
    ]
}

fn real_time() -> Finding {
    if dfaas_wire::real_time_allowed() {
        return finding(
            "real time",
            Verdict::Ok,
            "the link engine may run with SCHED_FIFO",
        );
    }
    finding(
        "real time",
        Verdict::Limited,
        "SCHED_FIFO is not allowed: delays are less exact while all cores are busy",
    )
}

fn cgroups(rootless: bool) -> Finding {
    let hierarchies = dfaas_process::Hierarchies::detect();
    match hierarchies {
        Ok(hierarchies) if hierarchies.bases.is_empty() => {
            finding("cgroups", Verdict::Limited, "not mounted: no limits can be set")
        }
        Ok(hierarchies) => {
            let may_change = |base: &Path| access(base, AccessFlags::W_OK).is_ok();
            let usable = hierarchies.bases.iter().filter(|(_, base)| may_change(base));
            let names: Vec<String> = usable.map(|(hierarchy, _)| hierarchy.to_string()).collect();
            if names.is_empty() && rootless {
                let detail = "none is delegated to this user: limits (cpus, memory, pids) cannot be set";
                return finding("cgroups", Verdict::Limited, detail);
            }
            finding("cgroups", Verdict::Ok, names.join(", "))
        }
        Err(error) => finding(
            "cgroups",
            Verdict::Limited,
            format!("no limits can be set: {error}"),
        ),
    }
}

/// What nodes of driver `docker` need.
fn docker() -> Result<Vec<Finding>, CliError> {
    let facts = block_on(async { Engine::connect().await?.facts().await })?;
    let facts = match facts {
        Ok(facts) => facts,
        Err(error) => {
            let detail = format!(
                "{error}: nodes with `driver: docker` cannot run; `apt install docker.io`, or start it"
            );
            return Ok(vec![finding("docker", Verdict::Limited, detail)]);
        }
    };
    let engine = format!(
        "Docker {}, {}, {}",
        facts.version,
        cgroup_words(&facts),
        facts.storage_driver
    );
    // Some engines list their own parts too, under names of containerd.
    let names = facts.runtimes.iter().map(String::as_str);
    let names: Vec<&str> = names.filter(|name| !name.starts_with("io.containerd.")).collect();
    let names = format!("{} (default: {})", names.join(", "), facts.default_runtime);
    Ok(vec![
        finding("docker", Verdict::Ok, engine),
        match facts.require_runtime(SYSBOX) {
            Ok(()) => finding("oci runtimes", Verdict::Ok, names),
            Err(_) => finding(
                "oci runtimes",
                Verdict::Limited,
                format!(
                    "{names}; no {SYSBOX}: nodes that ask for it need `fallback: privileged`, or install Sysbox \
                     (https://github.com/nestybox/sysbox)"
                ),
            ),
        },
    ])
}

fn cgroup_words(facts: &EngineFacts) -> String {
    match facts.cgroup_version {
        Some(version) => format!("cgroup version {version} ({})", facts.cgroup_driver),
        None => "unknown cgroup version".to_owned(),
    }
}

fn programs() -> Vec<Finding> {
    let mut findings = vec![match dfaas_lab::find_program("haproxy") {
        Some(path) => finding("haproxy", Verdict::Ok, version(&path, "-v")),
        None => finding(
            "haproxy",
            Verdict::Missing,
            "not installed: `apt install haproxy` (2.6 or newer)",
        ),
    }];
    for (what, package) in [
        ("figlet", "figlet"),
        ("tesseract", "tesseract-ocr"),
        ("sha512sum", "coreutils"),
    ] {
        findings.push(match dfaas_lab::find_program(what) {
            Some(path) => finding(what, Verdict::Ok, path.display().to_string()),
            None => finding(
                what,
                Verdict::Limited,
                format!("not installed: functions that need it cannot run; `apt install {package}`"),
            ),
        });
    }
    for what in ["prometheus", "prometheus-node-exporter"] {
        findings.push(match dfaas_lab::find_program(what) {
            Some(path) => finding(what, Verdict::Ok, path.display().to_string()),
            None => finding(
                what,
                Verdict::Limited,
                format!("not installed: labs with `monitoring:` need it; `apt install {what}`"),
            ),
        });
    }
    findings
}

/// The first line a program prints about itself.
fn version(path: &Path, argument: &str) -> String {
    let output = Command::new(path).arg(argument).output();
    let text = output
        .map(|output| String::from_utf8_lossy(&output.stdout).into_owned())
        .unwrap_or_default();
    text.lines()
        .next()
        .map_or_else(|| path.display().to_string(), str::to_owned)
}
