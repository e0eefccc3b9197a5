//! Settings that arrive over the control API, in the words of the files.

use dfaas_control::LinkChange;
use dfaas_model::{Impairment, Link, Override};
use serde_json::{Map, Value};

use crate::error::LabError;

/// Both directions of a link after a change, whether or not they can be meant.
pub(crate) fn changed(
    link: &Link,
    before: [Impairment; 2],
    change: &LinkChange,
) -> Result<[Impairment; 2], LabError> {
    let set = dfaas_model::link_change(&overrides(&change.set)?)
        .map_err(|error| LabError::Setting(format!("link `{}`: {}", link.name, error.line())))?;
    let typed = [&change.forward, &change.backward];
    let mut after = before;
    for (direction, (set, typed)) in after.iter_mut().zip(set.iter().zip(typed)) {
        *direction = typed.applied_to(&set.applied_to(direction));
    }
    Ok(after)
}

/// `{"a": {"b": 1}}` as `a.b=1`.
pub(crate) fn overrides(settings: &Map<String, Value>) -> Result<Vec<Override>, LabError> {
    let mut flat = Vec::new();
    for (key, value) in settings {
        let path = key.clone();
        let value = match value {
            Value::Object(inner) => {
                let inner = overrides(inner)?.into_iter().map(|it| Override {
                    path: format!("{path}.{}", it.path),
                    value: it.value,
                });
                flat.extend(inner);
                continue;
            }
            Value::String(text) => text.clone(),
            Value::Number(number) => number.to_string(),
            Value::Bool(flag) => flag.to_string(),
            Value::Null | Value::Array(_) => {
                return Err(LabError::Setting(format!("`{key}` needs one value")));
            }
        };
        flat.push(Override { path, value });
    }
    Ok(flat)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::overrides;

    #[test]
    fn nested_settings_become_dotted_ones() {
        let settings = json!({ "delay": "5ms", "forward": { "loss": "1%" }, "ecn": true, "overhead": 4 });
        let flat: Vec<String> = overrides(settings.as_object().unwrap())
            .unwrap()
            .into_iter()
            .map(|it| format!("{}={}", it.path, it.value))
            .collect();
        assert_eq!(flat, ["delay=5ms", "forward.loss=1%", "ecn=true", "overhead=4"]);
        let wrong = json!({ "delay": null });
        let error = overrides(wrong.as_object().unwrap()).unwrap_err();
        assert_eq!(error.to_string(), "`delay` needs one value");
    }
}
