//! Image references: reading, completing and printing them as the container world does.

use std::fmt;

/// An image reference in full: `figlet` becomes `docker.io/library/figlet:latest`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reference {
    /// Registry and path, without tag and digest.
    pub(crate) repository: String,
    /// `:tag`, `@digest` or both, with their separators.
    version: String,
}

impl fmt::Display for Reference {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}{}", self.repository, self.version)
    }
}

/// Completes `text`.
///
/// # Errors
/// The sentence the real platform answers for it.
pub(crate) fn parse(text: &str) -> Result<Reference, String> {
    let (named, digest) = match text.split_once('@') {
        Some((named, digest)) => (named, Some(digest)),
        None => (text, None),
    };
    // A colon before the last slash belongs to the registry's port.
    let path_from = named.rfind('/').map_or(0, |slash| slash + 1);
    let (name, tag) = match named[path_from..].split_once(':') {
        Some((last, tag)) => (&named[..path_from + last.len()], Some(tag)),
        None => (named, None),
    };
    let (domain, path) = split_domain(name);
    if path.bytes().any(|byte| byte.is_ascii_uppercase()) {
        let lower = format!("invalid reference format: repository name ({path}) must be lowercase");
        return Err(if is_path(&path.to_ascii_lowercase()) {
            lower
        } else {
            invalid()
        });
    }
    if !is_domain(&domain) || !is_path(&path) || !tag.is_none_or(is_tag) || !digest.is_none_or(is_digest) {
        return Err(invalid());
    }
    let mut version = String::new();
    if let Some(tag) = tag {
        version = format!(":{tag}");
    } else if digest.is_none() {
        version.push_str(":latest");
    }
    if let Some(digest) = digest {
        version.push('@');
        version.push_str(digest);
    }
    Ok(Reference {
        repository: format!("{domain}/{path}"),
        version,
    })
}

fn invalid() -> String {
    "invalid reference format".to_owned()
}

/// Registry and path: a first component is a registry only when it looks like a host.
fn split_domain(name: &str) -> (String, String) {
    let (domain, path) = match name.split_once('/') {
        Some((first, rest))
            if first == "localhost"
                || first.contains(['.', ':'])
                || first.bytes().any(|byte| byte.is_ascii_uppercase()) =>
        {
            (first, rest)
        }
        _ => ("docker.io", name),
    };
    let domain = if domain == "index.docker.io" {
        "docker.io"
    } else {
        domain
    };
    if domain == "docker.io" && !path.contains('/') {
        return (domain.to_owned(), format!("library/{path}"));
    }
    (domain.to_owned(), path.to_owned())
}

fn is_domain(domain: &str) -> bool {
    let (host, port) = match domain.split_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (domain, None),
    };
    let label = |label: &str| {
        !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    host.split('.').all(label)
        && port.is_none_or(|port| !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Lower-case words joined by `.`, `_`, `__` or dashes, components joined by slashes, 255 bytes at most.
fn is_path(path: &str) -> bool {
    let component = |component: &str| {
        let word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        let bytes = component.as_bytes();
        let edges = bytes.first().copied().is_some_and(word) && bytes.last().copied().is_some_and(word);
        let separators_fit = component
            .split(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
            .all(|run| matches!(run, "" | "." | "_" | "__") || run.bytes().all(|byte| byte == b'-'));
        edges && separators_fit
    };
    path.len() <= 255 && path.split('/').all(component)
}

fn is_tag(tag: &str) -> bool {
    let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    tag.len() <= 128
        && tag.bytes().next().is_some_and(word)
        && tag.bytes().all(|byte| word(byte) || matches!(byte, b'.' | b'-'))
}

fn is_digest(digest: &str) -> bool {
    digest.split_once(':').is_some_and(|(algorithm, hash)| {
        algorithm
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"+._-".contains(&byte))
            && algorithm
                .bytes()
                .next()
                .is_some_and(|byte| byte.is_ascii_alphabetic())
            && hash.len() >= 32
            && hash.bytes().all(|byte| byte.is_ascii_hexdigit())
    })
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn completes_references() {
        let digest = format!("a/b@sha256:{}", "0f".repeat(32));
        let cases = [
            ("figlet", "docker.io/library/figlet:latest"),
            ("functions/alpine", "docker.io/functions/alpine:latest"),
            ("ghcr.io/openfaas/figlet:latest", "ghcr.io/openfaas/figlet:latest"),
            ("localhost:5000/a:1", "localhost:5000/a:1"),
            (
                "viveksyngh/openfaas-ocr:0.3.0",
                "docker.io/viveksyngh/openfaas-ocr:0.3.0",
            ),
            (digest.as_str(), &format!("docker.io/{digest}")),
        ];
        for (given, full) in cases {
            assert_eq!(parse(given).unwrap().to_string(), full);
        }
    }

    #[test]
    fn refuses_as_the_real_platform_does() {
        for wrong in [
            "",
            "a b",
            ":x",
            "a:",
            "a//b",
            "a/",
            "/a",
            "-a",
            "a..b",
            "a@sha256:zz",
            "ghcr.io/",
        ] {
            assert_eq!(parse(wrong).unwrap_err(), "invalid reference format", "{wrong:?}");
        }
        assert_eq!(
            parse("ghcr.io/Open/X").unwrap_err(),
            "invalid reference format: repository name (Open/X) must be lowercase"
        );
    }
}
