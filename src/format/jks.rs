//! Java keystores in the form `JKS` (sun.security.provider.JavaKeyStore).
//!
//! A header (`FEEDFEED`, version, count), the entries, and SHA-1 over password, a fixed phrase and all before. Removing an entry drops
//! its bytes and nothing else: order and timestamps stay, which `keytool` does not keep.
//!
//! Absent on purpose: private keys. Their entries are stepped over.

use std::ops::Range;

use ring::digest;

use super::{Interner, Scan};
use crate::facts::{Content, Entry};

/// What every keystore of this form begins with.
pub const MAGIC: [u8; 4] = [0xfe, 0xed, 0xfe, 0xed];
const HEADER: usize = 12;
const TRAILER: usize = 20;
/// `JavaKeyStore.getPreKeyedHash`
const PHRASE: &[u8] = b"Mighty Aphrodite";
/// The passwords of every vendor's `cacerts`: the JDK's, and Apple's.
const USUAL_PASSWORDS: [&str; 2] = ["changeit", "changeme"];

/// Why a keystore was not changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JksError {
    /// No entry has that alias.
    #[error("the keystore has no entry `{0}`")]
    NoSuchAlias(String),
    /// Not this form, or cut short.
    #[error("not a readable JKS keystore")]
    Malformed,
    /// Its checksum fits no usual password.
    #[error("the keystore's password is neither changeit nor changeme; remove the entry with keytool -delete")]
    Password,
}

/// One entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JksEntry {
    /// Its name; keytool compares in lower case.
    pub alias: String,
    /// Its certificate's place in the file; `None` for a private key.
    pub der: Option<Range<usize>>,
    /// All its bytes.
    pub span: Range<usize>,
}

/// The entries in file order; `None` when this is no keystore of this form or it is cut short.
#[must_use]
pub fn entries(bytes: &[u8]) -> Option<Vec<JksEntry>> {
    let body = bytes.strip_prefix(&MAGIC)?;
    let mut reader = Reader { bytes: bytes.get(..bytes.len().checked_sub(TRAILER)?)?, at: bytes.len() - body.len() };
    let version = reader.u32()?;
    let count = reader.u32()?;
    let mut entries = Vec::new();
    for _ in 0..count {
        let start = reader.at;
        let tag = reader.u32()?;
        let alias = String::from_utf8_lossy(reader.text()?).into_owned();
        reader.take(8)?;
        let der = match tag {
            1 => {
                reader.block()?;
                for _ in 0..reader.u32()? {
                    reader.certificate(version)?;
                }
                None
            }
            2 => Some(reader.certificate(version)?),
            _ => return None,
        };
        entries.push(JksEntry { alias, der, span: start..reader.at });
    }
    (reader.at == reader.bytes.len()).then_some(entries)
}

/// Reads a keystore; one that can't be read is a single opaque entry. Lines are ordinals here, from 1.
#[must_use]
pub fn scan(bytes: &[u8], interner: &Interner) -> Scan {
    let Some(entries) = entries(bytes) else {
        let all = 0..bytes.len();
        let content = Content::Opaque(JksError::Malformed.to_string());
        let entry = Entry { line: 1, block: all.clone(), section: all, label: None, content };
        return Scan { entries: vec![entry], ..Scan::default() };
    };
    let entries = entries.into_iter().zip(1..).map(|(entry, line)| {
        let content = match entry.der {
            Some(der) => interner.certificate(&bytes[der]).map_or_else(|e| Content::Opaque(e.to_string()), Content::Certificate),
            None => Content::PrivateKey,
        };
        Entry { line, block: entry.span.clone(), section: entry.span, label: Some(entry.alias), content }
    });
    Scan { entries: entries.collect(), ..Scan::default() }
}

/// The keystore without the entries of these aliases, which must all be there, signed again with the password that it has.
///
/// # Errors
/// [`JksError`]; nothing is changed in part.
pub fn remove(bytes: &[u8], aliases: &[&str]) -> Result<Vec<u8>, JksError> {
    let entries = entries(bytes).ok_or(JksError::Malformed)?;
    let (body, trailer) = bytes.split_at(bytes.len() - TRAILER);
    let password = USUAL_PASSWORDS.iter().find(|p| checksum(p, body) == trailer).ok_or(JksError::Password)?;
    for alias in aliases {
        if !entries.iter().any(|e| e.alias == *alias) {
            return Err(JksError::NoSuchAlias((*alias).to_owned()));
        }
    }
    let kept: Vec<&JksEntry> = entries.iter().filter(|e| !aliases.contains(&e.alias.as_str())).collect();
    let mut out = body[..HEADER - 4].to_vec();
    out.extend_from_slice(&u32::try_from(kept.len()).map_err(|_| JksError::Malformed)?.to_be_bytes());
    for entry in kept {
        out.extend_from_slice(&body[entry.span.clone()]);
    }
    let sum = checksum(password, &out);
    out.extend_from_slice(&sum);
    Ok(out)
}

fn checksum(password: &str, body: &[u8]) -> Vec<u8> {
    let mut context = digest::Context::new(&digest::SHA1_FOR_LEGACY_USE_ONLY);
    for unit in password.encode_utf16() {
        context.update(&unit.to_be_bytes());
    }
    context.update(PHRASE);
    context.update(body);
    context.finish().as_ref().to_vec()
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let end = self.at.checked_add(len)?;
        let taken = self.bytes.get(self.at..end)?;
        self.at = end;
        Some(taken)
    }

    fn u32(&mut self) -> Option<u32> {
        self.take(4)?.try_into().ok().map(u32::from_be_bytes)
    }

    /// Modified UTF-8 behind its length in two octets.
    fn text(&mut self) -> Option<&'a [u8]> {
        let len: [u8; 2] = self.take(2)?.try_into().ok()?;
        self.take(usize::from(u16::from_be_bytes(len)))
    }

    fn block(&mut self) -> Option<Range<usize>> {
        let len = usize::try_from(self.u32()?).ok()?;
        let start = self.at;
        self.take(len)?;
        Some(start..self.at)
    }

    /// Version 1 has no type before it (`X.509` in version 2).
    fn certificate(&mut self, version: u32) -> Option<Range<usize>> {
        if version != 1 {
            self.text()?;
        }
        self.block()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keystore() -> Vec<u8> {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/bundles/java/debian12-cacerts.jks");
        std::fs::read(path).expect("a fixture")
    }

    #[test]
    fn removes_one_entry_and_nothing_else() {
        let bytes = keystore();
        let before = entries(&bytes).expect("a keystore");
        assert_eq!(before.len(), 142);
        let alias = "debian:baltimore_cybertrust_root.pem";
        let after = remove(&bytes, &[alias]).expect("removed");
        let gone = before.iter().find(|e| e.alias == alias).expect("there");
        assert_eq!(after.len(), bytes.len() - gone.span.len());
        let names = |list: &[JksEntry]| list.iter().map(|e| e.alias.clone()).collect::<Vec<_>>();
        let expected: Vec<_> = names(&before).into_iter().filter(|a| a != alias).collect();
        assert_eq!(names(&entries(&after).expect("a keystore")), expected);
        assert_eq!(remove(&after, &[alias]), Err(JksError::NoSuchAlias(alias.to_owned())));
    }

    #[test]
    fn damage_is_refused() {
        let bytes = keystore();
        for cut in [0, 3, 11, 40, bytes.len() - 1] {
            assert_eq!(entries(&bytes[..cut]), None, "{cut}");
        }
        let mut other = bytes.clone();
        *other.last_mut().expect("a trailer") ^= 1;
        assert_eq!(remove(&other, &["debian:baltimore_cybertrust_root.pem"]), Err(JksError::Password));
        let scan = scan(&bytes[..100], &Interner::default());
        assert!(matches!(scan.entries[..], [Entry { content: Content::Opaque(_), .. }]));
    }
}
