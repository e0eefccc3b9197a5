//! Which figures a cell gets and what is said about them.

mod latency;
mod lines;
mod picture;
mod stack;

pub(super) use latency::{distributions, latency};
pub(super) use lines::{multiples, responses};
pub(super) use picture::topologies;
pub(super) use stack::forwarding;

use super::Figure;
use crate::chart::{Palette, Size, TimeFrame};
use crate::measure::{Bins, Traffic};
use crate::run::{Cell, Event, Run};

/// Limits that keep the page below 2 MB whatever the size of the matrix.
#[derive(Debug, Clone, Copy)]
pub(super) struct Budget {
    /// Slices of time per figure.
    slices: usize,
    /// Small figures per cell.
    multiples: usize,
}

/// Slices of all figures of a page together; with the usual six lines each costs about a hundred bytes.
const ALL_SLICES: usize = 9000;
/// Small figures of a page; each costs a few kilobytes.
const ALL_MULTIPLES: usize = 60;

impl Budget {
    pub(super) fn of(run: &Run) -> Budget {
        let cells = run.cells.len().max(1);
        Budget {
            // Three figures over time per cell in two sizes.
            slices: (ALL_SLICES / (cells * 6)).clamp(40, Size::Wide.slices()),
            multiples: ALL_MULTIPLES / cells,
        }
    }
}

/// What the figures of one cell are drawn from.
pub(super) struct Context<'a> {
    pub(super) run: &'a Run,
    pub(super) cell: &'a Cell,
    pub(super) palette: &'a Palette,
    pub(super) budget: Budget,
    pub(super) anchor: String,
    pub(super) traffics: &'a [&'a Traffic],
}

impl Context<'_> {
    fn bins(&self, size: Size) -> Option<Bins> {
        Bins::covering(self.traffics, self.budget.slices.min(size.slices()))
    }

    fn frame<'a>(&'a self, name: &str, size: Size, bins: Bins, axis: &'a str) -> TimeFrame<'a> {
        let events: &[Event] = &self.cell.events;
        TimeFrame {
            id: format!("{}-{name}-{}", self.anchor, size.name()),
            title: String::new(),
            description: String::new(),
            axis,
            size,
            start: bins.start as f64,
            width: bins.width as f64,
            count: bins.count,
            period: self.cell.recalc_period,
            events,
            least_top: 0.0,
        }
    }

    /// `mean of 3 repetitions`, and how wide a slice is when it is not a second.
    fn averaging(&self, bins: Bins) -> String {
        let mut parts = Vec::new();
        let repetitions = self
            .traffics
            .iter()
            .filter(|traffic| traffic.extent().is_some())
            .count();
        if repetitions > 1 {
            parts.push(format!("Mean of {repetitions} repetitions."));
        }
        if bins.width > 1 {
            parts.push(format!("Each step is the mean over {} s.", bins.width));
        }
        parts.join(" ")
    }
}

/// Draws the same figure for a wide page and for a phone.
fn both(caption: String, draw: impl Fn(Size) -> Option<String>) -> Option<Figure> {
    Some(Figure {
        wide: draw(Size::Wide)?,
        narrow: draw(Size::Narrow)?,
        caption,
    })
}

fn join_sentences(sentences: &[String]) -> String {
    let said: Vec<&str> = sentences
        .iter()
        .map(String::as_str)
        .filter(|text| !text.is_empty())
        .collect();
    said.join(" ")
}
