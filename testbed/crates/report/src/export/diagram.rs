//! A lab as a picture of its own: SVG, and the languages of Graphviz and Mermaid.

use std::collections::BTreeMap;
use std::fmt::Write;

use crate::chart::{Size, link_text, topology};
use crate::files::{Lab, Node};

/// The style sheet of the report: the picture's colours and fonts are classes in it.
const STYLE: &str = include_str!("../../templates/style.css");
/// What the picture has from the page around it in a report.
const OWN_STYLE: &str = "svg { font-family: system-ui, sans-serif; background: var(--page); padding: 8px; }";

/// How a lab is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Diagram {
    /// A picture, as in the report.
    Svg,
    /// For Graphviz (`dot`, `neato`).
    Dot,
    /// For Mermaid, as code hosts show it in Markdown.
    Mermaid,
}

impl Diagram {
    /// Draws a lab. The text ends with a newline.
    #[must_use]
    pub fn draw(self, lab: &Lab) -> String {
        match self {
            Diagram::Svg => svg(lab),
            Diagram::Dot => dot(lab),
            Diagram::Mermaid => mermaid(lab),
        }
    }
}

fn svg(lab: &Lab) -> String {
    let picture = topology("lab", Size::Wide, lab, &BTreeMap::new());
    // Alone, it must say what it is and bring its style along.
    let opened = picture.replacen("<svg ", "<svg xmlns=\"http://www.w3.org/2000/svg\" ", 1);
    let style = format!("<style>\n{STYLE}{OWN_STYLE}\n</style>\n</svg>");
    match opened.strip_suffix("</svg>") {
        Some(open) => format!("{open}{style}\n"),
        None => opened,
    }
}

fn dot(lab: &Lab) -> String {
    let mut text = format!(
        "graph {} {{\n  node [shape=box, style=rounded];\n",
        quoted(&lab.name)
    );
    for node in &lab.nodes {
        let shape = match node.kind.as_str() {
            "switch" => ", shape=ellipse",
            "router" => ", shape=diamond",
            _ => "",
        };
        let label = quoted(&card(node).join("\n"));
        let _ = writeln!(text, "  {} [label={label}{shape}];", quoted(&node.name));
    }
    for link in &lab.links {
        let [first, second] = link.endpoints.each_ref().map(|end| quoted(&end.node));
        let label = quoted(&link_text(link).join("\n"));
        let _ = writeln!(text, "  {first} -- {second} [label={label}];");
    }
    text.push_str("}\n");
    text
}

/// A string of the DOT language: quotes and backslashes escaped, lines broken with `\n`.
fn quoted(text: &str) -> String {
    let escaped = text
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n");
    format!("\"{escaped}\"")
}

fn mermaid(lab: &Lab) -> String {
    let mut text = "graph LR\n".to_owned();
    for (number, node) in lab.nodes.iter().enumerate() {
        let label = card(node)
            .iter()
            .map(|line| entities(line))
            .collect::<Vec<_>>()
            .join("<br/>");
        let (open, close) = match node.kind.as_str() {
            "switch" => ("([", "])"),
            "router" => ("{{", "}}"),
            _ => ("[", "]"),
        };
        let _ = writeln!(text, "  n{number}{open}\"{label}\"{close}");
    }
    let number = |name: &str| lab.nodes.iter().position(|node| node.name == name).unwrap_or(0);
    for link in &lab.links {
        let [first, second] = link.endpoints.each_ref().map(|end| number(&end.node));
        let lines: Vec<String> = link_text(link).iter().map(|line| entities(line)).collect();
        let _ = match lines.is_empty() {
            true => writeln!(text, "  n{first} --- n{second}"),
            false => writeln!(text, "  n{first} ---|\"{}\"| n{second}", lines.join("<br/>")),
        };
    }
    text
}

/// Mermaid's escapes for what would end a label.
fn entities(text: &str) -> String {
    text.replace('#', "#35;")
        .replace('"', "#quot;")
        .replace('<', "#lt;")
        .replace('>', "#gt;")
}

/// Name, kind with address, functions.
fn card(node: &Node) -> Vec<String> {
    let address = node
        .address
        .as_deref()
        .and_then(|address| address.split('/').next());
    let kind = address.map_or_else(|| node.kind.clone(), |address| format!("{} {address}", node.kind));
    let functions: Vec<String> = node
        .functions
        .iter()
        .map(|function| match function.maxrate {
            Some(rate) => format!("{} {rate}/s", function.name),
            None => function.name.clone(),
        })
        .collect();
    let mut lines = vec![node.name.clone(), kind];
    if !functions.is_empty() {
        lines.push(functions.join(", "));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lab() -> Lab {
        serde_json::from_str(
            r#"{ "name": "pair", "nodes": [
                { "name": "n1", "kind": "dfaas", "address": "10.0.0.1/24", "functions": [{ "name": "figlet", "maxrate": 10 }] },
                { "name": "s\"1", "kind": "switch" }, { "name": "r1", "kind": "router", "address": "10.0.0.2" } ],
              "links": [
                { "name": "n1--s", "endpoints": [{ "node": "n1" }, { "node": "s\"1" }], "forward": { "delay": "5ms" }, "backward": { "delay": "9ms" } },
                { "name": "s--r", "endpoints": [{ "node": "s\"1" }, { "node": "r1" }] } ] }"#,
        )
        .unwrap()
    }

    #[test]
    fn dot_names_nodes_and_says_what_links_do() {
        let text = Diagram::Dot.draw(&lab());
        assert_eq!(
            text,
            "graph \"pair\" {\n  node [shape=box, style=rounded];\n  \
             \"n1\" [label=\"n1\\ndfaas 10.0.0.1\\nfiglet 10/s\"];\n  \
             \"s\\\"1\" [label=\"s\\\"1\\nswitch\", shape=ellipse];\n  \
             \"r1\" [label=\"r1\\nrouter 10.0.0.2\", shape=diamond];\n  \
             \"n1\" -- \"s\\\"1\" [label=\"→ s\\\"1: 5 ms\\n→ n1: 9 ms\"];\n  \
             \"s\\\"1\" -- \"r1\" [label=\"\"];\n}\n"
        );
    }

    #[test]
    fn mermaid_has_numbers_for_names() {
        let text = Diagram::Mermaid.draw(&lab());
        assert_eq!(
            text,
            "graph LR\n  n0[\"n1<br/>dfaas 10.0.0.1<br/>figlet 10/s\"]\n  n1([\"s#quot;1<br/>switch\"])\n  \
             n2{{\"r1<br/>router 10.0.0.2\"}}\n  n0 ---|\"→ s#quot;1: 5 ms<br/>→ n1: 9 ms\"| n1\n  n1 --- n2\n"
        );
    }

    #[test]
    fn the_picture_stands_alone() {
        let text = Diagram::Svg.draw(&lab());
        assert!(
            text.starts_with("<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox="),
            "{text}"
        );
        assert!(text.ends_with("</style>\n</svg>\n") && text.contains("s&quot;1"));
        assert_eq!(text.matches("<svg").count(), 1);
        assert!(
            !STYLE.contains(['<', '&']),
            "a style sheet with these would need escapes in XML"
        );
    }
}
