//! The rules for names, in one place.

/// Longest node name: it is a hostname, a directory and a part of longer names.
const LONGEST_NODE: usize = 32;
const LONGEST_LAB: usize = 32;
const LONGEST_LINK: usize = 80;
/// What Linux allows (IFNAMSIZ without the terminating zero).
pub(crate) const LONGEST_INTERFACE: usize = 15;
/// The namespace of the midpoints, and the name every machine has for itself.
const RESERVED_NODES: [&str; 2] = ["wire", "localhost"];

fn is_word(name: &str) -> bool {
    name.bytes()
        .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

/// `[a-z0-9-]{1,32}`.
pub(crate) fn check_lab(name: &str) -> Result<(), String> {
    if is_word(name) && (1..=LONGEST_LAB).contains(&name.len()) {
        return Ok(());
    }
    Err(format!("1 to {LONGEST_LAB} of the characters a-z, 0-9 and `-`"))
}

/// `[a-z0-9][a-z0-9-]*`, not too long and not reserved.
pub(crate) fn check_node(name: &str) -> Result<(), String> {
    if RESERVED_NODES.contains(&name) {
        return Err("it is reserved".to_owned());
    }
    if is_word(name) && (1..=LONGEST_NODE).contains(&name.len()) && !name.starts_with('-') {
        return Ok(());
    }
    Err(format!(
        "1 to {LONGEST_NODE} of the characters a-z, 0-9 and `-`, not beginning with `-`"
    ))
}

/// A link's own name.
pub(crate) fn check_link(name: &str) -> Result<(), String> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte);
    if name.bytes().all(allowed) && (1..=LONGEST_LINK).contains(&name.len()) {
        return Ok(());
    }
    Err(format!("1 to {LONGEST_LINK} letters, digits and `-_.:`"))
}

/// A function's name, as OpenFaaS has it: a DNS label.
pub(crate) fn check_function(name: &str) -> Result<(), String> {
    let ends_well = !name.starts_with('-') && !name.ends_with('-');
    if is_word(name) && (1..=63).contains(&name.len()) && ends_well {
        return Ok(());
    }
    Err("1 to 63 of the characters a-z, 0-9 and `-`, neither beginning nor ending with `-`".to_owned())
}

/// The characters of an interface's name; its length is checked apart, for a message of its own.
pub(crate) fn check_interface(name: &str) -> Result<(), String> {
    if matches!(name, "lo" | "br0" | "." | ".." | "all" | "default") {
        return Err("it is reserved".to_owned());
    }
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.@".contains(&byte);
    if !name.is_empty() && name.bytes().all(allowed) {
        return Ok(());
    }
    Err("letters, digits and `-_.@`".to_owned())
}

/// The name of an environment variable.
pub(crate) fn check_variable(name: &str) -> Result<(), String> {
    if name.is_empty() || name.contains(['=', '\0']) {
        return Err("not empty, and without `=`".to_owned());
    }
    Ok(())
}
