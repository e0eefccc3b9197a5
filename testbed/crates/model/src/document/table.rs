//! Lines and tables (CSV) whose parts know their place. Cells are separated by commas; a cell in double quotes may hold
//! commas, and a doubled quote stands for one. Lines that are empty or begin with `#` are no rows.

use std::borrow::Cow;

use super::tree::Span;
use crate::error::{Fault, Problem};

/// One cell.
pub(crate) struct Cell<'a> {
    pub(crate) text: Cow<'a, str>,
    pub(crate) span: Span,
}

/// All lines without their ends.
pub(crate) fn lines(text: &str, source: u32) -> impl Iterator<Item = (&str, Span)> {
    let mut start = 0;
    text.split_inclusive('\n').map(move |whole| {
        let line = whole.trim_end_matches(['\n', '\r']);
        let span = Span {
            source,
            start: u32::try_from(start).unwrap_or(u32::MAX),
            length: u32::try_from(line.len()).unwrap_or(u32::MAX),
        };
        start += whole.len();
        (line, span)
    })
}

/// All rows; each has at least one cell.
pub(crate) fn rows(text: &str, source: u32) -> impl Iterator<Item = Result<Vec<Cell<'_>>, Problem>> {
    lines(text, source)
        .filter(|(line, _)| !line.trim().is_empty() && !line.trim_start().starts_with('#'))
        .map(|(line, span)| row(line, span))
}

fn row(line: &str, span: Span) -> Result<Vec<Cell<'_>>, Problem> {
    let mut cells = Vec::new();
    let mut start = 0;
    loop {
        let end = start
            + cell_length(&line[start..]).ok_or_else(|| {
                let message = "a quote is not closed".to_owned();
                Problem::new(Fault::Value { message }, span.part(start, line.len() - start))
                    .label("from here")
            })?;
        // Spreadsheets put a byte order mark in front of the first word.
        let blank = |letter: char| letter.is_whitespace() || letter == '\u{feff}';
        let cell = &line[start..end];
        let word = cell.trim_matches(blank);
        let offset = start + cell.len() - cell.trim_start_matches(blank).len();
        cells.push(Cell {
            text: unquoted(word),
            span: span.part(offset, word.len()),
        });
        if end == line.len() {
            return Ok(cells);
        }
        start = end + 1;
    }
}

/// Bytes up to the comma that ends the cell, or to the end; none if a quote is not closed.
fn cell_length(rest: &str) -> Option<usize> {
    let mut inside = false;
    for (offset, letter) in rest.char_indices() {
        match letter {
            '"' => inside = !inside,
            ',' if !inside => return Some(offset),
            _ => {}
        }
    }
    (!inside).then_some(rest.len())
}

fn unquoted(word: &str) -> Cow<'_, str> {
    match word.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
        Some(inner) if inner.contains('"') => Cow::Owned(inner.replace("\"\"", "\"")),
        Some(inner) => Cow::Borrowed(inner),
        None => Cow::Borrowed(word),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_know_their_place_and_lose_their_quotes() {
        let text = "# sites\n\na, \"b, c\" ,\"d\"\"e\",\n";
        let rows: Vec<Vec<Cell<'_>>> = rows(text, 3).map(Result::unwrap).collect();
        assert_eq!(rows.len(), 1);
        let texts: Vec<&str> = rows[0].iter().map(|cell| cell.text.as_ref()).collect();
        assert_eq!(texts, ["a", "b, c", "d\"e", ""]);
        let span = rows[0][1].span;
        let start = span.start as usize;
        assert_eq!(&text[start..start + span.length as usize], "\"b, c\"");
        assert!(super::rows("a,\"b\n", 0).next().unwrap().is_err());
    }
}
