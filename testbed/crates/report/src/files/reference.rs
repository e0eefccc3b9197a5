use std::path::Path;

use crate::ReportError;

/// One published value (a line of `reference.csv`).
#[derive(Debug, Clone, PartialEq)]
pub struct ReferenceValue {
    /// What it is about: a node, a status code, `success_rate`, …; `FLOW/` in front narrows it to one flow.
    pub series: String,
    /// Start of the window it holds in.
    pub from: Moment,
    /// End of the window; none for the end of the run.
    pub to: Option<Moment>,
    /// The published number.
    pub value: f64,
    /// Its unit as written.
    pub unit: String,
    /// Where it was published.
    pub source: String,
}

/// A time of the run.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Moment {
    /// Seconds since t = 0.
    Seconds(f64),
    /// Multiples of the recalc period, written `3T`.
    Periods(f64),
}

impl Moment {
    /// Seconds since t = 0; none for a multiple of a period that is not known.
    pub fn seconds(self, period: Option<f64>) -> Option<f64> {
        match self {
            Moment::Seconds(seconds) => Some(seconds),
            Moment::Periods(count) => period.map(|period| count * period),
        }
    }

    fn parse(text: &str) -> Option<Moment> {
        let number = |text: &str| text.trim().parse::<f64>().ok().filter(|value| value.is_finite());
        if let Some(periods) = text.strip_suffix('T') {
            return number(periods).map(Moment::Periods);
        }
        duration_seconds(text).map(Moment::Seconds)
    }
}

/// Seconds of a duration such as `90`, `90s`, `1.5m`, `250ms` or `2h`.
pub(crate) fn duration_seconds(text: &str) -> Option<f64> {
    let text = text.trim();
    let (digits, factor) = [("ms", 0.001), ("s", 1.0), ("m", 60.0), ("h", 3600.0)]
        .iter()
        .find_map(|(unit, factor)| text.strip_suffix(unit).map(|digits| (digits, *factor)))
        .unwrap_or((text, 1.0));
    let value: f64 = digits.trim().parse().ok()?;
    value.is_finite().then_some(value * factor)
}

const COLUMNS: [&str; 6] = ["series", "t_from", "t_to", "value", "unit", "source"];
/// The first four columns must be there.
const REQUIRED: usize = 4;

/// Reads published values: CSV with a header line, in any order of columns; `#` starts a comment line.
pub(super) fn parse(text: &str, path: &Path) -> Result<Vec<ReferenceValue>, ReportError> {
    let malformed = |line: usize, reason: String| ReportError::Malformed {
        path: path.to_owned(),
        line,
        reason,
    };
    let mut columns: Option<[Option<usize>; 6]> = None;
    let mut values = Vec::new();
    for (index, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
        if line.trim().is_empty() || line.starts_with('#') {
            continue;
        }
        let fields = fields(line).map_err(|reason| malformed(index + 1, reason))?;
        match &columns {
            None => columns = Some(header(&fields).map_err(|reason| malformed(index + 1, reason))?),
            Some(columns) => {
                values.push(value(&fields, columns).map_err(|reason| malformed(index + 1, reason))?);
            }
        }
    }
    Ok(values)
}

fn header(fields: &[String]) -> Result<[Option<usize>; 6], String> {
    let columns = COLUMNS.map(|name| fields.iter().position(|field| field.trim() == name));
    for (name, column) in COLUMNS.iter().zip(columns).take(REQUIRED) {
        if column.is_none() {
            return Err(format!("the header has no column `{name}`"));
        }
    }
    Ok(columns)
}

fn value(fields: &[String], columns: &[Option<usize>; 6]) -> Result<ReferenceValue, String> {
    let field = |column: usize| {
        columns[column]
            .and_then(|index| fields.get(index))
            .map_or("", |field| field.trim())
    };
    let moment = |column: usize| {
        Moment::parse(field(column)).ok_or_else(|| {
            format!(
                "{} `{}` is not a time (examples: 15, 15s, 3T)",
                COLUMNS[column],
                field(column)
            )
        })
    };
    if field(0).is_empty() {
        return Err("series is empty".to_owned());
    }
    Ok(ReferenceValue {
        series: field(0).to_owned(),
        from: moment(1)?,
        to: if field(2).is_empty() {
            None
        } else {
            Some(moment(2)?)
        },
        value: field(3)
            .parse()
            .ok()
            .filter(|value: &f64| value.is_finite())
            .ok_or_else(|| format!("value `{}` is not a number", field(3)))?,
        unit: field(4).to_owned(),
        source: field(5).to_owned(),
    })
}

/// Splits one line of CSV; a field in double quotes may hold commas and doubled quotes.
fn fields(line: &str) -> Result<Vec<String>, String> {
    let mut fields = vec![String::new()];
    let mut quoted = false;
    let mut characters = line.chars().peekable();
    while let Some(character) = characters.next() {
        let Some(field) = fields.last_mut() else { break };
        match character {
            '"' if quoted && characters.peek() == Some(&'"') => {
                characters.next();
                field.push('"');
            }
            '"' if quoted => quoted = false,
            '"' if field.trim().is_empty() => quoted = true,
            ',' if !quoted => fields.push(String::new()),
            other => field.push(other),
        }
    }
    if quoted {
        return Err("a quoted field is not closed".to_owned());
    }
    Ok(fields)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<ReferenceValue>, String> {
        parse(text, Path::new("reference.csv")).map_err(|error| error.to_string())
    }

    #[test]
    fn columns_may_come_in_any_order_and_times_in_periods() {
        let values = read(
            "# read off the figure\nvalue,series,t_to,t_from,source\n16,n2,,3T,\"CloudNet \"\"21\"\", figure 3\"\n\
             40,503,7.5s,0,\n",
        )
        .unwrap();
        assert_eq!(values[0].from, Moment::Periods(3.0));
        assert_eq!(values[0].to, None);
        assert_eq!(values[0].source, "CloudNet \"21\", figure 3");
        assert_eq!(values[1].to, Some(Moment::Seconds(7.5)));
        assert_eq!(Moment::Periods(3.0).seconds(Some(5.0)), Some(15.0));
        assert_eq!(Moment::Periods(3.0).seconds(None), None);
    }

    #[test]
    fn errors_name_file_line_and_what_is_wrong() {
        for (text, expected) in [
            (
                "series,t_from,t_to\n",
                "reference.csv:1: the header has no column `value`",
            ),
            (
                "series,t_from,t_to,value\n\nn1,0,9,ten\n",
                "reference.csv:3: value `ten` is not a number",
            ),
            (
                "series,t_from,t_to,value\nn1,soon,9,1\n",
                "reference.csv:2: t_from `soon` is not a time (examples: 15, 15s, 3T)",
            ),
            (
                "series,t_from,t_to,value\n,0,9,1\n",
                "reference.csv:2: series is empty",
            ),
            (
                "series,t_from,t_to,value\n\"n1,0,9,1\n",
                "reference.csv:2: a quoted field is not closed",
            ),
            (
                "series,t_from,t_to,value\nn1,0,9,NaN\n",
                "reference.csv:2: value `NaN` is not a number",
            ),
        ] {
            assert_eq!(read(text).unwrap_err(), expected);
        }
    }
}
