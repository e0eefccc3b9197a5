use std::fmt::Write;

use super::axes;
use super::labels::{EndLabel, spread};
use super::scale::linear_ticks;
use super::svg::{Anchor, Svg, coordinate, text_width};
use super::time::{Area, TimeFrame};

/// One layer of a stack.
#[derive(Debug, Clone)]
pub(crate) struct Layer {
    /// What is written in or beside it.
    pub(crate) label: String,
    /// Its colour.
    pub(crate) class: String,
    /// One value per slice; none counts as zero.
    pub(crate) values: Vec<Option<f64>>,
}

/// Draws layers on top of each other, the first one at the bottom.
pub(crate) fn stacked(frame: &TimeFrame<'_>, layers: &[Layer]) -> String {
    let (width, height) = frame.size.extent();
    let mut svg = Svg::new(&frame.id, width, height, &frame.title, &frame.description);
    let mut edges: Vec<Vec<f64>> = vec![vec![0.0; frame.count]];
    for layer in layers {
        let below = edges.last().cloned().unwrap_or_default();
        let sum =
            |(index, low): (usize, &f64)| low + layer.values.get(index).copied().flatten().unwrap_or(0.0);
        edges.push(below.iter().enumerate().map(sum).collect());
    }
    let highest = edges.last().into_iter().flatten().copied().fold(0.0, f64::max);
    let ticks = linear_ticks(highest, 5);
    let margin = frame.label_margin(layers.iter().map(|layer| layer.label.as_str()));
    let area = frame.area(margin, (0.0, ticks.last().copied().unwrap_or(1.0)), false);
    for (layer, pair) in layers.iter().zip(edges.windows(2)) {
        if let [low, high] = pair {
            let class = format!("area {}", layer.class);
            svg.path(&class, &outline(frame, &area, low, high), Some(&layer.label));
        }
    }
    // The grid lies above the areas, which would hide it.
    axes::draw(&mut svg, frame, &area, &ticks);
    draw_labels(&mut svg, frame, &area, layers, &edges);
    svg.finish()
}

/// The area between two stepped edges.
fn outline(frame: &TimeFrame<'_>, area: &Area, low: &[f64], high: &[f64]) -> String {
    if low.iter().zip(high).all(|(low, high)| high <= low) {
        return String::new();
    }
    let x = |index: usize| coordinate(area.x.at(frame.time(index)));
    let mut data = format!(
        "M{} {}",
        x(0),
        coordinate(area.y.at(low.first().copied().unwrap_or(0.0)))
    );
    let mut before = String::new();
    for (index, value) in high.iter().enumerate() {
        let y = coordinate(area.y.at(*value));
        if y != before {
            // Writing to a String cannot fail.
            let _ = write!(
                data,
                "{}V{y}",
                if index == 0 {
                    String::new()
                } else {
                    format!("H{}", x(index))
                }
            );
        }
        before = y;
    }
    let _ = write!(data, "H{}", x(high.len()));
    before.clear();
    for (index, value) in low.iter().enumerate().rev() {
        let y = coordinate(area.y.at(*value));
        if y != before {
            let start = if index + 1 == low.len() {
                String::new()
            } else {
                format!("H{}", x(index + 1))
            };
            let _ = write!(data, "{start}V{y}");
        }
        before = y;
    }
    data.push('Z');
    data
}

/// A layer is named inside where it is thick and long enough, else beside its end.
fn draw_labels(svg: &mut Svg, frame: &TimeFrame<'_>, area: &Area, layers: &[Layer], edges: &[Vec<f64>]) {
    let font = frame.size.font();
    let (bottom, top) = area.y.range();
    let mut ends = Vec::new();
    for (layer, pair) in layers.iter().zip(edges.windows(2)) {
        let [low, high] = pair else { continue };
        let thickness: Vec<Option<f64>> = low.iter().zip(high).map(|(low, high)| Some(high - low)).collect();
        let Some((from, to, _)) = super::labels::plateau(&thickness) else {
            continue;
        };
        let (start, end) = (area.x.at(frame.time(from)), area.x.at(frame.time(to)));
        let floor = low
            .get(from..to)
            .into_iter()
            .flatten()
            .copied()
            .fold(0.0, f64::max);
        let ceiling = high
            .get(from..to)
            .into_iter()
            .flatten()
            .copied()
            .fold(f64::INFINITY, f64::min);
        let room = area.y.at(floor) - area.y.at(ceiling);
        let class = format!("label in {}", layer.class);
        if room >= font + 4.0 && end - start >= text_width(&layer.label, font) + 8.0 {
            let y = (area.y.at(floor) + area.y.at(ceiling)) / 2.0 + font * 0.34;
            svg.text(&class, ((start + end) / 2.0, y), Anchor::Middle, &layer.label);
        } else if let (Some(low), Some(high)) = (low.last(), high.last()) {
            ends.push(EndLabel {
                y: area.y.at((low + high) / 2.0),
                text: layer.label.clone(),
                class: layer.class.clone(),
            });
        }
    }
    spread(&mut ends, font + 2.0, top, bottom);
    for label in ends {
        let at = (area.x.range().1 + 7.0, label.y + font * 0.34);
        svg.text(&format!("label {}", label.class), at, Anchor::Start, &label.text);
    }
}
