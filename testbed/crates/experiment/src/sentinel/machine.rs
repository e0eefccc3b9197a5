//! How the machine fares, read from /proc and the cgroups.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::verdict::SentinelSummary;

/// Processors are saturated when they are busy for this share of the time between two looks.
const SATURATED: f64 = 0.98;
/// Less time between two looks than this says nothing.
const SHORTEST: Duration = Duration::from_millis(200);

pub(super) struct Machine {
    /// The file of each cgroup above the supervisor that counts throttling.
    throttles: Vec<PathBuf>,
    throttled_before: Duration,
    processors: Option<(Instant, Ticks)>,
    started: Instant,
}

/// Clock ticks of all processors since the machine started.
#[derive(Clone, Copy)]
struct Ticks {
    busy: u64,
    stolen: u64,
    total: u64,
}

impl Machine {
    pub(super) fn new(supervisor: Option<i64>) -> Machine {
        let throttles = supervisor.map(throttle_files).unwrap_or_default();
        Machine {
            throttled_before: throttled(&throttles),
            throttles,
            processors: ticks().map(|ticks| (Instant::now(), ticks)),
            started: Instant::now(),
        }
    }

    pub(super) fn look(&mut self, summary: &mut SentinelSummary) {
        let throttled = throttled(&self.throttles).saturating_sub(self.throttled_before);
        summary.throttled_ms = throttled.as_secs_f64() * 1e3;
        summary.seconds = self.started.elapsed().as_secs_f64();
        let (Some((then, before)), Some(now)) = (self.processors, ticks()) else {
            return;
        };
        if then.elapsed() < SHORTEST {
            return;
        }
        self.processors = Some((Instant::now(), now));
        let total = now.total.saturating_sub(before.total);
        if total == 0 {
            return;
        }
        let busy = now.busy.saturating_sub(before.busy) as f64 / total as f64;
        let stolen = now.stolen.saturating_sub(before.stolen) as f64 / total as f64;
        summary.take_processors(busy, stolen, busy >= SATURATED);
    }
}

fn ticks() -> Option<Ticks> {
    parse_ticks(&std::fs::read_to_string("/proc/stat").ok()?)
}

/// The first line of /proc/stat (proc_stat(5)): user nice system idle iowait irq softirq steal guest guest_nice. Guests
/// are in user and nice already.
fn parse_ticks(text: &str) -> Option<Ticks> {
    let numbers: Vec<u64> = text
        .lines()
        .next()?
        .strip_prefix("cpu ")?
        .split_whitespace()
        .take(8)
        .filter_map(|word| word.parse().ok())
        .collect();
    let [user, nice, system, idle, waiting, irq, softirq, stolen] = numbers.try_into().ok()?;
    let busy = user + nice + system + irq + softirq + stolen;
    Some(Ticks {
        busy,
        stolen,
        total: busy + idle + waiting,
    })
}

/// `cpu.stat` of the process' cgroup and of all above it, on version 1 and 2.
fn throttle_files(pid: i64) -> Vec<PathBuf> {
    let Ok(text) = std::fs::read_to_string(format!("/proc/{pid}/cgroup")) else {
        return Vec::new();
    };
    let mut files = Vec::new();
    for line in text.lines() {
        // `4:cpu,cpuacct:/path` on version 1, `0::/path` on version 2.
        let mut parts = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (parts.next(), parts.next()) else {
            continue;
        };
        let is_cpu = controllers.is_empty() || controllers.split(',').any(|one| one == "cpu");
        let roots = match controllers {
            "" => vec!["/sys/fs/cgroup".to_owned(), "/sys/fs/cgroup/unified".to_owned()],
            names => vec![format!("/sys/fs/cgroup/{names}"), "/sys/fs/cgroup/cpu".to_owned()],
        };
        let root = roots.into_iter().find(|root| Path::new(root).is_dir());
        if let Some(root) = root.filter(|_| is_cpu) {
            let own = Path::new(path.trim_start_matches('/'));
            let above = own
                .ancestors()
                .map(|above| Path::new(&root).join(above).join("cpu.stat"));
            files.extend(above.filter(|file| file.is_file()));
        }
    }
    files
}

/// The longest time that any of these cgroups was held back: one above another counts the same moments.
fn throttled(files: &[PathBuf]) -> Duration {
    let texts = files.iter().filter_map(|file| std::fs::read_to_string(file).ok());
    texts
        .filter_map(|text| parse_throttled(&text))
        .max()
        .unwrap_or_default()
}

/// `throttled_usec` on version 2, `throttled_time` (nanoseconds) on version 1.
fn parse_throttled(text: &str) -> Option<Duration> {
    text.lines().find_map(|line| match line.split_once(' ')? {
        ("throttled_usec", number) => number.trim().parse().ok().map(Duration::from_micros),
        ("throttled_time", number) => number.trim().parse().ok().map(Duration::from_nanos),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_files_are_understood() {
        let ticks = parse_ticks("cpu  100 10 50 800 30 5 5 20 7 0\ncpu0 1 2 3\n").unwrap();
        assert_eq!((ticks.busy, ticks.stolen, ticks.total), (190, 20, 1020));
        assert!(parse_ticks("cpu 1 2\n").is_none() && parse_ticks("").is_none());
        assert_eq!(
            parse_throttled("nr_periods 3\nnr_throttled 2\nthrottled_time 2000000\n"),
            Some(Duration::from_millis(2))
        );
        assert_eq!(
            parse_throttled("usage_usec 9\nthrottled_usec 1500\n"),
            Some(Duration::from_micros(1500))
        );
        assert_eq!(parse_throttled("usage_usec 9\n"), None);
    }
}
