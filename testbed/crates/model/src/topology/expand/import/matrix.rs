//! A table of round-trip times between sites, as a full mesh.
//!
//! The first row names the sites (its first cell is ignored), each further row begins with the name of its site. A value
//! is a round trip, plain in milliseconds or with a unit; half of it is the delay of each direction. Where row A, column
//! B and row B, column A differ, the first gives the direction from A to B and the second the one back; where one of the
//! two is empty, the other counts for both. Two empty cells are no link. The diagonal is ignored.

use std::collections::HashMap;
use std::time::Duration;

use super::super::{Made, link, node, too_many};
use super::names::Names;
use crate::document::build;
use crate::document::count::LIMIT;
use crate::document::table::{Cell, rows};
use crate::document::tree::{Span, Tree};
use crate::error::{Fault, Problem};
use crate::topology::file::KindFile;
use crate::units::TimeSpan;

/// A value and its place.
type Value = Option<(Duration, Span)>;

pub(super) fn read(
    text: &str,
    source: u32,
    kind: KindFile,
    keys: Option<&Tree>,
    made: &mut Made,
) -> Result<(), Problem> {
    let mut rows = rows(text, source);
    let heading = rows.next().transpose()?.unwrap_or_default();
    let sites = heading.get(1..).unwrap_or_default();
    if sites.len() < 2 {
        let span = heading.first().map_or(
            Span {
                source,
                ..Span::default()
            },
            |cell| cell.span,
        );
        return Err(Problem::new(Fault::NoSites, span)
            .label("the first row must name the sites")
            .help("like `site,rome,paris` over `rome,0,28` and `paris,28,0`"));
    }
    if (sites.len() * (sites.len() - 1) / 2) as u64 > LIMIT {
        return Err(too_many(sites[0].span));
    }
    let mut places: HashMap<&str, usize> = HashMap::new();
    for (place, site) in sites.iter().enumerate() {
        if let Some(before) = places.insert(&site.text, place) {
            return Err(twice(site, sites[before].span));
        }
    }
    let mut table: Vec<Option<(Vec<Value>, Span)>> = vec![None; sites.len()];
    for row in rows {
        let row = row?;
        let (place, values) = values(&row, sites, &places)?;
        let span = row[0].span;
        if let Some((_, before)) = table[place].replace((values, span)) {
            return Err(twice(&row[0], before));
        }
    }
    let mut names = Names::default();
    let names: Vec<String> = sites.iter().map(|site| names.name(&site.text)).collect();
    for (name, site) in names.iter().zip(sites) {
        let mut entries = node(kind, false, site.span);
        if *name != site.text {
            entries.push((
                "labels",
                build::map(vec![("name", build::text(&*site.text, site.span))], site.span),
            ));
        }
        made.nodes
            .push((build::key(name, site.span), build::map(entries, site.span)));
    }
    let value = |from: usize, to: usize| {
        table[from]
            .as_ref()
            .and_then(|(values, _)| values.get(to).copied().flatten())
    };
    for one in 0..sites.len() {
        for other in one + 1..sites.len() {
            let (there, back) = (value(one, other), value(other, one));
            let (Some((there, span)), Some((back, _))) = (there.or(back), back.or(there)) else {
                continue;
            };
            made.links.push(link(
                [&names[one], &names[other]],
                delays(there, back, span),
                keys,
                span,
            ));
        }
    }
    Ok(())
}

fn delays(there: Duration, back: Duration, span: Span) -> Vec<(&'static str, Tree)> {
    let delay = |round_trip: Duration| ("delay", build::text(TimeSpan(round_trip / 2).to_string(), span));
    if there == back {
        return vec![delay(there)];
    }
    vec![
        ("forward", build::map(vec![delay(there)], span)),
        ("backward", build::map(vec![delay(back)], span)),
    ]
}

fn values(
    row: &[Cell<'_>],
    sites: &[Cell<'_>],
    places: &HashMap<&str, usize>,
) -> Result<(usize, Vec<Value>), Problem> {
    let name = &row[0];
    let Some(place) = places.get(&*name.text) else {
        let fault = Fault::UnknownSite {
            name: name.text.to_string(),
        };
        return Err(Problem::new(fault, name.span)
            .label("the first row has no such site")
            .suggest(&name.text, places.keys().copied()));
    };
    if let Some(extra) = row.get(sites.len() + 1) {
        let fault = Fault::WrongCellCount {
            found: row.len(),
            expected: sites.len() + 1,
        };
        return Err(Problem::new(fault, extra.span).label("has no heading"));
    }
    let values = row[1..].iter().enumerate().map(|(column, cell)| {
        if column == *place || cell.text.is_empty() || &*cell.text == "-" {
            return Ok(None);
        }
        let text = if cell.text.ends_with(|letter: char| letter.is_ascii_digit()) {
            format!("{}ms", cell.text)
        } else {
            cell.text.to_string()
        };
        let parsed: Result<TimeSpan, _> = text.parse();
        parsed.map(|time| Some((time.0, cell.span))).map_err(|error| {
            let fault = Fault::Value {
                message: error.to_string(),
            };
            let problem =
                Problem::new(fault, cell.span).label("a round trip, in milliseconds or with a unit");
            match error.help() {
                Some(help) => problem.help(help),
                None => problem,
            }
        })
    });
    Ok((*place, values.collect::<Result<Vec<Value>, Problem>>()?))
}

fn twice(cell: &Cell<'_>, before: Span) -> Problem {
    let fault = Fault::DuplicateNode {
        name: cell.text.to_string(),
    };
    Problem::new(fault, cell.span)
        .label("again here")
        .also(before, "first here")
}
