use super::*;
use proptest::collection::btree_map;
use proptest::prelude::*;

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
    assert_eq!(text, Message::Text("hello".to_owned()));
    let other = Message::from_json(br#"{"MsgType":"nodeinfoNMS","Functions":["figlet"]}"#).unwrap();
    assert_eq!(other, Message::Unknown("nodeinfoNMS".to_owned()));
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
    }
}
