//! The text that belongs to one certificate of a bundle, and taking it out as if the file's own generator had never known it.
//!
//! Text between two blocks belongs to the certificate that follows: a label (`# Label`, a name underlined with `=`, certifi's comment
//! block) or the output of `openssl x509 -text`. Blank lines go with the certificate before or after them, as the file's ends show:
//! Alpine and p11-kit write one after each certificate, certifi and curl before each. LibreSSL's `cert.pem` puts several
//! `=== subject` sections under one `### Organisation`, which leaves with its last section.

use memchr::{memchr_iter, memmem};

use super::{Interner, pem};
use crate::{
    facts::{Content, Entry},
    x509::Certificate,
};

/// What each line of a section that was commented out begins with.
const COMMENT: &[u8] = b"# ";
/// Stands for the dashes of BEGIN and END there: GnuTLS and Mbed TLS look for `-----BEGIN` anywhere in a line.
const MUTED: &[u8] = b"=====";
const MUTED_END: &[u8] = b"# =====END ";
/// The first line of every object in p11-kit's own format.
const P11_KIT: &[u8] = b"[p11-kit-object-v1]";

/// Sets the section and the label of each entry.
pub(super) fn attribute(bytes: &[u8], entries: &mut [Entry]) {
    // Nothing but blocks, as in what a refresh tool makes: nothing belongs to them.
    if entries.iter().try_fold(0, |at, e| (e.block.start == at).then_some(e.block.end)) == Some(bytes.len()) {
        return;
    }
    let Some(layout) = Layout::of(bytes, entries) else { return };
    for (i, entry) in entries.iter_mut().enumerate() {
        let lead = layout.lead(i);
        entry.label = label(&bytes[lead.clone()]);
        entry.section = match layout.style {
            Style::Grouped => layout.grouped(i, &lead),
            Style::Flat { blank_after } => layout.flat(i, blank_after, &lead),
        };
    }
}

/// `bytes` without the sections of the certificates that are `unwanted`; `None` when there is none of them, or when the file is in
/// p11-kit's own format, whose objects are told apart by more than their PEM blocks.
#[must_use]
pub fn cut(bytes: &[u8], unwanted: impl Fn(&Certificate) -> bool) -> Option<Vec<u8>> {
    rewrite(bytes, unwanted, |_, _| {})
}

/// `bytes` with those sections commented out: no reader of PEM sees them, a person still does. `None` as for [`cut`].
#[must_use]
pub fn comment_out(bytes: &[u8], unwanted: impl Fn(&Certificate) -> bool) -> Option<Vec<u8>> {
    rewrite(bytes, unwanted, |section, out| {
        // Where its BEGIN shares a line with the END before, that END must not end up before something else.
        if !out.is_empty() && !out.ends_with(b"\n") {
            out.push(b'\n');
        }
        for line in section.split_inclusive(|b| *b == b'\n') {
            if line.trim_ascii().is_empty() {
                out.extend_from_slice(line);
                continue;
            }
            out.extend_from_slice(COMMENT);
            match line.strip_prefix(b"-----") {
                Some(rest) => {
                    let text = rest.trim_ascii_end();
                    let inner = text.strip_suffix(b"-----").unwrap_or(text);
                    out.extend_from_slice(MUTED);
                    out.extend_from_slice(inner);
                    out.extend_from_slice(MUTED);
                    out.extend_from_slice(&rest[text.len()..]);
                }
                None => out.extend_from_slice(line),
            }
        }
    })
}

/// One section after the other, since a group's heading leaves only with the last of its sections.
fn rewrite(bytes: &[u8], unwanted: impl Fn(&Certificate) -> bool, put: impl Fn(&[u8], &mut Vec<u8>)) -> Option<Vec<u8>> {
    if memmem::find(bytes, P11_KIT).is_some() {
        return None;
    }
    let interner = Interner::default();
    let mut left = bytes.to_vec();
    let mut changed = false;
    loop {
        let scan = pem::scan(&left, &interner);
        let is_unwanted = |e: &&Entry| matches!(&e.content, Content::Certificate(c) if unwanted(c));
        let Some(entry) = scan.entries.iter().find(is_unwanted) else { break };
        let mut out = Vec::with_capacity(left.len() + 256);
        out.extend_from_slice(&left[..entry.section.start]);
        put(&left[entry.section.clone()], &mut out);
        // Where the END line and the next BEGIN share a line, that BEGIN must not end up behind something else.
        let joined = left[entry.section.end..].starts_with(b"-----BEGIN ");
        if joined && !out.is_empty() && !out.ends_with(b"\n") {
            out.push(b'\n');
        }
        out.extend_from_slice(&left[entry.section.end..]);
        left = out;
        changed = true;
    }
    changed.then_some(left)
}

type Span = std::ops::Range<usize>;

/// How a file separates its certificates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Style {
    /// Each certificate with its own text.
    Flat {
        /// Blank lines follow a certificate rather than precede it.
        blank_after: bool,
    },
    /// LibreSSL: `### Organisation`, blank, then one or more `=== subject`.
    Grouped,
}

struct Layout<'a> {
    bytes: &'a [u8],
    blocks: Vec<Span>,
    style: Style,
    /// How many lines of text precede each block but the first: the same number everywhere, if there is one.
    lead_lines: Option<usize>,
    /// Some block but the first has text before it.
    labelled: bool,
    /// How many blank lines part two certificates.
    blank_lines: usize,
}

impl<'a> Layout<'a> {
    fn of(bytes: &'a [u8], entries: &[Entry]) -> Option<Self> {
        let blocks: Vec<Span> = entries.iter().map(|e| e.block.clone()).collect();
        let (first, last) = (blocks.first()?, blocks.last()?);
        let grouped = lines(bytes, 0..first.start).any(|l| is_heading(&bytes[l]));
        let tail = &bytes[last.end..];
        let blank_after = tail.starts_with(b"\n") || tail.starts_with(b"\r\n");
        let style = if grouped { Style::Grouped } else { Style::Flat { blank_after } };
        let mut layout = Layout { bytes, blocks, style, lead_lines: None, labelled: false, blank_lines: 1 };
        let counts: Vec<usize> = (1..layout.blocks.len()).map(|i| lines(bytes, layout.lead(i)).count()).collect();
        if layout.blocks.len() > 1 && style != Style::Grouped {
            let gap = layout.gap(1);
            layout.blank_lines = lines(bytes, gap).take_while(|l| is_blank(&bytes[l.clone()])).count();
        }
        layout.labelled = counts.iter().any(|n| *n > 0);
        layout.lead_lines = counts.first().copied().filter(|first| counts.iter().all(|n| n == first));
        Some(layout)
    }

    /// The text between the block before and this one.
    fn gap(&self, i: usize) -> Span {
        let start = if i == 0 { 0 } else { self.blocks[i - 1].end };
        start..self.blocks[i].start
    }

    /// The text that belongs to this certificate: without blank lines before it, and without what was commented out.
    fn lead(&self, i: usize) -> Span {
        let gap = self.gap(i);
        let text = skip_blank_lines(self.bytes, self.after_comments(gap.clone()));
        if i > 0 {
            return text;
        }
        // Before the first certificate stands the file's own heading too. Its label is the last paragraph.
        let mut paragraph = text.start;
        let all: Vec<Span> = lines(self.bytes, text.clone()).collect();
        if self.style == Style::Grouped {
            let heading = all.iter().find(|l| is_heading(&self.bytes[(*l).clone()]));
            return heading.map_or(gap.end, |l| l.start)..gap.end;
        }
        for line in &all {
            if is_blank(&self.bytes[line.clone()]) {
                paragraph = line.end;
            }
        }
        let of_paragraph: Vec<&Span> = all.iter().filter(|l| l.start >= paragraph).collect();
        let take = if self.blocks.len() > 1 {
            if !self.labelled { 0 } else { self.lead_lines.unwrap_or(of_paragraph.len()).min(of_paragraph.len()) }
        } else {
            let text = &self.bytes[paragraph..gap.end];
            let heading = of_paragraph.len() > 1 && of_paragraph.iter().all(|l| self.bytes[(*l).clone()].starts_with(b"#"));
            if heading && memmem::find(text, b"# Label:").is_none() { 0 } else { of_paragraph.len() }
        };
        let start = of_paragraph.len().checked_sub(take).and_then(|n| of_paragraph.get(n)).map_or(gap.end, |l| l.start);
        start..gap.end
    }

    /// The part of a gap behind the last section that was commented out in it.
    fn after_comments(&self, gap: Span) -> Span {
        match memmem::rfind(&self.bytes[gap.clone()], MUTED_END) {
            Some(n) => {
                let line = gap.start + n;
                let end = memchr::memchr(b'\n', &self.bytes[line..gap.end]).map_or(gap.end, |n| line + n + 1);
                end..gap.end
            }
            None => gap,
        }
    }

    /// A section with the blank lines that belong to it.
    fn flat(&self, i: usize, blank_after: bool, lead: &Span) -> Span {
        let block = &self.blocks[i];
        let blank_before = self.blank_lines_before(lead.start, self.gap(i).start);
        // A first certificate with no blank line before it would leave the next one's at the beginning.
        if blank_after || (blank_before == lead.start && i == 0) {
            return lead.start..self.blank_lines_after(block.end, i);
        }
        blank_before..block.end
    }

    fn grouped(&self, i: usize, lead: &Span) -> Span {
        let block = &self.blocks[i];
        let subject = lines(self.bytes, lead.clone()).find(|l| self.bytes[l.clone()].starts_with(b"=== ")).map(|l| l.start);
        let heading = lines(self.bytes, lead.clone()).find(|l| is_heading(&self.bytes[l.clone()]));
        let next_is_of_the_group = self.blocks.get(i + 1).is_some_and(|_| {
            let next = self.gap(i + 1);
            !lines(self.bytes, next).any(|l| is_heading(&self.bytes[l]))
        });
        let Some(heading) = heading.filter(|_| !next_is_of_the_group) else {
            let start = subject.unwrap_or(lead.start);
            return start..block.end;
        };
        // The whole group, with the blank line that parts it from the next one, or else from the one before.
        let end = self.blank_lines_after(block.end, i);
        if end > block.end {
            return heading.start..end;
        }
        self.blank_lines_before(heading.start, self.gap(i).start)..block.end
    }

    /// Where the blank lines directly above `at` begin: as many as part certificates, since the file's heading may have its own.
    fn blank_lines_before(&self, at: usize, limit: usize) -> usize {
        let mut start = at;
        for line in lines(self.bytes, limit..at).collect::<Vec<_>>().into_iter().rev().take(self.blank_lines) {
            if !is_blank(&self.bytes[line.clone()]) {
                break;
            }
            start = line.start;
        }
        start
    }

    /// Where the blank lines directly below block `i` end.
    fn blank_lines_after(&self, at: usize, i: usize) -> usize {
        let limit = self.blocks.get(i + 1).map_or(self.bytes.len(), |next| next.start);
        skip_blank_lines(self.bytes, at..limit).start
    }
}

/// The lines of a span, each with its newline.
fn lines(bytes: &[u8], span: Span) -> impl Iterator<Item = Span> {
    let mut start = span.start;
    let end = span.end;
    memchr_iter(b'\n', &bytes[span.clone()]).map(move |n| span.start + n + 1).chain([end]).filter_map(move |stop| {
        let line = start..stop;
        start = stop;
        (!line.is_empty()).then_some(line)
    })
}

fn skip_blank_lines(bytes: &[u8], span: Span) -> Span {
    let mut start = span.start;
    for line in lines(bytes, span.clone()) {
        if !is_blank(&bytes[line.clone()]) {
            break;
        }
        start = line.end;
    }
    start..span.end
}

fn is_blank(line: &[u8]) -> bool {
    line.trim_ascii().is_empty()
}

fn is_heading(line: &[u8]) -> bool {
    line.starts_with(b"### ")
}

/// The name that the text before a certificate gives it.
fn label(lead: &[u8]) -> Option<String> {
    let text = |bytes: &[u8]| Some(String::from_utf8_lossy(bytes.trim_ascii()).into_owned());
    let lines: Vec<&[u8]> = lead.split(|b| *b == b'\n').map(<[u8]>::trim_ascii_end).filter(|l| !l.is_empty()).collect();
    for line in &lines {
        if let Some(quoted) = line.strip_prefix(b"# Label: ") {
            return text(quoted.strip_prefix(b"\"").and_then(|q| q.strip_suffix(b"\"")).unwrap_or(quoted));
        }
        if let Some(subject) = line.strip_prefix(b"=== ") {
            return text(memmem::rfind(subject, b"/CN=").map_or(subject, |n| &subject[n + 4..]));
        }
    }
    match lines[..] {
        [.., name, underline] if underline.iter().all(|b| *b == b'=') => text(name),
        [only] => only.strip_prefix(b"# ").and_then(text),
        _ => None,
    }
}
