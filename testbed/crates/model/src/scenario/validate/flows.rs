//! Flows of requests.

use std::collections::HashMap;
use std::time::Duration;

use indexmap::IndexMap;

use super::Context;
use super::arrivals::arrivals;
use crate::document::reader::Reader;
use crate::document::spanned::Spanned;
use crate::document::tree::Span;
use crate::error::{Fault, Problem, Problems};
use crate::scenario::experiment::Flow;
use crate::scenario::file::FlowFile;
use crate::topology::NodeKind;

const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);
const DEFAULT_PORT: u16 = 80;
const LONGEST_NAME: usize = 64;

/// Checks every flow. A flow with a problem is left out.
pub(super) fn flows(
    files: &[FlowFile],
    context: &Context<'_>,
    reader: &mut Reader<'_>,
    problems: &mut Problems,
) -> Vec<Flow> {
    let mut names: HashMap<String, Span> = HashMap::new();
    let mut flows = Vec::with_capacity(files.len());
    for file in files {
        let place = file.name.as_ref().map_or(file.from.span, |name| name.span);
        let Some(flow) = flow(file, context, reader, problems) else {
            continue;
        };
        if let Some(first) = names.insert(flow.name.clone(), place) {
            let fault = Fault::DuplicateFlow {
                name: flow.name.clone(),
            };
            problems.add(
                Problem::new(fault, place)
                    .label("again here")
                    .also(first, "first here")
                    .help("give each flow a `name:` of its own"),
            );
        }
        flows.push(flow);
    }
    flows
}

fn flow(
    file: &FlowFile,
    context: &Context<'_>,
    reader: &mut Reader<'_>,
    problems: &mut Problems,
) -> Option<Flow> {
    let ends = ends(file, context, problems);
    let function = problems.keep(function(file, context));
    let name = problems.keep(name(file));
    let arrivals = arrivals(file, context, reader, problems);
    let times = problems.keep(times(file, context));
    let (method, path) = (problems.keep(method(file)), problems.keep(path(file)));
    let headers = headers(file, problems);
    let ((from, to), function) = (ends?, function?);
    let ((start, timeout), (arrivals, duration)) = (times?, arrivals?);
    Some(Flow {
        name: name?.unwrap_or_else(|| format!("{from}-{to}")),
        from,
        to,
        method: method?,
        path: path?.unwrap_or_else(|| format!("/function/{function}")),
        function,
        port: file.port.as_ref().map_or(DEFAULT_PORT, |port| port.value),
        body: file
            .body
            .as_ref()
            .map(|body| body.0.clone().into_bytes())
            .unwrap_or_default(),
        headers,
        start,
        duration,
        arrivals,
        timeout,
    })
}

fn ends(file: &FlowFile, context: &Context<'_>, problems: &mut Problems) -> Option<(String, String)> {
    let from = problems.keep(context.node(&file.from));
    let to = problems.keep(context.node(&file.to));
    let (from, to) = (from?, to?);
    let nodes = &context.topology.nodes;
    if nodes.get(&from).is_some_and(|node| node.kind == NodeKind::Switch) {
        let message = format!("`{from}` is a switch, which cannot send requests");
        problems.add(Problem::new(Fault::Contradiction { message }, file.from.span).label("here"));
        return None;
    }
    if nodes.get(&to).is_some_and(|node| node.kind != NodeKind::Dfaas) {
        let message = format!("`{to}` is not of kind `dfaas`, so it serves no functions");
        problems.add(Problem::new(Fault::Contradiction { message }, file.to.span).label("here"));
        return None;
    }
    let numbers = (nodes.get_index_of(&from), nodes.get_index_of(&to));
    if let (Some(from_number), Some(to_number)) = numbers
        && !context.segments.reaches(context.topology, from_number, to_number)
    {
        let fault = Fault::Unreachable { from, to };
        problems.add(
            Problem::new(fault, file.to.span)
                .label("no path leads here")
                .also(file.from.span, "from here")
                .help("only routers (and nodes with `forward: true`) pass packets on"),
        );
        return None;
    }
    Some((from, to))
}

fn function(file: &FlowFile, context: &Context<'_>) -> Result<String, Problem> {
    let (name, span) = context.parameters.text(&file.function)?;
    let deployed = || {
        context
            .topology
            .nodes
            .values()
            .flat_map(|node| node.functions.keys())
            .map(String::as_str)
    };
    if deployed().any(|function| function == name) {
        return Ok(name.to_owned());
    }
    let mut known: Vec<&str> = deployed().collect();
    known.sort_unstable();
    known.dedup();
    Err(Problem::new(
        Fault::UnknownFunction {
            function: name.to_owned(),
        },
        span,
    )
    .label("no node has this function")
    .suggest(name, known))
}

fn name(file: &FlowFile) -> Result<Option<String>, Problem> {
    let Some(name) = &file.name else { return Ok(None) };
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    if name.value.bytes().all(allowed) && (1..=LONGEST_NAME).contains(&name.value.len()) {
        return Ok(Some(name.value.clone()));
    }
    let rule = format!("1 to {LONGEST_NAME} letters, digits and `-_.`");
    let fault = Fault::BadName {
        name: name.value.clone(),
        what: "a flow".to_owned(),
        rule,
    };
    Err(Problem::new(fault, name.span).label("here"))
}

/// Start and time-out.
fn times(file: &FlowFile, context: &Context<'_>) -> Result<(Duration, Duration), Problem> {
    let start = context.time(file.start.as_ref())?.unwrap_or_default();
    let timeout = context.time(file.timeout.as_ref())?.unwrap_or(DEFAULT_TIMEOUT);
    if let (true, Some(written)) = (timeout.is_zero(), &file.timeout) {
        let message = "the timeout is zero".to_owned();
        return Err(Problem::new(Fault::Value { message }, written.span).label("must be more"));
    }
    Ok((start, timeout))
}

fn method(file: &FlowFile) -> Result<String, Problem> {
    match &file.method {
        None => Ok(if file.body.is_some() { "POST" } else { "GET" }.to_owned()),
        Some(method) if is_token(&method.value) => Ok(method.value.clone()),
        Some(method) => Err(value_problem(
            format!("`{}` is not an HTTP method", method.value),
            method.span,
        )),
    }
}

fn path(file: &FlowFile) -> Result<Option<String>, Problem> {
    let Some(path) = &file.path else { return Ok(None) };
    if path.value.starts_with('/') && path.value.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Ok(Some(path.value.clone()));
    }
    Err(value_problem(
        format!(
            "`{}` is not a path; it begins with `/` and has no blanks",
            path.value
        ),
        path.span,
    ))
}

fn headers(file: &FlowFile, problems: &mut Problems) -> IndexMap<String, String> {
    for (name, value) in &file.headers {
        let Spanned { value: text, span } = value;
        if !is_token(&name.value) {
            problems.add(value_problem(
                format!("`{}` is not a header's name", name.value),
                name.span,
            ));
        }
        if text.0.chars().any(char::is_control) {
            problems.add(value_problem("a header has one line".to_owned(), *span));
        }
    }
    file.headers
        .iter()
        .map(|(name, value)| (name.value.clone(), value.value.0.clone()))
        .collect()
}

fn value_problem(message: String, span: Span) -> Problem {
    Problem::new(Fault::Value { message }, span).label("here")
}

/// A token of HTTP (RFC 9110, section 5.6.2).
fn is_token(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty() && text.bytes().all(allowed)
}
