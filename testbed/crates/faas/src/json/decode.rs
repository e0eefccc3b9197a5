//! Reading request bodies, with Go's sentences for values of the wrong type.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::syntax;

/// The value of a request body.
///
/// # Errors
/// The sentence the real platform answers for this body.
pub(crate) fn parse(body: &[u8]) -> Result<Value, String> {
    syntax::check(body)?;
    // Go replaces what is not UTF-8 instead of refusing it.
    serde_json::from_str(&String::from_utf8_lossy(body)).map_err(|error| error.to_string())
}

/// The members of one JSON object, read the way Go fills a struct: names match in any case, null and
/// absent are alike, unknown members are ignored.
pub(crate) struct Fields<'a> {
    structure: &'static str,
    members: Option<&'a Map<String, Value>>,
}

impl<'a> Fields<'a> {
    /// The members of `value` for the Go struct `package.structure`.
    ///
    /// # Errors
    /// Go's sentence when `value` is neither an object nor null.
    pub(crate) fn of(value: &'a Value, package: &str, structure: &'static str) -> Result<Self, String> {
        match value {
            Value::Object(members) => Ok(Fields {
                structure,
                members: Some(members),
            }),
            Value::Null => Ok(Fields {
                structure,
                members: None,
            }),
            other => Err(format!(
                "json: cannot unmarshal {} into Go value of type {package}.{structure}",
                kind(other)
            )),
        }
    }

    /// A string member; empty when absent.
    pub(crate) fn string(&self, name: &str) -> Result<String, String> {
        match self.member(name) {
            None => Ok(String::new()),
            Some(value) => self.as_string(name, value),
        }
    }

    /// An unsigned number; zero when absent.
    pub(crate) fn unsigned(&self, name: &str) -> Result<u64, String> {
        match self.member(name) {
            None => Ok(0),
            Some(Value::Number(number)) => number
                .as_u64()
                .ok_or_else(|| self.mismatch(&format!("number {number}"), name, "uint64")),
            Some(other) => Err(self.mismatch(kind(other), name, "uint64")),
        }
    }

    /// A list of strings; empty when absent.
    pub(crate) fn strings(&self, name: &str) -> Result<Vec<String>, String> {
        match self.member(name) {
            None => Ok(Vec::new()),
            Some(Value::Array(values)) => values.iter().map(|value| self.as_string(name, value)).collect(),
            Some(other) => Err(self.mismatch(kind(other), name, "[]string")),
        }
    }

    /// A table of strings; empty when absent.
    pub(crate) fn table(&self, name: &str) -> Result<BTreeMap<String, String>, String> {
        match self.member(name) {
            None => Ok(BTreeMap::new()),
            Some(Value::Object(members)) => members
                .iter()
                .map(|(key, value)| Ok((key.clone(), self.as_string(name, value)?)))
                .collect(),
            Some(other) => Err(self.mismatch(kind(other), name, "map[string]string")),
        }
    }

    /// An object of its own; `None` when absent.
    pub(crate) fn object(&self, name: &str, structure: &'static str) -> Result<Option<Fields<'a>>, String> {
        match self.member(name) {
            None => Ok(None),
            Some(Value::Object(members)) => Ok(Some(Fields {
                structure,
                members: Some(members),
            })),
            Some(other) => Err(self.mismatch(kind(other), name, &format!("types.{structure}"))),
        }
    }

    /// A list of objects; empty when absent.
    pub(crate) fn list(&self, name: &str, structure: &'static str) -> Result<Vec<Fields<'a>>, String> {
        match self.member(name) {
            None => Ok(Vec::new()),
            Some(Value::Array(values)) => values
                .iter()
                .map(|value| match value {
                    Value::Object(members) => Ok(Fields {
                        structure,
                        members: Some(members),
                    }),
                    Value::Null => Ok(Fields {
                        structure,
                        members: None,
                    }),
                    other => Err(self.mismatch(kind(other), name, &format!("types.{structure}"))),
                })
                .collect(),
            Some(other) => Err(self.mismatch(kind(other), name, &format!("[]types.{structure}"))),
        }
    }

    fn as_string(&self, name: &str, value: &Value) -> Result<String, String> {
        match value {
            Value::String(text) => Ok(text.clone()),
            Value::Null => Ok(String::new()),
            other => Err(self.mismatch(kind(other), name, "string")),
        }
    }

    fn member(&self, name: &str) -> Option<&'a Value> {
        let members = self.members?;
        let value = members.get(name).or_else(|| {
            members
                .iter()
                .find(|(key, _)| key.eq_ignore_ascii_case(name))
                .map(|(_, value)| value)
        })?;
        (!value.is_null()).then_some(value)
    }

    fn mismatch(&self, found: &str, name: &str, wanted: &str) -> String {
        format!(
            "json: cannot unmarshal {found} into Go struct field {}.{name} of type {wanted}",
            self.structure
        )
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

#[cfg(test)]
mod tests {
    use super::{Fields, parse};

    #[test]
    fn reads_members_in_any_case() {
        let value = parse(br#"{"Service":"a","replicas":3,"labels":{"x":"y"},"secrets":null}"#).unwrap();
        let fields = Fields::of(&value, "types", "FunctionDeployment").unwrap();
        assert_eq!(fields.string("service").unwrap(), "a");
        assert_eq!(fields.unsigned("replicas").unwrap(), 3);
        assert_eq!(fields.table("labels").unwrap()["x"], "y");
        assert!(fields.strings("secrets").unwrap().is_empty());
        assert!(fields.table("annotations").unwrap().is_empty());
    }

    #[test]
    fn names_a_wrong_type_as_go_does() {
        let value = parse(br#"{"service":1,"replicas":-1,"labels":[]}"#).unwrap();
        let fields = Fields::of(&value, "types", "FunctionDeployment").unwrap();
        assert_eq!(
            fields.string("service").unwrap_err(),
            "json: cannot unmarshal number into Go struct field FunctionDeployment.service of type string"
        );
        assert_eq!(
            fields.unsigned("replicas").unwrap_err(),
            "json: cannot unmarshal number -1 into Go struct field FunctionDeployment.replicas of type uint64"
        );
        assert!(fields.table("labels").unwrap_err().contains("array into"));
        let list = parse(b"[]").unwrap();
        assert_eq!(
            Fields::of(&list, "types", "FunctionDeployment")
                .map(|_| ())
                .unwrap_err(),
            "json: cannot unmarshal array into Go value of type types.FunctionDeployment"
        );
    }
}
