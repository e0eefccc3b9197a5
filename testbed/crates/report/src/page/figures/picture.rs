use std::collections::BTreeMap;

use super::{Figure, both};
use crate::chart::{NodeMark, Palette, topology};
use crate::measure::{Traffic, node_totals};
use crate::run::{Outcome, Run};

/// Most different topologies that are drawn.
const PICTURES: usize = 6;

/// The lab of each cell, once when they are all alike.
pub(in crate::page) fn topologies(run: &Run, palette: &Palette) -> Vec<Figure> {
    let mut figures: Vec<Figure> = Vec::new();
    let mut drawn: Vec<String> = Vec::new();
    for (index, cell) in run.cells.iter().enumerate() {
        let Some(lab) = cell
            .repetitions
            .iter()
            .find_map(|repetition| repetition.lab.as_ref())
        else {
            continue;
        };
        // What makes a picture differ is its nodes and links, not the lab's name or process ids.
        let content = format!("{:?}{:?}", lab.nodes, lab.links);
        if drawn.contains(&content) || figures.len() == PICTURES {
            continue;
        }
        drawn.push(content);
        let marks = if run.cells.len() == 1 {
            marks(run, palette)
        } else {
            BTreeMap::new()
        };
        let caption = if figures.is_empty() {
            String::new()
        } else {
            super::super::cell::heading(run, index)
        };
        figures.extend(both(caption, |size| {
            Some(topology(
                &format!("topology-{}-{}", index + 1, size.name()),
                size,
                lab,
                &marks,
            ))
        }));
    }
    figures
}

fn marks(run: &Run, palette: &Palette) -> BTreeMap<String, NodeMark> {
    let traffics: Vec<&Traffic> = run
        .cells
        .iter()
        .flat_map(|cell| &cell.repetitions)
        .map(|repetition| &repetition.traffic)
        .collect();
    let mut marks: BTreeMap<String, NodeMark> = BTreeMap::new();
    for node in node_totals(&run.names, &traffics)
        .into_iter()
        .filter(|node| node.served > 0)
    {
        let mark = marks.entry(node.node).or_default();
        mark.note = format!("served {:.0} %", node.share * 100.0);
    }
    for id in run.names.ordered() {
        if let Outcome::Served(node) = run.names.outcome(id) {
            marks.entry(node.clone()).or_default().class = Some(palette.class(&run.names, id));
        }
    }
    marks
}
