//! The header `X-Runtime-Actions`: changes of the running process that come with a configuration that is not loaded.

/// The commands of the Runtime API behind `SetServerWeight be srv 5;SetServerState be srv maint`.
///
/// # Errors
/// Which action is not understood.
pub(super) fn commands(header: &str) -> Result<Vec<String>, String> {
    let actions = header
        .split(';')
        .map(str::trim)
        .filter(|action| !action.is_empty());
    actions.map(command).collect()
}

fn command(action: &str) -> Result<String, String> {
    let words: Vec<&str> = action.split_whitespace().collect();
    if let Some(word) = words.iter().find(|word| !is_plain(word)) {
        return Err(format!(
            "cannot execute {}: {word:?} has letters that no name has",
            words[0]
        ));
    }
    Ok(match words.as_slice() {
        ["SetFrontendMaxConn", frontend, count] => format!("set maxconn frontend {frontend} {count}"),
        ["SetServerWeight", backend, server, weight] => {
            format!("set server {backend}/{server} weight {weight}")
        }
        ["SetServerState", backend, server, state] => format!("set server {backend}/{server} state {state}"),
        ["SetServerAddr", backend, server, address, port] => {
            format!("set server {backend}/{server} addr {address} port {port}")
        }
        ["SetServerCheckPort", backend, server, port] => {
            format!("set server {backend}/{server} check-port {port}")
        }
        ["EnableAgentCheck", backend, server] => format!("enable agent {backend}/{server}"),
        ["DisableAgentCheck", backend, server] => format!("disable agent {backend}/{server}"),
        [
            "SetFrontendMaxConn" | "SetServerWeight" | "SetServerState" | "SetServerAddr"
            | "SetServerCheckPort" | "EnableAgentCheck" | "DisableAgentCheck",
            ..,
        ] => return Err(format!("cannot execute {}: wrong number of parameters", words[0])),
        _ => return Err(format!("cannot execute {}: unknown action", words[0])),
    })
}

/// Whether a word can be part of a command: nothing that begins another one.
pub(super) fn is_plain(word: &str) -> bool {
    !word.is_empty()
        && word
            .chars()
            .all(|letter| letter.is_ascii_alphanumeric() || ".-_:%".contains(letter))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_of_the_runtime_api() {
        let header = "SetServerWeight function_figlet node_b 50; SetServerState bk s maint;;SetServerAddr bk s 10.0.0.1 80";
        assert_eq!(
            commands(header).unwrap(),
            [
                "set server function_figlet/node_b weight 50",
                "set server bk/s state maint",
                "set server bk/s addr 10.0.0.1 port 80",
            ]
        );
        assert!(commands("").unwrap().is_empty());
    }

    #[test]
    fn what_is_no_action() {
        for (header, complaint) in [
            ("SetServerWeight bk s", "wrong number"),
            ("Shutdown", "unknown action"),
            ("SetServerWeight bk s 5\u{7f}x", "has letters"),
            ("SetServerWeight bk s|x 5", "has letters"),
        ] {
            let error = commands(header).unwrap_err();
            assert!(error.contains(complaint), "{header:?}: {error}");
        }
    }
}
