//! Servers of a backend as JSON.

use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Reads the answer to `show servers state BACKEND`: a line with the version, one that begins with `#` and names the
/// columns, then a line per server.
pub(super) fn servers(text: &str) -> Vec<Value> {
    let Some(names) = text.lines().find_map(|line| line.strip_prefix("# ")) else {
        return Vec::new();
    };
    let names: Vec<&str> = names.split_whitespace().collect();
    let lines = text.lines().skip_while(|line| !line.starts_with('#')).skip(1);
    lines
        .filter_map(|line| {
            let fields: BTreeMap<&str, &str> = names.iter().copied().zip(line.split_whitespace()).collect();
            server(&fields)
        })
        .collect()
}

fn server(fields: &BTreeMap<&str, &str>) -> Option<Value> {
    let text = |name: &str| fields.get(name).copied();
    let number = |name: &str| text(name).and_then(|value| value.parse::<u64>().ok());
    let name = text("srv_name")?;
    // Bits of `srv_admin_state`: 1, 2 and 4 are kinds of maintenance, 8 and 16 of draining.
    let admin_state = match number("srv_admin_state")? {
        state if state & 0x7 != 0 => "maint",
        state if state & 0x18 != 0 => "drain",
        _ => "ready",
    };
    let operational_state = match number("srv_op_state")? {
        0 => "down",
        3 => "stopping",
        _ => "up",
    };
    Some(json!({
        "id": text("srv_id"),
        "name": name,
        "address": text("srv_addr"),
        "port": number("srv_port"),
        "admin_state": admin_state,
        "operational_state": operational_state,
        "backend_id": number("be_id"),
        "backend_name": text("be_name"),
        "uweight": number("srv_uweight"),
        "iweight": number("srv_iweight"),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_haproxy_2_6_prints_them() {
        let text = "1\n# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight srv_iweight \
            srv_time_since_last_change srv_check_status srv_check_result srv_check_health srv_check_state \
            srv_agent_state bk_f_forced_id srv_f_forced_id srv_fqdn srv_port srvrecord srv_use_ssl srv_check_port \
            srv_check_addr srv_agent_addr srv_agent_port\n\
            5 function_figlet 1 openfaas-local 127.0.0.1 2 0 50 100 2 1 0 2 0 0 0 0 - 9001 - 0 0 - - 0\n\
            5 function_figlet 3 node_c 127.0.0.1 0 1 50 50 0 1 0 0 0 0 0 0 - 9003 - 0 0 - - 0\n\n";
        let servers = servers(text);
        assert_eq!(
            servers[0],
            json!({"id": "1", "name": "openfaas-local", "address": "127.0.0.1", "port": 9001,
                "admin_state": "ready", "operational_state": "up", "backend_id": 5,
                "backend_name": "function_figlet", "uweight": 50, "iweight": 100})
        );
        assert_eq!(
            (&servers[1]["admin_state"], &servers[1]["operational_state"]),
            (&json!("maint"), &json!("down"))
        );
        assert_eq!(servers.len(), 2);
    }

    #[test]
    fn what_is_no_list() {
        for text in ["", "Can't find backend.\n", "1\n# be_id\n5\n", "#"] {
            assert!(servers(text).is_empty(), "{text:?}");
        }
    }
}
