//! Putting lines in, and finding those that were put in before.

use std::{collections::BTreeSet, ops::Range};

use super::snippet::{BEGIN, END, Layout};
use crate::{
    base::Fingerprint,
    format::dockerfile::{Dockerfile, Kind},
};

/// Lines that an earlier run put in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Block {
    /// From the comment that begins it to the one that ends it.
    pub(super) items: Range<usize>,
    /// The first instruction within: it tells the stage, where the comments above a `FROM` would not.
    pub(super) first: usize,
    /// Their bytes.
    pub(super) span: Range<usize>,
    /// The anchors that it removes.
    pub(super) anchors: BTreeSet<Fingerprint>,
}

/// The blocks of earlier runs. A beginning without its end (somebody cut it) is none: its lines are left alone.
pub(super) fn blocks(file: &Dockerfile) -> Vec<Block> {
    let mut found = Vec::new();
    let mut open: Option<(usize, BTreeSet<Fingerprint>)> = None;
    for (at, item) in file.items.iter().enumerate() {
        let Kind::Comment(comment) = &item.kind else { continue };
        if let Some(list) = comment.strip_prefix(BEGIN) {
            open = Some((at, list.split_whitespace().filter_map(Fingerprint::parse).collect()));
        } else if comment == END
            && let Some((from, anchors)) = open.take()
        {
            let instruction = |at: &usize| matches!(file.items[*at].kind, Kind::Instruction(_));
            let first = (from..at).find(instruction).unwrap_or(from);
            found.push(Block { items: from..at + 1, first, span: file.items[from].span.start..item.span.end, anchors });
        }
    }
    found
}

/// `text` without `spans`, which are in order.
pub(super) fn without(text: &[u8], spans: &[Range<usize>]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut at = 0;
    for span in spans {
        out.extend_from_slice(&text[at..span.start]);
        at = span.end;
    }
    out.extend_from_slice(&text[at..]);
    out
}

/// `text` with lines put in at byte positions (in order), each at the beginning of a line; a last line without its end gets one first,
/// and the new last line has none then.
pub(super) fn with(text: &[u8], insertions: &[(usize, String)], newline: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len() + insertions.iter().map(|(_, new)| new.len() + 2).sum::<usize>());
    let mut at = 0;
    for (place, new) in insertions {
        out.extend_from_slice(&text[at..*place]);
        at = *place;
        if out.last().is_some_and(|last| *last != b'\n') {
            out.extend_from_slice(newline.as_bytes());
            out.extend_from_slice(new.strip_suffix(newline).unwrap_or(new).as_bytes());
        } else {
            out.extend_from_slice(new.as_bytes());
        }
    }
    out.extend_from_slice(&text[at..]);
    out
}

/// The file's own style: the indentation of its first continuation line, the case of its first instruction.
pub(super) fn layout(text: &[u8], file: &Dockerfile) -> Layout {
    let usual = Layout::default();
    let indent = file.instructions().filter(|(_, _, i)| i.heredocs.is_empty()).find_map(|(_, item, _)| {
        let lines = text[item.span.clone()].split(|b| *b == b'\n').skip(1);
        lines.map(leading_blanks).find(|blanks| !blanks.is_empty() && blanks.len() <= 8)
    });
    let lower_case = file.instructions().next().is_some_and(|(_, _, i)| i.written == i.written.to_ascii_lowercase());
    Layout { escape: file.escape, crlf: file.crlf, indent: indent.unwrap_or(usual.indent), lower_case }
}

/// The blanks that a line with content begins with.
fn leading_blanks(line: &[u8]) -> String {
    let end = line.iter().position(|b| !matches!(b, b' ' | b'\t')).unwrap_or(0);
    if line.get(end).is_none_or(|b| matches!(b, b'\r' | b'#')) {
        return String::new();
    }
    line[..end].iter().map(|b| char::from(*b)).collect()
}
