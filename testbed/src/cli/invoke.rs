use std::io::{IsTerminal, Read};

use clap::Args;

use super::functions::gateway;
use super::{LabChoice, block_on, print};
use crate::error::CliError;

#[derive(Debug, Args)]
pub(crate) struct InvokeArguments {
    #[command(flatten)]
    lab: LabChoice,
    /// The node to call
    node: String,
    /// The function to call
    function: String,
    /// Body of the request; `@FILE` reads it from a file, `@-` from standard input
    #[arg(short, long, value_name = "BODY")]
    data: Option<String>,
    /// A request header, `Name: value`
    #[arg(short = 'H', long, value_name = "HEADER", value_parser = parse_header)]
    header: Vec<(String, String)>,
    /// Print the status and the response headers first
    #[arg(short, long)]
    include: bool,
}

pub(crate) fn run(arguments: &InvokeArguments) -> Result<u8, CliError> {
    let body = arguments.data.as_deref().map(read_body).transpose()?;
    let method = if body.is_some() { "POST" } else { "GET" };
    let (_, client) = dfaas_lab::connect(arguments.lab.lab.as_deref())?;
    let path = format!("/function/{}", arguments.function);
    let mut headers = arguments.header.clone();
    headers.push(("Host".to_owned(), arguments.node.clone()));
    let call = client.node_request(
        &arguments.node,
        80,
        method,
        &path,
        &headers,
        body.unwrap_or_default().into(),
    );
    let reply = block_on(call)??;
    if reply.status >= 400 {
        // A node without a platform answers for itself, if at all.
        gateway(&block_on(client.lab_without_links())??, &arguments.node)?;
    }
    if arguments.include {
        let mut head = format!("HTTP/1.1 {}\n", reply.status);
        for (name, value) in &reply.headers {
            head.push_str(&format!("{name}: {value}\n"));
        }
        head.push('\n');
        print(&head)?;
    }
    write_bytes(&reply.body)?;
    if reply.status < 400 {
        return Ok(0);
    }
    if std::io::stdout().is_terminal() && !reply.body.ends_with(b"\n") {
        print("\n")?;
    }
    Err(CliError::failed(format!(
        "function `{}` of node `{}` answered with status {}",
        arguments.function, arguments.node, reply.status
    )))
}

fn read_body(text: &str) -> Result<Vec<u8>, CliError> {
    match text.strip_prefix('@') {
        None => Ok(text.as_bytes().to_vec()),
        Some("-") => {
            let mut body = Vec::new();
            std::io::stdin().read_to_end(&mut body).map_err(CliError::input)?;
            Ok(body)
        }
        Some(path) => {
            std::fs::read(path).map_err(|error| CliError::input(format!("cannot read {path}: {error}")))
        }
    }
}

fn write_bytes(bytes: &[u8]) -> Result<(), CliError> {
    use std::io::Write;
    let mut stdout = std::io::stdout().lock();
    match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(CliError::failed(error)),
        _ => Ok(()),
    }
}

fn parse_header(text: &str) -> Result<(String, String), String> {
    match text.split_once(':') {
        Some((name, value)) if !name.trim().is_empty() => {
            Ok((name.trim().to_owned(), value.trim().to_owned()))
        }
        _ => Err("expected `Name: value`".to_owned()),
    }
}
