//! A certificate file and the key that belongs to it, as `ngx_ssl_certificate` loads them.

use crate::{
    base::{At, Fingerprint, TreePath},
    x509::Certificate,
};

/// An `ssl_certificate` with its `ssl_certificate_key`.
#[derive(Clone, Debug)]
pub struct Pair {
    /// Index into [`super::Instance::files`] of the file that names the certificate.
    pub file: usize,
    /// Where its directive begins there; with [`Self::file`] this tells which directive it is.
    pub start: usize,
    /// The certificates.
    pub certificate: PemFile,
    /// The key; `None` when no directive names one.
    pub key: Option<Key>,
}

/// A file of certificates.
#[derive(Clone, Debug)]
pub struct PemFile {
    /// As it is named, made absolute.
    pub path: TreePath,
    /// Where links lead.
    pub real: TreePath,
    /// What it holds.
    pub state: PemState,
}

/// What a file of certificates holds.
#[derive(Clone, Debug)]
pub enum PemState {
    /// Nothing is there.
    Missing,
    /// It can't be read: why.
    Unreadable(String),
    /// It was read.
    Read(Leaves),
}

/// The certificates of a file, in its order: the leaf should be first.
#[derive(Clone, Debug)]
pub struct Leaves {
    /// The certificates.
    pub chain: Vec<Certificate>,
    /// OpenSSL's reason for refusing the file; nginx does not start with it.
    pub refused: Option<&'static str>,
    /// The SHA-256 of the file.
    pub read: Fingerprint,
    /// When it was written.
    pub modified: At,
}

/// A key's file.
#[derive(Clone, Debug)]
pub struct Key {
    /// As it is named, made absolute.
    pub path: TreePath,
    /// What can be said of it.
    pub state: KeyState,
}

/// What can be said of a key's file. The key itself is never kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyState {
    /// Nothing is there.
    Missing,
    /// It can't be read: why.
    Unreadable(String),
    /// A passphrase is asked for, and no `ssl_password_file` is named.
    Encrypted,
    /// OpenSSL's reason for refusing the file.
    Refused(&'static str),
    /// A key whose public half is not known here (encrypted with a passphrase file, of a rare kind).
    Unknown,
    /// The public half, as in a certificate's `subjectPublicKey` (RFC 5280).
    Public(Vec<u8>),
}

impl PemFile {
    /// What was read; `None` when nothing could be.
    #[must_use]
    pub fn leaves(&self) -> Option<&Leaves> {
        if let PemState::Read(leaves) = &self.state { Some(leaves) } else { None }
    }

    /// The leaf.
    #[must_use]
    pub fn leaf(&self) -> Option<&Certificate> {
        self.leaves().and_then(|l| l.chain.first())
    }
}

impl Pair {
    /// Why nginx refuses to start with this pair, in its own words as far as they don't depend on the version of OpenSSL: its
    /// message, and OpenSSL's reason in brackets. `None` when it takes it, or when that can't be said.
    #[must_use]
    pub fn refused(&self) -> Option<String> {
        let path = &self.certificate.path;
        let cannot = |function: &str, why: &str| Some(format!("cannot load certificate \"{path}\": {function}() failed ({why})"));
        let leaves = match &self.certificate.state {
            PemState::Missing => return cannot("BIO_new_file", "no such file"),
            // The master reads as root what we may not read.
            PemState::Unreadable(_) => return None,
            PemState::Read(leaves) => leaves,
        };
        if let Some(why) = leaves.refused {
            let function = if leaves.chain.is_empty() { "PEM_read_bio_X509_AUX" } else { "PEM_read_bio_X509" };
            return cannot(function, why);
        }
        let key = self.key.as_ref()?;
        let path = &key.path;
        let cannot =
            |function: &str, why: &str| Some(format!("cannot load certificate key \"{path}\": {function}() failed ({why})"));
        match &key.state {
            KeyState::Missing => cannot("BIO_new_file", "no such file"),
            KeyState::Encrypted => cannot("PEM_read_bio_PrivateKey", "bad password read"),
            KeyState::Refused(why) => cannot("PEM_read_bio_PrivateKey", &format!("no key that can be read: {why}")),
            KeyState::Unreadable(_) | KeyState::Unknown => None,
            KeyState::Public(half) => {
                let same = leaves.chain.first().is_none_or(|leaf| is_half_of(half, leaf));
                (!same).then(|| format!("SSL_CTX_use_PrivateKey(\"{path}\") failed (key values mismatch)"))
            }
        }
    }
}

/// Whether a public half is that of a certificate. A point may be written compressed in one and not in the other.
fn is_half_of(half: &[u8], certificate: &Certificate) -> bool {
    let in_certificate = certificate.public_key_octets();
    let x = |point: &[u8]| match point.first() {
        Some(2..=4) if point.len() > 1 => {
            let len = if point[0] == 4 { (point.len() - 1) / 2 } else { point.len() - 1 };
            Some(point[1..=len].to_vec())
        }
        _ => None,
    };
    half == in_certificate
        || (half.first() != Some(&0x30)
            && half.first() != in_certificate.first()
            && x(half).is_some()
            && x(half) == x(in_certificate))
}
