//! Node containers.

use std::path::PathBuf;
use std::time::Duration;

use dfaas_docker::{Engine, Health, Limits, RunState, Volume};

use crate::fixture::{Node, written};
use crate::tests;

tests![
    a_node_is_what_its_specification_says,
    files_are_there_before_it_starts,
    a_node_stops_by_its_signal,
    a_node_can_be_paused,
    limits_hold_and_can_be_changed,
    too_much_memory_is_told,
    health_is_told,
    a_command_that_is_not_there_is_told,
    one_more_program_runs_in_a_node,
];

async fn a_node_is_what_its_specification_says(engine: &Engine) {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("word"), "volume\n").unwrap();
    let command = "echo $WORD; cat /v/word; touch /v/new || echo read-only; mount | grep -c ' /scratch '; \
                   cat /proc/sys/net/ipv4/ip_forward";
    let node = Node::create(engine, command, |it| {
        it.environment.insert("WORD".to_owned(), "environment".to_owned());
        it.volumes.push(Volume {
            source: directory.path().to_owned(),
            target: "/v".into(),
            read_only: true,
        });
        it.tmpfs.insert("/scratch".to_owned(), "size=1m".to_owned());
        it.sysctls
            .insert("net.ipv4.ip_forward".to_owned(), "1".to_owned());
    })
    .await;
    let output = node.output().await;
    let words: Vec<&str> = output.lines().filter(|line| !line.starts_with("touch")).collect();
    assert_eq!(
        words,
        ["environment", "volume", "read-only", "1", "1"],
        "{output}"
    );
    node.remove(engine).await;
}

async fn files_are_there_before_it_starts(engine: &Engine) {
    let node = Node::create(engine, "cat /etc/dfaas/agent/key.pem", |_| ()).await;
    let files = [(PathBuf::from("/etc/dfaas/agent/key.pem"), b"the key".to_vec())];
    node.container.put_files(&files).await.unwrap();
    assert_eq!(node.output().await, "the key");
    assert_eq!(
        node.output().await,
        "the key",
        "nothing of the first life is heard again"
    );
    node.remove(engine).await;
}

async fn a_node_stops_by_its_signal(engine: &Engine) {
    let command = "trap 'echo ending; exit 7' TERM; echo started; while :; do sleep 0.01; done";
    let node = Node::create(engine, command, |_| ()).await;
    let output = node.container.listen().await.unwrap();
    node.container.start().await.unwrap();
    node.container.start().await.unwrap(); // runs already
    node.container.stop(Duration::from_secs(10)).await.unwrap();
    let status = node.container.status().await.unwrap();
    assert_eq!(
        (status.state, status.pid, status.exit_code),
        (RunState::Ended, None, Some(7))
    );
    assert_eq!(status.describe(), "exit code 7");
    assert_eq!(written(output).await, "started\nending\n");
    node.container.stop(Duration::ZERO).await.unwrap(); // stopped already
    node.remove(engine).await;
}

async fn a_node_can_be_paused(engine: &Engine) {
    let node = Node::create(engine, "sleep 100", |_| ()).await;
    node.container.start().await.unwrap();
    node.container.pause().await.unwrap();
    assert_eq!(node.container.status().await.unwrap().state, RunState::Paused);
    assert!(node.container.pause().await.is_err());
    node.container.resume().await.unwrap();
    assert_eq!(node.container.status().await.unwrap().state, RunState::Running);
    node.remove(engine).await;
}

async fn limits_hold_and_can_be_changed(engine: &Engine) {
    let limits = |memory_bytes, cpus| Limits {
        cpus: Some(cpus),
        memory_bytes: Some(memory_bytes),
        pids: Some(50),
    };
    let node = Node::create(engine, "sleep 100", |it| it.limits = limits(64 << 20, 0.5)).await;
    node.container.start().await.unwrap();
    assert_eq!(read_limits(&node).await, (64 << 20, 50_000));
    node.container.set_limits(&limits(128 << 20, 0.25)).await.unwrap();
    assert_eq!(read_limits(&node).await, (128 << 20, 25_000));
    assert!(
        node.container.set_limits(&limits(1, 0.25)).await.is_err(),
        "less than any container needs"
    );
    node.remove(engine).await;
}

/// Bytes of memory, and microseconds of processor time in each 100 ms, as the engine has them.
async fn read_limits(node: &Node) -> (i64, i64) {
    let docker = bollard::Docker::connect_with_local_defaults().unwrap();
    let found = docker
        .inspect_container(node.container.name(), None)
        .await
        .unwrap();
    let host = found.host_config.unwrap();
    (host.memory.unwrap(), host.cpu_quota.unwrap())
}

async fn too_much_memory_is_told(engine: &Engine) {
    let node = Node::create(engine, "tail -c 200000000 /dev/zero | wc -c", |it| {
        it.limits.memory_bytes = Some(16 << 20);
        it.command = Some(
            ["tail", "-c", "200000000", "/dev/zero"]
                .map(str::to_owned)
                .to_vec(),
        );
    })
    .await;
    node.container.start().await.unwrap();
    let status = loop {
        let status = node.container.status().await.unwrap();
        if status.state == RunState::Ended {
            break status;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    };
    assert!(status.out_of_memory, "{status:?}");
    assert_eq!(status.describe(), "out of memory");
    node.remove(engine).await;
}

async fn health_is_told(engine: &Engine) {
    let node = Node::create(engine, "sleep 100", |it| {
        it.health = Some(Health {
            command: "test -e /well".to_owned(),
            interval: Duration::from_millis(50),
            timeout: Duration::from_secs(5),
            retries: 1,
        });
    })
    .await;
    node.container.start().await.unwrap();
    wait_for_health(&node, "unhealthy").await;
    node.container
        .put_files(&[(PathBuf::from("/well"), Vec::new())])
        .await
        .unwrap();
    wait_for_health(&node, "healthy").await;
    node.remove(engine).await;
}

async fn wait_for_health(node: &Node, wanted: &str) {
    let deadline = std::time::Instant::now() + Duration::from_secs(20);
    loop {
        let health = node.container.status().await.unwrap().health;
        if health.as_deref() == Some(wanted) {
            return;
        }
        assert!(
            std::time::Instant::now() < deadline,
            "{health:?} instead of {wanted}"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn a_command_that_is_not_there_is_told(engine: &Engine) {
    let node = Node::create(engine, "", |it| {
        it.command = Some(vec!["no-such-program".to_owned()])
    })
    .await;
    let error = node.container.start().await.unwrap_err().to_string();
    assert!(
        error.starts_with("cannot start container") && error.contains("no-such-program"),
        "{error}"
    );
    node.remove(engine).await;
}

async fn one_more_program_runs_in_a_node(engine: &Engine) {
    let node = Node::create(engine, "sleep 100", |_| ()).await;
    assert!(
        node.container.run(&["true"]).await.is_err(),
        "it does not run yet"
    );
    node.container.start().await.unwrap();
    let (code, output) = node
        .container
        .run(&["sh", "-c", "hostname; echo no >&2; exit 3"])
        .await
        .unwrap();
    // An engine reads both streams side by side.
    let mut lines: Vec<&str> = output.lines().collect();
    lines.sort_unstable();
    assert_eq!((code, lines), (3, vec!["n1", "no"]));
    node.remove(engine).await;
}
