//! The namespaces that functions live in.

use std::collections::BTreeMap;
use std::sync::{PoisonError, RwLock};

use serde::{Deserialize, Serialize};

use crate::json::{Fields, parse};
use crate::registry::Refusal;
use crate::types::NAMESPACE;

/// The label without which a namespace is not the platform's.
const MARK: &str = "openfaas";

/// A namespace, as the API shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FunctionNamespace {
    pub(crate) name: String,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) annotations: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) labels: BTreeMap<String, String>,
}

impl FunctionNamespace {
    /// Reads the body of a request about the namespace that the path names (`None` where the path names none).
    pub(crate) fn from_body(body: &[u8], path: Option<&str>) -> Result<Self, Refusal> {
        let refused = |reason: String| Refusal::Invalid(format!("error parsing request body: {reason}"));
        let value = parse(body).map_err(refused)?;
        let fields = Fields::of(&value, "types", "FunctionNamespace").map_err(refused)?;
        let namespace = FunctionNamespace {
            name: fields.string("name").map_err(refused)?,
            annotations: fields.table("annotations").map_err(refused)?,
            labels: fields.table("labels").map_err(refused)?,
        };
        let invalid = |text: &str| Err(Refusal::Invalid(text.to_owned()));
        match path {
            Some("") => return invalid("namespace not specified in URL"),
            Some(path) if path != namespace.name => {
                return invalid("namespace in request body does not match namespace in URL");
            }
            _ => {}
        }
        if namespace.name.is_empty() {
            return invalid("namespace not specified in request body");
        }
        if namespace.labels.get(MARK).map(String::as_str) != Some("1") {
            return invalid("request does not have openfaas=1 label");
        }
        Ok(namespace)
    }
}

/// The table of namespaces; [`NAMESPACE`] is always there.
#[derive(Debug)]
pub(crate) struct Namespaces(RwLock<BTreeMap<String, BTreeMap<String, String>>>);

impl Namespaces {
    /// The namespaces of the last time, and the one that is always there.
    pub(crate) fn new(saved: Vec<FunctionNamespace>) -> Self {
        let mut table: BTreeMap<_, _> = saved
            .into_iter()
            .map(|saved| (saved.name, saved.labels))
            .collect();
        table
            .entry(NAMESPACE.to_owned())
            .or_insert_with(|| BTreeMap::from([(MARK.to_owned(), "1".to_owned())]));
        Namespaces(RwLock::new(table))
    }

    /// All names, sorted.
    pub(crate) fn names(&self) -> Vec<String> {
        self.read(|table| table.keys().cloned().collect())
    }

    /// All of them, sorted by name.
    pub(crate) fn all(&self) -> Vec<FunctionNamespace> {
        self.read(|table| {
            let entries = table.iter();
            entries.map(|(name, labels)| shown(name, labels)).collect()
        })
    }

    /// The namespace a request means, which is [`NAMESPACE`] when it names none.
    pub(crate) fn resolve<'a>(&self, asked: &'a str) -> Result<&'a str, Refusal> {
        if asked.is_empty() {
            return Ok(NAMESPACE);
        }
        if self.read(|table| table.contains_key(asked)) {
            return Ok(asked);
        }
        Err(Refusal::Invalid("namespace not valid".to_owned()))
    }

    pub(crate) fn find(&self, name: &str) -> Result<FunctionNamespace, Refusal> {
        if name.is_empty() {
            return Err(Refusal::Invalid("namespace not specified in URL".to_owned()));
        }
        let found = self.read(|table| table.get(name).map(|labels| shown(name, labels)));
        found.ok_or_else(|| not_found(name))
    }

    pub(crate) fn create(&self, namespace: FunctionNamespace) -> Result<(), Refusal> {
        let name = namespace.name;
        if !is_identifier(&name) {
            return Err(Refusal::Invalid(format!(
                "identifier {name:?} must match ^[A-Za-z0-9]+(?:[._-](?:[A-Za-z0-9]+))*$: invalid argument"
            )));
        }
        self.write(|table| {
            if table.contains_key(&name) {
                return Err(Refusal::Conflict(format!("namespace {name} already exists")));
            }
            table.insert(name, namespace.labels);
            Ok(())
        })
    }

    pub(crate) fn update(&self, namespace: FunctionNamespace) -> Result<(), Refusal> {
        self.write(|table| match table.get_mut(&namespace.name) {
            Some(labels) => {
                *labels = namespace.labels;
                Ok(())
            }
            None => Err(not_found(&namespace.name)),
        })
    }

    /// Removes a namespace; `in_use` says whether it still has functions.
    pub(crate) fn remove(&self, name: &str, in_use: impl FnOnce() -> bool) -> Result<(), Refusal> {
        self.write(|table| {
            if !table.contains_key(name) {
                return Err(not_found(name));
            }
            // The original would remove its default namespace, and be of no use from then on.
            if name == NAMESPACE || in_use() {
                return Err(Refusal::Failed(format!(
                    "namespace {name:?} must be empty, but it still has containers: failed precondition"
                )));
            }
            table.remove(name);
            Ok(())
        })
    }

    fn read<T>(&self, read: impl FnOnce(&BTreeMap<String, BTreeMap<String, String>>) -> T) -> T {
        read(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn write<T>(&self, write: impl FnOnce(&mut BTreeMap<String, BTreeMap<String, String>>) -> T) -> T {
        write(&mut self.0.write().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A namespace as containerd keeps it: without annotations.
fn shown(name: &str, labels: &BTreeMap<String, String>) -> FunctionNamespace {
    FunctionNamespace {
        name: name.to_owned(),
        annotations: BTreeMap::new(),
        labels: labels.clone(),
    }
}

fn not_found(name: &str) -> Refusal {
    Refusal::NotFound(format!("namespace {name} not found"))
}

/// Whether a text is what containerd takes for a name: words of letters and digits joined by single `.`, `_`, `-`.
pub(crate) fn is_identifier(text: &str) -> bool {
    const LONGEST: usize = 76;
    let word = |word: &str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_alphanumeric());
    text.len() <= LONGEST && text.split(['.', '_', '-']).all(word)
}

#[cfg(test)]
mod tests {
    use super::{FunctionNamespace, Namespaces};
    use crate::registry::Refusal;

    fn request(body: &str, path: Option<&str>) -> Result<FunctionNamespace, Refusal> {
        FunctionNamespace::from_body(body.as_bytes(), path)
    }

    #[test]
    fn requests_are_checked_in_the_order_of_the_original() {
        for (body, path, text) in [
            (
                "{",
                None,
                "error parsing request body: unexpected end of JSON input",
            ),
            (r#"{"name":"a"}"#, Some(""), "namespace not specified in URL"),
            (
                r#"{"name":"a"}"#,
                Some("b"),
                "namespace in request body does not match namespace in URL",
            ),
            ("{}", None, "namespace not specified in request body"),
            (r#"{"name":"a"}"#, None, "request does not have openfaas=1 label"),
        ] {
            assert_eq!(
                request(body, path).unwrap_err(),
                Refusal::Invalid(text.to_owned())
            );
        }
    }

    #[test]
    fn a_namespace_lives_and_dies() {
        let table = Namespaces::new(Vec::new());
        let one = request(r#"{"name":"one","labels":{"openfaas":"1"}}"#, None).unwrap();
        table.create(one.clone()).unwrap();
        assert_eq!(table.create(one.clone()).unwrap_err().status(), 409);
        assert_eq!(table.names(), ["one", "openfaas-fn"]);
        assert_eq!(table.find("one").unwrap(), one);
        assert_eq!(table.resolve("one"), Ok("one"));
        assert_eq!(table.remove("one", || true).unwrap_err().status(), 500);
        table.remove("one", || false).unwrap();
        assert_eq!(table.find("one").unwrap_err().status(), 404);
        assert!(table.resolve("one").is_err());
        assert_eq!(table.remove("openfaas-fn", || false).unwrap_err().status(), 500);
        let odd = request(r#"{"name":"../x","labels":{"openfaas":"1"}}"#, None).unwrap();
        assert_eq!(table.create(odd).unwrap_err().status(), 400);
    }
}
