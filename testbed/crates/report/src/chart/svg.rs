use std::fmt::Write;

/// Escapes text for HTML, SVG and XML, in content and in quoted attributes. Characters that XML forbids are replaced.
pub(crate) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            '\n' | '\t' => escaped.push(character),
            '\u{fffe}' | '\u{ffff}' => escaped.push('\u{fffd}'),
            control if control.is_control() => escaped.push('\u{fffd}'),
            other => escaped.push(other),
        }
    }
    escaped
}

/// A coordinate with at most one decimal: a tenth of a pixel is finer than any screen.
pub(super) fn coordinate(value: f64) -> String {
    let rounded = (value * 10.0).round() / 10.0;
    if rounded.is_finite() && rounded != 0.0 {
        rounded.to_string()
    } else {
        "0".to_owned()
    }
}

/// Where a text is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

/// Text of one `<svg>` element.
pub(super) struct Svg {
    text: String,
}

impl Svg {
    /// Opens a figure. `id` must be unique in the page; title and description are what a screen reader says.
    pub(super) fn new(id: &str, width: f64, height: f64, title: &str, description: &str) -> Svg {
        let (id, title, description) = (escape(id), escape(title), escape(description));
        let (width, height) = (coordinate(width), coordinate(height));
        Svg {
            text: format!(
                "<svg viewBox=\"0 0 {width} {height}\" role=\"img\" aria-labelledby=\"{id}-t {id}-d\">\
                 <title id=\"{id}-t\">{title}</title><desc id=\"{id}-d\">{description}</desc>\n"
            ),
        }
    }

    pub(super) fn finish(mut self) -> String {
        self.text.push_str("</svg>");
        self.text
    }

    fn put(&mut self, arguments: std::fmt::Arguments<'_>) {
        // Writing to a String cannot fail.
        let _ = self.text.write_fmt(arguments);
        self.text.push('\n');
    }

    pub(super) fn line(&mut self, class: &str, from: (f64, f64), to: (f64, f64)) {
        let [x1, y1, x2, y2] = [from.0, from.1, to.0, to.1].map(coordinate);
        self.put(format_args!(
            "<line class=\"{class}\" x1=\"{x1}\" y1=\"{y1}\" x2=\"{x2}\" y2=\"{y2}\"/>"
        ));
    }

    pub(super) fn rect(&mut self, class: &str, corner: (f64, f64), size: (f64, f64), radius: f64) {
        let [x, y, width, height] = [corner.0, corner.1, size.0.max(0.0), size.1.max(0.0)].map(coordinate);
        let round = if radius > 0.0 {
            format!(" rx=\"{}\"", coordinate(radius))
        } else {
            String::new()
        };
        self.put(format_args!(
            "<rect class=\"{class}\" x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\"{round}/>"
        ));
    }

    pub(super) fn circle(&mut self, class: &str, centre: (f64, f64), radius: f64) {
        let [x, y, r] = [centre.0, centre.1, radius].map(coordinate);
        self.put(format_args!(
            "<circle class=\"{class}\" cx=\"{x}\" cy=\"{y}\" r=\"{r}\"/>"
        ));
    }

    /// A path; `hint` is shown when a pointer rests on it.
    pub(super) fn path(&mut self, class: &str, data: &str, hint: Option<&str>) {
        match hint {
            _ if data.is_empty() => {}
            Some(hint) => self.put(format_args!(
                "<path class=\"{class}\" d=\"{data}\"><title>{}</title></path>",
                escape(hint)
            )),
            None => self.put(format_args!("<path class=\"{class}\" d=\"{data}\"/>")),
        }
    }

    pub(super) fn text(&mut self, class: &str, at: (f64, f64), anchor: Anchor, content: &str) {
        let anchor = match anchor {
            Anchor::Start => "",
            Anchor::Middle => " text-anchor=\"middle\"",
            Anchor::End => " text-anchor=\"end\"",
        };
        let [x, y] = [at.0, at.1].map(coordinate);
        let content = escape(content);
        self.put(format_args!(
            "<text class=\"{class}\" x=\"{x}\" y=\"{y}\"{anchor}>{content}</text>"
        ));
    }
}

/// Rough width of a text of `size` pixels in the page's font: wide enough to keep labels apart.
pub(super) fn text_width(text: &str, size: f64) -> f64 {
    text.chars().count() as f64 * size * 0.6
}

/// At most `limit` characters; a longer text ends in an ellipsis.
pub(super) fn shorten(text: &str, limit: usize) -> String {
    if text.chars().count() <= limit {
        return text.to_owned();
    }
    let head: String = text.chars().take(limit.saturating_sub(1)).collect();
    format!("{head}…")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_name_can_become_markup() {
        assert_eq!(
            escape("<script>alert('1 & \"2\"')</script>\u{0}\u{1b}"),
            "&lt;script&gt;alert(&#39;1 &amp; &quot;2&quot;&#39;)&lt;/script&gt;\u{fffd}\u{fffd}"
        );
    }

    #[test]
    fn coordinates_are_short_and_never_nan() {
        assert_eq!(coordinate(12.0), "12");
        assert_eq!(coordinate(-0.04), "0");
        assert_eq!(coordinate(7.249), "7.2");
        assert_eq!(coordinate(f64::NAN), "0");
    }
}
