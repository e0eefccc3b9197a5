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
    pub(super) fn label_margin<'t>(&self, labels: impl Iterator<Item = &'t str>) -> f64 {
        let widest = labels
            .map(|label| super::svg::text_width(label, self.size.font()))
            .fold(0.0, f64::max);
        (widest + 14.0).min(self.size.extent().0 * 0.3)
    }

    /// The drawing area for a right margin: both scales.
    pub(super) fn area(&self, right_margin: f64, domain: (f64, f64), logarithmic: bool) -> Area {
        let (width, height) = self.size.extent();
        let lanes = if self.size == Size::Small {
            0
        } else {
            self.event_lanes().len().min(4)
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

    /// Events in as few rows as their texts fit into: for each row the indexes of its events.
    pub(super) fn event_lanes(&self) -> Vec<Vec<usize>> {
        let (width, _) = self.size.extent();
        let scale = Scale::linear((self.start, self.end()), (40.0, width - 60.0));
        let mut lanes: Vec<(f64, Vec<usize>)> = Vec::new();
        for (index, event) in self.events.iter().enumerate() {
            let x = scale.at(event.at);
            let end =
                x + super::svg::text_width(&event_text(event, self.size), self.size.font() - 1.0) + 14.0;
            match lanes.iter_mut().find(|lane| lane.0 <= x) {
                Some(lane) => {
                    lane.0 = end;
                    lane.1.push(index);
                }
                None => lanes.push((end, vec![index])),
            }
        }
        lanes.into_iter().map(|lane| lane.1).collect()
    }
}

/// What is written beside an event's mark.
pub(super) fn event_text(event: &Event, size: Size) -> String {
    super::svg::shorten(&event.text, if size == Size::Wide { 48 } else { 26 })
}

/// The drawing area of a figure.
#[derive(Debug, Clone, Copy)]
pub(super) struct Area {
    pub(super) x: Scale,
    pub(super) y: Scale,
}
