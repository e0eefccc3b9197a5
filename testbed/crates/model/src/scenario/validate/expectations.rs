//! Expectations.

use std::str::FromStr;
use std::time::Duration;

use super::Context;
use crate::document::tree::Span;
use crate::error::{Fault, Problem, Problems};
use crate::scenario::experiment::{Bound, Expectation, Flow, Metric};
use crate::scenario::file::{AcrossFile, ExpectFile, Value};
use crate::topology::NodeKind;
use crate::units::{Percent, RequestRate, TimeSpan, UnitError};

/// Checks one expectation.
pub(super) fn expectation(
    file: &ExpectFile,
    flows: &[Flow],
    warmup: Duration,
    context: &Context<'_>,
    problems: &mut Problems,
) -> Option<Expectation> {
    check_keys(file, problems);
    let node = problems.keep(
        file.node
            .as_ref()
            .map(|node| serving_node(node, context))
            .transpose(),
    );
    let bound = problems.keep(bound(file, context));
    let flow = problems.keep(flow(file, flows, problems.is_empty()))?;
    let (from, to) = problems.keep(window(file, flow?, warmup, context))?;
    let (node, bound) = (node?, bound?);
    let text = text(file, node.as_deref(), context);
    Some(Expectation {
        metric: file.metric.value,
        of: file.of.value.clone(),
        node,
        status: file.status.as_ref().map(|status| status.value),
        statistic: file.statistic.as_ref().map(|statistic| statistic.value),
        from,
        to: Some(to),
        bound,
        of_mean: across(file) == AcrossFile::Mean,
        text,
    })
}

fn across(file: &ExpectFile) -> AcrossFile {
    file.across
        .as_ref()
        .map_or(AcrossFile::Each, |across| across.value)
}

/// Each metric has keys it needs and keys that would mean nothing.
fn check_keys(file: &ExpectFile, problems: &mut Problems) {
    let metric = file.metric.value;
    let mut need = |key: &str, given: Option<Span>, needed: bool, allowed: bool| {
        let (message, span) = match given {
            None if needed => (format!("the metric `{metric}` needs `{key}`"), file.metric.span),
            Some(span) if !allowed => (format!("the metric `{metric}` has no `{key}`"), span),
            _ => return,
        };
        problems.add(Problem::new(Fault::Contradiction { message }, span).label("here"));
    };
    let (node, status) = (
        file.node.as_ref().map(|node| node.span),
        file.status.as_ref().map(|status| status.span),
    );
    let statistic = file.statistic.as_ref().map(|statistic| statistic.span);
    need("node", node, metric == Metric::ServedBy, true);
    need(
        "status",
        status,
        metric == Metric::Responses,
        metric != Metric::SuccessRate,
    );
    need(
        "statistic",
        statistic,
        metric == Metric::Latency,
        metric == Metric::Latency,
    );
    if let Some(status) = file
        .status
        .as_ref()
        .filter(|status| !(100..=599).contains(&status.value))
    {
        let fault = Fault::OutOfRange {
            what: "status".to_owned(),
            value: status.value.to_string(),
            range: "from 100 to 599".to_owned(),
        };
        problems.add(Problem::new(fault, status.span).label("here"));
    }
}

fn serving_node(value: &Value, context: &Context<'_>) -> Result<String, Problem> {
    let name = context.node(value)?;
    match context.topology.nodes.get(&name) {
        Some(node) if node.kind == NodeKind::Dfaas => Ok(name),
        _ => {
            let message = format!("`{name}` is not of kind `dfaas`, so it serves nothing");
            Err(Problem::new(Fault::Contradiction { message }, value.span).label("here"))
        }
    }
}

/// The flow; none, without a problem, when it may be one of those that had problems of their own.
fn flow<'a>(file: &ExpectFile, flows: &'a [Flow], complete: bool) -> Result<Option<&'a Flow>, Problem> {
    let name = &file.of.value;
    match flows.iter().find(|flow| flow.name == *name) {
        Some(flow) => Ok(Some(flow)),
        None if !complete => Ok(None),
        None => Err(
            Problem::new(Fault::UnknownFlow { name: name.clone() }, file.of.span)
                .label("no flow has this name")
                .suggest(name, flows.iter().map(|flow| flow.name.as_str())),
        ),
    }
}

fn window(
    file: &ExpectFile,
    flow: &Flow,
    warmup: Duration,
    context: &Context<'_>,
) -> Result<(Duration, Duration), Problem> {
    let end = flow.start + flow.duration;
    let from = context
        .time(file.from.as_ref())?
        .unwrap_or(flow.start)
        .max(warmup);
    let to = context.time(file.to.as_ref())?.unwrap_or(end);
    let refuse = |message: String, value: Option<&Value>| {
        let span = value.map_or(file.metric.span, |value| value.span);
        Err(Problem::new(Fault::Contradiction { message }, span).label("here"))
    };
    if from < flow.start {
        let message = format!(
            "the window begins before `{}` does, at {}",
            flow.name,
            TimeSpan(flow.start)
        );
        return refuse(message, file.from.as_ref());
    }
    if to > end {
        let message = format!("the window ends after `{}` does, at {}", flow.name, TimeSpan(end));
        return refuse(message, file.to.as_ref());
    }
    if from >= to {
        let message = format!("the window from {} to {} is empty", TimeSpan(from), TimeSpan(to));
        return refuse(message, file.from.as_ref().or(file.to.as_ref()));
    }
    Ok((from, to))
}

fn bound(file: &ExpectFile, context: &Context<'_>) -> Result<Bound, Problem> {
    let number = |value: &Value| number(file.metric.value, value, context);
    match (&file.at_least, &file.at_most, &file.between) {
        (Some(least), None, None) => Ok(Bound::AtLeast(number(least)?)),
        (None, Some(most), None) => Ok(Bound::AtMost(number(most)?)),
        (None, None, Some(pair)) => match pair.value.as_slice() {
            [least, most] => {
                let (low, high) = (number(least)?, number(most)?);
                if low > high {
                    let message = format!("nothing lies between {} and {}", least.value.0, most.value.0);
                    return Err(Problem::new(Fault::Contradiction { message }, pair.span).label("here"));
                }
                Ok(Bound::Between(low, high))
            }
            _ => {
                let message = "`between` has two numbers".to_owned();
                Err(Problem::new(Fault::Contradiction { message }, pair.span).label("here"))
            }
        },
        _ => {
            let message = "an expectation has exactly one of `at_least`, `at_most` and `between`".to_owned();
            Err(Problem::new(Fault::Contradiction { message }, file.metric.span).label("this one"))
        }
    }
}

/// A bound in the metric's unit.
fn number(metric: Metric, value: &Value, context: &Context<'_>) -> Result<f64, Problem> {
    fn read<T: FromStr<Err = UnitError>>(value: &Value, context: &Context<'_>) -> Result<T, Problem> {
        context.parameters.quantity(value)
    }
    match metric.unit() {
        "%" => read::<Percent>(value, context).map(Percent::hundredths),
        "ms" => context
            .parameters
            .time(value)
            .map(|time| time.as_secs_f64() * 1e3),
        _ => read::<RequestRate>(value, context).map(|rate| rate.0),
    }
}

/// The expectation on one line, in the words of the file.
fn text(file: &ExpectFile, node: Option<&str>, context: &Context<'_>) -> String {
    let mut words = vec![file.metric.value.as_str().to_owned()];
    if let Some(statistic) = &file.statistic {
        words.push(statistic.value.as_str().to_owned());
    }
    if let Some(status) = &file.status {
        words.push(status.value.to_string());
    }
    words.extend(node.map(str::to_owned));
    words.push(format!("of {}", file.of.value));
    if let Some(from) = &file.from {
        words.push(format!("from {}", from.value.0));
    }
    if let Some(to) = &file.to {
        words.push(format!("to {}", to.value.0));
    }
    // Bounds that parameters give are shown with their values.
    let shown = |value: &Value| {
        context
            .parameters
            .text(value)
            .map_or_else(|_| value.value.0.clone(), |(text, _)| text.to_owned())
    };
    if let Some(least) = &file.at_least {
        words.push(format!("at least {}", shown(least)));
    }
    if let Some(most) = &file.at_most {
        words.push(format!("at most {}", shown(most)));
    }
    if let Some([least, most]) = file.between.as_ref().map(|pair| pair.value.as_slice()) {
        words.push(format!("between {} and {}", shown(least), shown(most)));
    }
    if across(file) == AcrossFile::Mean {
        words.push("in the mean".to_owned());
    }
    words.join(" ")
}
