//! Everything that reads what clients send, given what no client should: nothing panics, and what is accepted means what
//! it says.

use std::time::Duration;

use proptest::prelude::*;

use crate::duration::{go_text, parse_duration};
use crate::route::{Resource, resource, split_namespace};
use crate::secrets::Secret;
use crate::{json, quantity, reference, untrusted};

/// Bodies that have broken readers of JSON before.
const CORPUS: &[&[u8]] = &[
    b"",
    b" ",
    b"{",
    b"[[[[[[[[",
    b"\"\\ud800\"",
    b"\"\\u0000\"",
    b"{\"service\":\"\\ud83d\\ude00\"}",
    b"{\"service\":\"a\",\"service\":\"b\"}",
    b"{\"SERVICE\":\"a\"}",
    b"{\"replicas\":18446744073709551616}",
    b"{\"replicas\":1e400}",
    b"{\"replicas\":-0}",
    b"{\"labels\":{\"a\":null},\"secrets\":[null]}",
    b"\xff\xfe{}",
    b"\xef\xbb\xbf{}",
    b"{\"a\":\xc3\x28}",
    b"nul",
    b"[1,]",
    b"{\"a\":1,}",
    b"01",
    b"-",
    b"1.",
    b"1e",
    b"\"\t\"",
    b"{}{}",
];

#[test]
fn the_corpus_is_read_or_refused() {
    for body in CORPUS {
        untrusted::document(body);
        let accepted = json::parse(body).is_ok();
        let valid = serde_json::from_str::<serde_json::Value>(&String::from_utf8_lossy(body)).is_ok();
        assert!(valid || !accepted, "{:?}", String::from_utf8_lossy(body));
    }
    let deep = [vec![b'['; 100_000], vec![b']'; 100_000]].concat();
    assert!(json::parse(&deep).is_err());
    untrusted::document(&deep);
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(body in proptest::collection::vec(any::<u8>(), 0..200)) {
        untrusted::document(&body);
        if json::parse(&body).is_ok() {
            prop_assert!(serde_json::from_str::<serde_json::Value>(&String::from_utf8_lossy(&body)).is_ok());
        }
        untrusted::manifest(&body);
    }

    #[test]
    fn json_like_texts_are_judged_as_serde_judges_them(text in r#"[\[\]{}:, "a\\ue0-9.+ntf-]{0,40}"#) {
        let valid = serde_json::from_str::<serde_json::Value>(&text).is_ok();
        prop_assert_eq!(json::parse(text.as_bytes()).is_ok(), valid, "{}", text);
    }

    #[test]
    fn paths_and_queries_are_read_or_refused(path in "/[ -~]{0,60}", query in "[ -~]{0,60}") {
        untrusted::target(format!("{path}?{query}").as_bytes());
    }

    #[test]
    fn names_of_functions_survive_their_path(name in "[-a-zA-Z_0-9.]{1,80}", rest in "[a-z/]{0,20}") {
        let expected = Resource::Invoke { name: name.clone(), path: format!("/{rest}").into_bytes() };
        prop_assert_eq!(resource(&format!("/function/{name}/{rest}")), Some(expected));
        let (service, namespace) = split_namespace(&name);
        prop_assert!(name.starts_with(service) && name.ends_with(namespace));
    }

    #[test]
    fn secrets_stay_in_their_directory(name in r"[a-z./\\%]{0,12}") {
        let body = serde_json::to_vec(&serde_json::json!({ "name": name })).unwrap();
        // The directory itself, which is no file to write.
        if name != "." && Secret::from_body(&body).is_ok() {
            let path = std::path::Path::new("/base").join(&name);
            prop_assert_eq!(path.parent(), Some(std::path::Path::new("/base")));
        }
    }

    #[test]
    fn references_are_normal_after_one_reading(text in "[a-zA-Z0-9./:@_-]{0,40}") {
        if let Ok(reference) = reference::parse(&text) {
            let shown = reference.to_string();
            let again = reference::parse(&shown);
            prop_assert_eq!(again.map(|again| again.to_string()), Ok(shown));
        }
    }

    #[test]
    fn quantities_and_durations_are_read_as_they_are_written(
        bytes in 0_u64..1 << 50,
        milliseconds in 0_u64..100_000_000,
        text in "[0-9a-zA-Z.+-]{0,12}",
    ) {
        prop_assert_eq!(quantity::parse(&quantity::format_binary(bytes)), Some(bytes));
        let duration = Duration::from_millis(milliseconds);
        let read = parse_duration(&go_text(duration)).unwrap();
        prop_assert!(read.abs_diff(duration) < Duration::from_micros(1), "{:?} {:?}", read, duration);
        untrusted::words(text.as_bytes());
    }

    #[test]
    fn any_words_are_read_or_refused(text in "[ -~\n]{0,80}") {
        untrusted::words(text.as_bytes());
    }
}
