//! Messages that agents publish: JSON with the field names of the original agent, byte for byte as Go's `encoding/json`
//! writes it.

mod go;
mod recipient;
mod schemas;

pub use schemas::{
    FunctionLimits, GroupLoad, MsgNodeInfoNms, MsgNodeInfoRecalc, MsgNodeInfoStatic, MsgNodeMarginInfoNms,
    MsgText,
};

use serde::de::DeserializeSeed as _;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use thiserror::Error;

/// `MsgType` of [`MsgText`].
pub const TYPE_TEXT: &str = "text";
/// `MsgType` of [`MsgNodeInfoRecalc`].
pub const TYPE_NODE_INFO_RECALC: &str = "nodeinfoRecalc";
/// `MsgType` of [`MsgNodeInfoNms`].
pub const TYPE_NODE_INFO_NMS: &str = "nodeinfoNMS";
/// `MsgType` of [`MsgNodeMarginInfoNms`].
pub const TYPE_NODE_MARGIN_INFO_NMS: &str = "nodemargininfoNMS";
/// `MsgType` of [`MsgNodeInfoStatic`].
pub const TYPE_NODE_INFO_STATIC: &str = "nodeinfoStatic";

/// A text that is not a message.
#[derive(Debug, Error)]
pub enum MessageError {
    /// Not JSON, or a field of another type.
    #[error("not a message: {0}")]
    Json(#[from] serde_json::Error),
}

/// Any message of the overlay's topic.
#[derive(Clone, Debug, PartialEq)]
pub enum Message {
    /// Free text, for people.
    Text(MsgText),
    /// A node's offer to its peers.
    NodeInfoRecalc(MsgNodeInfoRecalc),
    /// What a node is and has.
    NodeInfoNms(MsgNodeInfoNms),
    /// How much room a node has.
    NodeMarginInfoNms(MsgNodeMarginInfoNms),
    /// What a node has.
    NodeInfoStatic(MsgNodeInfoStatic),
    /// A message of a strategy this version does not know; its type.
    Unknown(String),
}

impl Message {
    /// Reads a message. Unknown fields are ignored, missing ones and `null` are empty, as in Go.
    ///
    /// # Errors
    /// When the text is not a JSON object or a field has another type.
    pub fn from_json(bytes: &[u8]) -> Result<Self, MessageError> {
        Self::read(bytes, |bytes| serde_json::from_slice(bytes))
    }

    /// The same, but of an offer only the limits of `recipient` are kept; with many peers that is most of the work.
    ///
    /// # Errors
    /// The same: what is said to others must be well formed too.
    pub fn from_json_for(bytes: &[u8], recipient: &str) -> Result<Self, MessageError> {
        Self::read(bytes, |bytes| {
            let mut json = serde_json::Deserializer::from_slice(bytes);
            let offer = recipient::OfferTo(recipient).deserialize(&mut json)?;
            json.end()?;
            Ok(offer)
        })
    }

    fn read(
        bytes: &[u8],
        offer: impl FnOnce(&[u8]) -> serde_json::Result<MsgNodeInfoRecalc>,
    ) -> Result<Self, MessageError> {
        #[derive(Deserialize)]
        struct Envelope<'a> {
            #[serde(rename = "MsgType", default, borrow)]
            kind: Cow<'a, str>,
        }
        // Serde would take the fields of a structure from a list too; Go does not.
        if bytes.trim_ascii_start().first() == Some(&b'[') {
            return Err(MessageError::Json(serde::de::Error::custom(
                "a list, not an object",
            )));
        }
        let envelope: Envelope<'_> = serde_json::from_slice(bytes)?;
        Ok(match envelope.kind.as_ref() {
            TYPE_TEXT => Self::Text(serde_json::from_slice(bytes)?),
            TYPE_NODE_INFO_RECALC => Self::NodeInfoRecalc(offer(bytes)?),
            TYPE_NODE_INFO_NMS => Self::NodeInfoNms(serde_json::from_slice(bytes)?),
            TYPE_NODE_MARGIN_INFO_NMS => Self::NodeMarginInfoNms(serde_json::from_slice(bytes)?),
            TYPE_NODE_INFO_STATIC => Self::NodeInfoStatic(serde_json::from_slice(bytes)?),
            _ => Self::Unknown(envelope.kind.into_owned()),
        })
    }

    /// The `MsgType` field.
    #[must_use]
    pub fn kind(&self) -> &str {
        match self {
            Self::Text(_) => TYPE_TEXT,
            Self::NodeInfoRecalc(_) => TYPE_NODE_INFO_RECALC,
            Self::NodeInfoNms(_) => TYPE_NODE_INFO_NMS,
            Self::NodeMarginInfoNms(_) => TYPE_NODE_MARGIN_INFO_NMS,
            Self::NodeInfoStatic(_) => TYPE_NODE_INFO_STATIC,
            Self::Unknown(kind) => kind,
        }
    }
}

/// A message of this type with these fields.
fn to_json<T: Serialize>(kind: &str, fields: &T) -> String {
    #[derive(Serialize)]
    struct Tagged<'a, T> {
        #[serde(rename = "MsgType")]
        kind: &'a str,
        #[serde(flatten)]
        fields: &'a T,
    }
    go::to_json(&Tagged { kind, fields })
}

#[cfg(test)]
mod tests;
