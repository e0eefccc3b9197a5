//! How long a message takes to write, and to read and check: from that of a small federation to the largest. For
//! `ci/bench.sh`.

#![expect(clippy::print_stdout, reason = "this is what it is for")]

use dfaas_agent::reception::hear;
use dfaas_agent_api::MsgNodeInfoRecalc;
use std::hint::black_box;
use std::time::Instant;

const ROUNDS: u32 = 2000;

fn main() {
    for (peers, functions) in [(3, 3), (50, 3), (50, 50)] {
        let limits = |_| {
            (0..functions)
                .map(|number| (format!("function{number}"), 7.5))
                .collect()
        };
        let message = MsgNodeInfoRecalc {
            haproxy_host: "10.0.0.2".to_owned(),
            haproxy_port: 80,
            func_limits: (0..peers)
                .map(|number| {
                    (
                        format!("12D3KooWGC6TvWhfapngX6wvJHMYvKpDMXPb3ZnCZ6dMoaMtim{number:02}"),
                        number,
                    )
                })
                .map(|(peer, number)| (peer, limits(number)))
                .collect(),
        };
        let own = message.func_limits.keys().next().cloned().unwrap_or_default();
        let begun = Instant::now();
        for _ in 0..ROUNDS {
            black_box(black_box(&message).to_json());
        }
        let writing = begun.elapsed() / ROUNDS;
        let text = message.to_json();
        let begun = Instant::now();
        for _ in 0..ROUNDS {
            let heard = hear(black_box(text.as_bytes()), &own);
            assert!(black_box(heard).is_ok(), "a good message is refused");
        }
        let reading = begun.elapsed() / ROUNDS;
        println!(
            "message to {peers:>2} peers of {functions:>2} functions ({:>6} bytes): written in {writing:?}, read and checked in {reading:?}, both {:?}",
            text.len(),
            writing + reading
        );
    }
}
