//! What form a file has, by its content.

use super::{Interner, Scan, der, jks, pem, pkcs7};
use crate::{
    facts::{Content, Entry},
    x509::{Certificate, read_tlv},
};

/// The forms that hold certificates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// One certificate in DER.
    Der,
    /// A Java keystore.
    Jks,
    /// PEM blocks.
    Pem,
    /// PKCS #7 or CMS SignedData in DER.
    Pkcs7,
    /// None of them.
    Unknown,
}

/// The certificates of a file that was given as a target.
#[derive(Clone, Debug)]
pub struct Sniffed {
    /// The form.
    pub form: Form,
    /// In file order.
    pub certificates: Vec<Certificate>,
    /// Blocks that should be certificates and can't be read: index among all of them in file order, and why.
    pub opaque: Vec<(usize, String)>,
}

/// The form of `bytes`.
#[must_use]
pub fn form(bytes: &[u8]) -> Form {
    if bytes.starts_with(&jks::MAGIC) {
        return Form::Jks;
    }
    if der::looks_like(bytes) {
        let first = read_tlv(bytes).and_then(|(outer, _)| read_tlv(outer.value));
        return if first.is_some_and(|(t, _)| t.tag == 0x06) { Form::Pkcs7 } else { Form::Der };
    }
    if pem::blocks(bytes).next().is_some() { Form::Pem } else { Form::Unknown }
}

/// Every certificate of a file in PEM (PKCS #7 blocks too), DER, PKCS #7 or JKS.
#[must_use]
pub fn certificates(bytes: &[u8]) -> Sniffed {
    let mut sniffed = Sniffed { form: form(bytes), certificates: Vec::new(), opaque: Vec::new() };
    let interner = Interner::default();
    match sniffed.form {
        Form::Der => sniffed.take(bytes, &interner),
        Form::Jks => sniffed.take_all(&jks::scan(bytes, &interner)),
        Form::Pkcs7 => sniffed.take_pkcs7(bytes, &interner),
        Form::Pem => {
            let mut der = Vec::new();
            for block in pem::blocks(bytes) {
                let decoded = block.body.and_then(|body| pem::decode(body, &mut der));
                match (block.label, decoded) {
                    (b"PKCS7" | b"PKCS #7 SIGNED DATA" | b"CMS", Ok(())) => sniffed.take_pkcs7(&der, &interner),
                    (b"CERTIFICATE" | b"X509 CERTIFICATE", Ok(())) => sniffed.take(&der, &interner),
                    (b"TRUSTED CERTIFICATE", Ok(())) => {
                        let whole = read_tlv(&der).map_or(&der[..], |(outer, _)| outer.whole);
                        sniffed.take(whole, &interner);
                    }
                    (label, Err(why)) if label.ends_with(b"CERTIFICATE") => sniffed.refuse(format!("the block {why}")),
                    _ => {}
                }
            }
        }
        Form::Unknown => {}
    }
    sniffed
}

/// Reads a store file of any form; what is none of them has no entries. Quirks are those of PEM when the file holds text.
#[must_use]
pub fn scan(bytes: &[u8], interner: &Interner) -> Scan {
    if bytes.starts_with(&jks::MAGIC) {
        return jks::scan(bytes, interner);
    }
    der::scan(bytes, interner).unwrap_or_else(|| pem::scan(bytes, interner))
}

impl Sniffed {
    fn take(&mut self, der: &[u8], interner: &Interner) {
        match interner.certificate(der) {
            Ok(certificate) => self.certificates.push(certificate),
            Err(why) => self.refuse(why.to_string()),
        }
    }

    fn take_pkcs7(&mut self, der: &[u8], interner: &Interner) {
        match pkcs7::certificates(der) {
            Some(found) => found.into_iter().for_each(|der| self.take(der, interner)),
            None => self.refuse("is PKCS #7, but no SignedData with certificates".to_owned()),
        }
    }

    fn take_all(&mut self, scan: &Scan) {
        for Entry { content, .. } in &scan.entries {
            match content {
                Content::Certificate(certificate) => self.certificates.push(certificate.clone()),
                Content::Opaque(why) => self.refuse(why.clone()),
                _ => {}
            }
        }
    }

    fn refuse(&mut self, why: String) {
        self.opaque.push((self.certificates.len() + self.opaque.len(), why));
    }
}
