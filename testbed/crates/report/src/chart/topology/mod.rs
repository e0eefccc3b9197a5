//! A picture of the lab: nodes and links with what the links do.

mod describe;
mod layout;

use std::collections::BTreeMap;

pub(crate) use describe::link_text;

use super::svg::{Anchor, Svg, coordinate, shorten, text_width};
use super::time::Size;
use crate::files::{Lab, Node};
use layout::{Layout, Place};

/// More nodes than this are drawn as dots without text.
const CARDS: usize = 26;

/// What the picture says about a node beyond the lab's file.
#[derive(Debug, Clone, Default)]
pub(crate) struct NodeMark {
    /// Its colour in the other figures.
    pub(crate) class: Option<String>,
    /// One more line of text, such as its measured rate.
    pub(crate) note: String,
}

/// Draws the lab. `marks` is keyed by node name.
pub(crate) fn topology(id: &str, size: Size, lab: &Lab, marks: &BTreeMap<String, NodeMark>) -> String {
    let width = size.extent().0;
    let dots = lab.nodes.len() > CARDS;
    let layout = layout::arrange(lab, width, dots);
    let description = format!(
        "{} nodes and {} links; each link is labelled with what it does to packets in one direction.",
        lab.nodes.len(),
        lab.links.len()
    );
    let title = format!("Topology of lab {}", lab.name);
    let mut svg = Svg::new(id, width, layout.height, &title, &description);
    draw_links(&mut svg, lab, &layout);
    for (node, place) in lab.nodes.iter().zip(&layout.places) {
        let mark = marks.get(&node.name);
        if dots {
            let class = mark.and_then(|mark| mark.class.as_deref()).unwrap_or("rest");
            svg.circle(&format!("dot {class}"), (place.x, place.y), 5.0);
        } else {
            draw_card(&mut svg, size, node, place, mark);
        }
    }
    if !dots {
        draw_link_labels(&mut svg, size, lab, &layout);
    }
    svg.finish()
}

fn ends<'a>(lab: &Lab, layout: &'a Layout, index: usize) -> Option<(&'a Place, &'a Place)> {
    let link = lab.links.get(index)?;
    let place = |name: &str| {
        let position = lab.nodes.iter().position(|node| node.name == name)?;
        layout.places.get(position)
    };
    Some((place(&link.endpoints[0].node)?, place(&link.endpoints[1].node)?))
}

fn draw_links(svg: &mut Svg, lab: &Lab, layout: &Layout) {
    for index in 0..lab.links.len() {
        if let Some((a, b)) = ends(lab, layout, index) {
            let (cx, cy) = layout.bend(lab, index, a, b);
            let [x1, y1, x2, y2, cx, cy] = [a.x, a.y, b.x, b.y, cx, cy].map(coordinate);
            let hint = lab.links.get(index).map(|link| link.name.clone());
            svg.path(
                "link",
                &format!("M{x1} {y1}Q{cx} {cy} {x2} {y2}"),
                hint.as_deref(),
            );
        }
    }
}

fn draw_link_labels(svg: &mut Svg, size: Size, lab: &Lab, layout: &Layout) {
    let font = size.font() - 1.0;
    // Two links that cross would otherwise write on each other.
    let mut taken: Vec<(f64, f64, f64)> = Vec::new();
    for (index, link) in lab.links.iter().enumerate() {
        let Some((a, b)) = ends(lab, layout, index) else {
            continue;
        };
        let lines = link_text(link);
        let widest = lines
            .iter()
            .map(|line| text_width(line, font))
            .fold(0.0, f64::max);
        let height = lines.len() as f64 * (font + 2.0);
        let control = layout.bend(lab, index, a, b);
        let free = |share: &f64| {
            let (x, y) = layout.on_link(a, b, control, *share);
            let apart = |(tx, ty, tw): &(f64, f64, f64)| {
                (tx - x).abs() > (tw + widest) / 2.0 || (ty - y).abs() > height
            };
            taken.iter().all(apart) && layout.clear_of_cards(x, y, widest, height)
        };
        let (from, to) = layout.visible(a, b, control);
        let tried =
            [0.5, 0.42, 0.58, 0.34, 0.66, 0.26, 0.74, 0.18, 0.82].map(|share| from + (to - from) * share);
        // Better no label than one on top of another: the table of links has them all.
        let Some(share) = tried.into_iter().find(free) else {
            continue;
        };
        let (x, y) = layout.on_link(a, b, control, share);
        taken.push((x, y, widest));
        for (row, line) in lines.iter().enumerate() {
            let at = y - height / 2.0 + font + row as f64 * (font + 2.0);
            svg.text("wire", (x, at), Anchor::Middle, line);
        }
    }
}

fn draw_card(svg: &mut Svg, size: Size, node: &Node, place: &Place, mark: Option<&NodeMark>) {
    let font = size.font();
    let (width, height) = (place.width, place.height);
    let corner = (place.x - width / 2.0, place.y - height / 2.0);
    let hub = layout::is_hub(&node.kind);
    svg.rect(
        if hub { "node hub" } else { "node" },
        corner,
        (width, height),
        if hub { height / 2.0 } else { 7.0 },
    );
    if let Some(class) = mark.and_then(|mark| mark.class.as_ref()) {
        svg.rect(&format!("swatch {class}"), corner, (5.0, height), 2.5);
    }
    let letters = ((width - 12.0) / (font * 0.53)) as usize;
    let lines = card_lines(node, mark, letters);
    let step = font + 3.0;
    let top = place.y - (lines.len() as f64 - 1.0) * step / 2.0 + font * 0.34;
    for (row, (class, text)) in lines.iter().enumerate() {
        let at = (place.x, top + row as f64 * step);
        svg.text(class, at, Anchor::Middle, &shorten(text, letters.max(3)));
    }
}

/// What a card says, from top to bottom, in lines of about `letters` characters.
fn card_lines(node: &Node, mark: Option<&NodeMark>, letters: usize) -> Vec<(&'static str, String)> {
    let mut lines = vec![("host", node.name.clone())];
    if layout::is_hub(&node.kind) {
        lines.push(("small", node.kind.clone()));
        return lines;
    }
    let address = node
        .address
        .as_deref()
        .and_then(|address| address.split('/').next());
    let both = address.map_or_else(
        || node.kind.clone(),
        |address| format!("{} · {address}", node.kind),
    );
    lines.push(match address {
        Some(address) if both.chars().count() > letters => ("small", address.to_owned()),
        _ => ("small", both),
    });
    let functions: Vec<String> = node
        .functions
        .iter()
        .map(|function| match function.maxrate {
            Some(rate) => format!("{} {rate}/s", function.name),
            None => function.name.clone(),
        })
        .collect();
    if !functions.is_empty() {
        lines.push(("small", functions.join(", ")));
    }
    if let Some(mark) = mark.filter(|mark| !mark.note.is_empty()) {
        lines.push(("small", mark.note.clone()));
    }
    lines
}
