//! Paths as text. Nothing here looks at a disk, so `..` is resolved by name (a symbolic link is not followed first).

/// `relative`, as seen from the directory of the file `base`.
pub(crate) fn beside(base: &str, relative: &str) -> String {
    match base.rsplit_once('/') {
        Some((directory, _)) if !relative.starts_with('/') => normal(&format!("{directory}/{relative}")),
        _ => normal(relative),
    }
}

/// The path without `.` and, where possible, without `..`.
pub(crate) fn normal(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => {
                parts.pop();
            }
            ".." if path.starts_with('/') => {}
            part => parts.push(part),
        }
    }
    let joined = parts.join("/");
    match (path.starts_with('/'), joined.as_str()) {
        (true, _) => format!("/{joined}"),
        (false, "") => ".".to_owned(),
        (false, _) => joined,
    }
}

/// The last part.
pub(crate) fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// The last part without its extension.
pub(crate) fn stem(path: &str) -> &str {
    let name = file_name(path);
    match name.rsplit_once('.') {
        Some((stem, _)) if !stem.is_empty() => stem,
        _ => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relative_paths_start_at_the_file_that_names_them() {
        assert_eq!(
            beside("scenarios/paper/a.yaml", "../../topologies/b.yaml"),
            "topologies/b.yaml"
        );
        assert_eq!(beside("a.yaml", "../b.yaml"), "../b.yaml");
        assert_eq!(beside("x/a.yaml", "/etc/b.yaml"), "/etc/b.yaml");
        assert_eq!(beside("/x/a.yaml", "../../../b.yaml"), "/b.yaml");
        assert_eq!(beside("../x/a.yaml", "../../b.yaml"), "../../b.yaml");
        assert_eq!(normal("./x/.."), ".", "nothing is no path");
    }

    #[test]
    fn stems_are_names_without_extension() {
        assert_eq!(stem("a/b.c.yaml"), "b.c");
        assert_eq!(stem("a/.hidden"), ".hidden");
        assert_eq!(stem("plain"), "plain");
    }
}
