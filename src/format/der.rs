//! A file that is one DER certificate.

use super::{Interner, Scan};
use crate::facts::{Content, Entry, Quirk};

/// Whether `bytes` begin as a DER (or BER) SEQUENCE with a length of two octets or more, as every certificate does.
#[must_use]
pub fn looks_like(bytes: &[u8]) -> bool {
    matches!(bytes, [0x30, 0x80..=0x84, ..])
}

/// Reads the whole file as one certificate; `None` when it is none.
#[must_use]
pub fn scan(bytes: &[u8], interner: &Interner) -> Option<Scan> {
    if !looks_like(bytes) {
        return None;
    }
    let certificate = interner.certificate(bytes).ok()?;
    let all = 0..bytes.len();
    let entry = Entry { line: 1, block: all.clone(), section: all, label: None, content: Content::Certificate(certificate) };
    Some(Scan { entries: vec![entry], quirks: [Quirk::Der].into() })
}
