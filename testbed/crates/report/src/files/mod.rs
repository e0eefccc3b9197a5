//! Reading a run directory.
//!
//! A file that is missing or ends too early (the run was interrupted, the disk was full) is noted and the rest is
//! still read. A file that says something wrong is an error with file and line.

mod json;
mod lab;
mod load;
mod reference;
mod requests;
mod series;
mod summary;

pub use lab::{Function, Lab, Link, LinkEnd, Node};
pub(crate) use load::load;
pub use reference::{Moment, ReferenceValue};
