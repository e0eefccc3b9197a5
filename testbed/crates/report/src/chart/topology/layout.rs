use crate::files::Lab;

/// Where a node is drawn: centre and size.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Place {
    pub(super) x: f64,
    pub(super) y: f64,
    pub(super) width: f64,
    pub(super) height: f64,
}

/// Space below a row whose links have labels.
const LABELLED_GAP: f64 = 104.0;
/// Space below a row whose links have none.
const PLAIN_GAP: f64 = 52.0;

/// Positions of all nodes in the order of the lab.
pub(super) struct Layout {
    pub(super) places: Vec<Place>,
    pub(super) height: f64,
    circular: bool,
}

/// Switches and routers stand between the others.
pub(super) fn is_hub(kind: &str) -> bool {
    kind == "switch" || kind == "router"
}

/// Rows for labs whose links run through switches or routers (users above, nodes below), else a circle.
pub(super) fn arrange(lab: &Lab, width: f64, dots: bool) -> Layout {
    let kind = |name: &str| {
        let node = lab.nodes.iter().find(|node| node.name == name);
        node.map_or("", |node| node.kind.as_str())
    };
    let through_hubs = lab.links.iter().all(|link| {
        link.endpoints
            .iter()
            .any(|end| is_hub(kind(&end.node)) || kind(&end.node) == "client")
    });
    let rows = rows(lab);
    let hubs_in_line = rows.get(1).is_none_or(|hubs| hubs.len() <= 1) || !hub_to_hub(lab, &kind);
    let longest = rows.iter().map(Vec::len).max().unwrap_or(0);
    if through_hubs && hubs_in_line && !dots && longest <= row_capacity(width) {
        in_rows(lab, &rows, width)
    } else {
        in_circle(lab, width, dots)
    }
}

/// How many cards stand beside each other.
fn row_capacity(width: f64) -> usize {
    ((width + 12.0) / 112.0).max(2.0) as usize
}

fn hub_to_hub<'a>(lab: &'a Lab, kind: &impl Fn(&str) -> &'a str) -> bool {
    lab.links
        .iter()
        .any(|link| link.endpoints.iter().all(|end| is_hub(kind(&end.node))))
}

/// Indexes of clients, of switches and routers, and of all others.
fn rows(lab: &Lab) -> [Vec<usize>; 3] {
    let mut rows: [Vec<usize>; 3] = Default::default();
    for (index, node) in lab.nodes.iter().enumerate() {
        let row = match node.kind.as_str() {
            "client" => 0,
            kind if is_hub(kind) => 1,
            _ => 2,
        };
        rows[row].push(index);
    }
    rows
}

/// Height of a card with its largest number of lines of text.
fn card_height(lab: &Lab, hub: bool) -> f64 {
    let functions = lab.nodes.iter().any(|node| !node.functions.is_empty());
    match (hub, functions) {
        (true, _) => 44.0,
        (false, true) => 78.0,
        (false, false) => 48.0,
    }
}

fn in_rows(lab: &Lab, rows: &[Vec<usize>; 3], width: f64) -> Layout {
    let mut places = vec![Place::default(); lab.nodes.len()];
    let used = rows.iter().filter(|row| !row.is_empty());
    let mut gap = 0.0;
    let mut y = 8.0;
    for row in used {
        let hub = row
            .iter()
            .any(|index| lab.nodes.get(*index).is_some_and(|node| is_hub(&node.kind)));
        let clients = row
            .iter()
            .all(|index| lab.nodes.get(*index).is_some_and(|node| node.kind == "client"));
        let height = if clients { 48.0 } else { card_height(lab, hub) };
        let pitch = (width / row.len() as f64).min(300.0);
        let card = (pitch - 14.0).min(if hub { 110.0 } else { 176.0 });
        let left = (width - pitch * row.len() as f64) / 2.0;
        for (position, index) in row.iter().enumerate() {
            if let Some(place) = places.get_mut(*index) {
                *place = Place {
                    x: left + pitch * (position as f64 + 0.5),
                    y: y + height / 2.0,
                    width: card,
                    height,
                };
            }
        }
        gap = if links_say_something(lab, row) {
            LABELLED_GAP
        } else {
            PLAIN_GAP
        };
        y += height + gap;
    }
    Layout {
        places,
        height: (y - gap + 8.0).max(40.0),
        circular: false,
    }
}

/// True when a link between this row and one below it has a label.
fn links_say_something(lab: &Lab, row: &[usize]) -> bool {
    let row: Vec<&str> = row
        .iter()
        .filter_map(|index| lab.nodes.get(*index))
        .map(|node| node.name.as_str())
        .collect();
    let is_client = |name: &str| {
        lab.nodes
            .iter()
            .any(|node| node.name == name && node.kind == "client")
    };
    let clients_above = row.iter().all(|name| is_client(name));
    lab.links.iter().any(|link| {
        let [a, b] = [&link.endpoints[0].node, &link.endpoints[1].node];
        let leads_up = !clients_above && (is_client(a) || is_client(b));
        let touches = row.contains(&a.as_str()) || row.contains(&b.as_str());
        touches && !leads_up && !(link.forward.is_empty() && link.backward.is_empty())
    })
}

fn in_circle(lab: &Lab, width: f64, dots: bool) -> Layout {
    let count = lab.nodes.len();
    let hubs: Vec<usize> = rows(lab)[1].clone();
    // A single switch belongs in the middle.
    let centre = if hubs.len() == 1 && count > 2 {
        hubs.first().copied()
    } else {
        None
    };
    let around = count - usize::from(centre.is_some());
    let card = if dots {
        10.0
    } else {
        (width / 5.5).clamp(72.0, 150.0)
    };
    let height = if dots { 10.0 } else { card_height(lab, false) };
    let radius_x = (width - card) / 2.0 - 8.0;
    let radius_y = if dots {
        radius_x.min(260.0)
    } else {
        (around as f64 * (height + 26.0) / 4.0).clamp(110.0, radius_x.max(110.0))
    };
    let middle = (width / 2.0, radius_y + height / 2.0 + 8.0);
    let mut position = 0;
    let places = (0..count)
        .map(|index| {
            let small = lab.nodes.get(index).is_some_and(|node| is_hub(&node.kind)) && !dots;
            let (width, height) = if small {
                (card.min(110.0), 44.0)
            } else {
                (card, height)
            };
            if Some(index) == centre {
                return Place {
                    x: middle.0,
                    y: middle.1,
                    width,
                    height,
                };
            }
            let angle = std::f64::consts::TAU * (f64::from(position) / around.max(1) as f64 - 0.25);
            position += 1;
            Place {
                x: middle.0 + radius_x * angle.cos(),
                y: middle.1 + radius_y * angle.sin(),
                width,
                height,
            }
        })
        .collect();
    Layout {
        places,
        height: 2.0 * (radius_y + height / 2.0) + 16.0,
        circular: true,
    }
}

impl Layout {
    /// Control point of a link's curve: straight, except that parallel links bow apart and long chords of a circle
    /// bow a little towards its middle.
    pub(super) fn bend(&self, lab: &Lab, index: usize, a: &Place, b: &Place) -> (f64, f64) {
        let middle = ((a.x + b.x) / 2.0, (a.y + b.y) / 2.0);
        let ends = |index: usize| {
            let link = lab.links.get(index)?;
            let mut names = [link.endpoints[0].node.as_str(), link.endpoints[1].node.as_str()];
            names.sort_unstable();
            Some(names)
        };
        let rank = (0..index).filter(|other| ends(*other) == ends(index)).count();
        let (dx, dy) = (b.x - a.x, b.y - a.y);
        let length = dx.hypot(dy).max(1.0);
        let mut sideways = match rank {
            0 => 0.0,
            rank => 46.0 * rank.div_ceil(2) as f64 * if rank % 2 == 1 { 1.0 } else { -1.0 },
        };
        // In a row, a link would run through the cards between its ends.
        if !self.circular && dy.abs() < 1.0 && dx.abs() > a.width * 1.8 {
            sideways += 70.0;
        }
        (
            middle.0 - dy / length * sideways,
            middle.1 + dx / length * sideways,
        )
    }

    /// Point at `share` (0 to 1) of a link's curve.
    pub(super) fn on_link(&self, a: &Place, b: &Place, control: (f64, f64), share: f64) -> (f64, f64) {
        let rest = 1.0 - share;
        let at =
            |from: f64, by: f64, to: f64| rest * rest * from + 2.0 * rest * share * by + share * share * to;
        (at(a.x, control.0, b.x), at(a.y, control.1, b.y))
    }

    /// The part of a link's curve that no card of its two ends hides, as shares.
    pub(super) fn visible(&self, a: &Place, b: &Place, control: (f64, f64)) -> (f64, f64) {
        const SAMPLES: u32 = 60;
        let outside = |share: &f64| {
            let (x, y) = self.on_link(a, b, control, *share);
            let apart = |place: &Place| {
                (place.x - x).abs() > place.width / 2.0 || (place.y - y).abs() > place.height / 2.0
            };
            apart(a) && apart(b)
        };
        let shares = || (0..=SAMPLES).map(|index| f64::from(index) / f64::from(SAMPLES));
        let first = shares().find(outside);
        let last = shares().rev().find(outside);
        first.zip(last).unwrap_or((0.0, 1.0))
    }

    /// True when a text of this size around a point touches no card.
    pub(super) fn clear_of_cards(&self, x: f64, y: f64, width: f64, height: f64) -> bool {
        self.places.iter().all(|place| {
            (place.x - x).abs() > (place.width + width) / 2.0
                || (place.y - y).abs() > (place.height + height) / 2.0
        })
    }
}
