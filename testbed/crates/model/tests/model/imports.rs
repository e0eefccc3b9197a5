//! Topologies that other tools wrote.

use std::time::Duration;

use dfaas_model::{NodeKind, Topology, load_topology, plan};
use insta::assert_snapshot;

use crate::common::{files, rendered};

fn load(name: &str, text: &str, keys: &str) -> Result<Topology, String> {
    let lab = format!("import: {{ file: {name}{keys} }}\n");
    let files = files(&[("lab.yaml", &lab), (name, text)]);
    load_topology("lab.yaml", &files, &[]).map_err(|error| rendered(&error))
}

fn import(name: &str, text: &str, keys: &str) -> Topology {
    load(name, text, keys).unwrap_or_else(|error| panic!("{error}"))
}

fn links(topology: &Topology) -> Vec<String> {
    topology
        .links
        .iter()
        .map(|link| format!("{} {} | {}", link.name, link.forward, link.backward))
        .collect()
}

#[test]
fn a_table_of_round_trips_is_a_full_mesh_of_halves() {
    let text = "site, Rome,\"Paris, FR\",new-york\nRome,0,30,\n\"Paris, FR\",40,0,80ms\nnew-york,-,,0\n";
    let topology = import("rtt.csv", text, ", kind: dfaas, link: { delay: 1ms, loss: 1% }");
    assert_eq!(
        links(&topology),
        [
            "rome--paris-fr delay 15ms, loss 1% | delay 20ms, loss 1%",
            "paris-fr--new-york delay 40ms, loss 1% | delay 40ms, loss 1%"
        ]
    );
    assert_eq!(topology.nodes["paris-fr"].labels["name"], "Paris, FR");
    assert!(
        topology
            .nodes
            .values()
            .all(|node| node.kind == NodeKind::Dfaas && !node.forward)
    );
    plan(&topology).unwrap();
}

const GRAPHML: &str = r#"<?xml version="1.0" encoding="utf-8"?>
<graphml xmlns="http://graphml.graphdrawing.org/xmlns">
  <key attr.name="LinkLabel" attr.type="string" for="edge" id="d1"/>
  <key attr.name="LinkSpeedRaw" attr.type="double" for="edge" id="d2"/>
  <key attr.name="label" attr.type="string" for="node" id="d3"/>
  <key attr.name="Latitude" attr.type="double" for="node" id="d4"/>
  <key attr.name="Longitude" attr.type="double" for="node" id="d5"/>
  <key attr.name="Country" attr.type="string" for="node" id="d6"><default>Switzerland</default></key>
  <graph edgedefault="undirected">
    <node id="0"><data key="d3">Zürich</data><data key="d4">47.37</data><data key="d5">8.54</data></node>
    <node id="1"><data key="d3">Genève</data><data key="d4">46.20</data><data key="d5">6.15</data></node>
    <node id="2"><data key="d3">?</data></node>
    <edge source="0" target="1"><data key="d1">10 Gbps</data></edge>
    <edge source="0" target="1"><data key="d2">2500000000.0</data></edge>
    <edge source="1" target="2"><data key="d1">Dark Fibre</data></edge>
    <edge source="2" target="2"/>
  </graph>
</graphml>
"#;

#[test]
fn graphml_has_places_rates_and_parallel_edges() {
    let topology = import("zoo.graphml", GRAPHML, "");
    // 224 km at two thirds of the speed of light.
    assert_eq!(
        links(&topology),
        [
            "zuerich--geneve delay 1.119ms, rate 10gbit | delay 1.119ms, rate 10gbit",
            "zuerich--geneve-2 delay 1.119ms, rate 2.5gbit | delay 1.119ms, rate 2.5gbit",
            "geneve--site as it is | as it is"
        ]
    );
    let zurich = &topology.nodes["zuerich"];
    assert_eq!(
        (zurich.kind, zurich.labels["name"].as_str()),
        (NodeKind::Router, "Zürich")
    );
    assert_eq!(zurich.labels["country"], "Switzerland");
    plan(&topology).unwrap();
}

#[test]
fn two_directed_edges_are_one_link() {
    let text = "# made by hand\nCreator \"test\"\ngraph [\n  directed 1\n  node [ id 1 label \"a\" ]\n  node [ id 2 label \"b\" ]\n  \
                node [ id 3 label \"c\" graphics [ x 1.5 y -2 ] ]\n  edge [ source 1 target 2 latency \"10 ms\" LinkSpeedRaw 1e6 ]\n  \
                edge [ source 2 target 1 delay 20 ]\n  edge [ source 2 target 3 delay 5 ]\n]\n";
    let topology = import("net.gml", text, ", kind: host");
    assert_eq!(
        links(&topology),
        [
            "a--b delay 10ms, rate 1mbit | delay 20ms",
            "b--c delay 5ms | delay 5ms"
        ]
    );
    assert!(
        topology.nodes["b"].forward,
        "packets pass through the nodes of a graph"
    );
    assert_eq!(topology.links[0].forward.delay, Duration::from_millis(10));
}

#[test]
fn the_files_own_nodes_and_links_come_on_top() {
    let lab = "import: { file: net/a.gml, format: gml }\nnodes:\n  a: { labels: { role: core } }\n  h: { kind: host }\n\
               links:\n  - { endpoints: [h, a] }\n";
    let gml = "graph [ node [ id 1 label \"a\" ] node [ id 2 label \"b\" ] edge [ source 1 target 2 ] ]";
    let files = files(&[("x/lab.yaml", lab), ("x/net/a.gml", gml)]);
    let topology = load_topology("x/lab.yaml", &files, &[]).unwrap();
    assert_eq!(topology.nodes.keys().collect::<Vec<_>>(), ["a", "b", "h"]);
    assert_eq!(topology.nodes["a"].labels["role"], "core");
    assert_eq!(topology.nodes["a"].kind, NodeKind::Router);
}

/// One snapshot per wrong file: name, text, further keys.
macro_rules! wrong {
    ($($name:ident: $file:literal, $text:expr, $keys:literal;)*) => {$(
        #[test]
        fn $name() {
            assert_snapshot!(load($file, $text, $keys).unwrap_err());
        }
    )*};
}

wrong! {
    import_of_unknown_format: "net.json", "{}", "";
    import_of_misspelt_format: "net.json", "{}", ", format: graphlm";
    table_without_sites: "rtt.csv", "# nothing\nsite,a\n", "";
    table_with_an_unknown_site: "rtt.csv", "site,rome,paris\nrom,0,1\n", "";
    table_with_a_site_twice: "rtt.csv", "site,rome,rome\nrome,0,1\n", "";
    table_with_a_row_twice: "rtt.csv", "site,rome,paris\nrome,0,1\nrome,0,2\n", "";
    table_with_a_bad_time: "rtt.csv", "site,rome,paris\nrome,0,12msec\n", "";
    table_with_a_long_row: "rtt.csv", "site,rome,paris\nrome,0,12,13\n", "";
    not_xml: "a.graphml", "<graphml><graph></graphml>", "";
    not_graphml: "a.graphml", "<html><body/></html>", "";
    graphml_with_an_edge_to_nowhere: "a.graphml", "<graphml><graph>\n<node id='a'/>\n<edge source='a' target='b'/>\n</graph></graphml>", "";
    graphml_with_a_node_twice: "a.graphml", "<graphml><graph>\n<node id='a'/>\n<node id='a'/>\n</graph></graphml>", "";
    graphml_without_source: "a.graphml", "<graphml><graph>\n<node id='a'/>\n<edge target='a'/>\n</graph></graphml>", "";
    graphml_with_nothing: "a.graphml", "<graphml><graph/></graphml>", "";
    gml_of_something_else: "a.gml", "Creator \"me\"\n", "";
    gml_not_closed: "a.gml", "graph [\n  node [ id 1 \n", "";
    gml_with_an_open_quote: "a.gml", "graph [\n  node [ id 1 label \"a ]\n]\n", "";
    gml_with_a_key_without_value: "a.gml", "graph [\n  node [ id ]\n]\n", "";
    gml_with_a_bad_place: "a.gml", "graph [ node [ id 1 Latitude 123 Longitude 0 ]\n node [ id 2 ]\n edge [ source 1 target 2 ] ]\n", "";
    gml_with_a_bad_rate: "a.gml", "graph [ node [ id 1 ] node [ id 2 ]\n edge [ source 1 target 2 LinkSpeedRaw fast ] ]\n", "";
    gml_too_deep: "a.gml", &"a [\n".repeat(100_000), "";
}

#[test]
fn a_missing_import() {
    let lab = "import: { file: zoo.graphml }\n";
    let error = load_topology("lab.yaml", &files(&[("lab.yaml", lab)]), &[]).unwrap_err();
    assert_snapshot!(rendered(&error));
}
