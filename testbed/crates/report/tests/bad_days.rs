//! Missing, cut and wrong files; names that look like markup; very short and very long runs.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say so")]

mod synthetic;

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use dfaas_report::{Run, load, write};
use synthetic::{Noise, Synthetic};
use tempfile::TempDir;

fn run_directory() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    Synthetic {
        seconds: 12,
        ..Synthetic::paper()
    }
    .write(folder.path());
    let path = folder.path().to_owned();
    (folder, path)
}

fn page(path: &Path) -> String {
    fs::read_to_string(write(path).unwrap().html).unwrap()
}

fn noted(run: &Run, text: &str) -> bool {
    run.notes.iter().any(|note| note.contains(text))
}

fn error(path: &Path) -> String {
    let message = write(path).unwrap_err().to_string();
    assert!(
        !path.join("report.html").exists(),
        "a report was written in spite of: {message}"
    );
    message.replace(path.to_str().unwrap(), "RUN")
}

const ROWS: &str = "cells/0/0/requests.jsonl";

#[test]
fn a_last_line_that_is_cut_is_left_out_and_said() {
    let (_folder, path) = run_directory();
    let rows = fs::read_to_string(path.join(ROWS)).unwrap();
    for tail in [
        "{\"attack\":\"users-n1\",\"se",
        "{\"attack\":\"users-n1\"}",
        "\0\0\0\0",
    ] {
        fs::write(path.join(ROWS), format!("{rows}{tail}")).unwrap();
        let run = load(&path).unwrap();
        assert_eq!(run.cells[0].repetitions[0].traffic.requests(), 600);
        assert!(noted(&run, "ends in the middle of a line"), "{:?}", run.notes);
        assert!(page(&path).contains("ends in the middle of a line"));
    }
}

#[test]
fn a_wrong_line_is_named() {
    let (_folder, path) = run_directory();
    let rows = fs::read_to_string(path.join(ROWS)).unwrap();
    let mut lines: Vec<&str> = rows.lines().collect();
    lines[2] = "{\"attack\":\"users-n1\",\"code\":200}";
    fs::write(path.join(ROWS), lines.join("\n") + "\n").unwrap();
    assert_eq!(
        error(&path),
        "RUN/cells/0/0/requests.jsonl:3: missing field `latency` (column 32)"
    );
    let text = rows.replacen("\"offset\":0,", "\"offset\":1e300,", 1);
    fs::write(path.join(ROWS), text).unwrap();
    assert!(
        error(&path).starts_with("RUN/cells/0/0/requests.jsonl:1: offset 1"),
        "{}",
        error(&path)
    );
}

#[test]
fn wrong_json_is_an_error_and_cut_json_is_a_note() {
    let (_folder, path) = run_directory();
    let whole = fs::read_to_string(path.join("run.json")).unwrap();
    fs::write(
        path.join("run.json"),
        "{\n  \"schema\": 1,\n  \"seed\": \"seven\"\n}",
    )
    .unwrap();
    assert!(
        error(&path).starts_with("RUN/run.json:3: invalid type: string \"seven\""),
        "{}",
        error(&path)
    );
    fs::write(path.join("run.json"), "{\"schema\": 2}").unwrap();
    assert_eq!(
        error(&path),
        "RUN/run.json has schema 2, this version reads schema 1"
    );
    fs::write(path.join("run.json"), &whole[..whole.len() / 2]).unwrap();
    assert!(noted(&load(&path).unwrap(), "run.json is missing or cut short"));
    assert!(page(&path).contains("Untitled run"));
}

#[test]
fn without_a_summary_there_is_no_verdict_but_a_report() {
    let (_folder, path) = run_directory();
    let whole = fs::read_to_string(path.join("summary.json")).unwrap();
    for half in [None, Some(""), Some(&whole[..100])] {
        match half {
            None => fs::remove_file(path.join("summary.json")).unwrap(),
            Some(text) => fs::write(path.join("summary.json"), text).unwrap(),
        }
        let run = load(&path).unwrap();
        assert_eq!((run.verdict, run.cells.len()), (None, 1));
        let html = page(&path);
        assert!(
            html.contains("ERROR") && html.contains("the run did not end"),
            "{half:?}"
        );
        assert!(
            html.contains("Responses per second by serving node"),
            "figures are still drawn"
        );
        let junit = fs::read_to_string(path.join("junit.xml")).unwrap();
        assert!(
            junit.contains("errors=\"1\"") && junit.contains("did not end"),
            "{junit}"
        );
    }
}

#[test]
fn what_kept_a_run_from_its_end_is_said_everywhere() {
    let (_folder, path) = run_directory();
    fs::write(
        path.join("summary.json"),
        "{\"schema\":1,\"verdict\":\"error\",\"validity\":\"degraded\",\"validity_reasons\":[\"cells/0/0: link n2--s1 was late\"],\
         \"error_kind\":\"interrupted\",\"error\":\"the user ended it\",\"cells\":[{\"params\":{},\"recalc_period\":5,\
         \"events\":[],\"repetitions\":[{\"seed\":3,\"directory\":\"cells/0/0\",\"error\":\"agent of n2 died\",\
         \"validity_reasons\":[\"link n2--s1 was late\"],\"events\":[{\"at\":3.0,\"achieved\":3.1,\"text\":\"kill n3\",\"error\":\"no such process\"}],\
         \"expectations\":[{\"text\":\"latency p95\",\"metric\":\"latency\",\"of\":\"users-n1\",\"node\":null,\
         \"measured\":null,\"unit\":\"ms\",\"bound\":{\"at_most\":5.0},\"pass\":false,\"reason\":\"no answers\"}]}]}]}",
    )
    .unwrap();
    let lab = fs::read_to_string(path.join("cells/0/0/lab.json")).unwrap();
    let warned = lab.replacen(
        '{',
        "{\"engine_scheduling\":\"normal\",\"warnings\":[\"no memory limit for n1\"],",
        1,
    );
    fs::write(path.join("cells/0/0/lab.json"), warned).unwrap();
    let html = page(&path);
    for sentence in [
        "lab: no memory limit for n1",
        "Link engine scheduling",
        "link n2--s1 was late",
        "the user ended it",
        "agent of n2 died",
        "event at 3 s, kill n3: no such process",
        "no answers",
        "DEGRADED",
    ] {
        assert!(html.contains(sentence), "{sentence}");
    }
    let markdown = fs::read_to_string(path.join("summary.md")).unwrap();
    assert_eq!(markdown.matches("link n2--s1 was late").count(), 1, "{markdown}");
    let junit = fs::read_to_string(path.join("junit.xml")).unwrap();
    assert!(
        junit.contains("tests=\"3\" failures=\"1\" errors=\"2\""),
        "{junit}"
    );
    assert!(junit.contains("agent of n2 died"));
}

#[test]
fn without_single_requests_the_series_stands_in() {
    let (_folder, path) = run_directory();
    fs::remove_file(path.join(ROWS)).unwrap();
    let second = |t: u64, served: &str, code: &str| {
        format!(
            "{{\"t\":{t},\"flows\":{{\"users-n1\":{{\"sent\":50,\"by_code\":{code},\"served_by\":{served},\"forwarded\":0,\
             \"latency_ms\":{{\"p50\":10.0,\"p95\":12.5,\"p99\":13.0,\"max\":14.0,\"mean\":10.0}}}}}}}}"
        )
    };
    let seconds = [
        second(0, "{\"n1\":10}", "{\"200\":10,\"503\":40}"),
        second(1, "{\"n1\":10,\"n2\":15}", "{\"200\":28,\"503\":21,\"0\":1}"),
    ];
    let series = format!("{{\"seconds\":[{}]}}", seconds.join(","));
    fs::write(path.join("cells/0/0/series.json"), &series).unwrap();
    let run = load(&path).unwrap();
    assert!(noted(&run, "rates come from series.json"));
    assert_eq!(run.cells[0].repetitions[0].traffic.requests(), 100);
    let html = page(&path);
    assert!(
        html.contains("unnamed node"),
        "three successes that no node claimed"
    );
    assert!(html.contains("Latency over time") && !html.contains("Latency distribution"));
    fs::write(path.join("cells/0/0/series.json"), &series[..40]).unwrap();
    assert!(noted(&load(&path).unwrap(), "series.json is cut short"));
    page(&path);
}

#[test]
fn folders_and_files_that_are_missing_are_said() {
    let (_folder, path) = run_directory();
    fs::remove_file(path.join("cells/0/0/lab.json")).unwrap();
    fs::remove_file(path.join("reference.csv")).unwrap();
    let run = load(&path).unwrap();
    assert!(noted(&run, "cells/0/0/lab.json is missing") && noted(&run, "reference.csv is missing"));
    let html = page(&path);
    assert!(!html.contains("<h2>Topology</h2>") && !html.contains("Published and measured"));
    fs::remove_dir_all(path.join("cells")).unwrap();
    assert!(noted(
        &load(&path).unwrap(),
        "the folder of a repetition is missing"
    ));
    assert!(page(&path).contains("4 of 4 expectations hold"));
}

#[test]
fn an_empty_run_still_has_a_report() {
    let (_folder, path) = run_directory();
    fs::write(path.join(ROWS), "").unwrap();
    assert!(noted(&load(&path).unwrap(), "holds no request"));
    page(&path);
    assert!(dfaas_report::terminal_table(&load(&path).unwrap()).contains("no requests"));
    let bare = tempfile::tempdir().unwrap();
    fs::write(bare.path().join("run.json"), "{\"schema\":1,\"title\":\"bare\"}").unwrap();
    assert!(page(bare.path()).contains("Nothing was measured"));
    let nothing = tempfile::tempdir().unwrap();
    assert!(error(nothing.path()).contains("is not a run directory"));
    assert!(error(&nothing.path().join("absent")).contains("is not a run directory"));
}

#[test]
fn one_second_and_one_request_are_enough() {
    for per_second in [1, 50] {
        let folder = tempfile::tempdir().unwrap();
        Synthetic {
            seconds: 1,
            per_second,
            ..Synthetic::paper()
        }
        .write(folder.path());
        let html = page(folder.path());
        assert!(
            !html.contains("NaN") && !html.contains("inf"),
            "{per_second} per second"
        );
    }
}

#[test]
fn names_cannot_become_markup() {
    let folder = tempfile::tempdir().unwrap();
    let hostile = "<script>alert(1)</script>\"'&<img src=x onerror=y>";
    Synthetic {
        title: hostile.to_owned(),
        seconds: 12,
        nodes: vec![(hostile.to_owned(), 10), ("</svg></style>|*n2*".to_owned(), 40)],
        events: true,
        ..Synthetic::paper()
    }
    .write(folder.path());
    let path = folder.path();
    for file in ["run.json", "summary.json"] {
        let text = fs::read_to_string(path.join(file)).unwrap();
        let text = text
            .replace("users-n1", "</title><script>1</script>")
            .replace("cloudnet21-figure", "<b>name</b>");
        fs::write(path.join(file), text.replace("n3: kill", "<script>2</script>")).unwrap();
    }
    let mut reference = OpenOptions::new()
        .append(true)
        .open(path.join("reference.csv"))
        .unwrap();
    writeln!(
        reference,
        "<script>3</script>,0,5,1,<i>,\"<a href=\"\"javascript:x\"\">\""
    )
    .unwrap();
    let written = write(path).unwrap();
    let html = fs::read_to_string(&written.html).unwrap();
    for markup in [
        "<script",
        "<img",
        "<b>name",
        "<i>",
        "javascript:x\">",
        "</svg></style>|",
    ] {
        assert!(!html.contains(markup), "{markup} in the page");
    }
    assert!(
        html.contains("&lt;script&gt;alert(1)&lt;/script&gt;") || html.contains("&#60;script&#62;alert(1)")
    );
    assert_balanced(&html);
    assert_balanced(&fs::read_to_string(&written.junit).unwrap());
    let markdown = fs::read_to_string(&written.markdown).unwrap();
    assert!(
        !markdown.contains("<script") && !markdown.contains("<img"),
        "{markdown}"
    );
}

#[test]
fn a_terminal_cannot_be_steered_by_names() {
    let folder = tempfile::tempdir().unwrap();
    Synthetic {
        seconds: 12,
        nodes: vec![("n\u{1b}[2J".to_owned(), 50)],
        ..Synthetic::paper()
    }
    .write(folder.path());
    let table = dfaas_report::terminal_table(&load(folder.path()).unwrap());
    assert!(
        !table.contains('\u{1b}') && table.contains("n\u{fffd}[2J"),
        "{table}"
    );
}

#[test]
fn a_reference_is_never_read_from_outside() {
    let (_folder, path) = run_directory();
    let text = fs::read_to_string(path.join("run.json")).unwrap();
    fs::write(
        path.join("run.json"),
        text.replace("\"reference.csv\"", "\"../../secret.csv\""),
    )
    .unwrap();
    let run = load(&path).unwrap();
    assert!(run.reference.is_empty() && noted(&run, "outside of the run directory"));
    let (_folder, path) = run_directory();
    fs::write(
        path.join("reference.csv"),
        "series,t_from,t_to,value\nn1,0,5,ten\n",
    )
    .unwrap();
    assert_eq!(error(&path), "RUN/reference.csv:2: value `ten` is not a number");
}

#[test]
fn a_report_that_cannot_be_written_leaves_the_old_one() {
    let (_folder, path) = run_directory();
    page(&path);
    let before = fs::read_to_string(path.join("series.csv")).unwrap();
    // A directory in the way of the temporary file stands for every failure to write.
    fs::create_dir(path.join("series.csv.partial")).unwrap();
    let message = write(&path).unwrap_err().to_string();
    assert!(
        message.starts_with("cannot write") && message.contains("series.csv"),
        "{message}"
    );
    assert_eq!(fs::read_to_string(path.join("series.csv")).unwrap(), before);
}

/// 4000 seconds, 12 nodes, a matrix of 20 cells with 5 repetitions.
#[test]
fn long_runs_and_large_matrices_stay_small_pages() {
    let folder = tempfile::tempdir().unwrap();
    let long = Synthetic {
        seconds: 4000,
        per_second: 20,
        period: 60.0,
        nodes: (1..=12)
            .map(|number| (format!("n{number}"), 2 + number % 3))
            .collect(),
        ..Synthetic::paper()
    };
    long.write(folder.path());
    let html = page(folder.path());
    assert!(html.len() < 400_000, "{} bytes", html.len());
    assert!(html.contains("Each step is the mean over 10 s.") && html.contains("5 other nodes"));
    assert_balanced(&html);
    let csv = fs::read_to_string(folder.path().join("series.csv")).unwrap();
    assert_eq!(csv.lines().count(), 4001, "the table keeps every second");

    let folder = tempfile::tempdir().unwrap();
    const STRATEGIES: [&str; 20] = [
        "a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m", "n", "o", "p", "q", "r", "s", "t",
    ];
    Synthetic {
        seconds: 300,
        per_second: 5,
        repetitions: 5,
        cells: STRATEGIES.iter().map(|name| vec![("strategy", *name)]).collect(),
        ..Synthetic::paper()
    }
    .write(folder.path());
    let html = page(folder.path());
    assert!(html.len() < 2_000_000, "{} bytes", html.len());
    assert_balanced(&html);
}

/// Thirty nodes in a mesh: drawn as dots, and names of figures are unique.
#[test]
fn many_nodes_are_drawn_and_identifiers_are_unique() {
    let (_folder, path) = run_directory();
    let mut noise = Noise(5);
    let nodes: Vec<String> = (0..30)
        .map(|number| format!("{{\"name\":\"n{number}\",\"kind\":\"dfaas\"}}"))
        .collect();
    let links: Vec<String> = (0..60)
        .map(|number| {
            let (a, b) = (noise.below(30), noise.below(30));
            format!("{{\"name\":\"l{number}\",\"endpoints\":[{{\"node\":\"n{a}\"}},{{\"node\":\"n{b}\"}}],\"backend\":\"wire\"}}")
        })
        .collect();
    let lab = format!(
        "{{\"name\":\"mesh\",\"nodes\":[{}],\"links\":[{}]}}",
        nodes.join(","),
        links.join(",")
    );
    fs::write(path.join("cells/0/0/lab.json"), lab).unwrap();
    let html = page(&path);
    assert_eq!(html.matches("class=\"dot").count(), 60, "30 in each of two sizes");
    let mut ids: Vec<&str> = html
        .split(" id=\"")
        .skip(1)
        .filter_map(|rest| rest.split('"').next())
        .collect();
    let all = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), all, "identifiers are unique");
}

/// Every element that is opened is closed in order, apart from those that HTML never closes.
fn assert_balanced(html: &str) {
    let html = match (html.find("<style>"), html.find("</style>")) {
        (Some(start), Some(end)) => format!("{}{}", &html[..start], &html[end + 8..]),
        _ => html.to_owned(),
    };
    let mut open: Vec<String> = Vec::new();
    for part in html.split('<').skip(1) {
        let (tag, _) = part
            .split_once('>')
            .unwrap_or_else(|| panic!("`<` that is no tag: {part:.60}"));
        let name: String = tag
            .trim_start_matches('/')
            .chars()
            .take_while(char::is_ascii_alphanumeric)
            .collect();
        let void = ["meta", "br"].contains(&name.as_str());
        if tag.starts_with(['!', '?']) || tag.ends_with('/') || void {
            continue;
        }
        if tag.starts_with('/') {
            assert_eq!(open.pop().as_deref(), Some(name.as_str()), "closing {tag}");
        } else {
            open.push(name);
        }
    }
    assert!(open.is_empty(), "never closed: {open:?}");
}
