//! What is to be removed: an anchor, the name that an image's own files give it, and a line that only its PEM form holds.

use base64_simd::STANDARD;

use super::DockerfileError;
use crate::{
    base::{At, Fingerprint},
    facts::{Selection, Source, SourceOwner, Store},
};

/// An anchor to be distrusted in an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Anchor {
    /// SHA-256 of its DER.
    pub fingerprint: Fingerprint,
    /// Its name for people, as comments and messages show it.
    pub title: String,
    /// When it expired or expires.
    pub not_after: Option<At>,
    /// How `/etc/ca-certificates.conf` names it: `mozilla/AddTrust_External_Root.crt`; `None` when only the bundle can be patched.
    pub entry: Option<String>,
    /// A line of its PEM form (64 characters of base64) that no other certificate has.
    pub line: String,
}

/// Roots whose expiry made outages, so that the snippet can be given without any tree at hand.
/// SHA-256, title, not after, file name in Debian's and Alpine's packages, line.
const KNOWN: [(&str, &str, i64, &str, &str); 3] = [
    (
        "687fa451382278fff0c8b11f8d43d576671c6eb2bceab413fb83d965d06d2ff2",
        "AddTrust External CA Root",
        1_590_835_718,
        "mozilla/AddTrust_External_Root.crt",
        "c4g/VhsxOBi0cQ+azcgOno4uG+GMmIPLHzHxREzGBHNJdmAPx/i9F4BrLunMTA5a",
    ),
    (
        "0687260331a72403d909f105e69bcf0d32e1bd2493ffc6d9206d11bcd6770739",
        "DST Root CA X3",
        1_633_010_475,
        "mozilla/DST_Root_CA_X3.crt",
        "JDGFoqgCWjBH4d1QB7wCCZAA62RjYJsWvIjJEubSfZGL+T0yjWW06XyxV3bqxbYo",
    ),
    (
        "16af57a9f676b0ab126095aa5ebadef22ab31119d644ac95cd4b93dbf3f26aeb",
        "Baltimore CyberTrust Root",
        1_747_094_340,
        "mozilla/Baltimore_CyberTrust_Root.crt",
        "ksLi4xaNmjICq44Y3ekQEe5+NauQrz4wlHrQMz2nZQ/1/I6eYs9HRCwBXbsdtTLS",
    ),
];

impl Anchor {
    /// The anchors that are known without looking at a tree, oldest outage first.
    #[must_use]
    pub fn known() -> Vec<Anchor> {
        let read = |(sha256, title, not_after, entry, line): &(&str, &str, i64, &str, &str)| {
            Some(Anchor {
                fingerprint: Fingerprint::parse(sha256)?,
                title: (*title).to_owned(),
                not_after: Some(At(*not_after)),
                entry: Some((*entry).to_owned()),
                line: (*line).to_owned(),
            })
        };
        KNOWN.iter().filter_map(read).collect()
    }

    /// An anchor from its certificate. `entry` is the name in the image's own configuration, if one was seen; else the name follows from
    /// Mozilla's `label`; else it is one of the known three.
    #[must_use]
    pub fn from_der(der: &[u8], title: &str, not_after: Option<At>, entry: Option<&str>, label: Option<&str>) -> Anchor {
        let fingerprint = Fingerprint::of(der);
        let known = || Anchor::known().into_iter().find(|known| known.fingerprint == fingerprint)?.entry;
        let from_label = || label.map(|label| format!("mozilla/{}", certdata_file_name(label)));
        let entry = entry.map(str::to_owned).or_else(known).or_else(from_label);
        Anchor { fingerprint, title: title.to_owned(), not_after, entry, line: telling_line(der) }
    }

    /// An anchor that `store` (of a `--root` tree) holds, named as that tree's own configuration names it.
    ///
    /// # Errors
    /// [`DockerfileError::AbsentAnchor`] when no output of the store holds it; [`DockerfileError::LocalAnchor`] when an administrator put
    /// it there: it may be a corporate CA, and the instruction that brings it in is the place to change.
    pub fn from_store(store: &Store, fingerprint: Fingerprint) -> Result<Anchor, DockerfileError> {
        let held = |source: &&Source| source.file.certificates().any(|(_, c)| c.fingerprint() == fingerprint);
        let of = |owner| store.sources.iter().filter(move |s| s.owner == owner).find(held);
        if let Some(local) = of(SourceOwner::Local).filter(|s| s.selection == Selection::Enabled) {
            return Err(DockerfileError::LocalAnchor(local.file.path.to_string()));
        }
        let entry = of(SourceOwner::Package).and_then(|source| std::str::from_utf8(&source.name).ok());
        let anchor = store.anchors().iter().find(|a| a.certificate.fingerprint() == fingerprint);
        let certificate = &anchor.ok_or(DockerfileError::AbsentAnchor(fingerprint))?.certificate;
        Ok(Anchor::from_der(certificate.der(), &certificate.label(), certificate.validity().not_after, entry, None))
    }
}

/// The file name that Debian's `certdata2pem.py` (and Alpine's list after it) makes of Mozilla's label.
#[must_use]
pub fn certdata_file_name(label: &str) -> String {
    let mapped = label.chars().map(|c| match c {
        '/' | ' ' | ',' => '_',
        '(' | ')' => '=',
        other => other,
    });
    mapped.chain(".crt".chars()).collect()
}

/// The last full line of the PEM form: it lies in the signature, so that not even a certificate with the same name and key has it.
fn telling_line(der: &[u8]) -> String {
    const WIDTH: usize = 64;
    let text = STANDARD.encode_to_string(der);
    let start = (text.len() / WIDTH).saturating_sub(1) * WIDTH;
    text.get(start..(start + WIDTH).min(text.len())).unwrap_or_default().to_owned()
}
