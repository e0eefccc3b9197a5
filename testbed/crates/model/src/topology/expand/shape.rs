//! `generate:`: regular shapes, and random ones from the seed.

use std::collections::HashSet;

use super::{Made, link, node, too_many};
use crate::document::build;
use crate::document::count::{LIMIT, substitute};
use crate::document::tree::{Span, Tree};
use crate::error::{Fault, Problem, Problems};
use crate::scenario::seed::mix;
use crate::topology::file::{GenerateFile, KindFile, ShapeFile};

/// Children of a node of a tree, unless the file says otherwise.
const FANOUT: u32 = 2;

pub(super) fn make(
    file: &GenerateFile,
    keys: Option<&Tree>,
    seed: u64,
    made: &mut Made,
    problems: &mut Problems,
) {
    let Some(pairs) = problems.keep(pairs(file, seed)) else {
        return;
    };
    let span = file.count.span;
    let kind = file.kind.as_ref().map_or(KindFile::Host, |kind| kind.value);
    let Some(names) = problems.keep(names(file, kind)) else {
        return;
    };
    let passes = !matches!(file.shape.value, ShapeFile::Star | ShapeFile::Mesh);
    for name in &names {
        let entries = node(kind, passes, span);
        made.nodes
            .push((build::key(name, span), build::map(entries, span)));
    }
    if file.shape.value == ShapeFile::Star {
        let hub = "s1";
        made.nodes.push((
            build::key(hub, span),
            build::map(node(KindFile::Switch, true, span), span),
        ));
        made.links
            .extend(names.iter().map(|name| link([name, hub], Vec::new(), keys, span)));
    }
    for (first, second) in pairs {
        if let (Some(first), Some(second)) = (names.get(first as usize), names.get(second as usize)) {
            made.links.push(link([first, second], Vec::new(), keys, span));
        }
    }
}

fn names(file: &GenerateFile, kind: KindFile) -> Result<Vec<String>, Problem> {
    let pattern = match &file.name {
        Some(name) if !name.value.contains("{i") => {
            let fault = Fault::CountWithoutIndex {
                name: name.value.clone(),
            };
            return Err(Problem::new(fault, name.span).label("must contain `{i}`"));
        }
        Some(name) => name.value.clone(),
        None => match kind {
            KindFile::Dfaas => "n{i}".to_owned(),
            KindFile::Host => "h{i}".to_owned(),
            KindFile::Client => "c{i}".to_owned(),
            KindFile::Switch => "s{i}".to_owned(),
            KindFile::Router => "r{i}".to_owned(),
        },
    };
    Ok((1..=u64::from(file.count.value))
        .map(|index| substitute(&pattern, index))
        .collect())
}

/// The links between the nodes, which are numbered from 0; a star's are made apart.
fn pairs(file: &GenerateFile, seed: u64) -> Result<Vec<(u32, u32)>, Problem> {
    let count = file.count.value;
    let out_of_range = |what: &str, value: String, range: &str, span: Span| {
        let fault = Fault::OutOfRange {
            what: what.to_owned(),
            value,
            range: range.to_owned(),
        };
        Problem::new(fault, span).label("here")
    };
    let least = if file.shape.value == ShapeFile::Ring { 3 } else { 1 };
    if count < least {
        let range = format!("{least} or more for this shape");
        return Err(out_of_range("count", count.to_string(), &range, file.count.span));
    }
    let all = u64::from(count) * u64::from(count - 1) / 2;
    if u64::from(count) > LIMIT || (file.shape.value == ShapeFile::Mesh && all > LIMIT) {
        return Err(too_many(file.count.span));
    }
    let only_for = |span: Option<Span>, key: &str, shape: &str| match span {
        Some(span) => {
            let message = format!("`{key}` is for the shape `{shape}` only");
            Err(Problem::new(Fault::Contradiction { message }, span).label("here"))
        }
        None => Ok(()),
    };
    if file.shape.value != ShapeFile::Random {
        only_for(
            file.density.as_ref().map(|density| density.span),
            "density",
            "random",
        )?;
    }
    if file.shape.value != ShapeFile::Tree {
        only_for(file.fanout.as_ref().map(|fanout| fanout.span), "fanout", "tree")?;
    }
    Ok(match file.shape.value {
        ShapeFile::Star => Vec::new(),
        ShapeFile::Line => (1..count).map(|node| (node - 1, node)).collect(),
        ShapeFile::Ring => (0..count).map(|node| (node, (node + 1) % count)).collect(),
        ShapeFile::Mesh => (0..count)
            .flat_map(|one| (one + 1..count).map(move |other| (one, other)))
            .collect(),
        ShapeFile::Grid => grid(count),
        ShapeFile::Tree => {
            let fanout = file.fanout.as_ref().map_or(FANOUT, |fanout| fanout.value);
            if fanout == 0 {
                let span = file.fanout.as_ref().map_or(file.count.span, |fanout| fanout.span);
                return Err(out_of_range("fanout", "0".to_owned(), "1 or more", span));
            }
            (1..count).map(|node| ((node - 1) / fanout, node)).collect()
        }
        ShapeFile::Random => {
            let Some(density) = &file.density else {
                let fault = Fault::MissingKey {
                    key: "density".to_owned(),
                };
                return Err(Problem::new(fault, file.shape.span)
                    .label("a random shape needs one")
                    .help("the share of all possible links, for example `density: 0.2`"));
            };
            if !(density.value > 0.0 && density.value <= 1.0) {
                return Err(out_of_range(
                    "density",
                    density.value.to_string(),
                    "more than 0 and at most 1",
                    density.span,
                ));
            }
            let wanted = (all as f64 * density.value).round() as u64;
            if wanted.max(u64::from(count) - 1) > LIMIT {
                return Err(too_many(density.span));
            }
            random(count, wanted, seed)
        }
    })
}

/// A square, or as near to one as the number allows, filled row by row.
fn grid(count: u32) -> Vec<(u32, u32)> {
    let mut columns = count.isqrt();
    if columns * columns < count {
        columns += 1;
    }
    let mut pairs = Vec::new();
    for node in 0..count {
        if node % columns + 1 < columns && node + 1 < count {
            pairs.push((node, node + 1));
        }
        if node + columns < count {
            pairs.push((node, node + columns));
        }
    }
    pairs
}

/// `wanted` different links (or as many as hold all together): a random tree first, so that every node can reach every
/// other, then any two nodes. The numbers are those of SplitMix64 from the seed.
fn random(count: u32, wanted: u64, seed: u64) -> Vec<(u32, u32)> {
    let mut drawn = 0_u64;
    let mut below = |bound: u32| {
        drawn += 1;
        let number = mix(seed.wrapping_add(mix(drawn)));
        // The upper half of a 96-bit product: without bias that a shape of 20000 nodes could show.
        u32::try_from((u128::from(number) * u128::from(bound)) >> 64).unwrap_or(0)
    };
    let mut known = HashSet::new();
    let mut pairs: Vec<(u32, u32)> = Vec::new();
    for node in 1..count {
        let pair = (below(node), node);
        known.insert(pair);
        pairs.push(pair);
    }
    let all = u64::from(count) * u64::from(count - 1) / 2;
    if wanted * 2 > all {
        // Dense: shuffle what is missing rather than draw what is there already.
        let mut missing: Vec<(u32, u32)> = (0..count)
            .flat_map(|one| (one + 1..count).map(move |other| (one, other)))
            .filter(|pair| !known.contains(pair))
            .collect();
        while (pairs.len() as u64) < wanted && !missing.is_empty() {
            let place = below(u32::try_from(missing.len()).unwrap_or(u32::MAX));
            pairs.push(missing.swap_remove(place as usize));
        }
        return pairs;
    }
    while (pairs.len() as u64) < wanted {
        let (one, other) = (below(count), below(count));
        let pair = (one.min(other), one.max(other));
        if one != other && known.insert(pair) {
            pairs.push(pair);
        }
    }
    pairs
}
