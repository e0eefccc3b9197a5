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
