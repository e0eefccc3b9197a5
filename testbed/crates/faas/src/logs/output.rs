//! What functions say, on its way to the log.

use tracing::info;

use crate::function::Function;

/// Logs what a function wrote, line by line: in its journal, and with its name in the platform's log.
pub(crate) fn function_output(function: &Function, prefix: &str, content: &[u8], dropped: usize) {
    const LONGEST_LINE: usize = 8 * 1024;
    let text = String::from_utf8_lossy(content);
    let name = function.name();
    for line in text.lines().filter(|line| !line.is_empty()) {
        let shown: String = line.chars().take(LONGEST_LINE).collect();
        function.say(&format!("{prefix}{shown}"));
        info!("{name}: {prefix}{}", escape_controls(line, LONGEST_LINE));
    }
    if dropped > 0 {
        info!("{name}: {prefix}({dropped} more bytes)");
    }
}

/// Terminals obey control characters; a log must not carry a function's.
fn escape_controls(line: &str, longest: usize) -> String {
    let mut escaped = String::with_capacity(line.len().min(longest));
    for character in line.chars().take(longest) {
        if character.is_control() && character != '\t' {
            escaped.extend(character.escape_default());
        } else {
            escaped.push(character);
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::escape_controls;

    #[test]
    fn control_characters_are_shown_not_obeyed() {
        assert_eq!(
            escape_controls("a\u{1b}[31mb\tc\u{e9}z", 10),
            "a\\u{1b}[31mb\tc\u{e9}"
        );
    }
}
