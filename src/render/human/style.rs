//! Colours, and nothing that only a colour says.

use colored::{ColoredString, Colorize};

use crate::finding::Severity;

/// Whether to colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Style {
    color: bool,
}

impl Style {
    /// Decides about colour for one report.
    #[must_use]
    pub fn new(color: bool) -> Self {
        if color {
            // The decision was made by --color, NO_COLOR and the terminal; `colored` must not make another.
            colored::control::set_override(true);
        }
        Style { color }
    }

    fn paint(self, text: &str, with: impl Fn(&str) -> ColoredString) -> String {
        if self.color { with(text).to_string() } else { text.to_owned() }
    }

    pub(super) fn bold(self, text: &str) -> String {
        self.paint(text, |t| t.bold())
    }

    pub(super) fn dim(self, text: &str) -> String {
        self.paint(text, |t| t.dimmed())
    }

    pub(super) fn good(self, text: &str) -> String {
        self.paint(text, |t| t.green())
    }

    pub(super) fn bad(self, text: &str) -> String {
        self.paint(text, |t| t.red().bold())
    }

    pub(super) fn warn(self, text: &str) -> String {
        self.paint(text, |t| t.yellow().bold())
    }

    pub(super) fn place(self, text: &str) -> String {
        self.paint(text, |t| t.blue().bold())
    }

    pub(super) fn severity(self, severity: Severity, text: &str) -> String {
        match severity {
            Severity::Error => self.bad(text),
            Severity::Warning => self.warn(text),
            Severity::Note => self.paint(text, |t| t.cyan().bold()),
        }
    }
}
