//! The built-in images, each with a real call. `nodeinfo`, `sleep` and `model` are this program itself.

#![allow(clippy::unwrap_used)] // a test that cannot go on has failed

mod common;

use common::{Platform, has_program};
use dfaas_faas::FunctionDeployment;

fn image(name: &str, settings: &[(&str, &str)]) -> FunctionDeployment {
    FunctionDeployment {
        image: name.to_owned(),
        ..common::function(name, "", settings)
    }
}

#[test]
fn figlet_draws() {
    if !has_program("figlet") {
        return;
    }
    let platform = Platform::with(&[image("figlet", &[])]);
    let reply = platform.post("/function/figlet", b"OpenFaaS");
    assert_eq!(
        (reply.status, reply.body.len(), reply.text().lines().count()),
        (200, 282, 6)
    );
}

#[test]
fn ocr_reads_a_picture() {
    if !has_program("tesseract") {
        return;
    }
    let platform = Platform::with(&[image("ocr", &[])]);
    let reply = platform.post("/function/ocr", include_bytes!("data/ocr_sample.png"));
    assert_eq!(
        (reply.status, reply.text().as_str()),
        (200, "Edge testbed 42\nHello OCR\n")
    );
    assert_eq!(platform.post("/function/ocr", b"no picture").status, 500);
}

#[test]
fn small_programs() {
    let platform = Platform::with(&[image("cat", &[]), image("env", &[]), image("shasum", &[])]);
    assert_eq!(platform.post("/function/cat", b"echo").text(), "echo");
    assert!(platform.get("/function/env").text().contains("Http_Method=GET"));
    assert!(
        platform
            .get("/function/shasum")
            .text()
            .starts_with("cf83e1357eefb8bd"),
        "the sum of nothing"
    );
}

#[test]
fn own_functions_answer() {
    let model = [
        ("seed", "1"),
        ("service_time", "uniform 1ms 2ms"),
        ("memory", "uniform 1Mi 2Mi"),
    ];
    let platform = Platform::with(&[
        image("sentimentanalysis", &[]),
        image("eat-memory", &[]),
        image("echo", &[]),
        image("model", &model),
    ]);
    let reply = platform.post("/function/sentimentanalysis", b"This is awesome. It works!");
    assert_eq!(reply.header("Content-Type"), Some("application/json"));
    assert_eq!(
        reply.text(),
        "{\"polarity\": 0.5, \"subjectivity\": 0.5, \"sentence_count\": 2}\n"
    );
    let eaten = platform.post("/function/eat-memory", b"2Mi");
    assert_eq!(eaten.text(), "Ate 2097152 bytes for 1.000s\n");
    assert_eq!(platform.post("/function/eat-memory", b"much").status, 500);
    assert_eq!(platform.post("/function/echo/p?q=1", b"hello").text(), "hello");
    let drawn = |id: &str| {
        platform
            .send("POST", "/function/model", &[("X-Call-Id", id)], b"")
            .text()
    };
    assert_eq!(drawn("a"), drawn("a"), "the seed and the request fix it");
    assert_ne!(drawn("a"), drawn("b"));
}

#[test]
fn a_function_calls_another() {
    if !has_program("curl") {
        return;
    }
    let platform = Platform::with(&[image("curl", &[]), image("cat", &[])]);
    let address = format!("-d hello http://{}/function/cat", platform.gateway);
    assert_eq!(
        platform.post("/function/curl", address.as_bytes()).text(),
        "hello"
    );
}

#[test]
fn a_picture_is_made_smaller() {
    if !has_program("convert") {
        return;
    }
    let platform = Platform::with(&[image("imagemagick", &[])]);
    let picture = include_bytes!("data/ocr_sample.png");
    let reply = platform.post("/function/imagemagick", picture);
    assert_eq!(reply.status, 200, "{}", reply.text());
    // Width and height are at fixed places of a PNG.
    let size = |png: &[u8]| [16, 20].map(|at| u32::from_be_bytes(png[at..at + 4].try_into().unwrap()));
    assert_eq!(size(&reply.body), size(picture).map(|length| length.div_ceil(2)));
}
