//! Small figures as text: a change of any of them is seen in review.

use std::collections::BTreeMap;

use super::*;
use crate::files::Lab;
use crate::run::Event;

const EVENTS: [Event; 0] = [];

fn frame(size: Size, count: usize, events: &[Event]) -> TimeFrame<'_> {
    TimeFrame {
        id: "f".to_owned(),
        title: "Title & more".to_owned(),
        description: "What it shows".to_owned(),
        axis: "responses per second",
        size,
        start: 0.0,
        width: 1.0,
        count,
        period: Some(2.0),
        events,
        least_top: 0.0,
    }
}

fn line(label: &str, class: &str, values: &[Option<f64>]) -> Line {
    Line {
        label: label.to_owned(),
        class: class.to_owned(),
        values: values.to_vec(),
        published: Vec::new(),
    }
}

#[test]
fn lines_in_steps_with_published_values_and_an_event() {
    let events = [Event {
        at: 2.0,
        text: "kill <n2>".to_owned(),
    }];
    let mut served = line("n1", "s0", &[Some(10.0), Some(10.0), Some(9.0), Some(11.0)]);
    served.published.push((1.0, 4.0, 10.0));
    let refused = line("503", "c503", &[Some(40.0), Some(40.0), Some(0.0), Some(0.0)]);
    insta::assert_snapshot!(steps(
        &frame(Size::Wide, 4, &events),
        &[served, refused],
        Shape::Steps
    ));
}

#[test]
fn zero_is_left_out_and_a_gap_stays_a_gap() {
    let values = [
        Some(0.0),
        Some(5.0),
        Some(0.0),
        Some(0.0),
        Some(5.0),
        None,
        Some(5.0),
    ];
    let drawn = steps(
        &frame(Size::Narrow, 7, &EVENTS),
        &[line("n1", "s0", &values)],
        Shape::Steps,
    );
    let path = drawn
        .split(" d=\"")
        .nth(1)
        .and_then(|rest| rest.split('"').next());
    let starts = path.map_or(0, |path| path.matches('M').count());
    assert_eq!(starts, 3, "from the axis twice, after the gap once: {path:?}");
}

#[test]
fn percentiles_far_apart_get_a_logarithmic_axis() {
    let values = |value: f64| [Some(value), None, Some(value * 1.1)];
    let lines = [
        line("p50", "p50", &values(3.0)),
        line("p99", "p99", &values(900.0)),
    ];
    insta::assert_snapshot!(steps(&frame(Size::Small, 3, &EVENTS), &lines, Shape::Points));
}

#[test]
fn layers_on_top_of_each_other() {
    let layer = |label: &str, class: &str, values: [f64; 3]| Layer {
        label: label.to_owned(),
        short: label.to_owned(),
        class: class.to_owned(),
        values: values.map(Some).to_vec(),
    };
    let layers = [
        layer("served where sent", "local", [10.0, 10.0, 10.0]),
        layer("forwarded", "away", [0.0, 20.0, 40.0]),
        layer("no answer", "lost", [0.0, 0.0, 1.0]),
    ];
    insta::assert_snapshot!(stacked(&frame(Size::Narrow, 3, &EVENTS), &layers));
}

#[test]
fn shares_of_answers_by_latency() {
    let group = Distribution {
        label: "n1".to_owned(),
        class: "s0".to_owned(),
        latencies: vec![5_000, 6_000, 7_000, 30_000],
    };
    insta::assert_snapshot!(distribution("cdf", Size::Narrow, "By node", &[group]));
}

fn lab(text: &str) -> Lab {
    serde_json::from_str(text).unwrap()
}

const STAR: &str = r#"{"name":"star","nodes":[{"name":"n1","kind":"dfaas","address":"10.0.0.1",
    "functions":[{"name":"figlet","maxrate":10}]},{"name":"s1","kind":"switch"},{"name":"user1","kind":"client"}],
    "links":[{"name":"n1--s1","endpoints":[{"node":"n1"},{"node":"s1"}],"forward":{"delay":"5ms"},"backward":{"delay":"9ms"}},
    {"name":"user1--s1","endpoints":[{"node":"user1"},{"node":"s1"}]},
    {"name":"dangling","endpoints":[{"node":"user1"},{"node":"gone"}]}]}"#;

#[test]
fn a_star_is_drawn_in_rows() {
    let marks = BTreeMap::from([(
        "n1".to_owned(),
        NodeMark {
            class: Some("s0".to_owned()),
            note: "served 100 %".to_owned(),
        },
    )]);
    insta::assert_snapshot!(topology("t", Size::Wide, &lab(STAR), &marks));
}

#[test]
fn a_triangle_is_drawn_in_a_circle_with_parallel_links_apart() {
    let triangle = lab(
        r#"{"name":"ring","nodes":[{"name":"a","kind":"dfaas"},{"name":"b","kind":"dfaas"},
        {"name":"c","kind":"router"}],"links":[{"name":"one","endpoints":[{"node":"a"},{"node":"b"}]},
        {"name":"two","endpoints":[{"node":"b"},{"node":"a"}]},{"name":"three","endpoints":[{"node":"b"},{"node":"c"}]}]}"#,
    );
    insta::assert_snapshot!(topology("t", Size::Wide, &triangle, &BTreeMap::new()));
}

#[test]
fn a_lab_without_nodes_is_an_empty_picture() {
    let drawn = topology("t", Size::Narrow, &Lab::default(), &BTreeMap::new());
    assert!(
        drawn.starts_with("<svg") && drawn.ends_with("</svg>") && !drawn.contains("NaN"),
        "{drawn}"
    );
}
