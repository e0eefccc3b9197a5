//! What a node sees, and what it cannot do.

use std::fs;
use std::path::Path;

use dfaas_process::{Bind, ExitStatus, Privileges};
use nix::mount::{MntFlags, MsFlags, mount, umount2};

use crate::fixture::{LONG, Place};

pub(crate) const TESTS: &[crate::Test] = &[
    (
        "isolation::a_node_has_its_own_names_and_processes",
        names_and_processes,
    ),
    ("isolation::what_a_node_writes_stays_in_the_node", writes_stay),
    ("isolation::two_nodes_share_nothing", two_nodes),
    ("isolation::the_machine_is_out_of_reach", out_of_reach),
    (
        "isolation::services_that_make_namespaces_can_be_allowed_to",
        namespaces_allowed,
    ),
    (
        "isolation::other_file_systems_are_visible_read_only",
        other_file_systems,
    ),
    ("isolation::binds_appear_as_asked", binds),
    (
        "isolation::a_scratch_that_no_overlay_can_use_is_replaced",
        unusable_scratch,
    ),
];

fn names_and_processes() {
    let place = Place::new();
    let node = place.node("n1");
    let script = "hostname; cat /etc/hostname; cat /etc/hosts; wc -c < /etc/resolv.conf; \
        echo processes $(ls /proc | grep -E '^[0-9]+$' | sort -n | head -n 2); readlink /proc/1/exe; \
        ls -A /tmp /run /var/tmp; ls /sys/class/net; cat /proc/1/comm";
    let (status, text) = node.script("look", script);
    assert!(text.starts_with("n1\nn1\n127.0.0.1\tlocalhost\n"), "{text}");
    assert!(text.contains("10.0.0.1\tn1\n10.0.0.2\tn2\n0\n"), "{text}");
    assert!(
        text.contains("processes 1 2\n"),
        "process 1 is init, the service is the second: {text}"
    );
    assert!(text.contains("/run:\ndfaas\n\n/tmp:\n\n/var/tmp:\n"), "{text}");
    assert!(
        text.contains("\nlo\n"),
        "the interfaces are those of the new network namespace: {text}"
    );
    assert!(!text.contains("eth0"), "{text}");
    assert_eq!(status, ExitStatus::Code(0));
}

fn writes_stay() {
    let place = Place::new();
    let node = place.node("n1");
    let before = fs::read("/etc/hosts").expect("hosts");
    let script = "set -e; echo changed > /etc/hosts; rm /etc/passwd; mkdir /made-in-a-node; echo x > /usr/bin/made-in-a-node; \
        mv /etc/group /etc/group2; cat /etc/hosts; test ! -e /etc/passwd";
    let (status, text) = node.script("write", script);
    assert_eq!((status, text.as_str()), (ExitStatus::Code(0), "changed\n"));
    assert_eq!(fs::read("/etc/hosts").expect("hosts"), before);
    assert!(Path::new("/etc/passwd").exists() && Path::new("/etc/group").exists());
    for path in ["/made-in-a-node", "/usr/bin/made-in-a-node", "/etc/group2"] {
        assert!(!Path::new(path).exists(), "{path} is on the host");
    }
}

fn two_nodes() {
    let place = Place::new();
    let (first, second) = (place.node("n1"), place.node("n2"));
    first.script(
        "write",
        "echo 1 > /root/shared; echo 1 > /tmp/shared; echo 1 > /dev/shm/shared; ipcmk -M 100",
    );
    let (_, text) = second.script(
        "look",
        "ls /root/shared /tmp/shared /dev/shm/shared; ipcs -m | grep -c 0x; hostname",
    );
    assert_eq!(text.matches("No such file").count(), 3, "{text}");
    assert!(text.ends_with("0\nn2\n"), "{text}");
}

/// Each line must fail inside a node.
const FORBIDDEN: [&str; 18] = [
    "mount -t tmpfs tmpfs /mnt",
    "mount -o remount,rw,bind /run/dfaas/bin",
    "umount /proc",
    "mknod /tmp/disk b 254 0",
    "echo x > /run/dfaas/bin/made-in-a-node",
    "echo core > /proc/sys/kernel/core_pattern",
    "echo 1 > /proc/sys/vm/overcommit_memory",
    "echo h > /proc/sysrq-trigger",
    "echo x > /sys/class/net/lo/ifalias",
    "readlink /proc/1/fd/5",
    "ls /proc/1/root/",
    "hostname other",
    "chrt -f 50 true",
    "date -s @0",
    "unshare --user --map-root-user --mount mount -o remount,rw,bind /run/dfaas/bin",
    "unshare --user --map-root-user --mount umount /proc/sys",
    "unshare --user --map-root-user --mount --pid --fork mount -t proc proc /mnt",
    "echo x > /sys/kernel/uevent_helper",
];

fn out_of_reach() {
    let place = Place::new();
    let node = place.node("n1");
    for (number, line) in FORBIDDEN.iter().enumerate() {
        let (status, text) = node.script(&format!("try-{number}"), line);
        assert!(!status.success(), "{line} worked in a node: {text}");
        let tried = !text.contains("not found") && !text.contains("No such file");
        assert!(tried, "{line} was not even tried: {text}");
    }
    let allowed = "set -e; echo 1 > /proc/sys/net/ipv4/ip_forward; cat /proc/sys/net/ipv4/ip_forward; chown 1:1 /tmp; \
        echo > /dev/null; head -c 1 /dev/urandom | wc -c; ls /dev | tr '\\n' ' '; ls /dev/pts";
    let before = fs::read_to_string("/proc/sys/net/ipv4/ip_forward").expect("setting");
    let (status, text) = node.script("allowed", allowed);
    assert_eq!(status, ExitStatus::Code(0), "{text}");
    assert!(text.starts_with("1\n1\n"), "{text}");
    assert!(
        text.contains("null") && !text.contains("vda") && !text.contains("kmsg"),
        "{text}"
    );
    assert_eq!(
        fs::read_to_string("/proc/sys/net/ipv4/ip_forward").expect("setting"),
        before
    );
}

fn namespaces_allowed() {
    let place = Place::new();
    let script = "unshare --pid --fork --mount true";
    assert!(!place.node("n1").script("try", script).0.success());
    let mut spec = place.spec("n2");
    spec.privileges = Privileges::Namespaces;
    let (status, text) = place.ready(spec).script("try", script);
    assert!(status.success(), "{text}");
    let (status, text) = place
        .node("n3")
        .script("try", "unshare --user --map-root-user --pid --fork --mount true");
    assert!(
        status.success(),
        "with a user namespace it needs no permission: {text}"
    );
}

fn other_file_systems() {
    let place = Place::new();
    // In this process' own mount namespace; the host's /media stays as it is.
    mount(
        Some("tmpfs"),
        "/media",
        Some("tmpfs"),
        MsFlags::empty(),
        None::<&str>,
    )
    .expect("tmpfs");
    fs::create_dir("/media/inner").expect("directory");
    mount(
        Some("tmpfs"),
        "/media/inner",
        Some("tmpfs"),
        MsFlags::empty(),
        None::<&str>,
    )
    .expect("tmpfs");
    fs::write("/media/inner/file", "from the host\n").expect("file");
    let node = place.node("n1");
    let (_, text) = node.script(
        "look",
        "cat /media/inner/file; echo x > /media/file; echo x > /media/inner/file",
    );
    assert!(text.starts_with("from the host\n"), "{text}");
    assert_eq!(text.matches("Read-only").count(), 2, "{text}");
    assert_eq!(
        fs::read_to_string("/media/inner/file").expect("file"),
        "from the host\n"
    );
    drop(node);
    umount2("/media", MntFlags::MNT_DETACH).expect("unmount");
}

fn binds() {
    let place = Place::new();
    let source = place.path().join("source");
    fs::create_dir(&source).expect("directory");
    fs::write(source.join("file"), "1\n").expect("file");
    let mut spec = place.spec("n1");
    spec.binds.push(Bind {
        source: source.clone(),
        target: "/srv/data/deep".into(),
        read_only: false,
    });
    spec.binds
        .push(Bind::read_only(source.join("file"), "/etc/one-file"));
    let node = place.ready(spec);
    let (_, text) =
        node.script("look", "cat /etc/one-file; echo 2 > /srv/data/deep/file; cat /etc/one-file; echo 3 > /etc/one-file; ls /run/dfaas/bin | grep -c node");
    assert!(text.starts_with("1\n2\n"), "{text}");
    assert!(text.contains("Read-only"), "{text}");
    assert_eq!(fs::read_to_string(source.join("file")).expect("file"), "2\n");
    let mut spec = place.spec("n2");
    spec.binds.push(Bind::read_only("/no/such/place", "/srv/x"));
    let message = place
        .spawn(spec)
        .init
        .wait_ready(LONG)
        .expect_err("a bind that was asked for")
        .to_string();
    assert!(
        message.contains("n2") && message.contains("/no/such/place"),
        "{message}"
    );
}

fn unusable_scratch() {
    let place = Place::new();
    let directory = |name: &str| {
        let path = place.path().join(name);
        fs::create_dir(&path).expect("directory");
        path
    };
    let (lower, upper, work, merged) = (directory("l"), directory("u"), directory("w"), directory("m"));
    // An overlay cannot be written to through another one.
    let options = format!(
        "lowerdir={},upperdir={},workdir={}",
        lower.display(),
        upper.display(),
        work.display()
    );
    mount(
        Some("overlay"),
        &merged,
        Some("overlay"),
        MsFlags::empty(),
        Some(options.as_str()),
    )
    .expect("overlay");
    let mut spec = place.spec("n1");
    spec.scratch = merged.clone();
    let node = place.ready(spec);
    let (status, text) = node.script("write", "echo x > /etc/made-in-a-node && cat /etc/made-in-a-node");
    assert_eq!((status, text.as_str()), (ExitStatus::Code(0), "x\n"));
    assert_eq!(fs::read_dir(merged.join("upper")).map_or(0, Iterator::count), 0);
    drop(node);
    umount2(&merged, MntFlags::MNT_DETACH).expect("unmount");
}
