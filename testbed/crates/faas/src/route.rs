//! Which resource a path names. Both servers share their paths.

/// A resource of gateway or provider.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Resource {
    Root,
    Health,
    Info,
    Functions,
    Namespaces,
    /// One namespace; the name is empty where a new one is made.
    Namespace(String),
    Secrets,
    Logs,
    Alert,
    /// A file of the user interface.
    UserInterface(String),
    Metrics,
    /// Status of one function.
    Function(String),
    Scale(String),
    /// A function to call: `name` or `name.namespace`, and what follows in the path.
    Invoke {
        name: String,
        path: Vec<u8>,
    },
    /// The same, to be called later.
    Queue {
        name: String,
        path: Vec<u8>,
    },
    Unknown,
}

/// The resource of an undecoded path; `None` when an escape in it is wrong.
pub(crate) fn resource(path: &str) -> Option<Resource> {
    let decoded = percent_decode(path)?;
    let Some((b"", rest)) = split_once(&decoded) else {
        return Some(Resource::Unknown);
    };
    let (head, tail) = split_once(rest).map_or((rest, None), |(head, tail)| (head, Some(tail)));
    Some(match (head, tail) {
        (b"", None) => Resource::Root,
        (b"healthz", None) => Resource::Health,
        (b"metrics", None) => Resource::Metrics,
        (b"ui", Some(tail)) => Resource::UserInterface(String::from_utf8_lossy(tail).into_owned()),
        (b"system", Some(tail)) => system(tail),
        (b"function", Some(tail)) => {
            invocation(tail).map_or(Resource::Unknown, |(name, path)| Resource::Invoke { name, path })
        }
        (b"async-function", Some(tail)) => {
            invocation(tail).map_or(Resource::Unknown, |(name, path)| Resource::Queue { name, path })
        }
        _ => Resource::Unknown,
    })
}

fn system(path: &[u8]) -> Resource {
    match split_once(path) {
        None => match path {
            b"info" => Resource::Info,
            b"functions" => Resource::Functions,
            b"namespaces" => Resource::Namespaces,
            b"secrets" => Resource::Secrets,
            b"logs" => Resource::Logs,
            b"alert" => Resource::Alert,
            _ => Resource::Unknown,
        },
        Some((b"function", name)) => function_name(name).map_or(Resource::Unknown, Resource::Function),
        Some((b"namespace", b"")) => Resource::Namespace(String::new()),
        Some((b"namespace", name)) => function_name(name).map_or(Resource::Unknown, Resource::Namespace),
        Some((b"scale-function", name)) => function_name(name).map_or(Resource::Unknown, Resource::Scale),
        Some(_) => Resource::Unknown,
    }
}

/// Name and path of a call.
fn invocation(path: &[u8]) -> Option<(String, Vec<u8>)> {
    let (name, rest) = split_once(path).unwrap_or((path, b""));
    Some((function_name(name)?, [b"/", rest].concat()))
}

/// A name as the routes of the real gateway accept it.
fn function_name(name: &[u8]) -> Option<String> {
    let allowed = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.".contains(byte);
    (!name.is_empty() && name.iter().all(allowed)).then(|| String::from_utf8_lossy(name).into_owned())
}

fn split_once(path: &[u8]) -> Option<(&[u8], &[u8])> {
    let slash = path.iter().position(|byte| *byte == b'/')?;
    Some((&path[..slash], &path[slash + 1..]))
}

/// The bytes of an escaped text; `None` when an escape is wrong.
fn percent_decode(text: &str) -> Option<Vec<u8>> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let digit = |byte: u8| char::from(byte).to_digit(16);
            let value = digit(bytes.next()?)? * 16 + digit(bytes.next()?)?;
            decoded.push(u8::try_from(value).ok()?);
        } else {
            decoded.push(byte);
        }
    }
    Some(decoded)
}

/// The value of a parameter of a query, decoded; empty when it is absent.
pub(crate) fn query_value(query: Option<&str>, wanted: &str) -> String {
    query
        .unwrap_or_default()
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .find(|(name, _)| *name == wanted)
        .and_then(|(_, value)| percent_decode(&value.replace('+', " ")))
        .map(|value| String::from_utf8_lossy(&value).into_owned())
        .unwrap_or_default()
}

/// A called name's function and namespace, which is empty unless given: it follows the last dot.
pub(crate) fn split_namespace(name: &str) -> (&str, &str) {
    match name.rfind('.') {
        Some(dot @ 1..) => (&name[..dot], &name[dot + 1..]),
        _ => (name, ""),
    }
}

#[cfg(test)]
mod tests {
    use super::{Resource, query_value, resource, split_namespace};

    #[test]
    fn paths_name_resources() {
        let invoke = |name: &str, path: &str| Resource::Invoke {
            name: name.to_owned(),
            path: path.into(),
        };
        let cases = [
            ("/", Resource::Root),
            ("/healthz", Resource::Health),
            ("/healthz/", Resource::Unknown),
            ("/system/info", Resource::Info),
            ("/system/functions", Resource::Functions),
            ("/system/functions/", Resource::Unknown),
            ("/system/namespaces", Resource::Namespaces),
            ("/system/function/figlet", Resource::Function("figlet".to_owned())),
            ("/system/function/a/b", Resource::Unknown),
            ("/system/function/", Resource::Unknown),
            ("/system/scale-function/cat", Resource::Scale("cat".to_owned())),
            ("/function", Resource::Unknown),
            ("/function/", Resource::Unknown),
            ("/function/a%20b", Resource::Unknown),
            ("/function/env", invoke("env", "/")),
            ("/function/env/", invoke("env", "/")),
            (
                "/function/env.openfaas-fn/sub/path",
                invoke("env.openfaas-fn", "/sub/path"),
            ),
            ("/function/env/a%2Fb%20c", invoke("env", "/a/b c")),
            ("/metrics", Resource::Metrics),
            ("/system/namespace/", Resource::Namespace(String::new())),
            ("/system/namespace/n1", Resource::Namespace("n1".to_owned())),
            ("/system/namespace", Resource::Unknown),
            ("/system/secrets", Resource::Secrets),
            ("/system/telemetry", Resource::Unknown),
            ("/ui/", Resource::UserInterface(String::new())),
            ("/ui", Resource::Unknown),
            (
                "/async-function/cat/x",
                Resource::Queue {
                    name: "cat".to_owned(),
                    path: b"/x".to_vec(),
                },
            ),
            ("*", Resource::Unknown),
        ];
        for (path, expected) in cases {
            assert_eq!(resource(path), Some(expected), "{path}");
        }
        assert_eq!(resource("/function/env/%zz"), None);
        assert_eq!(resource("/function/env/%2"), None);
    }

    #[test]
    fn reads_queries_and_namespaces() {
        assert_eq!(
            query_value(Some("a=1&namespace=openfaas%2Dfn"), "namespace"),
            "openfaas-fn"
        );
        assert_eq!(query_value(Some("namespace"), "namespace"), "");
        assert_eq!(query_value(None, "namespace"), "");
        assert_eq!(split_namespace("figlet.nope"), ("figlet", "nope"));
        assert_eq!(split_namespace(".openfaas-fn"), (".openfaas-fn", ""));
        assert_eq!(split_namespace("a.b.c"), ("a.b", "c"));
    }
}
