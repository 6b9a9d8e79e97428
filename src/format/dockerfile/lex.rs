//! Physical lines to items.

use std::{collections::HashMap, ops::Range};

use super::{Defect, Dockerfile, Heredoc, Instruction, Item, Kind, heredoc};

/// Instructions whose arguments may open here-documents (BuildKit's `heredocDirectives`); `ONBUILD` passes them through.
const HEREDOC_INSTRUCTIONS: [&str; 3] = ["ADD", "COPY", "RUN"];

/// Directives that BuildKit knows; any other `# name=value` is a comment and ends the search.
const DIRECTIVES: [&str; 3] = ["check", "escape", "syntax"];

/// See [`Dockerfile::parse`].
pub(super) fn lex(text: &[u8]) -> Dockerfile {
    let mut lexer = Lexer { text, at: 0, line: 0, escape: b'\\', defects: Vec::new(), last: None };
    let mut items = Vec::new();
    let mut directives_allowed = true;
    while let Some(line) = lexer.next_line() {
        let first = lexer.line;
        let content = trim_start(strip_mark(lexer.content(&line), first));
        let kind = if content.is_empty() {
            directives_allowed = false;
            Kind::Blank
        } else if let Some(comment) = content.strip_prefix(b"#") {
            let comment = lossy(comment).trim().to_owned();
            match directive(&comment).filter(|_| directives_allowed) {
                Some((name, value)) => {
                    lexer.obey(&name, &value);
                    Kind::Directive(name, value)
                }
                None => {
                    directives_allowed = false;
                    Kind::Comment(comment)
                }
            }
        } else {
            directives_allowed = false;
            let content = content.to_vec();
            Kind::Instruction(lexer.instruction(&content))
        };
        items.push(Item { kind, span: line.start..lexer.at, line: first });
    }
    let crlf = memchr::memchr(b'\n', text).is_some_and(|end| end > 0 && text[end - 1] == b'\r');
    Dockerfile { items, escape: char::from(lexer.escape), crlf, defects: lexer.defects }
}

/// The position in the text.
struct Lexer<'a> {
    text: &'a [u8],
    at: usize,
    /// The number of the line that was read last.
    line: u32,
    escape: u8,
    defects: Vec<Defect>,
    /// Each line of the text and where it stands last, once that was asked: looking through the rest for every `<<` would be quadratic.
    last: Option<HashMap<&'a [u8], usize>>,
}

impl<'a> Lexer<'a> {
    /// Goes over one physical line; its span has its line end.
    fn next_line(&mut self) -> Option<Range<usize>> {
        let rest = self.text.get(self.at..).filter(|rest| !rest.is_empty())?;
        let length = memchr::memchr(b'\n', rest).map_or(rest.len(), |end| end + 1);
        let span = self.at..self.at + length;
        self.at = span.end;
        self.line = self.line.saturating_add(1);
        Some(span)
    }

    /// A line without its line end.
    fn content(&self, span: &Range<usize>) -> &'a [u8] {
        without_end(&self.text[span.clone()])
    }

    /// Takes note of a directive that changes how the rest is read.
    fn obey(&mut self, name: &str, value: &str) {
        if name == "escape" {
            match value {
                "`" => self.escape = b'`',
                "\\" => self.escape = b'\\',
                _ => self.defects.push(Defect::InvalidEscape(self.line)),
            }
        }
    }

    /// The instruction that begins with the line `content`: continuation lines, then here-documents.
    fn instruction(&mut self, content: &[u8]) -> Instruction {
        let first = self.line;
        let (mut logical, mut goes_on) = self.continued(content);
        while goes_on {
            let Some(line) = self.next_line() else {
                self.defects.push(Defect::DanglingContinuation(first));
                break;
            };
            let content = self.content(&line);
            if trim_start(content).is_empty() {
                self.defects.push(Defect::EmptyContinuation(self.line));
            } else if !trim_start(content).starts_with(b"#") {
                let (part, more) = self.continued(content);
                logical.extend_from_slice(&part);
                goes_on = more;
            }
        }
        let logical = lossy(&logical);
        let (written, rest) = split_word(logical.trim());
        let keyword = written.to_ascii_uppercase();
        let (flags, arguments) = split_flags(rest);
        let exec = serde_json::from_str::<Vec<String>>(arguments).ok();
        let opens = match keyword.as_str() {
            "ONBUILD" => HEREDOC_INSTRUCTIONS.contains(&split_word(arguments).0.to_ascii_uppercase().as_str()),
            other => HEREDOC_INSTRUCTIONS.contains(&other),
        };
        let mut heredocs = Vec::new();
        if opens && exec.is_none() {
            for opening in heredoc::openings(logical.trim()) {
                if opening.spaced && !self.comes(&opening.name) {
                    continue;
                }
                let body = self.heredoc(&opening.name, opening.chomp, first);
                let heredoc::Opening { name, chomp, quoted, .. } = opening;
                heredocs.push(Heredoc { name, chomp, quoted, body });
            }
        }
        Instruction { keyword, written: written.to_owned(), flags, arguments: arguments.to_owned(), exec, heredocs }
    }

    /// A line without its continuation character, and whether it had one: the escape character at the end, blanks after it allowed,
    /// not doubled. So BuildKit has it; buildah 1.39 goes on after a doubled one too.
    fn continued(&self, content: &[u8]) -> (Vec<u8>, bool) {
        let end = content.iter().rposition(|b| !matches!(b, b' ' | b'\t')).map_or(0, |at| at + 1);
        match content[..end].strip_suffix(&[self.escape]) {
            Some(rest) if rest.last() != Some(&self.escape) => (rest.to_vec(), true),
            _ => (content.to_vec(), false),
        }
    }

    /// Whether a line from here on is this word.
    fn comes(&mut self, word: &str) -> bool {
        let text = self.text;
        let last = self.last.get_or_insert_with(|| {
            let mut at = 0;
            let mut last = HashMap::new();
            for line in text.split_inclusive(|b| *b == b'\n') {
                last.insert(without_end(line), at);
                at += line.len();
            }
            last
        });
        last.get(word.as_bytes()).is_some_and(|at| *at >= self.at)
    }

    /// Goes over the body of a here-document and the line that ends it.
    fn heredoc(&mut self, name: &str, chomp: bool, first: u32) -> Range<usize> {
        let start = self.at;
        while let Some(line) = self.next_line() {
            let mut content = self.content(&line);
            while let Some(rest) = content.strip_prefix(b"\t").filter(|_| chomp) {
                content = rest;
            }
            if content == name.as_bytes() {
                return start..line.start;
            }
        }
        self.defects.push(Defect::UnterminatedHeredoc(first, name.to_owned()));
        start..self.at
    }
}

/// `name=value` with a name that BuildKit knows.
fn directive(comment: &str) -> Option<(String, String)> {
    let (name, value) = comment.split_once('=')?;
    let name = name.trim().to_ascii_lowercase();
    let value = value.trim();
    (DIRECTIVES.contains(&name.as_str()) && !value.is_empty()).then(|| (name, value.to_owned()))
}

/// Splits off the first word.
fn split_word(text: &str) -> (&str, &str) {
    let end = text.find(char::is_whitespace).unwrap_or(text.len());
    (&text[..end], text[end..].trim_start())
}

/// Splits off leading `--flags`; `--` alone ends them.
fn split_flags(mut text: &str) -> (Vec<String>, &str) {
    let mut flags = Vec::new();
    while text.starts_with("--") {
        let (word, rest) = split_word(text);
        text = rest;
        if word == "--" {
            break;
        }
        flags.push(word.to_owned());
    }
    (flags, text)
}

fn without_end(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// Without the byte-order mark that the first line may begin with.
fn strip_mark(content: &[u8], line: u32) -> &[u8] {
    content.strip_prefix(b"\xef\xbb\xbf").filter(|_| line == 1).unwrap_or(content)
}

fn trim_start(content: &[u8]) -> &[u8] {
    let start = content.iter().position(|b| !b.is_ascii_whitespace() && *b != 0x0b).unwrap_or(content.len());
    &content[start..]
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
