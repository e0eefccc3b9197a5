use super::*;
use proptest::collection::btree_map;
use proptest::prelude::*;
use std::collections::BTreeMap;

fn sample() -> MsgNodeInfoRecalc {
    MsgNodeInfoRecalc {
        haproxy_host: "10.0.0.2".to_owned(),
        haproxy_port: 80,
        func_limits: BTreeMap::from([
            (
                "12D3KooWB".to_owned(),
                BTreeMap::from([("shasum".to_owned(), 7.5), ("figlet".to_owned(), 10.0)]),
            ),
            ("12D3KooWA".to_owned(), BTreeMap::new()),
        ]),
    }
}

#[test]
fn written_as_the_original_does() {
    assert_eq!(
        sample().to_json(),
        r#"{"MsgType":"nodeinfoRecalc","HAProxyHost":"10.0.0.2","HAProxyPort":80,"FuncLimits":{"12D3KooWA":{},"12D3KooWB":{"figlet":10,"shasum":7.5}}}"#
    );
}

#[test]
fn other_messages_are_told_apart() {
    let text = Message::from_json(br#"{"MsgType":"text","Text":"hello"}"#).unwrap();
    let hello = MsgText {
        text: "hello".to_owned(),
    };
    assert_eq!(text, Message::Text(hello));
    let other = Message::from_json(br#"{"MsgType":"heartbeat","functions":["figlet"]}"#).unwrap();
    assert_eq!(other, Message::Unknown("heartbeat".to_owned()));
    assert_eq!(other.kind(), "heartbeat");
    assert_eq!(
        Message::from_json(b"{}").unwrap(),
        Message::Unknown(String::new())
    );
}

#[test]
fn gos_null_maps_and_unknown_fields_are_taken() {
    let read = Message::from_json(
        br#"{"MsgType":"nodeinfoRecalc","HAProxyHost":"n","HAProxyPort":80,"FuncLimits":{"A":null},"Future":1}"#,
    )
    .unwrap();
    let Message::NodeInfoRecalc(message) = read else {
        panic!("{read:?}")
    };
    assert_eq!(
        message.func_limits,
        BTreeMap::from([("A".to_owned(), BTreeMap::new())])
    );
    let read = Message::from_json(br#"{"MsgType":"nodeinfoRecalc","FuncLimits":null}"#).unwrap();
    assert_eq!(read, Message::NodeInfoRecalc(MsgNodeInfoRecalc::default()));
}

#[test]
fn nonsense_is_an_error_not_a_crash() {
    for bytes in [
        &b""[..],
        b"null",
        b"{",
        b"\xff\xfe",
        br#"{"MsgType":5}"#,
        br#"{"MsgType":"nodeinfoRecalc","HAProxyPort":-1}"#,
    ] {
        assert!(Message::from_json(bytes).is_err(), "{bytes:?}");
    }
}

/// One message of each type, with the bytes that Go 1.26's `json.Marshal` makes of the original's structures.
fn samples() -> Vec<(Message, String, &'static str)> {
    let text = MsgText {
        text: "a <b> & \"c\" \u{2028} \u{e9}\u{1}".to_owned(),
    };
    let limits = |limits: &[(&str, f64)]| -> BTreeMap<String, f64> {
        limits
            .iter()
            .map(|(name, limit)| ((*name).to_owned(), *limit))
            .collect()
    };
    let recalc = MsgNodeInfoRecalc {
        haproxy_host: "10.0.0.2".to_owned(),
        haproxy_port: 30_080,
        func_limits: BTreeMap::from([
            ("A".to_owned(), BTreeMap::new()),
            (
                "B".to_owned(),
                limits(&[("shasum", 7.5), ("figlet", 10.0), ("ocr", 1.0 / 3.0)]),
            ),
            (
                "C".to_owned(),
                limits(&[
                    ("tiny", 1e-7),
                    ("huge", 1.5e21),
                    ("max", f64::MAX),
                    ("large", 123_456_789_012_345_680_000.0),
                ]),
            ),
        ]),
    };
    let nms = MsgNodeInfoNms {
        haproxy_host: "10.0.0.2".to_owned(),
        haproxy_port: 80,
        node_type: 1,
        max_values: limits(&[
            ("cpu_usage_node", 120.0),
            ("ram_usage_node", 5.5e9),
            ("power_usage_node", 2.1e6),
        ]),
        functions: vec!["figlet".to_owned(), "ocr".to_owned()],
    };
    let margin = MsgNodeMarginInfoNms {
        margin: 24.166666666666668,
        load: GroupLoad {
            high: 0.5,
            low: 12.0,
            medium: 0.0,
        },
    };
    let fixed = MsgNodeInfoStatic {
        haproxy_host: "10.0.0.2".to_owned(),
        haproxy_port: 80,
        functions: vec!["figlet".to_owned()],
    };
    let written = [
        text.to_json(),
        recalc.to_json(),
        nms.to_json(),
        margin.to_json(),
        fixed.to_json(),
    ];
    let messages = [
        Message::Text(text),
        Message::NodeInfoRecalc(recalc),
        Message::NodeInfoNms(nms),
        Message::NodeMarginInfoNms(margin),
        Message::NodeInfoStatic(fixed),
    ];
    let of_go = [
        "{\"MsgType\":\"text\",\"Text\":\"a \\u003cb\\u003e \\u0026 \\\"c\\\" \\u2028 \u{e9}\\u0001\"}",
        r#"{"MsgType":"nodeinfoRecalc","HAProxyHost":"10.0.0.2","HAProxyPort":30080,"FuncLimits":{"A":{},"B":{"figlet":10,"ocr":0.3333333333333333,"shasum":7.5},"C":{"huge":1.5e+21,"large":123456789012345680000,"max":1.7976931348623157e+308,"tiny":1e-7}}}"#,
        r#"{"MsgType":"nodeinfoNMS","HAProxyHost":"10.0.0.2","HAProxyPort":80,"NodeType":1,"MaxValues":{"cpu_usage_node":120,"power_usage_node":2100000,"ram_usage_node":5500000000},"Functions":["figlet","ocr"]}"#,
        r#"{"MsgType":"nodemargininfoNMS","Margin":24.166666666666668,"Load":{"RateHighUsage":0.5,"RateLowUsage":12,"RateMediumUsage":0}}"#,
        r#"{"MsgType":"nodeinfoStatic","HAProxyHost":"10.0.0.2","HAProxyPort":80,"Functions":["figlet"]}"#,
    ];
    messages
        .into_iter()
        .zip(written)
        .zip(of_go)
        .map(|((message, written), of_go)| (message, written, of_go))
        .collect()
}

#[test]
fn every_message_is_written_as_go_does_and_read_back() {
    for (message, written, of_go) in samples() {
        assert_eq!(written, of_go);
        assert_eq!(Message::from_json(of_go.as_bytes()).unwrap(), message);
        let kind = format!("{{\"MsgType\":\"{}\"", message.kind());
        assert!(of_go.starts_with(&kind), "{of_go}");
    }
}

#[test]
fn what_go_never_made_is_empty() {
    let read = Message::from_json(
        br#"{"MsgType":"nodeinfoNMS","HAProxyHost":"","HAProxyPort":0,"NodeType":0,"MaxValues":null,"Functions":null}"#,
    );
    assert_eq!(read.unwrap(), Message::NodeInfoNms(MsgNodeInfoNms::default()));
    let read = Message::from_json(br#"{"MsgType":"nodemargininfoNMS","Margin":null,"Load":null}"#);
    assert_eq!(
        read.unwrap(),
        Message::NodeMarginInfoNms(MsgNodeMarginInfoNms::default())
    );
}

#[test]
fn numbers_that_json_cannot_say_are_zero() {
    let margin = |margin| MsgNodeMarginInfoNms {
        margin,
        ..MsgNodeMarginInfoNms::default()
    };
    for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        assert_eq!(margin(value).to_json(), margin(0.0).to_json());
    }
    // And what JSON can say but no float64 can hold is refused, as in Go.
    assert!(Message::from_json(br#"{"MsgType":"nodemargininfoNMS","Margin":1e999}"#).is_err());
    assert!(Message::from_json(br#"{"MsgType":"nodemargininfoNMS","Margin":NaN}"#).is_err());
}

/// Fields of an offer, good and bad.
const PARTS: &[&str] = &[
    r#""MsgType":"text""#,
    r#""HAProxyHost":"10.0.0.2""#,
    r#""HAProxyHost":null"#,
    r#""HAProxyPort":80"#,
    r#""HAProxyPort":-80"#,
    r#""FuncLimits":null"#,
    r#""FuncLimits":[]"#,
    r#""FuncLimits":{"me":null,"other":{"f":null}}"#,
    r#""FuncLimits":{"other":{"f":1.5},"me":{"f":1,"g":2.5,"f":3},"m":{}}"#,
    r#""FuncLimits":{"me":{"f":1},"me":{"g":2},"\u006de":{"h":4}}"#,
    r#""FuncLimits":{"other":{"f":"1"}}"#,
    r#""FuncLimits":{"other":{"f":1e999}}"#,
    r#""FuncLimits":{"other":{"\ud800":1}}"#,
    r#""FuncLimits":{"me":[1]}"#,
    r#""Future":{"a":[1,2]}"#,
];

/// Limits that every reader of decimal numbers gets exactly.
fn quarters() -> impl Strategy<Value = f64> {
    any::<i32>().prop_map(|value| f64::from(value) / 4.0)
}

proptest! {
    #[test]
    fn round_trip(host in ".{0,20}", port: u32, limits in btree_map(".{0,12}", btree_map(".{0,12}", quarters(), 0..4), 0..4)) {
        let message = MsgNodeInfoRecalc { haproxy_host: host, haproxy_port: port, func_limits: limits };
        let read = Message::from_json(message.to_json().as_bytes()).unwrap();
        prop_assert_eq!(read, Message::NodeInfoRecalc(message));
    }

    #[test]
    fn any_bytes_are_answered(bytes: Vec<u8>) {
        let _ = Message::from_json(&bytes);
        let _ = Message::from_json_for(&bytes, "me");
    }

    /// Reading for one node is reading all and forgetting the others, errors included.
    #[test]
    fn for_one_node(parts in prop::collection::vec(prop::sample::select(PARTS), 0..5), end in 0_usize..4) {
        let kind = [r#""MsgType":"nodeinfoRecalc""#];
        let parts: Vec<&str> = kind.into_iter().chain(parts).collect();
        let text = format!("{{{}{}", parts.join(","), &"} }x"[..end]);
        let mut all = Message::from_json(text.as_bytes());
        if let Ok(Message::NodeInfoRecalc(offer)) = &mut all {
            offer.func_limits.retain(|peer, _| peer == "me");
        }
        let own = Message::from_json_for(text.as_bytes(), "me");
        prop_assert_eq!(own.is_err(), all.is_err(), "{}: {:?}, {:?}", text, own, all);
        if let (Ok(own), Ok(all)) = (own, all) {
            prop_assert_eq!(own, all);
        }
    }
}
