use super::scale::Scale;
use crate::run::Event;

/// How large a figure is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Size {
    /// Full width of the page.
    Wide,
    /// A phone.
    Narrow,
    /// One of many beside each other.
    Small,
}

impl Size {
    /// Width and height in pixels.
    pub(super) fn extent(self) -> (f64, f64) {
        match self {
            Size::Wide => (1000.0, 360.0),
            Size::Narrow => (380.0, 300.0),
            Size::Small => (320.0, 190.0),
        }
    }

    /// Size of ordinary text in pixels.
    pub(super) fn font(self) -> f64 {
        match self {
            Size::Wide => 13.0,
            Size::Narrow => 12.0,
            Size::Small => 11.0,
        }
    }

    /// A name, cut to what fits beside a figure.
    pub(super) fn label(self, name: &str) -> String {
        let letters = match self {
            Size::Wide => 26,
            Size::Narrow => 13,
            Size::Small => 11,
        };
        super::svg::shorten(name, letters)
    }

    /// Most marks on a horizontal axis.
    pub(super) fn marks(self) -> usize {
        match self {
            Size::Wide => 13,
            Size::Narrow => 6,
            Size::Small => 5,
        }
    }

    /// Most slices of time worth drawing.
    pub(crate) fn slices(self) -> usize {
        match self {
            Size::Wide => 600,
            Size::Narrow => 200,
            Size::Small => 120,
        }
    }

    /// For identifiers in the page.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Size::Wide => "wide",
            Size::Narrow => "narrow",
            Size::Small => "small",
        }
    }
}

/// What all figures over time share.
#[derive(Debug, Clone)]
pub(crate) struct TimeFrame<'a> {
    /// Unique in the page.
    pub(crate) id: String,
    /// One line for screen readers.
    pub(crate) title: String,
    /// What the figure shows, for screen readers.
    pub(crate) description: String,
    /// What the vertical axis shows, with its unit.
    pub(crate) axis: &'a str,
    /// How large it is drawn.
    pub(crate) size: Size,
    /// Start of the first slice, seconds.
    pub(crate) start: f64,
    /// Width of a slice, seconds.
    pub(crate) width: f64,
    /// Number of slices.
    pub(crate) count: usize,
    /// Length of the strategy's period, seconds.
    pub(crate) period: Option<f64>,
    /// What was done to the lab.
    pub(crate) events: &'a [Event],
    /// The vertical axis reaches at least this value, so that figures beside each other can be compared.
    pub(crate) least_top: f64,
}

impl TimeFrame<'_> {
    pub(super) fn end(&self) -> f64 {
        self.start + self.width * self.count as f64
    }

    /// Start of slice `index` in seconds.
    pub(super) fn time(&self, index: usize) -> f64 {
        self.start + self.width * index as f64
    }

    /// Width of the right margin that holds these labels.
    pub(super) fn label_margin(&self, labels: impl Iterator<Item = String>) -> f64 {
        let widest = labels
            .map(|label| super::svg::text_width(&label, self.size.font()))
            .fold(0.0, f64::max);
        (widest + 14.0).min(self.size.extent().0 * 0.3)
    }

    /// The drawing area for a right margin: both scales.
    pub(super) fn area(&self, right_margin: f64, domain: (f64, f64), logarithmic: bool) -> Area {
        let (width, height) = self.size.extent();
        let rows = self.event_marks().iter().filter_map(|mark| mark.row).max();
        let lanes = if self.size == Size::Small {
            0
        } else {
            rows.map_or(0, |row| row + 1)
        };
        let top = 2.0 * self.size.font() + 8.0 + lanes as f64 * (self.size.font() + 3.0);
        let bottom = height - 2.0 * self.size.font() - if self.size == Size::Small { 2.0 } else { 12.0 };
        let left = self.size.font() * 3.1;
        let right = width - right_margin.max(12.0);
        Area {
            x: Scale::linear((self.start, self.end()), (left, right)),
            y: if logarithmic {
                Scale::logarithmic(domain, (bottom, top))
            } else {
                Scale::linear(domain, (bottom, top))
            },
        }
    }

    /// Names of events, in as few rows as they fit into beside each other.
    pub(super) fn event_marks(&self) -> Vec<EventMark> {
        let (width, _) = self.size.extent();
        let scale = Scale::linear((self.start, self.end()), (self.size.font() * 3.1, width - 50.0));
        let mut marks: Vec<EventMark> = Vec::new();
        let mut boxes: Vec<(usize, f64, f64)> = Vec::new();
        let inside = |event: &&Event| event.at >= self.start && event.at <= self.end();
        for event in self.events.iter().filter(inside) {
            let text = event_text(event, self.size);
            let length = super::svg::text_width(&text, self.size.font() - 1.0) + 12.0;
            let x = scale.at(event.at);
            let before = x + length > width;
            let (from, to) = if before { (x - length, x) } else { (x, x + length) };
            let free = |row: &usize| {
                boxes
                    .iter()
                    .all(|(other, start, end)| other != row || *end <= from || *start >= to)
            };
            let row = (0..EVENT_ROWS).find(free);
            boxes.push((row.unwrap_or(EVENT_ROWS), from, to));
            marks.push(EventMark {
                at: event.at,
                text,
                row,
                before,
            });
        }
        marks
    }
}

/// Rows for names of events; an event that does not fit has a mark without a name.
const EVENT_ROWS: usize = 4;

/// Where an event's name goes.
pub(super) struct EventMark {
    pub(super) at: f64,
    pub(super) text: String,
    /// Row from the bottom; none when there is no room.
    pub(super) row: Option<usize>,
    /// The name ends at the mark instead of starting there.
    pub(super) before: bool,
}

/// What is written beside an event's mark.
fn event_text(event: &Event, size: Size) -> String {
    super::svg::shorten(&event.text, if size == Size::Wide { 48 } else { 26 })
}

/// The drawing area of a figure.
#[derive(Debug, Clone, Copy)]
pub(super) struct Area {
    pub(super) x: Scale,
    pub(super) y: Scale,
}
