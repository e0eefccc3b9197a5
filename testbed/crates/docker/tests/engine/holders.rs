//! Network holders.

use dfaas_docker::{DockerError, Engine, HolderSpec, RunState};

use crate::fixture::{Node, name, network_of};
use crate::tests;

tests![
    a_holder_has_a_network_of_its_own,
    a_node_keeps_its_network_over_a_restart,
    a_node_sees_the_names_of_its_holder,
    a_name_is_taken_once,
    other_containers_are_left_alone,
];

async fn a_holder_has_a_network_of_its_own(engine: &Engine) {
    let specification = HolderSpec {
        name: name("net"),
        node: "n1".to_owned(),
        ..HolderSpec::default()
    };
    let holder = engine.start_holder(&specification).await.unwrap();
    assert_ne!(
        network_of(holder.pid),
        network_of(i32::try_from(std::process::id()).unwrap())
    );
    let devices = std::fs::read_to_string(format!("/proc/{}/net/dev", holder.pid)).unwrap();
    let devices: Vec<&str> = devices
        .lines()
        .skip(2)
        .filter_map(|line| line.split(':').next())
        .collect();
    assert!(
        devices.iter().all(|device| !device.contains("eth")),
        "{devices:?}"
    );
    engine.remove_container(&holder.name).await.unwrap();
    engine.remove_container(&holder.name).await.unwrap(); // gone already
}

async fn a_node_keeps_its_network_over_a_restart(engine: &Engine) {
    let node = Node::create(engine, "sleep 100", |_| ()).await;
    let first = node.container.start().await.unwrap();
    assert_eq!(network_of(first.pid.unwrap()), network_of(node.holder.pid));
    node.container.kill().await.unwrap();
    assert_eq!(node.container.status().await.unwrap().state, RunState::Ended);
    let second = node.container.start().await.unwrap();
    assert_ne!(first.pid, second.pid);
    assert_eq!(network_of(second.pid.unwrap()), network_of(node.holder.pid));
    node.remove(engine).await;
}

async fn a_node_sees_the_names_of_its_holder(engine: &Engine) {
    let node = Node::create(engine, "hostname; cat /etc/hosts", |_| ()).await;
    let output = node.output().await;
    assert!(output.starts_with("n1\n"), "{output}");
    assert!(output.lines().any(|line| line == "10.9.8.7\tn2"), "{output}");
    // It has ended, and sees others when it starts again.
    let hosts = |name: &str| vec![("10.9.8.7".parse().unwrap(), name.to_owned())];
    let (before, after) = (hosts("n2"), hosts("n3"));
    let told = engine.set_hosts(&node.holder.name, &before, &after);
    told.await.unwrap();
    let output = node.output().await;
    assert!(
        output.ends_with("\n10.9.8.7\tn3\n") && output.contains("\tlocalhost\n") && !output.contains("n2"),
        "{output}"
    );
    let gone = engine.set_hosts("dfaas-test-none", &[], &[]).await.unwrap_err();
    assert!(gone.to_string().contains("No such container"), "{gone}");
    node.remove(engine).await;
}

async fn a_name_is_taken_once(engine: &Engine) {
    let specification = HolderSpec {
        name: name("net"),
        node: "n1".to_owned(),
        ..HolderSpec::default()
    };
    let holder = engine.start_holder(&specification).await.unwrap();
    let error = engine.start_holder(&specification).await.unwrap_err();
    assert!(
        matches!(
            error,
            DockerError::Container {
                operation: "create",
                ..
            }
        ),
        "{error:?}"
    );
    assert!(error.to_string().contains("already in use"), "{error}");
    engine.remove_container(&holder.name).await.unwrap();
}

async fn other_containers_are_left_alone(engine: &Engine) {
    let other = Node::create(engine, "sleep 100", |_| ()).await;
    other.container.start().await.unwrap();
    let node = Node::create(engine, "sleep 100", |_| ()).await;
    node.container.start().await.unwrap();
    node.remove(engine).await;
    assert_eq!(other.container.status().await.unwrap().state, RunState::Running);
    other.remove(engine).await;
    let error = engine
        .container_status("dfaas-test-none")
        .await
        .unwrap_err()
        .to_string();
    assert!(error.contains("No such container"), "{error}");
}
