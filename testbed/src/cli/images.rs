//! What is shown on stderr while images are pulled or built.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

/// A spinner with a message, which hides itself where stderr is no terminal.
pub(crate) fn spinner() -> ProgressBar {
    let spinner = ProgressBar::new_spinner();
    spinner.set_style(
        ProgressStyle::with_template("  {spinner} {msg}")
            .unwrap_or_else(|_| ProgressStyle::default_spinner()),
    );
    spinner.enable_steady_tick(Duration::from_millis(100));
    spinner
}

/// Pulling and building take minutes: every step on a terminal, one line per image elsewhere.
pub(crate) struct ImageLines {
    spinner: ProgressBar,
    /// The image whose steps are being told.
    current: Option<String>,
}

impl ImageLines {
    /// Steps become the message of `spinner`.
    pub(crate) fn on(spinner: ProgressBar) -> Self {
        Self {
            spinner,
            current: None,
        }
    }

    #[expect(clippy::print_stderr, reason = "progress is for people")]
    pub(crate) fn show(&mut self, image: &str, step: &str) {
        if self.spinner.is_hidden() && self.current.as_deref() != Some(image) {
            eprintln!("  … image {image}");
            self.current = Some(image.to_owned());
        }
        self.spinner.set_message(format!("image {image}: {step}"));
    }
}
