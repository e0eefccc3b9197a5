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
    /// The same in a word, for where that does not fit.
    pub(crate) short: String,
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
    let domain = (0.0, ticks.last().copied().unwrap_or(1.0));
    let mut area = frame.area(0.0, domain, false);
    if !place_labels(frame, &area, layers, &edges).1.is_empty() {
        area = frame.area(
            frame.label_margin(layers.iter().map(|layer| layer.label.clone())),
            domain,
            false,
        );
    }
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

/// Names inside layers (position, text, class) and names beside the end.
type Labels = (Vec<((f64, f64), String, String)>, Vec<EndLabel>);

/// A layer is named inside where it has the most room, or beside its end when it has too little everywhere.
fn place_labels(frame: &TimeFrame<'_>, area: &Area, layers: &[Layer], edges: &[Vec<f64>]) -> Labels {
    let font = frame.size.font();
    let slice = area.x.at(frame.time(1)) - area.x.at(frame.time(0));
    let (mut inside, mut ends) = (Vec::new(), Vec::new());
    for (layer, pair) in layers.iter().zip(edges.windows(2)) {
        let [low, high] = pair else { continue };
        let fitting = [&layer.label, &layer.short].into_iter().find_map(|text| {
            let slices = ((text_width(text, font) + 10.0) / slice.max(0.01)).ceil() as usize;
            let (from, floor, ceiling) = roomiest(low, high, slices)?;
            let (floor, ceiling) = (area.y.at(floor), area.y.at(ceiling));
            let x = area.x.at(frame.time(from) + frame.width * slices as f64 / 2.0);
            let at = (x, (floor + ceiling) / 2.0 + font * 0.34);
            (floor - ceiling >= font + 3.0).then(|| (at, text.clone(), layer.class.clone()))
        });
        match fitting {
            Some(label) => inside.push(label),
            None => ends.push(EndLabel {
                y: area
                    .y
                    .at((low.last().unwrap_or(&0.0) + high.last().unwrap_or(&0.0)) / 2.0),
                text: layer.label.clone(),
                class: layer.class.clone(),
            }),
        }
    }
    (inside, ends)
}

fn draw_labels(svg: &mut Svg, frame: &TimeFrame<'_>, area: &Area, layers: &[Layer], edges: &[Vec<f64>]) {
    let font = frame.size.font();
    let (bottom, top) = area.y.range();
    let (inside, mut ends) = place_labels(frame, area, layers, edges);
    for (at, text, class) in inside {
        svg.text(&format!("label in {class}"), at, Anchor::Middle, &text);
    }
    spread(&mut ends, font + 2.0, top, bottom);
    for label in ends {
        let at = (area.x.range().1 + 7.0, label.y + font * 0.34);
        svg.text(&format!("label {}", label.class), at, Anchor::Start, &label.text);
    }
}

/// A window of so many slices in which the gap between both edges is wide: its start, the highest value of the lower
/// edge and the lowest of the upper one. Of those nearly as wide as the widest the one nearest to the middle.
fn roomiest(low: &[f64], high: &[f64], slices: usize) -> Option<(usize, f64, f64)> {
    let slices = slices.max(1);
    let windows: Vec<(f64, f64)> = low
        .windows(slices)
        .zip(high.windows(slices))
        .map(|(low, high)| {
            let floor = low.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            (floor, high.iter().copied().fold(f64::INFINITY, f64::min))
        })
        .collect();
    let room = |window: &(f64, f64)| window.1 - window.0;
    let widest = windows.iter().map(room).reduce(f64::max)?;
    let centre = windows.len().saturating_sub(1) / 2;
    let wide_enough = |(_, window): &(usize, &(f64, f64))| room(window) >= 0.85 * widest;
    let (from, window) = windows
        .iter()
        .enumerate()
        .filter(wide_enough)
        .min_by_key(|(from, _)| from.abs_diff(centre))?;
    Some((from, window.0, window.1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_goes_where_its_layer_is_thick() {
        let low = [0.0; 8];
        let high = [1.0, 1.0, 9.0, 8.0, 9.0, 1.0, 1.0, 1.0];
        assert_eq!(roomiest(&low, &high, 3), Some((2, 0.0, 8.0)));
        assert_eq!(roomiest(&low, &[5.0; 8], 2), Some((3, 0.0, 5.0)));
        assert_eq!(roomiest(&low, &high, 9), None);
    }
}
