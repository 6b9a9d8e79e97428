//! PEM (RFC 7468) as OpenSSL reads it: `PEM_read_bio_ex` and `PEM_X509_INFO_read_bio` in crypto/pem/pem_lib.c and pem_info.c.
//!
//! OpenSSL takes a block only if BEGIN stands at the beginning of a line and END says the same label, and it gives up the whole file at
//! the first block that it can't read: [`refused_by_openssl`] tells. We go on behind such a block, because other readers do.
//!
//! Absent on purpose: RFC 1421 headers (encrypted keys). A certificate never has one, and OpenSSL refuses one that does.

use std::{ops::Range, sync::LazyLock};

use memchr::{memchr, memchr_iter, memchr2_iter, memchr3, memmem};

use super::{Interner, Scan, section};
use crate::{
    facts::{Content, Entry, Quirk},
    x509::{Certificate, Trust, read_tlv},
};

const BEGIN: &[u8] = b"-----BEGIN ";
const END: &[u8] = b"-----END ";
const DASHES: &[u8] = b"-----";
/// The longest END line that is looked for before a BEGIN; OpenSSL reads lines of 254 octets.
const LINE: usize = 256;
/// OpenSSL 3 skips it at the beginning of a file (`sanitize_line`); 1.1.1 misses the first block.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Made once: a store has hundreds of files.
static BEGINS: LazyLock<memmem::Finder<'static>> = LazyLock::new(|| memmem::Finder::new(BEGIN));
static DASHED: LazyLock<memmem::Finder<'static>> = LazyLock::new(|| memmem::Finder::new(DASHES));
static ENDS: LazyLock<memmem::Finder<'static>> = LazyLock::new(|| memmem::Finder::new(END));

/// One block before its content is looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block<'a> {
    /// `CERTIFICATE`
    pub label: &'a [u8],
    /// From BEGIN through the newline after END.
    pub span: Range<usize>,
    /// The base64 text between the lines; why there is none otherwise.
    pub body: Result<&'a [u8], &'static str>,
    /// BEGIN stands directly behind another block's END, in the same line.
    pub joined: bool,
}

impl Block<'_> {
    /// Whether its label says that it holds a certificate, by any of the names that OpenSSL knows.
    #[must_use]
    pub fn is_certificate(&self) -> bool {
        matches!(self.label, b"CERTIFICATE" | b"X509 CERTIFICATE" | b"TRUSTED CERTIFICATE")
    }
}

/// Every block, in file order.
pub fn blocks(bytes: &[u8]) -> impl Iterator<Item = Block<'_>> {
    let mut from = 0;
    let finder = &*BEGINS;
    let mut ends = Ends { finder: &ENDS, next: None };
    std::iter::from_fn(move || {
        loop {
            let begin = from + finder.find(&bytes[from..])?;
            let at_line_start = begin == 0 || bytes[begin - 1] == b'\n' || (begin == 3 && bytes.starts_with(BYTE_ORDER_MARK));
            let joined = !at_line_start && follows_end(&bytes[..begin]);
            let candidate = at_line_start || joined;
            if let Some(block) = candidate.then(|| block(bytes, begin, joined, finder, &mut ends)).flatten() {
                from = block.span.end;
                return Some(block);
            }
            from = begin + BEGIN.len();
        }
    })
}

/// Where END lines are: a file may have a hundred thousand BEGINs before one, or before none.
struct Ends {
    finder: &'static memmem::Finder<'static>,
    /// What the last search found.
    next: Option<Option<usize>>,
}

impl Ends {
    /// The first at this place or behind it; places are asked in rising order.
    fn from(&mut self, bytes: &[u8], at: usize) -> Option<usize> {
        match self.next {
            Some(known) if known.is_none_or(|n| n >= at) => known,
            _ => {
                let found = self.finder.find(&bytes[at..]).map(|n| at + n);
                self.next = Some(found);
                found
            }
        }
    }
}

/// A line without what ends it: blanks, control characters, and every octet above 127, which a signed `char` holds for less than a blank
/// (`sanitize_line`).
fn trimmed(line: &[u8]) -> &[u8] {
    let end = line.iter().rposition(|b| (0x21..0x80).contains(b)).map_or(0, |last| last + 1);
    &line[..end]
}

/// Whether the text before a BEGIN is an END line that lacks only its newline.
fn follows_end(before: &[u8]) -> bool {
    // No label is so long, and a line may be as long as the file.
    let near = &before[before.len().saturating_sub(LINE)..];
    let line = match memchr::memrchr(b'\n', near) {
        Some(n) => &near[n + 1..],
        None if near.len() < before.len() => return false,
        None => near,
    };
    line.starts_with(END) && line.ends_with(DASHES)
}

/// The block whose BEGIN stands at `begin`; `None` when that line is no BEGIN line after all.
fn block<'a>(bytes: &'a [u8], begin: usize, joined: bool, finder: &memmem::Finder<'_>, ends: &mut Ends) -> Option<Block<'a>> {
    let after_begin = begin + BEGIN.len();
    let line_end = memchr(b'\n', &bytes[after_begin..]).map_or(bytes.len(), |n| after_begin + n);
    let label = trimmed(&bytes[after_begin..line_end]).strip_suffix(DASHES)?;
    let body_start = (line_end + 1).min(bytes.len());
    let fail = |end: usize, why| Some(Block { label, span: begin..end, body: Err(why), joined });

    // The next END decides, unless another block begins before it. Nearly always the next dashes are its own.
    let dashes = DASHED.find(&bytes[body_start..]).map(|n| body_start + n);
    let end = match dashes.filter(|at| bytes[*at..].starts_with(END)) {
        Some(end) => end,
        None => {
            let Some(end) = ends.from(bytes, body_start) else {
                let next = next_begin(bytes, body_start, bytes.len(), finder);
                return fail(next, "has no END line");
            };
            let next = next_begin(bytes, body_start, end, finder);
            if next < end {
                return fail(next, "has no END line");
            }
            end
        }
    };
    let after_end = end + END.len();
    let end_line_end = memchr(b'\n', &bytes[after_end..]).map_or(bytes.len(), |n| after_end + n);
    let whole = (end_line_end + 1).min(bytes.len());
    let mut said = trimmed(&bytes[after_end..end_line_end]);
    let mut span_end = whole;
    // END and the next BEGIN in one line.
    if let Some(n) = finder.find(said).filter(|n| said[..*n].ends_with(DASHES)) {
        said = &said[..n];
        span_end = after_end + n;
    }
    match said.strip_suffix(DASHES) {
        Some(said) if said == label => {}
        _ => return fail(span_end, "has an END line that does not match its BEGIN"),
    }
    if end != body_start && bytes[end - 1] != b'\n' {
        return fail(span_end, "has its END line not at the beginning of a line");
    }
    Some(Block { label, span: begin..span_end, body: Ok(&bytes[body_start..end]), joined })
}

/// The next BEGIN at the beginning of a line, at most `limit`.
fn next_begin(bytes: &[u8], from: usize, limit: usize, finder: &memmem::Finder<'_>) -> usize {
    let mut at = from;
    while let Some(n) = finder.find(&bytes[at..limit]) {
        if at + n == from || bytes[at + n - 1] == b'\n' {
            return at + n;
        }
        at += n + BEGIN.len();
    }
    limit
}

/// Decodes a body into `out`, which is emptied first.
///
/// # Errors
/// What is wrong with it, in words.
pub fn decode(body: &[u8], out: &mut Vec<u8>) -> Result<(), &'static str> {
    out.clear();
    out.reserve(body.len());
    if regular(body, out) { Ok(()) } else { irregular(body, out) }
}

fn irregular(body: &[u8], out: &mut Vec<u8>) -> Result<(), &'static str> {
    out.clear();
    let mut from = 0;
    for newline in memchr_iter(b'\n', body).chain([body.len()]) {
        let line = trimmed(&body[from.min(newline)..newline]).trim_ascii_start();
        from = newline + 1;
        // A blank line ends the header: what stood before it is not data (`get_header_and_data`).
        if line.is_empty() && !out.is_empty() && newline < body.len() {
            return Err("has a blank line in its base64 text");
        }
        out.extend_from_slice(line);
    }
    // `EVP_DecodeUpdate` passes over blanks, which hardly any file has.
    if memchr3(b' ', b'\t', b'\r', out).is_some() || memchr(b'\x0c', out).is_some() {
        out.retain(|b| !b.is_ascii_whitespace());
    }
    if out.is_empty() {
        return Err("is empty");
    }
    if memchr(b':', out).is_some() {
        return Err("has a header before its base64 text");
    }
    if !out.len().is_multiple_of(4) {
        return Err("has base64 text that was cut short");
    }
    let strict = base64_simd::STANDARD.decode_inplace(out).map(|d| d.len());
    // Bits left over in the last character: OpenSSL does not look at them.
    let len = match strict {
        Ok(len) => len,
        Err(_) => return lenient(body, out),
    };
    out.truncate(len);
    Ok(())
}

/// [`decode`] of lines of 64 characters, as RFC 7468 wants them and nearly every file has them. Whatever else there is, a blank or a
/// colon among them too, makes it `false`, and is for the slow way to judge.
fn regular(body: &[u8], out: &mut Vec<u8>) -> bool {
    let (lines, last) = body.as_chunks::<65>();
    for [line @ .., newline] in lines {
        if *newline != b'\n' {
            return false;
        }
        out.extend_from_slice(line);
    }
    // A blank line behind them ends a header.
    if last == b"\n" {
        return false;
    }
    out.extend_from_slice(last.strip_suffix(b"\n").unwrap_or(last));
    let Ok(len) = base64_simd::STANDARD.decode_inplace(out).map(|d| d.len()) else { return false };
    out.truncate(len);
    len > 0
}

fn lenient(body: &[u8], out: &mut Vec<u8>) -> Result<(), &'static str> {
    *out = base64_simd::forgiving_decode_to_vec(body).map_err(|_| "has bad base64 text")?;
    Ok(())
}

/// Reads a PEM file.
#[must_use]
pub fn scan(bytes: &[u8], interner: &Interner) -> Scan {
    let mut scan = Scan::default();
    let mut der = Vec::new();
    let (mut counted, mut line) = (0, 1u32);
    for block in blocks(bytes) {
        let newlines = memchr_iter(b'\n', &bytes[counted..block.span.start]).count();
        line = line.saturating_add(u32::try_from(newlines).unwrap_or(u32::MAX));
        counted = block.span.start;
        if block.joined {
            scan.quirks.insert(Quirk::JoinedBlocks);
        }
        if block.body == Err("has no END line") {
            scan.quirks.insert(Quirk::Unterminated);
        }
        let content = content(&block, &mut der, interner);
        scan.entries.push(Entry { line, section: block.span.clone(), block: block.span, label: None, content });
    }
    look_at_form(bytes, &mut scan);
    section::attribute(bytes, &mut scan.entries);
    scan
}

fn content(block: &Block<'_>, der: &mut Vec<u8>, interner: &Interner) -> Content {
    let decoded = block.body.and_then(|body| decode(body, der));
    match block.label {
        _ if block.is_certificate() => {
            if let Err(why) = decoded {
                return Content::Opaque(format!("the block {why}"));
            }
            // OpenSSL's auxiliary trust data follows the certificate in the same block (`d2i_X509_AUX`).
            let (der, trust) = match read_tlv(der) {
                Some((outer, trailing)) if block.label == b"TRUSTED CERTIFICATE" => (outer.whole, Trust::read(trailing)),
                _ => (&der[..], None),
            };
            let with_trust = |c: Certificate| match trust {
                Some(trust) => c.with_trust(trust),
                None => c,
            };
            interner.certificate(der).map_or_else(|e| Content::Opaque(e.to_string()), |c| Content::Certificate(with_trust(c)))
        }
        b"X509 CRL" => Content::Crl,
        label if label.ends_with(b"PRIVATE KEY") => Content::PrivateKey,
        label => Content::Other(String::from_utf8_lossy(label).into_owned()),
    }
}

fn look_at_form(bytes: &[u8], scan: &mut Scan) {
    if bytes.is_empty() {
        scan.quirks.insert(Quirk::Empty);
        return;
    }
    if bytes.starts_with(BYTE_ORDER_MARK) || bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff") {
        scan.quirks.insert(Quirk::ByteOrderMark);
    }
    if bytes.last() != Some(&b'\n') && !scan.entries.is_empty() {
        scan.quirks.insert(Quirk::NoFinalNewline);
    }
    for at in memchr2_iter(0, b'\r', bytes) {
        match bytes[at] {
            0 => {
                scan.quirks.insert(Quirk::NotText);
                break;
            }
            _ if bytes.get(at + 1) == Some(&b'\n') && scan.quirks.insert(Quirk::Crlf) => {}
            _ => {}
        }
    }
}

/// Whether OpenSSL refuses the whole file as a CAfile: no certificate of it is trusted then, not even the good ones.
///
/// `X509_load_cert_crl_file_ex` in crypto/x509/by_file.c: one unreadable block, or no certificate and no CRL at all.
#[must_use]
pub fn refused_by_openssl(scan: &Scan) -> bool {
    let bad = |e: &Entry| matches!(e.content, Content::Opaque(_));
    let taken = |e: &Entry| matches!(e.content, Content::Certificate(_) | Content::Crl);
    scan.quirks.contains(&Quirk::JoinedBlocks)
        || scan.quirks.contains(&Quirk::Unterminated)
        || scan.entries.iter().any(bad)
        || !scan.entries.iter().any(taken)
}

#[cfg(test)]
mod tests {
    use std::ops::Add as _;

    use super::*;

    fn bundle(name: &str) -> Vec<u8> {
        std::fs::read(format!("{}/fixtures/bundles/{name}", env!("CARGO_MANIFEST_DIR"))).expect("a fixture")
    }

    fn read(bytes: &[u8]) -> Scan {
        scan(bytes, &Interner::default())
    }

    fn certificates(scan: &Scan) -> usize {
        scan.entries.iter().filter(|e| matches!(e.content, Content::Certificate(_))).count()
    }

    #[test]
    fn counts_lines_and_spans() {
        let bytes = bundle("mini/debian-bundle.crt");
        let found = read(&bytes);
        assert_eq!(certificates(&found), 6);
        assert!(found.quirks.is_empty(), "{:?}", found.quirks);
        for entry in &found.entries {
            assert!(bytes[entry.block.clone()].starts_with(BEGIN));
            assert!(bytes[entry.block.clone()].ends_with(b"-----END CERTIFICATE-----\n"));
            let before = bytes[..entry.block.start].iter().filter(|b| **b == b'\n').count();
            assert_eq!(entry.line as usize, before + 1);
        }
        assert!(!refused_by_openssl(&found));
    }

    #[test]
    fn regular_lines_are_what_they_are_without_the_short_cut() {
        let text = |lines: usize, rest: &str| "QUJD".repeat(16).add("\n").repeat(lines).add(rest);
        let regular = [text(0, "QUJD\n"), text(1, ""), text(2, "QUI=\n"), text(3, "QQ=="), text(3, "QR==\n")];
        let others = ["", "\n", " \n", "QUI\n", "QU:D\n", "\nQUJD\n", "QQ==\nQQ==\n", "QUJD\r\n", "QUJ\n\tD\n", "QUJ\u{e9}\n"];
        let others = others.iter().flat_map(|rest| (0..3).map(|lines| text(lines, rest))).chain([
            text(2, "").replace("JD\n", "\nJD"),
            text(2, "").replace('\n', "\r\n"),
            text(2, "").replace('\n', "-"),
            "QQ==".repeat(40),
        ]);
        for body in regular.into_iter().chain(others) {
            let (mut quick, mut slow) = (Vec::new(), Vec::new());
            let told = (decode(body.as_bytes(), &mut quick), irregular(body.as_bytes(), &mut slow));
            assert_eq!(told.0, told.1, "{body:?}");
            assert!(told.0.is_err() || quick == slow, "{body:?}");
        }
    }

    #[test]
    fn beginnings_without_end_are_no_trouble() {
        assert_eq!(read(&b"-----BEGIN X-----\n".repeat(300_000)).entries.len(), 300_000);
        let late = [b"-----BEGIN X-----\n".repeat(300_000), b"-----END X-----\n".to_vec()].concat();
        assert_eq!(blocks(&late).filter(|b| b.body.is_ok()).count(), 1);
        assert_eq!(read(&b"-----BEGIN ".repeat(500_000)).entries.len(), 0);
        assert_eq!(read(&b"-----END X----------BEGIN X-----".repeat(200_000)).entries.len(), 1);
    }

    #[test]
    fn trusted_certificates_are_the_plain_ones() {
        let plain = read(&bundle("mini/rhel-tls-ca-bundle.pem"));
        let trusted = read(&bundle("mini/rhel-ca-bundle.trust.crt"));
        let prints = |scan: &Scan| -> Vec<_> {
            scan.entries
                .iter()
                .filter_map(|e| match &e.content {
                    Content::Certificate(c) => Some((c.fingerprint(), c.defects().to_vec())),
                    _ => None,
                })
                .collect()
        };
        assert!(!prints(&plain).is_empty());
        for (print, defects) in prints(&trusted) {
            assert!(defects.is_empty(), "{defects:?}");
            assert!(prints(&plain).iter().any(|(p, _)| *p == print));
        }
    }

    #[test]
    fn oddities_are_facts() {
        let one = bundle("single/ISRG_Root_X1.crt");
        let two = bundle("single/DST_Root_CA_X3.crt");
        let joined = [one.trim_ascii_end(), &two].concat();
        let found = read(&joined);
        assert_eq!(certificates(&found), 2);
        assert!(found.quirks.contains(&Quirk::JoinedBlocks) && refused_by_openssl(&found));

        let crlf = String::from_utf8(one.clone()).expect("text").replace('\n', "\r\n");
        let found = read(crlf.as_bytes());
        assert_eq!((certificates(&found), found.quirks.contains(&Quirk::Crlf)), (1, true));

        let found = read(one.trim_ascii_end());
        assert_eq!(found.quirks, [Quirk::NoFinalNewline].into());

        let marked = [BYTE_ORDER_MARK, &one].concat();
        let found = read(&marked);
        assert_eq!((certificates(&found), found.quirks.contains(&Quirk::ByteOrderMark)), (1, true));

        let cut = [&one[..500], b"\n", &two[..]].concat();
        let found = read(&cut);
        assert!(found.quirks.contains(&Quirk::Unterminated));
        assert_eq!((certificates(&found), found.entries.len()), (1, 2));
        assert!(refused_by_openssl(&found));

        assert_eq!(read(b"").quirks, [Quirk::Empty].into());
        assert!(read(b"\0\0-----BEGIN").quirks.contains(&Quirk::NotText));
    }

    #[test]
    fn blocks_that_openssl_refuses_are_opaque() {
        for bad in [
            "-----BEGIN CERTIFICATE-----\nMIIB\n\nMIIB\n-----END CERTIFICATE-----\n",
            "-----BEGIN CERTIFICATE-----\nMII\n-----END CERTIFICATE-----\n",
            "-----BEGIN CERTIFICATE-----\nMI*B\n-----END CERTIFICATE-----\n",
            "-----BEGIN CERTIFICATE-----\nMIIB\n-----END TRUSTED CERTIFICATE-----\n",
            "-----BEGIN CERTIFICATE-----\nMIIB-----END CERTIFICATE-----\n",
            "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n",
            "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n",
        ] {
            let found = read(bad.as_bytes());
            assert!(matches!(found.entries[..], [Entry { content: Content::Opaque(_), .. }]), "{bad}{found:?}");
        }
        assert!(read(b" -----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n").entries.is_empty());
        let key = read(b"-----BEGIN EC PRIVATE KEY-----\nMIIB\n-----END EC PRIVATE KEY-----\n");
        assert_eq!(key.entries[0].content, Content::PrivateKey);
    }
}
