use super::scale::{plain, time_ticks};
use super::svg::{Anchor, Svg};
use super::time::{Area, Size, TimeFrame};

/// Most recalc periods that are shaded; more would be a grey haze.
const SHADED_PERIODS: f64 = 60.0;

/// Draws shading of periods, grid, both axes and marks of events.
pub(super) fn draw(svg: &mut Svg, frame: &TimeFrame<'_>, area: &Area, y_ticks: &[f64]) {
    shade_periods(svg, frame, area);
    let font = frame.size.font();
    let (left, right) = area.x.range();
    let (bottom, top) = area.y.range();
    let base = area.y.domain().0;
    for tick in y_ticks {
        let y = area.y.at(*tick);
        svg.line(if *tick == base { "axis" } else { "grid" }, (left, y), (right, y));
        svg.text("tick", (left - 7.0, y + font * 0.34), Anchor::End, &plain(*tick));
    }
    let time = time_ticks(frame.start, frame.end(), frame.size.marks());
    for (seconds, text) in &time.ticks {
        let x = area.x.at(*seconds);
        svg.line("axis", (x, bottom), (x, bottom + 4.0));
        svg.text("tick", (x, bottom + font + 6.0), Anchor::Middle, text);
    }
    let axis_y = if frame.size == Size::Small {
        12.0
    } else {
        font + 2.0
    };
    svg.text("name", (2.0, axis_y), Anchor::Start, frame.axis);
    if frame.size == Size::Small {
        svg.text(
            "name",
            (right, axis_y),
            Anchor::End,
            &format!("time, {}", time.unit),
        );
    } else {
        let name = format!("time since start, {}", time.unit);
        svg.text("name", (right, bottom + 2.0 * font + 9.0), Anchor::End, &name);
        draw_events(svg, frame, area, top);
    }
}

/// Every second period is shaded.
fn shade_periods(svg: &mut Svg, frame: &TimeFrame<'_>, area: &Area) {
    let Some(period) = frame
        .period
        .filter(|period| (frame.end() - frame.start) / period <= SHADED_PERIODS)
    else {
        return;
    };
    let (bottom, top) = area.y.range();
    let first = (frame.start / period).floor() as i64;
    let last = (frame.end() / period).ceil() as i64;
    for index in (first..last).filter(|index| index.rem_euclid(2) == 1) {
        let from = area.x.at(index as f64 * period);
        let to = area.x.at((index + 1) as f64 * period);
        svg.rect("period", (from, top), (to - from, bottom - top), 0.0);
    }
}

fn draw_events(svg: &mut Svg, frame: &TimeFrame<'_>, area: &Area, top: f64) {
    let font = frame.size.font();
    let (bottom, _) = area.y.range();
    let marks = frame.event_marks();
    let y = |row: usize| top - 5.0 - row as f64 * (font + 3.0);
    for mark in &marks {
        let x = area.x.at(mark.at);
        let from = mark.row.map_or(top, |row| y(row) - font * 0.8);
        svg.line("event", (x, from), (x, bottom));
    }
    // After all marks, so that none runs through a name.
    for mark in &marks {
        if let Some(row) = mark.row {
            let (anchor, offset) = if mark.before {
                (Anchor::End, -4.0)
            } else {
                (Anchor::Start, 4.0)
            };
            svg.text("mark", (area.x.at(mark.at) + offset, y(row)), anchor, &mark.text);
        }
    }
}
