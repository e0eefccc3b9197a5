//! Figures as SVG text. Colours, strokes and fonts are classes of the page's style sheet, so that one figure serves
//! light and dark pages and print.

mod axes;
mod distribution;
mod labels;
mod palette;
mod scale;
mod stacked;
mod steps;
mod svg;
mod time;
mod topology;

pub(crate) use distribution::{Distribution, distribution};
pub(crate) use palette::Palette;
pub(crate) use stacked::{Layer, stacked};
pub(crate) use steps::{Line, Shape, steps};
pub(crate) use svg::escape;
pub(crate) use time::{Size, TimeFrame};
pub(crate) use topology::{NodeMark, link_text, topology};

#[cfg(test)]
mod tests;
