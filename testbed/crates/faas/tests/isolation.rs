//! Functions in sandboxes: what they see, what they may do, what is left of them. Needs root.

#![allow(clippy::unwrap_used)] // a test that cannot go on has failed

mod common;

use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, Instant};

use common::{Platform, Reply, connect, eventually, exchange, function, is_alive, is_root, read_reply};
use dfaas_faas::{Apart, FunctionDeployment, Identity, Options, ResourceLimits};

fn platform(deployments: &[FunctionDeployment]) -> Option<Platform> {
    is_root().then(|| {
        Platform::start(Options {
            deployments: deployments.to_vec(),
            isolation: Apart::Full,
            ..Options::default()
        })
    })
}

/// A function that runs a script: commands are split at spaces, so it travels in a variable.
fn script(name: &str, text: &str, settings: &[(&str, &str)]) -> FunctionDeployment {
    let mut deployment = function(name, "sh -c eval${IFS}\"$SCRIPT\"", settings);
    deployment.env_vars.insert("SCRIPT".to_owned(), text.to_owned());
    deployment
}

#[test]
fn a_function_has_a_machine_of_its_own() {
    let Some(platform) = platform(&[
        function("id", "id", &[]),
        function("hostname", "hostname", &[]),
        function("hosts", "cat /etc/hosts /etc/resolv.conf", &[]),
        function("pwd", "pwd", &[]),
        function("touch", "touch /x", &[]),
        function("caps", "grep Cap /proc/self/status", &[]),
        function("ps", "ls /proc", &[]),
        function("net", "ls /sys/class/net", &[]),
        function("root", "ls /", &[]),
        function("write", "cp /etc/hostname /tmp/x", &[]),
        function("home", "touch /home/app/x", &[]),
        function("shadow", "cat /etc/shadow", &[]),
    ]) else {
        return;
    };
    let text = |name: &str| platform.get(&format!("/function/{name}")).text();
    // As observed on the real platform.
    assert_eq!(text("id"), "uid=1000(app) gid=1000 groups=1000\n");
    assert_eq!(text("hostname"), "hostname\n");
    assert_eq!(text("hosts"), "127.0.0.1 localhost\nnameserver 127.0.0.1\n");
    assert_eq!(text("pwd"), "/\n");
    let touch = platform.get("/function/touch");
    assert_eq!(touch.status, 500);
    assert!(
        touch.text().contains("/x': Permission denied"),
        "{}",
        touch.text()
    );
    assert_eq!(
        text("caps"),
        "CapInh:\t0000000000000000\nCapPrm:\t0000000000000000\nCapEff:\t0000000000000000\n\
         CapBnd:\t0000000000002000\nCapAmb:\t0000000000000000\n"
    );
    let processes = text("ps")
        .lines()
        .filter(|name| name.parse::<u32>().is_ok())
        .count();
    assert_eq!(processes, 2, "the launcher and the program");
    assert_eq!(text("net"), "lo\n");
    let root = text("root");
    for hidden in ["root\n", "work\n", "boot\n"] {
        assert!(!root.contains(hidden), "{root}");
    }
    assert_eq!(platform.get("/function/write").status, 200);
    assert_eq!(platform.get("/function/home").status, 200);
    assert!(text("shadow").contains("Permission denied"), "{}", text("shadow"));
}

#[test]
fn secrets_are_there_and_read_only() {
    let Some(platform) = platform(&[]) else { return };
    let put = |value: &str| {
        let body = format!(r#"{{"name":"s1","value":"{value}"}}"#);
        assert_eq!(
            platform
                .send("PUT", "/system/secrets", &[], body.as_bytes())
                .status,
            200
        );
    };
    put("v1");
    for (name, command) in [
        ("reader", "cat /var/openfaas/secrets/s1"),
        ("writer", "cp /etc/hostname /var/openfaas/secrets/s1"),
        ("lister", "ls /var/openfaas/secrets"),
    ] {
        let body = format!(
            r#"{{"service":"{name}","image":"functions/alpine","envProcess":"{command}","secrets":["s1"]}}"#
        );
        assert_eq!(platform.post("/system/functions", body.as_bytes()).text(), "");
    }
    assert_eq!(platform.get("/function/reader").text(), "v1");
    put("v2");
    assert_eq!(
        platform.get("/function/reader").text(),
        "v2",
        "the file is the secret"
    );
    assert_eq!(platform.get("/function/writer").status, 500);
    assert_eq!(platform.get("/function/lister").text(), "s1\n");
    let body = br#"{"service":"x","image":"functions/alpine","secrets":["../s1"]}"#;
    assert_eq!(platform.post("/system/functions", body).status, 400);
}

/// Processes of this machine in the sandbox of the function with this host name.
fn processes_of(function: &str) -> Vec<u32> {
    let entries = std::fs::read_dir("/proc").unwrap();
    let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok());
    pids.filter(|pid| {
        let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        let mark = format!("MARK={function}");
        environment
            .split(|byte| *byte == 0)
            .any(|variable| variable == mark.as_bytes())
    })
    .collect()
}

fn namespace(pid: u32, kind: &str) -> Option<u64> {
    std::fs::metadata(format!("/proc/{pid}/ns/{kind}"))
        .ok()
        .map(|metadata| metadata.ino())
}

#[test]
fn nothing_survives_a_function() {
    let mark = format!("gone-{}", std::process::id());
    // A process that leaves its group and session, and ignores SIGTERM.
    let leave = "trap '' TERM; setsid sleep 1000 >/dev/null 2>&1 & sleep 0.2";
    let left = script("left", leave, &[("MARK", &mark)]);
    let Some(platform) = platform(&[left]) else { return };
    assert_eq!(platform.get("/function/left").status, 200);
    eventually("it runs", || !processes_of(&mark).is_empty());
    let pid = processes_of(&mark)[0];
    for kind in ["pid", "mnt", "net", "uts", "ipc"] {
        assert_ne!(
            namespace(pid, kind),
            namespace(std::process::id(), kind),
            "{kind}"
        );
    }
    let body = br#"{"functionName":"left"}"#;
    assert_eq!(
        platform.send("DELETE", "/system/functions", &[], body).status,
        200
    );
    eventually("it has gone", || !is_alive(pid));
    // Other tests of this process have functions at the same time, so only this one's are counted.
    for controller in ["memory", "pids", "unified", ""] {
        let base = std::path::Path::new("/sys/fs/cgroup").join(controller);
        let base = base.join(format!("dfaas-faas-{}", std::process::id()));
        eventually("its cgroups have gone", || {
            let entries = std::fs::read_dir(&base).into_iter().flatten();
            let mut names = entries.map(|entry| entry.unwrap().file_name());
            !names.any(|name| name.to_string_lossy().starts_with("left."))
        });
    }
}

#[test]
fn a_function_cannot_hurt_the_others() {
    let mut greedy = function("greedy", "tail /dev/zero", &[]);
    greedy.limits = Some(ResourceLimits {
        memory: "20Mi".to_owned(),
        ..ResourceLimits::default()
    });
    let bomb = script(
        "bomb",
        "f() { f | f & }; f; sleep 10",
        &[("exec_timeout", "500ms")],
    );
    let Some(platform) = platform(&[
        greedy,
        bomb,
        function("cat", "cat", &[]),
        function("deaf", "sleep 0.2", &[]),
        script("mute", "exec >&- 2>&-; sleep 0.1", &[]),
    ]) else {
        return;
    };
    let fine = |platform: &Platform| assert_eq!(platform.post("/function/cat", b"x").text(), "x");
    let oom = platform.get("/function/greedy");
    assert_eq!((oom.status, oom.text().as_str()), (500, "signal: killed\n"));
    fine(&platform);
    assert_eq!(platform.get("/function/bomb").status, 408);
    fine(&platform);
    // Its group has been killed; what has left the group goes with the function.
    let body = br#"{"functionName":"bomb"}"#;
    assert_eq!(
        platform.send("DELETE", "/system/functions", &[], body).status,
        200
    );
    let large = vec![b'x'; 10 << 20];
    assert_eq!(platform.post("/function/deaf", &large).status, 200);
    assert_eq!(platform.post("/function/mute", b"x").status, 200);
    fine(&platform);
}

#[test]
fn a_function_cannot_end_its_launcher() {
    let Some(platform) = platform(&[script(
        "kill",
        "kill -9 1; kill -STOP 1; ls /proc/1/fd; echo done",
        &[],
    )]) else {
        return;
    };
    for _ in 0..2 {
        let reply = platform.get("/function/kill");
        assert_eq!(reply.status, 200);
        assert!(reply.text().contains("Permission denied"), "{}", reply.text());
        assert!(reply.text().ends_with("done\n"), "{}", reply.text());
    }
}

#[test]
fn native_replicas_are_instances() {
    if !is_root() {
        return;
    }
    let mut counted = function("host", "cat /proc/sys/kernel/random/boot_id", &[]);
    counted
        .labels
        .insert("com.openfaas.scale.min".to_owned(), "2".to_owned());
    counted.limits = Some(ResourceLimits {
        cpu: "500m".to_owned(),
        ..ResourceLimits::default()
    });
    let platform = Platform::start(Options {
        deployments: vec![counted],
        isolation: Apart::Full,
        identity: Identity::Native,
        ..Options::default()
    });
    let status = || platform.get("/system/function/host").text();
    assert!(
        status().contains(r#""replicas":2,"availableReplicas":2"#),
        "{}",
        status()
    );
    assert!(status().contains(r#""faas_function":"host""#) && status().contains(r#""cpu":"500m""#));
    let scale = |replicas: u32| -> Reply {
        let body = format!(r#"{{"serviceName":"host","replicas":{replicas}}}"#);
        platform.send("POST", "/system/scale-function/host", &[], body.as_bytes())
    };
    assert_eq!(scale(4).status, 200);
    assert!(status().contains(r#""replicas":4"#), "{}", status());
    assert_eq!(scale(0).status, 200);
    assert!(!status().contains("replicas"), "{}", status());
    assert_eq!(platform.get("/function/host").status, 200, "a call wakes it");
    assert!(status().contains(r#""replicas":1"#), "{}", status());
}

/// Also run on a kernel with cgroup v2.
#[test]
fn limits_of_a_function_hold() {
    if !is_root() {
        return;
    }
    let limited = |name: &str, text: &str, cpu: &str, memory: &str| {
        let mut function = script(name, text, &[]);
        function.limits = Some(ResourceLimits {
            cpu: cpu.to_owned(),
            memory: memory.to_owned(),
        });
        function
    };
    let busy = "timeout 1 sh -c 'while :; do :; done'; times";
    let platform = Platform::start(Options {
        deployments: vec![
            limited("small", busy, "200m", ""),
            limited("greedy", "tail /dev/zero", "", "20Mi"),
        ],
        isolation: Apart::Full,
        identity: Identity::Native,
        ..Options::default()
    });
    let oom = platform.get("/function/greedy");
    assert!(oom.text().starts_with("exit status 137\n"), "{}", oom.text());
    let started = Instant::now();
    let text = platform.get("/function/small").text();
    let elapsed = started.elapsed().as_secs_f64();
    // The shell's own time, then that of its children: "0m0.205s 0m0.001s".
    let times = text.split_ascii_whitespace();
    let seconds: f64 = times
        .map(|time| {
            time.trim_start_matches("0m")
                .trim_end_matches('s')
                .parse::<f64>()
                .unwrap()
        })
        .sum();
    assert!(seconds > 0.01 && seconds < 0.4 * elapsed, "{text} in {elapsed} s");
    // What it has used is told under cAdvisor's names.
    let page = exchange(platform.metrics, "GET", "/metrics/cadvisor", &[], b"").text();
    let value = |start: &str| {
        let line = page.lines().find(|line| line.starts_with(start));
        let value = line.and_then(|line| line.rsplit(' ').next()?.parse::<f64>().ok());
        value.unwrap_or_else(|| panic!("no {start} in {page}"))
    };
    let labels = "container=\"small\",id=\"/openfaas-fn/small\",image=\"ghcr.io/openfaas/alpine:latest\",\
        name=\"small\",namespace=\"openfaas-fn\"";
    let of = |name: &str| value(&format!("{name}{{{labels}}} "));
    assert!(of("container_cpu_usage_seconds_total") > 0.5 * seconds, "{page}");
    assert!(of("container_memory_usage_bytes") > 0.0 && of("container_processes") >= 1.0);
    assert!(value("machine_cpu_cores ") >= 1.0 && value("machine_memory_bytes ") > 1e6);
}

#[test]
fn changes_and_calls_at_once_do_no_harm() {
    let Some(platform) = platform(&[function("f", "sleep 0.05", &[])]) else {
        return;
    };
    let address = platform.gateway;
    let calls = std::thread::spawn(move || {
        let mut stream = connect(address);
        (0..40)
            .map(|_| {
                stream
                    .write_all(b"GET /function/f HTTP/1.1\r\nHost: x\r\n\r\n")
                    .unwrap();
                read_reply(&mut stream).status
            })
            .collect::<Vec<u16>>()
    });
    let body = serde_json::to_vec(&function("f", "sleep 0.05", &[])).unwrap();
    for _ in 0..5 {
        let removed = platform.send("DELETE", "/system/functions", &[], br#"{"functionName":"f"}"#);
        assert_eq!(removed.status, 200);
        let codes: Vec<u16> = std::thread::scope(|scope| {
            let deploy = || platform.post("/system/functions", &body).status;
            let deploys: Vec<_> = (0..2).map(|_| scope.spawn(deploy)).collect();
            deploys.into_iter().map(|deploy| deploy.join().unwrap()).collect()
        });
        assert!(
            codes.contains(&200) && codes.contains(&400),
            "one wins: {codes:?}"
        );
        let updated = platform.send("PUT", "/system/functions", &[], &body).status;
        assert_eq!(updated, 200);
        std::thread::sleep(Duration::from_millis(20));
    }
    for code in calls.join().unwrap() {
        assert!(code == 200 || code == 404, "{code}");
    }
}
