use std::fmt::Write;

use super::scale::{Scale, logarithmic_ticks, plain};
use super::svg::{Anchor, Svg, coordinate, shorten, text_width};
use super::time::Size;
use crate::measure::percentile_ms;

/// Points per curve: more than a wide figure has pixels to show a change in.
const POINTS: usize = 160;
const DESCRIPTION: &str = "Share of successful answers that took at most the given time, per group. \
                           The horizontal axis is logarithmic.";
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
    let key = key_lines(groups);
    let widest = key
        .iter()
        .map(|(text, _)| text_width(text, font))
        .fold(0.0, f64::max);
    let key_height = key.len() as f64 * (font + 4.0);
    let place = key_place(&x, &y, groups, (widest, key_height));
    let more = if place == KeyPlace::Below { key_height } else { 0.0 };
    let mut svg = Svg::new(id, width, height + more, title, DESCRIPTION);
    draw_axes(&mut svg, &x, &y, &ticks, font);
    for group in groups {
        let data = curve(&x, &y, &group.latencies);
        svg.path(&format!("line {}", group.class), &data, Some(&group.label));
    }
    draw_key(&mut svg, &x, &y, &key, place, font);
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

/// Where the names are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum KeyPlace {
    UpperLeft,
    LowerRight,
    /// Under the figure, when curves fill both corners.
    Below,
}

/// Names with their medians.
fn key_lines(groups: &[Distribution]) -> Vec<(String, String)> {
    let mut lines: Vec<(String, String)> = groups
        .iter()
        .take(KEYS)
        .map(|group| {
            let median =
                percentile_ms(&group.latencies, 0.5).map_or_else(String::new, crate::page::milliseconds);
            let name = shorten(&group.label, 24);
            (format!("{name} · p50 {median}"), format!("label {}", group.class))
        })
        .collect();
    if groups.len() > KEYS {
        lines.push((format!("and {} more", groups.len() - KEYS), "name".to_owned()));
    }
    lines
}

/// The first corner that no curve runs through.
fn key_place(x: &Scale, y: &Scale, groups: &[Distribution], size: (f64, f64)) -> KeyPlace {
    let (left, right) = x.range();
    let (bottom, top) = y.range();
    let height = (size.1 + 10.0) / (bottom - top);
    let below = |edge: f64| {
        groups.iter().map(move |group| {
            let inside = group
                .latencies
                .partition_point(|latency| x.at(f64::from(*latency) / 1000.0) <= edge);
            inside as f64 / group.latencies.len().max(1) as f64
        })
    };
    if below(left + size.0 + 12.0).all(|share| share < 1.0 - height) {
        KeyPlace::UpperLeft
    } else if below(right - size.0 - 12.0).all(|share| share > height) {
        KeyPlace::LowerRight
    } else {
        KeyPlace::Below
    }
}

fn draw_key(svg: &mut Svg, x: &Scale, y: &Scale, lines: &[(String, String)], place: KeyPlace, font: f64) {
    let (left, right) = x.range();
    let (bottom, top) = y.range();
    let step = font + 4.0;
    let count = lines.len() as f64;
    let (at, anchor, first) = match place {
        KeyPlace::UpperLeft => (left + 8.0, Anchor::Start, top + step + 2.0),
        KeyPlace::LowerRight => (right - 6.0, Anchor::End, bottom - 10.0 - (count - 1.0) * step),
        KeyPlace::Below => (left, Anchor::Start, bottom + 2.0 * font + 12.0 + step),
    };
    for (row, (text, class)) in lines.iter().enumerate() {
        svg.text(class, (at, first + row as f64 * step), anchor, text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(latencies: std::ops::Range<u32>) -> Distribution {
        Distribution {
            label: "n1".to_owned(),
            class: "s0".to_owned(),
            latencies: latencies.map(|latency| latency * 10).collect(),
        }
    }

    #[test]
    fn names_are_written_where_no_curve_runs() {
        let x = Scale::logarithmic((1.0, 100.0), (40.0, 480.0));
        let y = Scale::linear((0.0, 1.0), (280.0, 30.0));
        let place = |groups: &[Distribution]| key_place(&x, &y, groups, (150.0, 40.0));
        assert_eq!(place(&[group(3000..3100)]), KeyPlace::UpperLeft);
        assert_eq!(place(&[group(110..120)]), KeyPlace::LowerRight);
        assert_eq!(place(&[group(110..120), group(9000..9100)]), KeyPlace::Below);
    }

    #[test]
    fn one_latency_is_enough_for_a_figure() {
        let drawn = distribution("id", Size::Wide, "one", &[group(700..701)]);
        assert!(
            drawn.contains("n1 · p50 7.00 ms") && !drawn.contains("NaN"),
            "{drawn}"
        );
    }
}
