//! The report in forms for programs and terminals.

mod csv;
mod diagram;
mod junit;
mod markdown;
mod terminal;

pub(crate) use csv::csv;
pub use diagram::Diagram;
pub(crate) use junit::junit;
pub(crate) use markdown::markdown;
pub use terminal::{SecondRow, SecondTable, published_line, second_table, terminal_table, terminal_totals};
