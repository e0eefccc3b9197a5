use std::fmt::Write;

use super::scale::{Scale, logarithmic_ticks, plain};
use super::svg::{Anchor, Svg, coordinate, shorten};
use super::time::Size;
use crate::measure::percentile_ms;

/// Points per curve: more than a wide figure has pixels to show a change in.
const POINTS: usize = 160;
/// Most names in the key.
const KEYS: usize = 9;

/// Latencies of one group of answers.
#[derive(Debug, Clone)]
pub(crate) struct Distribution {
    /// Name of the group.
    pub(crate) label: String,
    /// Its colour.
    pub(crate) class: String,
    /// Sorted, microseconds.
    pub(crate) latencies: Vec<u32>,
}

/// Draws, for each latency on a logarithmic axis, the share of answers that were at least as fast.
pub(crate) fn distribution(id: &str, size: Size, title: &str, groups: &[Distribution]) -> String {
    let (width, height) = match size {
        Size::Wide => (490.0, 320.0),
        other => other.extent(),
    };
    let font = Size::Narrow.font();
    let description = "Share of successful answers that took at most the given time, per group. The horizontal axis is logarithmic.";
    let mut svg = Svg::new(id, width, height, title, description);
    let extremes = |share: f64| {
        groups
            .iter()
            .filter_map(move |group| percentile_ms(&group.latencies, share))
    };
    let lowest = extremes(0.0).fold(f64::INFINITY, f64::min).max(0.001);
    let highest = extremes(1.0).fold(lowest, f64::max);
    let ticks = logarithmic_ticks(if lowest.is_finite() { lowest } else { 1.0 }, highest);
    let domain = (
        ticks.first().copied().unwrap_or(1.0),
        ticks.last().copied().unwrap_or(10.0),
    );
    let x = Scale::logarithmic(domain, (46.0, width - 14.0));
    let y = Scale::linear((0.0, 1.0), (height - 42.0, 32.0));
    draw_axes(&mut svg, &x, &y, &ticks, font);
    for group in groups {
        svg.path(
            &format!("line {}", group.class),
            &curve(&x, &y, &group.latencies),
            Some(&group.label),
        );
    }
    draw_key(&mut svg, &x, &y, groups, font);
    svg.finish()
}

fn draw_axes(svg: &mut Svg, x: &Scale, y: &Scale, ticks: &[f64], font: f64) {
    let (left, right) = x.range();
    let (bottom, top) = y.range();
    for percent in [0, 25, 50, 75, 95, 100] {
        let at = y.at(f64::from(percent) / 100.0);
        svg.line(
            if percent == 0 { "axis" } else { "grid" },
            (left, at),
            (right, at),
        );
        let text = format!("{percent} %");
        // 95 and 100 are too close for two lines of text unless the upper one is lifted a little.
        let lift = if percent == 100 { 0.0 } else { font * 0.34 };
        svg.text("tick", (left - 6.0, at + lift), Anchor::End, &text);
    }
    for tick in ticks {
        let at = x.at(*tick);
        svg.line("grid", (at, top), (at, bottom));
        svg.text("tick", (at, bottom + font + 5.0), Anchor::Middle, &plain(*tick));
    }
    svg.text(
        "name",
        (2.0, font + 1.0),
        Anchor::Start,
        "answers at least as fast",
    );
    svg.text(
        "name",
        (right, bottom + 2.0 * font + 9.0),
        Anchor::End,
        "latency, ms",
    );
}

fn curve(x: &Scale, y: &Scale, latencies: &[u32]) -> String {
    let mut data = String::new();
    let points = POINTS.min(latencies.len());
    for index in 0..=points {
        // More points near the slow end, where the interest is.
        let share = match index as f64 / points.max(1) as f64 {
            even if latencies.len() > POINTS => 1.0 - (1.0 - even).powi(2),
            even => even,
        };
        let Some(latency) = percentile_ms(latencies, share) else {
            return String::new();
        };
        // Writing to a String cannot fail.
        let _ = write!(
            data,
            "{}{} {}",
            if index == 0 { "M" } else { "L" },
            coordinate(x.at(latency)),
            coordinate(y.at(share))
        );
    }
    data
}

/// Names with their medians, in the lower right corner where curves of this kind are not.
fn draw_key(svg: &mut Svg, x: &Scale, y: &Scale, groups: &[Distribution], font: f64) {
    let (_, right) = x.range();
    let (bottom, _) = y.range();
    let shown: Vec<&Distribution> = groups.iter().take(KEYS).collect();
    for (row, group) in shown.iter().enumerate() {
        let at = bottom - 10.0 - (shown.len() - 1 - row) as f64 * (font + 4.0);
        let median = percentile_ms(&group.latencies, 0.5).map_or_else(String::new, crate::page::milliseconds);
        let text = format!("{} · median {median}", shorten(&group.label, 24));
        svg.text(
            &format!("label {}", group.class),
            (right - 6.0, at),
            Anchor::End,
            &text,
        );
    }
}
