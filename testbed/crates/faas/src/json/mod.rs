//! JSON as a Go program reads and writes it: clients compare both the documents and the error sentences.

mod decode;
mod encode;
mod syntax;

pub(crate) use decode::{Fields, parse};
pub(crate) use encode::to_bytes;
