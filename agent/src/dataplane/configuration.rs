//! The text of a configuration, and the number in its first line.

/// What the first line begins with in a file that the real API, or this one, has written.
const VERSION: &str = "# _version=";
/// The real API may have written this before it.
const CHECKSUM: &str = "# _md5hash=";

/// The number of a configuration, and its text without the lines that hold it. One that nobody has numbered is number 1.
pub(super) fn take_apart(text: &str) -> (u64, &str) {
    let (mut version, mut rest) = (1, text);
    loop {
        let (line, after) = rest.split_once('\n').unwrap_or((rest, ""));
        if let Some(number) = line.strip_prefix(VERSION) {
            version = number.trim().parse().unwrap_or(version);
        } else if !line.starts_with(CHECKSUM) {
            return (version, rest);
        }
        rest = after;
    }
}

/// A configuration with its number.
pub(super) fn numbered(version: u64, text: &str) -> String {
    let (_, body) = take_apart(text);
    format!("{VERSION}{version}\n{body}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_put_before_and_taken_off() {
        let text = "global\n    daemon\n";
        assert_eq!(take_apart(text), (1, text));
        let first = numbered(7, text);
        assert_eq!(first, "# _version=7\nglobal\n    daemon\n");
        assert_eq!(take_apart(&first), (7, text));
        assert_eq!(numbered(8, &first), "# _version=8\nglobal\n    daemon\n");
    }

    #[test]
    fn as_the_real_api_leaves_it() {
        let text = "# _md5hash=0cc175b9c0f1b6a831c399e269772661\n# _version=12\n# Dataplaneapi managed File\nglobal\n";
        assert_eq!(take_apart(text), (12, "# Dataplaneapi managed File\nglobal\n"));
        assert_eq!(take_apart("# _version=many\nglobal\n"), (1, "global\n"));
        assert_eq!(take_apart("# _version=3"), (3, ""));
        assert_eq!(take_apart(""), (1, ""));
    }
}
