use serde_json::{Map, Value};

use crate::files::Link;

/// What a link does, in at most two short lines: one when both directions are alike.
pub(crate) fn link_text(link: &Link) -> Vec<String> {
    let forward = direction_text(&link.forward);
    let backward = direction_text(&link.backward);
    if forward == backward {
        return if forward.is_empty() {
            Vec::new()
        } else {
            vec![forward]
        };
    }
    let said = |text: String| {
        if text.is_empty() {
            "nothing".to_owned()
        } else {
            text
        }
    };
    vec![
        format!("→ {}: {}", link.endpoints[1].node, said(forward)),
        format!("→ {}: {}", link.endpoints[0].node, said(backward)),
    ]
}

/// Delay, jitter, rate and loss come first; further keys follow with their names.
fn direction_text(impairment: &Map<String, Value>) -> String {
    let mut parts = Vec::new();
    if let Some(delay) = impairment.get("delay").and_then(shown) {
        let jitter = impairment.get("jitter").and_then(shown);
        parts.push(match jitter {
            Some(jitter) => format!("{delay} ± {jitter}"),
            None => delay,
        });
    } else if let Some(jitter) = impairment.get("jitter").and_then(shown) {
        parts.push(format!("± {jitter}"));
    }
    parts.extend(impairment.get("rate").and_then(shown));
    if let Some(loss) = impairment.get("loss").and_then(shown) {
        parts.push(format!("{loss} loss"));
    }
    for (key, value) in impairment {
        if !["delay", "jitter", "rate", "loss"].contains(&key.as_str())
            && let Some(value) = shown(value)
        {
            parts.push(format!("{key} {value}"));
        }
    }
    parts.join(" · ")
}

/// The value as the topology file writes it with a space before its unit; none for one that changes nothing.
fn shown(value: &Value) -> Option<String> {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        Value::Bool(true) => "on".to_owned(),
        Value::Null | Value::Bool(false) => return None,
        other => other.to_string(),
    };
    let unit = text.find(|character: char| character.is_alphabetic() || character == '%');
    let (number, unit) = text.split_at(unit.unwrap_or(text.len()));
    if number.trim().parse::<f64>().is_ok_and(|number| number == 0.0) {
        return None;
    }
    Some(match unit {
        _ if number.is_empty() || unit.is_empty() => text.clone(),
        "kbit" => format!("{number} kbit/s"),
        "mbit" => format!("{number} Mbit/s"),
        "gbit" => format!("{number} Gbit/s"),
        unit => format!("{} {unit}", number.trim_end()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(text: &str) -> Map<String, Value> {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn equal_directions_are_said_once() {
        let mut link = Link {
            forward: map(r#"{"delay":"5ms","jitter":"1ms","rate":"100mbit","loss":"0%"}"#),
            backward: map(r#"{"rate":"100mbit","delay":"5ms","jitter":"1ms"}"#),
            ..Link::default()
        };
        link.endpoints[0].node = "n1".to_owned();
        link.endpoints[1].node = "s1".to_owned();
        assert_eq!(link_text(&link), ["5 ms ± 1 ms · 100 Mbit/s"]);
        link.backward = Map::new();
        link.forward = map(r#"{"loss":"0.5%","reorder":"1%"}"#);
        assert_eq!(
            link_text(&link),
            ["→ s1: 0.5 % loss · reorder 1 %", "→ n1: nothing"]
        );
        link.forward = Map::new();
        assert!(link_text(&link).is_empty());
    }
}
