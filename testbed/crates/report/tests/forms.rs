//! What a report looks like in each of its forms, on synthetic runs.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say so")]

mod synthetic;

use std::fs;
use std::path::Path;

use synthetic::Synthetic;

/// Twelve seconds of the synthetic paper run: forwarding starts at 7.5 s.
fn short() -> Synthetic {
    Synthetic {
        seconds: 12,
        ..Synthetic::paper()
    }
}

fn text(path: &Path) -> String {
    fs::read_to_string(path).unwrap()
}

/// The page without its style sheet and with figures reduced to their descriptions.
fn structure(html: &str) -> String {
    let (head, rest) = html.split_once("<style>").unwrap();
    let (_, mut rest) = rest.split_once("</style>").unwrap();
    let mut kept = head.to_owned();
    while let Some((before, figure)) = rest.split_once("<svg") {
        let (figure, after) = figure.split_once("</svg>").unwrap();
        let described = figure.split("</desc>").next().unwrap();
        let described = described.split_once("<title").map_or("", |(_, title)| title);
        kept.push_str(before);
        kept.push_str(&format!("[figure{described}]"));
        rest = after;
    }
    kept + rest
}

#[test]
fn all_forms_of_one_run() {
    let folder = tempfile::tempdir().unwrap();
    short().write(folder.path());
    let written = dfaas_report::write(folder.path()).unwrap();
    insta::assert_snapshot!("page", structure(&text(&written.html)));
    insta::assert_snapshot!("csv", text(&written.csv));
    insta::assert_snapshot!("junit", text(&written.junit));
    insta::assert_snapshot!("markdown", text(&written.markdown));
    let run = dfaas_report::load(folder.path()).unwrap();
    insta::assert_snapshot!("terminal", dfaas_report::terminal_table(&run));
}

#[test]
fn a_matrix_with_repetitions_that_fails() {
    let folder = tempfile::tempdir().unwrap();
    Synthetic {
        repetitions: 3,
        verdict: "fail",
        events: true,
        cells: vec![
            vec![("T", "5s"), ("strategy", "recalcstrategy")],
            vec![("T", "5s"), ("strategy", "staticstrategy")],
        ],
        ..short()
    }
    .write(folder.path());
    let written = dfaas_report::write(folder.path()).unwrap();
    insta::assert_snapshot!("matrix_page", structure(&text(&written.html)));
    insta::assert_snapshot!("matrix_junit", text(&written.junit));
    insta::assert_snapshot!("matrix_markdown", text(&written.markdown));
    let csv = text(&written.csv);
    assert!(
        csv.starts_with("cell,repetition,param.T,param.strategy,flow,second,"),
        "{csv:.80}"
    );
    assert_eq!(csv.lines().count(), 1 + 2 * 3 * 12);
}

#[test]
fn equal_files_give_equal_bytes_wherever_they_are() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (one, two) = (one.path().to_owned(), two.path().join("a longer name"));
    short().write(&one);
    short().write(&two);
    let (first, second) = (
        dfaas_report::write(&one).unwrap(),
        dfaas_report::write(&two).unwrap(),
    );
    let again = dfaas_report::write(&one).unwrap();
    for (a, b, c) in [
        (&first.html, &second.html, &again.html),
        (&first.csv, &second.csv, &again.csv),
        (&first.junit, &second.junit, &again.junit),
        (&first.markdown, &second.markdown, &again.markdown),
    ] {
        assert_eq!(text(a), text(b));
        assert_eq!(text(a), text(c));
    }
}

#[test]
fn the_page_needs_nothing_from_elsewhere() {
    let folder = tempfile::tempdir().unwrap();
    short().write(folder.path());
    let html = text(&dfaas_report::write(folder.path()).unwrap().html);
    for outside in [
        "http://", "https://", "<script", "<link", "<img", "@import", "url(", "<iframe",
    ] {
        assert!(!html.contains(outside), "{outside} in the page");
    }
}

#[test]
fn rates_shares_and_comparison_follow_from_the_requests() {
    let folder = tempfile::tempdir().unwrap();
    Synthetic::paper().write(folder.path());
    let run = dfaas_report::load(folder.path()).unwrap();
    let cell = &run.cells[0];
    let traffic = &cell.repetitions[0].traffic;
    let served = fs::read_to_string(folder.path().join("cells/0/0/requests.jsonl")).unwrap();
    let by_n2 = served
        .lines()
        .filter(|line| line.contains("\"served_by\":\"n2\""))
        .count() as u64;
    let nodes = dfaas_report::node_totals(&run.names, &[traffic]);
    assert_eq!(
        (nodes[1].node.as_str(), nodes[1].served, nodes[1].taken_over),
        ("n2", by_n2, Some(by_n2))
    );
    assert!(
        (nodes[1].rate - by_n2 as f64 / 40.0).abs() < 1e-9,
        "{:?}",
        nodes[1]
    );
    let flows = dfaas_report::flow_totals(&run.names, &[traffic]);
    assert!((flows[0].rate - 50.0).abs() < 1e-9, "{:?}", flows[0]);
    for row in dfaas_report::compare(&run, cell) {
        let measured = row.measured.unwrap().mean;
        assert!(
            (measured - row.published.value).abs() < 1.0,
            "{}: {measured}",
            row.published.series
        );
    }
}
