//! SYNTHETIC run directories for tests. Nothing here was measured: requests, latencies and machine facts are made up
//! by a small deterministic generator that follows the shape of the published figure.

#![allow(dead_code, reason = "each test file uses a part")]

use std::fmt::Write;
use std::fs;
use std::path::Path;

/// What to make up.
pub(crate) struct Synthetic {
    pub(crate) title: String,
    pub(crate) seconds: u64,
    pub(crate) per_second: u64,
    pub(crate) period: f64,
    pub(crate) cells: Vec<Vec<(&'static str, &'static str)>>,
    pub(crate) repetitions: usize,
    pub(crate) nodes: Vec<(String, u64)>,
    pub(crate) events: bool,
    pub(crate) reference: bool,
    pub(crate) verdict: &'static str,
}

impl Synthetic {
    /// The figure of the paper: 50 requests/s at n1, capacities 10, 20 and 30; forwarding starts after 1.5 periods.
    pub(crate) fn paper() -> Synthetic {
        Synthetic {
            title: "CloudNet 2021, result figure (SYNTHETIC test data)".to_owned(),
            seconds: 40,
            per_second: 50,
            period: 5.0,
            cells: vec![vec![("T", "5s")]],
            repetitions: 1,
            nodes: vec![
                ("n1".to_owned(), 10),
                ("n2".to_owned(), 16),
                ("n3".to_owned(), 24),
            ],
            events: false,
            reference: true,
            verdict: "pass",
        }
    }

    pub(crate) fn write(&self, directory: &Path) {
        fs::create_dir_all(directory.join("sources")).unwrap();
        fs::write(directory.join("run.json"), self.run_json()).unwrap();
        fs::write(directory.join("summary.json"), self.summary_json()).unwrap();
        fs::write(directory.join("sources/scenario.yaml"), "# synthetic\n").unwrap();
        fs::write(directory.join("sources/topology.yaml"), "# synthetic\n").unwrap();
        if self.reference {
            fs::write(directory.join("reference.csv"), REFERENCE).unwrap();
        }
        for cell in 0..self.cells.len() {
            for repetition in 0..self.repetitions {
                let folder = directory.join(format!("cells/{cell}/{repetition}"));
                fs::create_dir_all(folder.join("logs/n1")).unwrap();
                fs::write(folder.join("logs/n1/agent.log"), "synthetic\n").unwrap();
                fs::write(folder.join("lab.json"), self.lab_json()).unwrap();
                fs::write(folder.join("series.json"), "{\"seconds\":[]}").unwrap();
                let rows = self.requests((cell * 1000 + repetition) as u64);
                fs::write(folder.join("requests.jsonl"), rows).unwrap();
            }
        }
    }

    fn run_json(&self) -> String {
        let reference = if self.reference {
            "\"reference.csv\""
        } else {
            "null"
        };
        format!(
            "{{\"schema\":1,\"name\":\"cloudnet21-figure\",\"title\":{},\"started\":\"2026-11-23T10:12:05.123Z\",\
             \"tool_version\":\"0.1.0\",\"kernel\":\"6.18.5\",\"cpus\":2,\"memory_bytes\":25769803776,\"seed\":7,\
             \"command\":[\"dfaas-testbed\",\"run\",\"scenarios/paper/cloudnet21-figure.yaml\",\"--set\",\"T=5s\"],\
             \"reference\":{reference}}}",
            json_text(&self.title)
        )
    }

    fn summary_json(&self) -> String {
        let mut cells = Vec::new();
        for (number, parameters) in self.cells.iter().enumerate() {
            let parameters: Vec<String> = parameters
                .iter()
                .map(|(name, value)| format!("{}:{}", json_text(name), json_text(value)))
                .collect();
            let repetitions: Vec<String> = (0..self.repetitions)
                .map(|repetition| self.repetition_json(number, repetition))
                .collect();
            let events = if self.events {
                "[{\"at\":15,\"text\":\"n2--s1: delay 200ms\"},{\"at\":25,\"text\":\"n3: kill\"},{\"at\":30,\"text\":\"n3: start\"}]"
            } else {
                "[]"
            };
            cells.push(format!(
                "{{\"params\":{{{}}},\"recalc_period\":{},\"events\":{events},\"repetitions\":[{}]}}",
                parameters.join(","),
                self.period,
                repetitions.join(",")
            ));
        }
        format!(
            "{{\"schema\":1,\"verdict\":\"{}\",\"validity\":\"valid\",\"cells\":[{}]}}",
            self.verdict,
            cells.join(",")
        )
    }

    fn repetition_json(&self, cell: usize, repetition: usize) -> String {
        let jitter = (cell * 7 + repetition * 3) as f64 % 5.0 / 10.0;
        let pass = self.verdict == "pass";
        format!(
            "{{\"seed\":{},\"expectations\":[\
             {{\"text\":\"served_by of users-n1 by n1 from 15 s: between 9/s and 11/s\",\"metric\":\"served_by\",\"of\":\"users-n1\",\"node\":\"n1\",\"measured\":{},\"pass\":true}},\
             {{\"text\":\"served_by of users-n1 by n2 from 15 s: between 15/s and 17/s\",\"metric\":\"served_by\",\"of\":\"users-n1\",\"node\":\"n2\",\"measured\":{},\"pass\":true}},\
             {{\"text\":\"served_by of users-n1 by n3 from 15 s: between 23/s and 25/s\",\"metric\":\"served_by\",\"of\":\"users-n1\",\"node\":\"n3\",\"measured\":{},\"pass\":{pass}}},\
             {{\"text\":\"success_rate of users-n1 from 15 s: at least 99 %\",\"metric\":\"success_rate\",\"of\":\"users-n1\",\"node\":null,\"measured\":100.0,\"pass\":true}}]}}",
            1000 + cell * 10 + repetition,
            9.8 + jitter,
            15.9 + jitter,
            if pass { 24.0 - jitter } else { 12.0 },
        )
    }

    fn lab_json(&self) -> String {
        let mut nodes: Vec<String> = Vec::new();
        let mut links: Vec<String> = Vec::new();
        for (index, (name, capacity)) in self.nodes.iter().enumerate() {
            let name = json_text(name);
            nodes.push(format!(
                "{{\"name\":{name},\"kind\":\"dfaas\",\"driver\":\"native\",\"state\":\"running\",\"address\":\"10.0.0.{}\",\
                 \"addresses\":[],\"functions\":[{{\"name\":\"figlet\",\"maxrate\":{capacity}}}],\"ports\":[],\"pid\":1,\"services\":[]}}",
                index + 1
            ));
            let delay = 5 * (index + 1);
            let (forward, backward) = if index == 2 {
                (
                    "{\"delay\":\"20ms\",\"rate\":\"20mbit\"}".to_owned(),
                    "{\"delay\":\"20ms\",\"rate\":\"100mbit\"}".to_owned(),
                )
            } else {
                let both = format!("{{\"delay\":\"{delay}ms\",\"jitter\":\"1ms\",\"rate\":\"100mbit\"}}");
                (both.clone(), both)
            };
            links.push(format!(
                "{{\"name\":{},\"endpoints\":[{{\"node\":{name},\"interface\":\"eth0\"}},{{\"node\":\"s1\",\"interface\":\"p{index}\"}}],\
                 \"backend\":\"wire\",\"up\":true,\"forward\":{forward},\"backward\":{backward}}}",
                json_text(&format!("{}--s1", self.nodes[index].0)),
            ));
        }
        nodes.push("{\"name\":\"s1\",\"kind\":\"switch\",\"functions\":[]}".to_owned());
        nodes.push(
            "{\"name\":\"user1\",\"kind\":\"client\",\"address\":\"10.0.0.99\",\"functions\":[]}".to_owned(),
        );
        links.push(
            "{\"name\":\"user1--s1\",\"endpoints\":[{\"node\":\"user1\",\"interface\":\"eth0\"},{\"node\":\"s1\",\"interface\":\"p9\"}],\
             \"backend\":\"none\",\"up\":true,\"forward\":{},\"backward\":{}}"
                .to_owned(),
        );
        format!(
            "{{\"name\":\"synthetic\",\"seed\":7,\"nodes\":[{}],\"links\":[{}]}}",
            nodes.join(","),
            links.join(",")
        )
    }

    fn requests(&self, seed: u64) -> String {
        let mut noise = Noise(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        let mut text = String::new();
        let start_of_forwarding = 1.5 * self.period;
        let capacities: u64 = self.nodes.iter().map(|(_, rate)| rate).sum();
        for number in 0..self.seconds * self.per_second {
            let offset = number as f64 / self.per_second as f64;
            // Close to what weighted round robin does: nearly the same counts every second.
            let capacity = capacities.max(self.per_second);
            let slot = (number * 19 + noise.below(2)) % capacity;
            let mut edge = 0;
            let found = self.nodes.iter().enumerate().find(|(_, (_, rate))| {
                edge += rate;
                slot < edge
            });
            let node = found.filter(|(index, _)| *index == 0 || offset >= start_of_forwarding);
            let latency = match &node {
                Some((index, _)) => 9.0 + 11.0 * *index as f64 + noise.exponential(4.0),
                None => 1.2 + noise.exponential(0.3),
            };
            let (code, served, forwarded) = match &node {
                Some((index, (name, _))) => (200, json_text(name), *index > 0),
                None => (503, "null".to_owned(), false),
            };
            writeln!(
                text,
                "{{\"attack\":\"users-n1\",\"seq\":{number},\"code\":{code},\"timestamp\":\"2026-11-23T10:12:10Z\",\
                 \"latency\":{},\"bytes_out\":18,\"bytes_in\":282,\"error\":\"\",\"body\":null,\"method\":\"POST\",\
                 \"url\":\"http://10.0.0.1/function/figlet\",\"headers\":{{\"X-Server\":[\"10.0.0.2\"]}},\
                 \"offset\":{offset},\"sent_after\":0.00002,\"function\":\"figlet\",\"to\":{},\"served_by\":{served},\"forwarded\":{forwarded}}}",
                (latency * 1e6) as u64,
                json_text(&self.nodes[0].0),
            )
            .unwrap();
        }
        text
    }
}

/// Values read off the published figure, in periods so that they hold for every length of the period.
pub(crate) const REFERENCE: &str = "series,t_from,t_to,value,unit,source\n\
    503,0,1T,40,/s,\"CloudNet 2021, result figure\"\n\
    n1,3T,,10,/s,\"CloudNet 2021, result figure\"\n\
    n2,3T,,16,/s,\"CloudNet 2021, result figure\"\n\
    n3,3T,,24,/s,\"CloudNet 2021, result figure\"\n";

pub(crate) fn json_text(text: &str) -> String {
    serde_json::to_string(text).unwrap()
}

/// A xorshift generator: the same numbers on every machine.
pub(crate) struct Noise(pub(crate) u64);

impl Noise {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        (self.next() >> 11) % limit.max(1)
    }

    pub(crate) fn exponential(&mut self, mean: f64) -> f64 {
        let uniform = (self.next() >> 11) as f64 / (1u64 << 53) as f64;
        -mean * (1.0 - uniform).ln()
    }
}
