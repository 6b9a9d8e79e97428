//! Colours, and nothing that only a colour says.

use colored::{ColoredString, Colorize};

use crate::finding::Severity;

/// Stands for the escape character of our own colours until the text is finished: a noncharacter, which no name has (and one that has
/// it all the same can only colour itself).
const OURS: &str = "\u{ffff}";

/// Whether to colour, and how wide the lines may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Style {
    color: bool,
    width: Option<usize>,
}

impl Style {
    /// Decides for one report. `width`: the columns of the terminal; `None` when it goes to none.
    #[must_use]
    pub fn new(color: bool, width: Option<usize>) -> Self {
        if color {
            // The decision was made by --color, NO_COLOR and the terminal; `colored` must not make another.
            colored::control::set_override(true);
        }
        Style { color, width }
    }

    fn paint(self, text: &str, with: impl Fn(&str) -> ColoredString) -> String {
        if self.color { with(text).to_string().replace('\x1b', OURS) } else { text.to_owned() }
    }

    /// The finished text as it may reach a terminal: names come from servers and files, and an escape sequence or a change of
    /// direction in one of them must not do what it says.
    pub(super) fn safe(self, text: &str) -> String {
        let is_tricky = |c: char| {
            c.is_control() && c != '\n'
                || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
        };
        let mut out = String::with_capacity(text.len());
        for c in text.chars() {
            if is_tricky(c) {
                out.extend(c.escape_unicode());
            } else {
                out.push(c);
            }
        }
        if self.color { out.replace(OURS, "\x1b") } else { out }
    }

    /// Prose that begins in column `from` and goes on in column `hang`, broken at blanks where the terminal ends. Too narrow a terminal
    /// breaks lines better than we can. Commands and paths are never given here: they are copied.
    pub(super) fn fold(self, text: &str, from: usize, hang: usize) -> String {
        /// The least room for prose that is worth a break.
        const LEAST: usize = 24;
        let Some(width) = self.width.filter(|w| *w >= hang.max(from) + LEAST) else { return text.to_owned() };
        let mut out = String::with_capacity(text.len() + 16);
        let mut column = from;
        for (n, word) in text.split(' ').enumerate() {
            let len = word.chars().count();
            if n > 0 && column + 1 + len > width {
                out.push('\n');
                out.extend(std::iter::repeat_n(' ', hang));
                column = hang;
            } else if n > 0 {
                out.push(' ');
                column += 1;
            }
            out.push_str(word);
            column += len;
        }
        out
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_reaches_the_terminal_as_a_command() {
        let hostile = "a\x1b[31mb\rc\u{202e}d";
        assert_eq!(Style::new(false, None).safe(hostile), "a\\u{1b}[31mb\\u{d}c\\u{202e}d");
        let style = Style::new(true, None);
        assert_eq!(style.safe(&style.bold("x")), "\x1b[1mx\x1b[0m");
        assert!(!style.safe(hostile).contains('\x1b'));
    }

    #[test]
    fn folds_prose_at_the_edge_of_the_terminal() {
        let style = |width| Style::new(false, width);
        let text = "one two three four five six seven eight nine ten";
        assert_eq!(style(None).fold(text, 2, 2), text);
        assert_eq!(style(Some(40)).fold(text, 10, 4), "one two three four five six\n    seven eight nine ten");
        // A word longer than the line stands alone, and a sliver of a terminal is left to itself.
        let long = "x".repeat(60);
        assert_eq!(style(Some(30)).fold(&format!("a {long} b"), 0, 2), format!("a\n  {long}\n  b"));
        assert_eq!(style(Some(20)).fold(text, 10, 4), text);
    }
}
