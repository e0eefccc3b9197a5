//! Shapes that nobody wrote link by link.

use std::collections::{BTreeSet, HashMap};

use dfaas_model::{NodeKind, Topology, load_topology, plan};
use insta::assert_snapshot;

use crate::common::{files, set, topology, topology_error};

fn links(topology: &Topology) -> Vec<&str> {
    topology.links.iter().map(|link| link.name.as_str()).collect()
}

fn generated(keys: &str) -> Topology {
    topology(&format!("generate: {{ {keys} }}\n"))
}

#[test]
fn shapes_have_the_links_of_their_name() {
    assert_eq!(
        links(&generated("shape: star, count: 3, kind: dfaas")),
        ["n1--s1", "n2--s1", "n3--s1"]
    );
    assert_eq!(links(&generated("shape: line, count: 3")), ["h1--h2", "h2--h3"]);
    assert_eq!(
        links(&generated("shape: ring, count: 3, kind: router")),
        ["r1--r2", "r2--r3", "r3--r1"]
    );
    assert_eq!(
        links(&generated("shape: mesh, count: 3, name: \"edge-{i}\"")),
        ["edge-1--edge-2", "edge-1--edge-3", "edge-2--edge-3"]
    );
    assert_eq!(
        links(&generated("shape: tree, count: 6")),
        ["h1--h2", "h1--h3", "h2--h4", "h2--h5", "h3--h6"]
    );
    assert_eq!(
        links(&generated("shape: tree, count: 4, fanout: 3")),
        ["h1--h2", "h1--h3", "h1--h4"]
    );
    assert_eq!(
        links(&generated("shape: grid, count: 5")),
        ["h1--h2", "h1--h4", "h2--h3", "h2--h5", "h4--h5"]
    );
    assert_eq!(generated("shape: grid, count: 100").links.len(), 180);
}

#[test]
fn packets_pass_through_the_nodes_of_a_ring_but_not_of_a_star_or_mesh() {
    assert!(
        generated("shape: ring, count: 4")
            .nodes
            .values()
            .all(|node| node.forward)
    );
    assert!(
        !generated("shape: mesh, count: 4")
            .nodes
            .values()
            .any(|node| node.forward)
    );
    assert!(!generated("shape: star, count: 4").nodes["h1"].forward);
}

#[test]
fn a_random_shape_is_connected_and_the_same_for_the_same_seed() {
    let make = |seed: u32, density: f64| {
        topology(&format!(
            "seed: {seed}\ngenerate: {{ shape: random, count: 30, density: {density} }}\n"
        ))
    };
    for density in [0.01, 0.1, 0.7, 1.0] {
        let made = make(1, density);
        let wanted = ((435.0 * density).round() as usize).max(29);
        assert_eq!(made.links.len(), wanted);
        let different: BTreeSet<&str> = links(&made).into_iter().collect();
        assert_eq!(different.len(), wanted, "each pair once");
        assert_eq!(reachable(&made), 30);
        assert_eq!(made, make(1, density));
    }
    assert_ne!(links(&make(1, 0.1)), links(&make(2, 0.1)));
    // What a seed draws is part of the file format.
    assert_eq!(
        links(&topology(
            "seed: 7\ngenerate: { shape: random, count: 5, density: 0.6 }\n"
        )),
        RANDOM_OF_SEED_7
    );
}

const RANDOM_OF_SEED_7: [&str; 6] = ["h1--h2", "h1--h3", "h3--h4", "h1--h5", "h2--h5", "h1--h4"];

fn reachable(topology: &Topology) -> usize {
    let mut neighbours: HashMap<&str, Vec<&str>> = HashMap::new();
    for link in &topology.links {
        let [first, second] = link.endpoints.each_ref().map(|end| end.node.as_str());
        neighbours.entry(first).or_default().push(second);
        neighbours.entry(second).or_default().push(first);
    }
    let mut seen = BTreeSet::from(["h1"]);
    let mut waiting = vec!["h1"];
    while let Some(node) = waiting.pop() {
        waiting.extend(neighbours[node].iter().filter(|next| seen.insert(**next)));
    }
    seen.len()
}

#[test]
fn the_file_adds_to_what_was_made_and_overrides_reach_it() {
    let text = "generate: { shape: ring, count: 3, kind: dfaas, link: { delay: 5ms, preset: wifi } }\n\
                defaults:\n  dfaas: { functions: { figlet: { maxrate: 10 } } }\n\
                nodes:\n  n2: { cpus: 0.5, forward: false }\n  user1: { kind: client }\n\
                links:\n  - { endpoints: [user1, n1] }\n";
    let overrides = set(&["generate.count=4", "nodes.n4.cpus=2", "links.n3--n4.delay=9ms"]);
    let topology = load_topology("lab.yaml", &files(&[("lab.yaml", text)]), &overrides).unwrap();
    assert_eq!(
        links(&topology),
        ["n1--n2", "n2--n3", "n3--n4", "n4--n1", "user1--n1"]
    );
    assert_eq!(topology.nodes["n2"].kind, NodeKind::Dfaas);
    assert_eq!(topology.nodes["n2"].functions["figlet"].maxrate, Some(10));
    assert_eq!(
        (topology.nodes["n2"].limits.cpus, topology.nodes["n2"].forward),
        (Some(0.5), false)
    );
    assert_eq!(topology.nodes["n4"].limits.cpus, Some(2.0));
    assert_eq!(topology.links[2].forward.delay.as_millis(), 9);
    assert_eq!(topology.links[0].forward.delay.as_millis(), 5);
    assert_eq!(topology.links[0].forward.rate, Some(100_000_000));
    plan(&topology).unwrap();
}

/// One snapshot per wrong generator.
macro_rules! wrong {
    ($($name:ident: $text:expr;)*) => {$(
        #[test]
        fn $name() {
            assert_snapshot!(topology_error($text));
        }
    )*};
}

wrong! {
    generator_of_unknown_shape: "generate: { shape: rign, count: 5 }\n";
    generator_without_count: "generate: { shape: ring }\n";
    generator_with_unknown_key: "generate: { shape: ring, cuont: 5 }\n";
    ring_of_two: "generate: { shape: ring, count: 2 }\n";
    generator_of_nothing: "generate: { shape: line, count: 0 }\n";
    generator_of_too_many: "generate: { shape: mesh, count: 300 }\n";
    random_without_density: "generate: { shape: random, count: 5 }\n";
    random_with_bad_density: "generate: { shape: random, count: 5, density: 20 }\n";
    density_of_a_ring: "generate: { shape: ring, count: 5, density: 0.5 }\n";
    fanout_of_a_ring: "generate: { shape: ring, count: 5, fanout: 3 }\n";
    tree_without_children: "generate: { shape: tree, count: 5, fanout: 0 }\n";
    generated_name_without_index: "generate: { shape: ring, count: 5, name: edge }\n";
    ring_of_switches: "generate: { shape: ring, count: 3, kind: switch }\n";
}

#[test]
fn an_override_of_a_link_that_was_not_made() {
    let text = "generate: { shape: ring, count: 3 }\n";
    let error = load_topology(
        "lab.yaml",
        &files(&[("lab.yaml", text)]),
        &set(&["links.h1--h9.delay=5ms"]),
    );
    assert_snapshot!(crate::common::rendered(&error.unwrap_err()));
}
