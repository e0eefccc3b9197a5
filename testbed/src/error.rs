//! What a failed command tells a person.

use dfaas_lab::LabError;
use dfaas_model::ModelError;

use crate::style::Style;

/// A failed command: the message and the exit code that goes with it.
#[derive(Debug)]
pub(crate) struct CliError {
    message: Message,
    /// 1 expectations not met, 2 bad input or usage, 3 this machine cannot, 4 clean-up incomplete, 5 the operation
    /// failed, 130 interrupted.
    pub(crate) exit_code: u8,
}

#[derive(Debug)]
enum Message {
    /// A place in a file, drawn with the line and a caret.
    InFile(Box<ModelError>),
    Text(String),
    /// Everything has been said already.
    Silent,
}

impl CliError {
    /// Bad input or usage.
    pub(crate) fn input(text: impl std::fmt::Display) -> Self {
        Self {
            message: Message::Text(text.to_string()),
            exit_code: 2,
        }
    }

    /// The operation failed.
    pub(crate) fn failed(text: impl std::fmt::Display) -> Self {
        Self {
            message: Message::Text(text.to_string()),
            exit_code: 5,
        }
    }

    /// An exit code without a word, for what has been printed already.
    pub(crate) fn silent(exit_code: u8) -> Self {
        Self {
            message: Message::Silent,
            exit_code,
        }
    }

    #[expect(clippy::print_stderr, reason = "this is where the command speaks to people")]
    pub(crate) fn print(&self) {
        let style = Style::for_stderr();
        match &self.message {
            Message::Silent => {}
            Message::Text(text) => eprintln!("{} {text}", style.bad("error:")),
            Message::InFile(error) => {
                let mut theme = if style.is_plain() {
                    miette::GraphicalTheme::unicode_nocolor()
                } else {
                    miette::GraphicalTheme::unicode()
                };
                theme.characters.error = "error:".to_owned();
                let handler = miette::GraphicalReportHandler::new_themed(theme).with_width(100);
                for problem in error.each() {
                    let mut text = String::new();
                    match handler.render_report(&mut text, problem) {
                        Ok(()) => eprint!("{}", text.trim_start_matches(' ')),
                        Err(_) => eprintln!("{} {problem}", style.bad("error:")),
                    }
                }
            }
        }
    }
}

impl From<ModelError> for CliError {
    fn from(error: ModelError) -> Self {
        Self {
            message: Message::InFile(Box::new(error)),
            exit_code: 2,
        }
    }
}

impl From<LabError> for CliError {
    fn from(error: LabError) -> Self {
        Self {
            exit_code: error.exit_code(),
            message: Message::Text(error.to_string()),
        }
    }
}

impl From<dfaas_control::ControlError> for CliError {
    fn from(error: dfaas_control::ControlError) -> Self {
        let exit_code = match &error {
            dfaas_control::ControlError::Refused {
                status: 404 | 400, ..
            } => 2,
            dfaas_control::ControlError::Refused { status: 501, .. } => 3,
            _ => 5,
        };
        Self {
            exit_code,
            message: Message::Text(error.to_string()),
        }
    }
}
