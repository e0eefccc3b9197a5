//! Links that the kernel carries (`backend: tc`) in labs made by the command. They need netem, so `ci/vm.sh` runs them where this
//! machine's kernel has none; there, times are only good for lower bounds and rough upper ones.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use support::{Lab, have, root};

const TRIANGLE: &str = "
name: NAME
nodes:
  a: { kind: host }
  b: { kind: host }
  s: { kind: switch }
links:
  - { endpoints: [a, s], backend: tc, delay: 50ms }
  - { endpoints: [b, s], backend: tc, rate: 40kbit, queue: 20 }
";

/// Whether this kernel can delay packets.
fn netem() -> bool {
    root()
        && have(
            "netem",
            dfaas_netns::probe_kernel().is_ok_and(|kernel| kernel.netem),
        )
}

#[test]
fn the_kernel_carries_links_as_the_file_says() {
    if !netem() {
        return;
    }
    let lab = Lab::new(TRIANGLE);
    lab.up();
    let mut times = lab.ping("a", "b", 20);
    assert_eq!(times.len(), 20, "no packet is lost");
    times.sort_by(f64::total_cmp);
    // 98 bytes take 19.6 ms each way at 40 kbit/s.
    assert!(times[0] >= 139.0, "2 × (50 ms + 19.6 ms), measured {times:?}");
    assert!(times[10] < 280.0, "the median of {times:?}");

    let links = lab.json(&["inspect", "-l", &lab.name, "--json"])["links"].clone();
    for link in links.as_array().unwrap() {
        assert_eq!(link["backend"], "tc", "{link}");
        for direction in ["forward", "backward"] {
            let counters = &link["statistics"][direction];
            assert!(counters["delivered"]["packets"].as_u64().unwrap() >= 20, "{link}");
            assert_eq!(counters["drops"]["queue"], 0, "{link}");
        }
    }
    lab.end();
}

#[test]
fn a_full_queue_drops_and_inspect_shows_it() {
    if !netem() {
        return;
    }
    let lab = Lab::new(TRIANGLE);
    lab.up();
    // 200 packets of 1042 bytes at once, at about five a second; 20 wait, and some are on their way. Nobody listens at `a`.
    let script =
        "exec 3> /dev/udp/a/9; for i in $(seq 200); do printf %01000d 0 >&3 || true; done 2> /dev/null";
    lab.ok(&["exec", "-l", &lab.name, "b", "--", "bash", "-c", script]);
    let links = lab.json(&["inspect", "-l", &lab.name, "--json"])["links"].clone();
    let counters = &links[1]["statistics"]["forward"];
    let number = |group: &str, key: &str| counters[group][key].as_u64().unwrap();
    let queued = number("queued", "packets") + number("in_flight", "packets");
    assert!(number("drops", "queue") > 100, "{counters}");
    assert!(queued > 10, "{counters}");
    assert_eq!(number("drops", "loss"), 0, "{counters}");
    lab.ok(&["down"]);
}
