//! Links by name, and what wins over them.

use std::time::Duration;

use dfaas_model::{EventAction, PRESETS, plan};
use insta::assert_snapshot;

use crate::common::{rendered, scenario, topology, topology_error};

const NODES: &str = "nodes:\n  a: { kind: client }\n  b: { kind: host }\n";

#[test]
fn every_preset_can_be_used_and_says_where_it_comes_from() {
    assert_eq!(PRESETS.len(), 9);
    for preset in &PRESETS {
        let topology = topology(&format!(
            "{NODES}links:\n  - {{ endpoints: [a, b], preset: {} }}\n",
            preset.name
        ));
        let link = &topology.links[0];
        assert!(
            !link.forward.delay.is_zero() && link.backward.rate.is_some(),
            "{}",
            preset.name
        );
        assert_eq!(link.presets, [preset.name]);
        assert!(preset.source.len() > 20 && !preset.about.is_empty());
        let printed = plan(&topology).unwrap().to_string();
        assert!(
            printed.contains(&format!("(auto)  preset {}", preset.name)),
            "{printed}"
        );
    }
}

#[test]
fn a_links_own_keys_win_over_its_preset_and_both_over_the_defaults() {
    let text = format!(
        "defaults:\n  link: {{ delay: 1ms, queue: 50 packets, mtu: 1400, preset: satellite-geo }}\n{NODES}links:\n  \
         - endpoints: [a, b]\n    preset: lte\n    rate: 5mbit\n    backward: {{ preset: wifi, loss: 3% }}\n"
    );
    let link = &topology(&text).links[0];
    let ms = Duration::from_millis;
    // lte's delay, not the default's 1 ms; the link's rate, not lte's.
    assert_eq!(
        (link.forward.delay, link.forward.rate),
        (Duration::from_micros(17_500), Some(5_000_000))
    );
    // The direction's preset comes before the link's keys.
    assert_eq!(
        (link.backward.delay, link.backward.rate),
        (ms(5), Some(100_000_000))
    );
    assert_eq!((link.forward.loss, link.backward.loss), (0.001, 0.03));
    assert_eq!(
        link.backward.queue.map(|queue| queue.to_string()).as_deref(),
        Some("50packets")
    );
    assert_eq!(link.mtu, Some(1400));
    assert_eq!(link.presets, ["lte", "satellite-geo", "wifi"]);
}

#[test]
fn up_is_forward() {
    let link = &topology(&format!(
        "{NODES}links:\n  - {{ endpoints: [a, b], preset: dsl }}\n"
    ))
    .links[0];
    assert!(link.forward.rate < link.backward.rate);
}

#[test]
fn an_event_can_set_a_preset() {
    let lab = "nodes:\n  a: { kind: client }\n  b: { kind: dfaas, functions: { figlet: {} } }\nlinks:\n  - endpoints: [a, b]\n";
    let run = "topology: lab.yaml\nload:\n  - { name: users, from: a, to: b, function: figlet, rate: 1/s, duration: 1s }\n\
               events:\n  - { at: 1s, link: a--b, set: { preset: dsl, loss: 5% } }\n\
               expect:\n  - { metric: success_rate, of: users, at_least: 1% }\n";
    let experiment = scenario(run, lab, &[]).unwrap_or_else(|error| panic!("{}", rendered(&error)));
    let EventAction::SetLink {
        forward, backward, ..
    } = &experiment.cells[0].events[0].action
    else {
        panic!("not a change of a link");
    };
    assert_eq!((forward.rate, backward.rate), (Some(820_000), Some(11_300_000)));
    assert_eq!(forward.loss, Some(0.05));
}

#[test]
fn an_unknown_preset() {
    assert_snapshot!(topology_error(&format!(
        "{NODES}links:\n  - {{ endpoints: [a, b], preset: let }}\n"
    )));
}

#[test]
fn a_delay_below_the_jitter_of_a_preset() {
    assert_snapshot!(topology_error(&format!(
        "{NODES}links:\n  - {{ endpoints: [a, b], preset: lte, delay: 1ms }}\n"
    )));
}
