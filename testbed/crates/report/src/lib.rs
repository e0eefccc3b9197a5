//! Run directory to HTML, CSV and Markdown.
