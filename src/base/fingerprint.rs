//! SHA-256 of some bytes: how certificates and files are told apart.

use std::{
    fmt,
    sync::{Arc, OnceLock},
};

use ring::digest;
use serde::{Serialize, Serializer};

/// A SHA-256 digest. Certificates are matched by the digest of their DER, never by name.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint(pub [u8; 32]);

impl Fingerprint {
    /// The digest of `bytes`.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        let digest = digest::digest(&digest::SHA256, bytes);
        let mut out = [0; 32];
        out.copy_from_slice(digest.as_ref());
        Fingerprint(out)
    }

    /// Reads 64 hexadecimal digits; colons and case don't matter.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let hex: Vec<u8> = text.bytes().filter(|b| *b != b':').collect();
        if hex.len() != 64 {
            return None;
        }
        let mut out = [0; 32];
        for (byte, pair) in out.iter_mut().zip(hex.chunks(2)) {
            *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
        }
        Some(Fingerprint(out))
    }

    /// The first 16 hexadecimal digits: enough to tell the certificates of a host apart in a line of text.
    #[must_use]
    pub fn short(&self) -> String {
        self.to_string()[..16].to_owned()
    }
}

/// The SHA-256 of a file's content, computed when it is asked for: of the hundreds of files of a store few are ever named by it.
/// Equality is equality of the content.
#[derive(Clone)]
pub struct ContentDigest(Arc<(Vec<u8>, OnceLock<Fingerprint>)>);

impl ContentDigest {
    /// The digest of `bytes`.
    #[must_use]
    pub fn of(bytes: Vec<u8>) -> Self {
        ContentDigest(Arc::new((bytes, OnceLock::new())))
    }

    /// The digest.
    #[must_use]
    pub fn get(&self) -> Fingerprint {
        let (bytes, digest) = &*self.0;
        *digest.get_or_init(|| Fingerprint::of(bytes))
    }
}

impl PartialEq for ContentDigest {
    fn eq(&self, other: &Self) -> bool {
        self.0.0 == other.0.0
    }
}

impl Eq for ContentDigest {}

impl fmt::Debug for ContentDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.get(), f)
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut text = [0; 64];
        for (pair, byte) in text.chunks_exact_mut(2).zip(self.0) {
            pair.copy_from_slice(&[DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
        }
        f.write_str(std::str::from_utf8(&text).map_err(|_| fmt::Error)?)
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Fingerprint {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_content_has_the_digest_of_its_bytes() {
        let digest = ContentDigest::of(b"x".to_vec());
        assert_eq!(digest.get(), Fingerprint::of(b"x"));
        assert!(digest == ContentDigest::of(b"x".to_vec()) && digest != ContentDigest::of(b"y".to_vec()));
    }

    #[test]
    fn round_trips() {
        let print = Fingerprint::of(b"");
        assert_eq!(print.short(), "e3b0c44298fc1c14");
        assert_eq!(Fingerprint::parse(&print.to_string().to_uppercase()), Some(print));
        assert_eq!(Fingerprint::parse("e3"), None);
        assert_eq!(Fingerprint::parse(&"zz".repeat(32)), None);
    }
}
