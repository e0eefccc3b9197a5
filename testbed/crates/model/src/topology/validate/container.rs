//! The keys of nodes that are containers.

use std::time::Duration;

use indexmap::IndexMap;

use super::super::container::{ContainerImage, ContainerSettings, Driver, HealthCheck};
use super::super::file::{DriverFile, FallbackFile, HealthFile, NodeFile};
use super::super::topology::NodeKind;
use crate::document::spanned::Spanned;
use crate::document::tree::Span;
use crate::error::{Fault, Problem, Problems};
use crate::units::TimeSpan;

/// Between two health checks when the file does not say.
const HEALTH_INTERVAL: Duration = Duration::from_secs(1);
/// How long a health check may take when the file does not say.
const HEALTH_TIMEOUT: Duration = Duration::from_secs(5);
/// Failures in a row when the file does not say.
const HEALTH_RETRIES: u32 = 3;

/// How the node runs. Keys for containers are refused on other nodes. `default`: these are the defaults of a kind,
/// whose image may follow in each node.
pub(super) fn driver(
    kind: NodeKind,
    span: Span,
    file: &NodeFile,
    default: bool,
    problems: &mut Problems,
) -> Driver {
    let driver = file.driver.as_ref();
    let is_docker = driver.is_some_and(|driver| driver.value == DriverFile::Docker);
    if !is_docker {
        // `driver: native` on a node undoes the defaults of its kind, whose other keys it has all the same.
        if !default && driver.is_none() {
            refuse_keys(file, problems);
        }
        return Driver::Native;
    }
    let place = driver.map_or(span, |driver| driver.span);
    if kind == NodeKind::Client {
        let message = "a client runs natively, because load comes from our own program".to_owned();
        problems.add(Problem::new(Fault::Contradiction { message }, place).label("here"));
    }
    let image = match (&file.image, &file.build) {
        (Some(image), None) => Some(ContainerImage::Named(image.value.clone())),
        (None, Some(folder)) => Some(ContainerImage::Folder(folder.value.clone())),
        (Some(_), Some(folder)) => {
            let message = "a container has either an `image` or a folder to `build`".to_owned();
            problems.add(Problem::new(Fault::Contradiction { message }, folder.span).label("both are given"));
            None
        }
        (None, None) if default => None,
        (None, None) => {
            let message = "a container needs an `image`, or a folder to `build` one from".to_owned();
            problems.add(
                Problem::new(Fault::Value { message }, place)
                    .label("has neither")
                    .help("for example `image: debian:12`"),
            );
            None
        }
    };
    check_fallback(file, problems);
    Driver::Docker(Box::new(ContainerSettings {
        image: image.unwrap_or_else(|| ContainerImage::Named(String::new())),
        oci_runtime: file.oci_runtime.as_ref().map(|runtime| runtime.value.clone()),
        fallback_privileged: file.fallback.is_some(),
        command: file.command.as_ref().map(|command| command.value.clone()),
        privileged: file
            .privileged
            .as_ref()
            .is_some_and(|privileged| privileged.value),
        tmpfs: tmpfs(file, problems),
        devices: devices(file, problems),
        capabilities: file
            .capabilities
            .iter()
            .flatten()
            .map(|it| capability(&it.value))
            .collect(),
        sysctls: file
            .sysctls
            .iter()
            .flatten()
            .map(|(name, value)| (name.value.clone(), value.value.0.clone()))
            .collect(),
        health: file.health.as_ref().map(|health| check_health(health, problems)),
    }))
}

fn refuse_keys(file: &NodeFile, problems: &mut Problems) {
    let given = [
        ("image", file.image.as_ref().map(|it| it.span)),
        ("build", file.build.as_ref().map(|it| it.span)),
        ("oci_runtime", file.oci_runtime.as_ref().map(|it| it.span)),
        ("fallback", file.fallback.as_ref().map(|it| it.span)),
        ("command", file.command.as_ref().map(|it| it.span)),
        ("privileged", file.privileged.as_ref().map(|it| it.span)),
        ("tmpfs", first(file.tmpfs.as_deref())),
        ("devices", first(file.devices.as_deref())),
        ("capabilities", first(file.capabilities.as_deref())),
        (
            "sysctls",
            file.sysctls
                .as_ref()
                .and_then(|it| it.keys().next())
                .map(|it| it.span),
        ),
        ("health", file.health.as_ref().map(|it| it.command.span)),
    ];
    for (key, span) in given {
        if let Some(span) = span {
            let message = format!("`{key}` is for containers, and this node is none");
            problems.add(
                Problem::new(Fault::Contradiction { message }, span)
                    .label("here")
                    .help("add `driver: docker` to make the node a container"),
            );
        }
    }
}

fn first(list: Option<&[Spanned<String>]>) -> Option<Span> {
    list?.first().map(|it| it.span)
}

fn check_fallback(file: &NodeFile, problems: &mut Problems) {
    let Some(fallback) = &file.fallback else { return };
    let FallbackFile::Privileged = fallback.value;
    if file.oci_runtime.is_none() {
        let message = "a fallback is for a runtime that is missing, and no `oci_runtime` is given".to_owned();
        problems.add(
            Problem::new(Fault::Contradiction { message }, fallback.span)
                .label("here")
                .help("for example `oci_runtime: sysbox-runc`"),
        );
    }
}

/// `PATH` or `PATH:OPTIONS`, as in `docker run --tmpfs`.
fn tmpfs(file: &NodeFile, problems: &mut Problems) -> IndexMap<String, String> {
    let mut mounts = IndexMap::new();
    for text in file.tmpfs.iter().flatten() {
        let (path, options) = text.value.split_once(':').unwrap_or((&text.value, ""));
        if path.starts_with('/') {
            mounts.insert(path.to_owned(), options.to_owned());
        } else {
            let message = format!("`{}` is not an absolute path", text.value);
            problems.add(
                Problem::new(Fault::Value { message }, text.span)
                    .label("here")
                    .help("write it like `/scratch` or `/scratch:size=64m`"),
            );
        }
    }
    mounts
}

/// `/dev/NAME` or `/dev/NAME:TARGET`.
fn devices(file: &NodeFile, problems: &mut Problems) -> IndexMap<String, String> {
    let mut devices = IndexMap::new();
    for text in file.devices.iter().flatten() {
        let (source, target) = text.value.split_once(':').unwrap_or((&text.value, &text.value));
        if source.starts_with("/dev/") && target.starts_with('/') {
            devices.insert(source.to_owned(), target.to_owned());
        } else {
            let message = format!("`{}` is not a device", text.value);
            problems.add(
                Problem::new(Fault::Value { message }, text.span)
                    .label("here")
                    .help("write it like `/dev/kvm` or `/dev/ttyUSB0:/dev/modem`"),
            );
        }
    }
    devices
}

/// Engines take `NET_ADMIN`; people write `CAP_NET_ADMIN` and `net_admin` too.
fn capability(text: &str) -> String {
    let upper = text.to_ascii_uppercase();
    upper.strip_prefix("CAP_").unwrap_or(&upper).to_owned()
}

fn check_health(file: &HealthFile, problems: &mut Problems) -> HealthCheck {
    let mut span = |given: Option<&Spanned<TimeSpan>>, otherwise: Duration| {
        let Some(given) = given else { return otherwise };
        // What an engine takes at least.
        if given.value.0 < Duration::from_millis(1) {
            let message = "a health check needs at least 1ms".to_owned();
            problems.add(Problem::new(Fault::Value { message }, given.span).label("must be more"));
        }
        given.value.0
    };
    HealthCheck {
        command: file.command.value.clone(),
        interval: span(file.interval.as_ref(), HEALTH_INTERVAL),
        timeout: span(file.timeout.as_ref(), HEALTH_TIMEOUT),
        retries: file.retries.unwrap_or(HEALTH_RETRIES),
    }
}
