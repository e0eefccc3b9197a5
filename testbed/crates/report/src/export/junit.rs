use std::fmt::Write;

use crate::chart::escape;
use crate::page::{asked, heading, measured_or_reason, title};
use crate::run::{Expectation, Repetition, Run, Verdict};

/// The verdict as JUnit XML: one suite per repetition, one test case per expectation.
///
/// A run that could not be carried out has an error, so that no CI takes "nothing was judged" for success.
pub(crate) fn junit(run: &Run) -> String {
    let title = title(run);
    let mut suites = String::new();
    let (mut tests, mut failures, mut errors) = (0, 0, 0);
    for (index, cell) in run.cells.iter().enumerate() {
        for (number, repetition) in cell.repetitions.iter().enumerate() {
            let name = format!("{title}: {}, repetition {}", heading(run, index), number + 1);
            let suite = suite(&name, repetition);
            tests += suite.tests;
            failures += suite.failures;
            errors += suite.errors;
            suites.push_str(&suite.text);
        }
    }
    let ended = matches!(run.verdict, Some(Verdict::Pass | Verdict::Fail));
    if !ended && errors == 0 {
        tests += 1;
        errors += 1;
        suites.push_str(&unfinished(run, &title));
    }
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <testsuites name=\"{}\" tests=\"{tests}\" failures=\"{failures}\" errors=\"{errors}\">\n{suites}</testsuites>\n",
        escape(&title)
    )
}

struct Suite {
    text: String,
    tests: usize,
    failures: usize,
    errors: usize,
}

fn suite(name: &str, repetition: &Repetition) -> Suite {
    let mut cases = String::new();
    let failures = repetition
        .expectations
        .iter()
        .filter(|expectation| !expectation.pass)
        .count();
    for expectation in &repetition.expectations {
        case(name, expectation, &mut cases);
    }
    let errors = repetition.errors.len();
    for error in &repetition.errors {
        cases.push_str(&error_case(name, "the repetition ran as planned", error));
    }
    let tests = repetition.expectations.len() + errors;
    let seed = repetition.seed.map_or_else(String::new, |seed| {
        format!("    <properties><property name=\"seed\" value=\"{seed}\"/></properties>\n")
    });
    let text = format!(
        "  <testsuite name=\"{}\" tests=\"{tests}\" failures=\"{failures}\" errors=\"{errors}\">\n{seed}{cases}  </testsuite>\n",
        escape(name)
    );
    Suite {
        text,
        tests,
        failures,
        errors,
    }
}

fn case(suite: &str, expectation: &Expectation, text: &mut String) {
    let measured = match expectation.measured {
        Some(_) => format!("measured {}", measured_or_reason(expectation)),
        None => measured_or_reason(expectation),
    };
    let (suite, name, measured) = (escape(suite), escape(&asked(expectation)), escape(&measured));
    // Writing to a String cannot fail.
    let _ = if expectation.pass {
        writeln!(text, "    <testcase classname=\"{suite}\" name=\"{name}\"/>")
    } else {
        writeln!(
            text,
            "    <testcase classname=\"{suite}\" name=\"{name}\">\n      <failure message=\"{measured}\">asked: {name}\n{measured}</failure>\n    </testcase>"
        )
    };
}

fn error_case(suite: &str, name: &str, message: &str) -> String {
    format!(
        "    <testcase classname=\"{}\" name=\"{}\">\n      <error message=\"{}\"/>\n    </testcase>\n",
        escape(suite),
        escape(name),
        escape(message)
    )
}

fn unfinished(run: &Run, title: &str) -> String {
    let said: Vec<&str> = run.reasons.iter().chain(&run.notes).map(String::as_str).collect();
    let message = if said.is_empty() {
        "the run ended without a verdict".to_owned()
    } else {
        said.join("; ")
    };
    format!(
        "  <testsuite name=\"{}\" tests=\"1\" failures=\"0\" errors=\"1\">\n{}  </testsuite>\n",
        escape(title),
        error_case(title, "the run came to a verdict", &message)
    )
}
