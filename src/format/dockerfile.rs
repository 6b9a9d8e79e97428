//! Dockerfiles: every byte has its place, so that a patch changes nothing that it does not mean to change.
//!
//! The lexer follows BuildKit's parser (`frontend/dockerfile/parser/parser.go`): physical lines become items whose spans, put one after
//! the other, are the input again. Absent on purpose: an error. A file that no builder accepts still has items, and what was odd
//! about it is a [`Defect`].

mod expand;
mod heredoc;
mod lex;
mod stage;

use std::{collections::BTreeMap, ops::Range};

pub use expand::Expanded;
pub use stage::{Base, Stage};

/// A Dockerfile, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dockerfile {
    /// Everything in the file, in order and without gaps.
    pub items: Vec<Item>,
    /// The continuation character: `\`, or what `# escape=` says.
    pub escape: char,
    /// Whether the first line ends with CR LF.
    pub crlf: bool,
    /// What a builder would warn of or refuse.
    pub defects: Vec<Defect>,
}

/// One blank line, comment or instruction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// What it is.
    pub kind: Kind,
    /// Its bytes, with the line end of its last line.
    pub span: Range<usize>,
    /// Its first line, from 1.
    pub line: u32,
}

/// What stands on a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// White space, or a byte-order mark alone.
    Blank,
    /// `# …`: the text after `#`, trimmed.
    Comment(String),
    /// A parser directive (`# syntax=…`): name in lower case, and value.
    Directive(String, String),
    /// An instruction with all its continuation lines and here-documents.
    Instruction(Instruction),
}

/// An instruction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instruction {
    /// In upper case; empty when the line has no word.
    pub keyword: String,
    /// The keyword as it is written.
    pub written: String,
    /// `--name=value`, as written.
    pub flags: Vec<String>,
    /// What follows the flags, lines joined; comments and blank lines within continuations are gone, as a builder drops them.
    pub arguments: String,
    /// The words of the JSON (exec) form, where the arguments have that form.
    pub exec: Option<Vec<String>>,
    /// The here-documents, in order.
    pub heredocs: Vec<Heredoc>,
}

/// A here-document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heredoc {
    /// The word that ends it.
    pub name: String,
    /// Whether tabs before each line are dropped (`<<-`).
    pub chomp: bool,
    /// Whether the word was quoted, so that the builder expands nothing in the body; a backslash alone is no quote to it.
    pub quoted: bool,
    /// The body, without the line that ends it.
    pub body: Range<usize>,
}

/// Something that a builder warns of or refuses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Defect {
    /// The file ends where a continuation should follow; the line of the instruction.
    DanglingContinuation(u32),
    /// A continuation goes on over a blank line; the line.
    EmptyContinuation(u32),
    /// `# escape=` with something else than `\` or a backtick; the line.
    InvalidEscape(u32),
    /// The file ends inside this here-document; the line of the instruction.
    UnterminatedHeredoc(u32, String),
}

impl Dockerfile {
    /// Takes `text` apart. Never fails; see the module's documentation.
    #[must_use]
    pub fn parse(text: &[u8]) -> Dockerfile {
        lex::lex(text)
    }

    /// The instructions with their places among the items.
    pub fn instructions(&self) -> impl DoubleEndedIterator<Item = (usize, &Item, &Instruction)> {
        self.items.iter().enumerate().filter_map(|(at, item)| match &item.kind {
            Kind::Instruction(instruction) => Some((at, item, instruction)),
            _ => None,
        })
    }

    /// The stages, their bases resolved with the defaults of the global `ARG`s and with `build_arguments` (`--build-arg`), which win.
    #[must_use]
    pub fn stages(&self, build_arguments: &BTreeMap<String, String>) -> Vec<Stage> {
        stage::stages(self, build_arguments)
    }
}

impl Instruction {
    /// The value of `--name=value`.
    #[must_use]
    pub fn flag(&self, name: &str) -> Option<&str> {
        self.flags.iter().find_map(|flag| flag.strip_prefix("--")?.strip_prefix(name)?.strip_prefix('='))
    }

    /// The arguments as words: those of the JSON form, else split at white space.
    #[must_use]
    pub fn words(&self) -> Vec<String> {
        match &self.exec {
            Some(words) => words.clone(),
            None => self.arguments.split_whitespace().map(str::to_owned).collect(),
        }
    }
}
