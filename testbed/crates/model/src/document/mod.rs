//! Positions, trees and decoding: what lies between YAML text and the file types.

pub(crate) mod build;
pub(crate) mod count;
pub(crate) mod decode;
pub(crate) mod duplicates;
pub(crate) mod include;
pub(crate) mod literal;
pub(crate) mod overrides;
pub(crate) mod path;
pub(crate) mod reader;
pub(crate) mod sources;
pub(crate) mod spanned;
pub(crate) mod table;
pub(crate) mod tree;

/// Reads files for this crate, which touches none itself.
pub trait Loader {
    /// The text of the file at `path`.
    ///
    /// # Errors
    /// The reason why it cannot be read, in words for a person.
    fn load(&self, path: &str) -> Result<String, String>;
}

/// One `--set PATH=VALUE`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Override {
    /// Keys joined by dots (`nodes.n1.cpus`; a key with dots in double quotes), or a scenario's parameter.
    pub path: String,
    /// The value, as it would stand in the file.
    pub value: String,
}
