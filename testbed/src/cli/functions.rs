use std::collections::BTreeMap;

use clap::Args;
use dfaas_control::{Client, LabDetail, Reply};
use dfaas_lab::LabError;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{LabChoice, block_on, print, print_json};
use crate::error::CliError;
use crate::table;

const FUNCTIONS: &str = "/system/functions";

/// A node's FaaS platform.
#[derive(Debug, Args)]
struct Platform {
    #[command(flatten)]
    lab: LabChoice,
    /// The node
    node: String,
    /// Credentials of the platform, where the topology file gives it any
    #[arg(short, long, value_name = "USER:PASSWORD")]
    user: Option<String>,
    /// Print the outcome as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct DeployArguments {
    #[command(flatten)]
    platform: Platform,
    /// The function's image, as `ghcr.io/openfaas/figlet` or `figlet`; `dfaas-faas images` lists what there is
    #[arg(long, value_name = "IMAGE")]
    image: String,
    /// The function's name [default: the last part of the image's]
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// The command, in place of the image's
    #[arg(long, value_name = "COMMAND")]
    fprocess: Option<String>,
    /// A label, as `dfaas.maxrate=10`
    #[arg(long, value_name = "KEY=VALUE", value_parser = parse_pair)]
    label: Vec<(String, String)>,
    /// A variable of the function's environment
    #[arg(long, value_name = "KEY=VALUE", value_parser = parse_pair)]
    env: Vec<(String, String)>,
    /// A secret that the function reads
    #[arg(long, value_name = "NAME")]
    secret: Vec<String>,
    /// Limit of the function's memory, as `64Mi`
    #[arg(long, value_name = "QUANTITY")]
    memory: Option<String>,
    /// Limit of the function's processors, as `500m`; a platform that stands for faasd ignores it, as that does
    #[arg(long, value_name = "QUANTITY")]
    cpu: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct UndeployArguments {
    #[command(flatten)]
    platform: Platform,
    /// The function to remove
    function: String,
}

#[derive(Debug, Args)]
pub(crate) struct FunctionsArguments {
    #[command(flatten)]
    platform: Platform,
}

/// Deploys a function, or changes the one of this name. An agent takes notice at its next recalculation.
pub(crate) fn deploy(arguments: &DeployArguments) -> Result<u8, CliError> {
    let name = match &arguments.name {
        Some(name) => name.clone(),
        None => short_name(&arguments.image).to_owned(),
    };
    let mut document = json!({ "service": name, "image": arguments.image });
    let mut set = |key: &str, value: Value| document[key] = value;
    if let Some(command) = &arguments.fprocess {
        set("envProcess", command.clone().into());
    }
    let table = |pairs: &[(String, String)]| json!(pairs.iter().cloned().collect::<BTreeMap<_, _>>());
    set("labels", table(&arguments.label));
    set("envVars", table(&arguments.env));
    set("secrets", json!(arguments.secret));
    let limits = [("memory", &arguments.memory), ("cpu", &arguments.cpu)];
    let limits: BTreeMap<&str, &String> = limits
        .into_iter()
        .filter_map(|(name, limit)| Some((name, limit.as_ref()?)))
        .collect();
    if !limits.is_empty() {
        set("limits", json!(limits));
    }
    let platform = &arguments.platform;
    let gateway = platform.connect()?;
    let mut reply = gateway.ask("PUT", document.to_string())?;
    if reply.status == 404 {
        reply = gateway.ask("POST", document.to_string())?;
    }
    platform.check(&reply, &format!("did not deploy `{name}`"))?;
    platform.tell(&name, "is deployed on")
}

/// Removes a function.
pub(crate) fn undeploy(arguments: &UndeployArguments) -> Result<u8, CliError> {
    let (platform, function) = (&arguments.platform, &arguments.function);
    let document = json!({ "functionName": function });
    let reply = platform.connect()?.ask("DELETE", document.to_string())?;
    platform.check(&reply, &format!("did not remove `{function}`"))?;
    platform.tell(function, "is removed from")
}

/// What the list shows of a function.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Function {
    name: String,
    image: String,
    #[serde(default)]
    replicas: u64,
    #[serde(default)]
    invocation_count: f64,
    #[serde(default)]
    labels: BTreeMap<String, String>,
}

/// Lists the functions of a node.
pub(crate) fn list(arguments: &FunctionsArguments) -> Result<u8, CliError> {
    let platform = &arguments.platform;
    let reply = platform.connect()?.ask("GET", String::new())?;
    platform.check(&reply, "did not list its functions")?;
    let no_list =
        |error| CliError::failed(format!("node `{}` answered with no list: {error}", platform.node));
    if platform.json {
        print_json(&serde_json::from_slice::<Value>(&reply.body).map_err(no_list)?)?;
        return Ok(0);
    }
    let functions: Vec<Function> = serde_json::from_slice(&reply.body).map_err(no_list)?;
    if functions.is_empty() {
        print(&format!("{} has no functions\n", platform.node))?;
        return Ok(0);
    }
    let heads = ["FUNCTION", "IMAGE", "REPLICAS", "CALLS", "LABELS"];
    let mut cells = vec![heads.map(str::to_owned).to_vec()];
    for function in functions {
        let labels: Vec<String> = function
            .labels
            .iter()
            .map(|(key, value)| format!("{key}={value}"))
            .collect();
        cells.push(vec![
            function.name,
            function.image,
            function.replicas.to_string(),
            function.invocation_count.to_string(),
            labels.join(" "),
        ]);
    }
    print(&table::columns(&cells))?;
    Ok(0)
}

/// The port of a node's gateway.
pub(super) fn gateway(lab: &LabDetail, name: &str) -> Result<u16, CliError> {
    let Some(node) = lab.nodes.iter().find(|node| node.name == name) else {
        let names = lab.nodes.iter().map(|node| node.name.as_str());
        return Err(LabError::Unknown {
            lab: lab.name.clone(),
            what: "node",
            name: name.to_owned(),
            similar: dfaas_model::closest(name, names).map(str::to_owned),
        }
        .into());
    };
    node.gateway.ok_or_else(|| {
        CliError::input(format!(
            "node `{name}` has no FaaS platform: its kind is `{}`, only `dfaas` nodes have one",
            node.kind
        ))
    })
}

impl Platform {
    fn connect(&self) -> Result<Gateway<'_>, CliError> {
        let (_, client) = dfaas_lab::connect(self.lab.lab.as_deref())?;
        let lab = block_on(client.lab_without_links())??;
        Ok(Gateway {
            platform: self,
            client,
            port: gateway(&lab, &self.node)?,
        })
    }

    /// What was done to a function.
    fn tell(&self, function: &str, what: &str) -> Result<u8, CliError> {
        if self.json {
            print_json(&json!({ "node": self.node, "function": function }))?;
        } else {
            print(&format!("{function} {what} {}\n", self.node))?;
        }
        Ok(0)
    }

    fn check(&self, reply: &Reply, what: &str) -> Result<(), CliError> {
        let text = String::from_utf8_lossy(&reply.body);
        match reply.status {
            200..=299 => Ok(()),
            401 => Err(CliError::input(format!(
                "node `{}` {what}: it wants credentials, give them with --user USER:PASSWORD",
                self.node
            ))),
            400 | 404 => Err(CliError::input(format!(
                "node `{}` {what}: {}",
                self.node,
                text.trim()
            ))),
            status => Err(CliError::failed(format!(
                "node `{}` {what}: status {status}: {}",
                self.node,
                text.trim()
            ))),
        }
    }
}

/// The way to a platform's gateway, which need not be where it usually is.
struct Gateway<'a> {
    platform: &'a Platform,
    client: Client,
    port: u16,
}

impl Gateway<'_> {
    fn ask(&self, method: &str, body: String) -> Result<Reply, CliError> {
        let Platform { node, user, .. } = self.platform;
        let mut headers = vec![
            ("Host".to_owned(), node.clone()),
            ("Content-Type".to_owned(), "application/json".to_owned()),
        ];
        if let Some(user) = user {
            headers.push(("Authorization".to_owned(), basic(user)));
        }
        let (client, body) = (&self.client, body.into());
        let call = client.node_request(node, self.port, method, FUNCTIONS, &headers, body);
        Ok(block_on(call)??)
    }
}

/// The last part of an image reference, without tag: what most people call the function.
fn short_name(image: &str) -> &str {
    let last = image.rsplit('/').next().unwrap_or(image);
    last.split([':', '@']).next().unwrap_or(last)
}

/// The value of `Authorization` for credentials `USER:PASSWORD` (RFC 7617).
fn basic(user: &str) -> String {
    use base64::Engine;
    format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(user))
}

fn parse_pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("expected KEY=VALUE".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::{basic, parse_pair, short_name};

    #[test]
    fn arguments_are_read() {
        assert_eq!(short_name("ghcr.io/openfaas/figlet:latest"), "figlet");
        assert_eq!(short_name("figlet"), "figlet");
        assert_eq!(parse_pair("a=b=c"), Ok(("a".to_owned(), "b=c".to_owned())));
        assert!(parse_pair("=b").is_err() && parse_pair("a").is_err());
        assert_eq!(basic("admin:admin"), "Basic YWRtaW46YWRtaW4=");
    }
}
