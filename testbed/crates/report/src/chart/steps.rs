use std::fmt::Write;

use super::axes;
use super::labels::{EndLabel, plateau, spread};
use super::scale::{linear_ticks, logarithmic_ticks};
use super::svg::{Anchor, Svg, coordinate, text_width};
use super::time::{Area, Size, TimeFrame};

/// Up to this ratio of the highest to the lowest percentile a linear axis shows both.
const LINEAR_RATIO: f64 = 40.0;

/// How values become a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    /// Each value holds for its whole slice: counts and rates.
    Steps,
    /// Middles of slices are joined: percentiles.
    Points,
}

/// One line of a figure.
#[derive(Debug, Clone)]
pub(crate) struct Line {
    /// What is written beside it.
    pub(crate) label: String,
    /// Colour and dashes.
    pub(crate) class: String,
    /// One value per slice; none leaves a gap.
    pub(crate) values: Vec<Option<f64>>,
    /// Published values for it: from, to (seconds), value.
    pub(crate) published: Vec<(f64, f64, f64)>,
}

/// Draws lines over time.
pub(crate) fn steps(frame: &TimeFrame<'_>, lines: &[Line], shape: Shape) -> String {
    let (width, height) = frame.size.extent();
    let mut svg = Svg::new(&frame.id, width, height, &frame.title, &frame.description);
    let (ticks, logarithmic) = vertical_ticks(frame, lines, shape);
    let margin = frame.label_margin(lines.iter().map(|line| frame.size.label(&line.label)));
    let lowest = ticks.first().copied().unwrap_or(0.0);
    let area = frame.area(
        margin,
        (lowest, ticks.last().copied().unwrap_or(1.0)),
        logarithmic,
    );
    axes::draw(&mut svg, frame, &area, &ticks);
    for line in lines {
        for (from, to, value) in &line.published {
            let y = area.y.at(*value);
            let class = format!("published {}", line.class);
            svg.line(&class, (area.x.at(*from), y), (area.x.at(*to), y));
        }
    }
    for line in lines {
        let data = path_data(frame, &area, &line.values, shape);
        svg.path(&format!("line {}", line.class), &data, Some(&line.label));
    }
    draw_labels(&mut svg, frame, &area, lines);
    svg.finish()
}

/// Percentiles that lie far apart get a logarithmic axis; rates never do, they can be zero.
fn vertical_ticks(frame: &TimeFrame<'_>, lines: &[Line], shape: Shape) -> (Vec<f64>, bool) {
    let values = || {
        lines
            .iter()
            .flat_map(|line| line.values.iter().flatten().copied())
    };
    let published = lines
        .iter()
        .flat_map(|line| line.published.iter().map(|segment| segment.2));
    let highest = values().chain(published).fold(frame.least_top, f64::max);
    let lowest = values().fold(f64::INFINITY, f64::min);
    if shape == Shape::Points && lowest > 0.0 && highest / lowest > LINEAR_RATIO && lowest.is_finite() {
        return (logarithmic_ticks(lowest, highest), true);
    }
    (
        linear_ticks(highest, if frame.size == Size::Small { 3 } else { 5 }),
        false,
    )
}

fn path_data(frame: &TimeFrame<'_>, area: &Area, values: &[Option<f64>], shape: Shape) -> String {
    match shape {
        Shape::Steps => step_path(frame, area, values),
        Shape::Points => point_path(frame, area, values),
    }
}

/// Stretches at zero are not drawn: the line comes down to the axis and leaves it again, so that the axis stays
/// readable when many lines are at zero.
fn step_path(frame: &TimeFrame<'_>, area: &Area, values: &[Option<f64>]) -> String {
    let mut data = String::new();
    let base = coordinate(area.y.at(0.0));
    let value = |index: usize| values.get(index).copied().flatten();
    for (index, now) in values.iter().enumerate() {
        let Some(now) = now else { continue };
        let before = index.checked_sub(1).and_then(value);
        let (x, y) = (
            coordinate(area.x.at(frame.time(index))),
            coordinate(area.y.at(*now)),
        );
        // Writing to a String cannot fail.
        let _ = match before {
            Some(before) if *now == 0.0 => {
                if before > 0.0 {
                    write!(data, "V{base}")
                } else {
                    Ok(())
                }
            }
            None if *now == 0.0 => Ok(()),
            None => write!(data, "M{x} {y}"),
            Some(0.0) => write!(data, "M{x} {base}V{y}"),
            Some(before) if coordinate(area.y.at(before)) == y => Ok(()),
            Some(_) => write!(data, "V{y}"),
        };
        let same_next = value(index + 1).is_some_and(|next| next > 0.0 && coordinate(area.y.at(next)) == y);
        if *now > 0.0 && !same_next {
            let _ = write!(data, "H{}", coordinate(area.x.at(frame.time(index + 1))));
        }
    }
    data
}

fn point_path(frame: &TimeFrame<'_>, area: &Area, values: &[Option<f64>]) -> String {
    let mut data = String::new();
    let mut connected = false;
    for (index, value) in values.iter().enumerate() {
        let Some(value) = value else {
            connected = false;
            continue;
        };
        let x = coordinate(area.x.at(frame.start + frame.width * (index as f64 + 0.5)));
        let y = coordinate(area.y.at(*value));
        let alone = !connected && values.get(index + 1).copied().flatten().is_none();
        // A line of no length with round ends is a dot.
        let dot = if alone { "h0" } else { "" };
        let _ = write!(data, "{}{x} {y}{dot}", if connected { "L" } else { "M" });
        connected = true;
    }
    data
}

/// A line that is on at the end is named there; one that ended before is named above its longest high stretch.
fn draw_labels(svg: &mut Svg, frame: &TimeFrame<'_>, area: &Area, lines: &[Line]) {
    let font = frame.size.font();
    let (left, right) = area.x.range();
    let (bottom, top) = area.y.range();
    let mut ends = Vec::new();
    let mut taken: Vec<(f64, f64, f64)> = Vec::new();
    for line in lines {
        let tail = line.values.len().saturating_sub((line.values.len() / 20).max(1));
        let last: Vec<f64> = line.values.iter().skip(tail).flatten().copied().collect();
        let mean = last.iter().sum::<f64>() / last.len().max(1) as f64;
        let Some((from, to, highest)) = plateau(&line.values) else {
            continue;
        };
        if mean > 0.03 * highest {
            ends.push(EndLabel {
                y: area.y.at(mean),
                text: frame.size.label(&line.label),
                class: line.class.clone(),
            });
            continue;
        }
        let text = frame.size.label(&line.label);
        let width = text_width(&text, font);
        let middle = (area.x.at(frame.time(from)) + area.x.at(frame.time(to))) / 2.0;
        let x = middle.clamp(left + width / 2.0, (right - width / 2.0).max(left + width / 2.0));
        let mut y = area.y.at(highest) - 6.0;
        while taken
            .iter()
            .any(|(tx, ty, tw)| (tx - x).abs() < (tw + width) / 2.0 && (ty - y).abs() < font)
        {
            y -= font;
        }
        taken.push((x, y, width));
        svg.text(
            &format!("label {}", line.class),
            (x, y.max(font)),
            Anchor::Middle,
            &text,
        );
    }
    spread(&mut ends, font + 2.0, top, bottom);
    for label in ends {
        let class = format!("label {}", label.class);
        svg.text(
            &class,
            (right + 7.0, label.y + font * 0.34),
            Anchor::Start,
            &label.text,
        );
    }
}
