//! What the model answers.

use std::collections::BTreeMap;
use thiserror::Error;

/// How far the parts may be from a whole: models answer in single precision.
const TOLERANCE: f64 = 0.01;

/// How one function's requests are to be shared out; parts of 1.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Action {
    /// Served here.
    pub local: f64,
    /// Refused.
    pub reject: f64,
    /// Forwarded, by PeerId.
    pub peers: BTreeMap<String, f64>,
}

/// An answer that is no action.
#[derive(Debug, Error)]
pub enum ActionError {
    /// Not JSON of the expected form.
    #[error("not an object of actions per node: {0}")]
    Json(#[from] serde_json::Error),
    /// The model answered for somebody else.
    #[error("there is no action for `node_{0}` in it")]
    NotForUs(String),
    /// A part is negative or not a number.
    #[error("`{name}` is {value}")]
    BadPart {
        /// Its name.
        name: String,
        /// Its value.
        value: f64,
    },
    /// The parts are not a whole.
    #[error("its parts sum to {0} instead of 1")]
    NotAWhole(f64),
}

impl Action {
    /// Reads `{"node_<own id>":{"local":p,"reject":p,"node_<id>":p,…}}`.
    ///
    /// # Errors
    /// When it is something else, or its parts do not sum to 1.
    pub fn from_json(bytes: &[u8], own_id: &str) -> Result<Self, ActionError> {
        let mut nodes: BTreeMap<String, BTreeMap<String, f64>> = serde_json::from_slice(bytes)?;
        let parts = nodes.remove(&format!("node_{own_id}"));
        let parts = parts.ok_or_else(|| ActionError::NotForUs(own_id.to_owned()))?;
        let sum = parts.values().fold(0.0, |sum, part| sum + part);
        let bad = parts.iter().find(|(_, part)| !part.is_finite() || **part < 0.0);
        if let Some((name, value)) = bad {
            return Err(ActionError::BadPart {
                name: name.chars().take(100).collect(),
                value: *value,
            });
        }
        if (sum - 1.0).abs() > TOLERANCE {
            return Err(ActionError::NotAWhole(sum));
        }
        let mut action = Self::default();
        for (name, part) in parts {
            match name.as_str() {
                "local" => action.local = part,
                "reject" => action.reject = part,
                _ => {
                    let peer = name.strip_prefix("node_").unwrap_or(&name);
                    action.peers.insert(peer.to_owned(), part);
                }
            }
        }
        Ok(action)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn as_the_service_answers() {
        let text = br#"{"node_me":{"local":0.5,"reject":0.125,"node_A":0.375}}"#;
        let action = Action::from_json(text, "me").unwrap();
        assert_eq!((action.local, action.reject), (0.5, 0.125));
        assert_eq!(action.peers, BTreeMap::from([("A".to_owned(), 0.375)]));
    }

    #[test]
    fn what_is_no_action() {
        for (text, complaint) in [
            ("[0.5, 0.5]", "not an object"),
            (r#"{"node_you":{"local":1}}"#, "no action for `node_me`"),
            (r#"{"node_me":{"local":2,"reject":-1}}"#, "`reject` is -1"),
            (r#"{"node_me":{"local":0.2}}"#, "sum to 0.2"),
            (r#"{"node_me":{}}"#, "sum to 0"),
        ] {
            let error = Action::from_json(text.as_bytes(), "me").unwrap_err().to_string();
            assert!(error.contains(complaint), "{error}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_answered(bytes: Vec<u8>) {
            let _ = Action::from_json(&bytes, "me");
        }
    }
}
