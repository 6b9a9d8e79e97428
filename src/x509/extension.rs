//! The extensions of RFC 5280, section 4.2.1, that decide verdicts.

use std::{borrow::Cow, ops::Range};

use x509_parser::{
    extensions as parser,
    prelude::{FromDer, GeneralName as ParserName},
};

use super::{Defect, Name};

/// One extension, as found.
#[derive(Clone, Debug)]
pub struct Extension {
    /// Dotted OID.
    pub oid: Cow<'static, str>,
    /// Whether it is marked critical.
    pub critical: bool,
    /// Where its contents lie in the DER of the certificate.
    pub value: Range<usize>,
}

/// basicConstraints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BasicConstraints {
    /// May issue certificates.
    pub ca: bool,
    /// How many CA certificates may follow below.
    pub path_len: Option<u32>,
}

/// keyUsage, as the bits of RFC 5280 with bit 0 (digitalSignature) in the lowest place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyUsage(pub u16);

impl KeyUsage {
    /// digitalSignature.
    #[must_use]
    pub fn digital_signature(self) -> bool {
        self.0 & 1 != 0
    }

    /// keyEncipherment.
    #[must_use]
    pub fn key_encipherment(self) -> bool {
        self.0 & 1 << 2 != 0
    }

    /// keyAgreement.
    #[must_use]
    pub fn key_agreement(self) -> bool {
        self.0 & 1 << 4 != 0
    }

    /// keyCertSign.
    #[must_use]
    pub fn key_cert_sign(self) -> bool {
        self.0 & 1 << 5 != 0
    }

    /// cRLSign.
    #[must_use]
    pub fn crl_sign(self) -> bool {
        self.0 & 1 << 6 != 0
    }
}

/// A key purpose.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Purpose {
    /// anyExtendedKeyUsage.
    Any,
    /// clientAuth.
    ClientAuth,
    /// codeSigning.
    CodeSigning,
    /// emailProtection.
    EmailProtection,
    /// OCSPSigning.
    OcspSigning,
    /// Any other, as a dotted OID (Netscape's and Microsoft's server-gated cryptography among them).
    Other(String),
    /// serverAuth.
    ServerAuth,
    /// timeStamping.
    TimeStamping,
}

/// authorityKeyIdentifier.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct AuthorityKeyId {
    /// The key identifier of the issuer.
    pub key_id: Option<Vec<u8>>,
    /// The directory names of the issuer's issuer.
    pub issuer: Vec<Name>,
    /// The serial number of the issuer's certificate, as encoded.
    pub serial: Option<Vec<u8>>,
}

/// A name in subjectAltName.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GeneralName {
    /// A directory name.
    Directory(Name),
    /// A DNS name, as written (IA5String; not checked).
    Dns(String),
    /// An e-mail address.
    Email(String),
    /// 4 or 16 bytes (other lengths are kept and match nothing).
    Ip(Vec<u8>),
    /// Anything else.
    Other,
    /// A URI.
    Uri(String),
}

/// What was read of the extensions that we know.
#[derive(Default)]
pub(super) struct Known {
    pub(super) basic_constraints: Option<BasicConstraints>,
    pub(super) key_usage: Option<KeyUsage>,
    pub(super) extended_key_usage: Option<Vec<Purpose>>,
    pub(super) subject_key_id: Option<Vec<u8>>,
    pub(super) authority_key_id: Option<AuthorityKeyId>,
    pub(super) subject_alt_name: Option<Vec<GeneralName>>,
}

impl Known {
    pub(super) fn read(der: &[u8], extensions: &[Extension], defects: &mut Vec<Defect>) -> Known {
        let mut known = Known::default();
        for extension in extensions {
            let value = &der[extension.value.clone()];
            let read = match &*extension.oid {
                "2.5.29.14" => known.read_subject_key_id(value),
                "2.5.29.15" => known.read_key_usage(value),
                "2.5.29.17" => known.read_subject_alt_name(value),
                "2.5.29.19" => known.read_basic_constraints(value),
                "2.5.29.35" => known.read_authority_key_id(value),
                "2.5.29.37" => known.read_extended_key_usage(value),
                _ => Some(()),
            };
            if read.is_none() {
                defects.push(Defect::BadExtension(extension.oid.clone().into_owned(), "can't be read".into()));
            }
        }
        known
    }

    fn read_subject_key_id(&mut self, value: &[u8]) -> Option<()> {
        let (tlv, _) = super::read_tlv(value).filter(|(t, _)| t.tag == 0x04)?;
        self.subject_key_id.get_or_insert_with(|| tlv.value.to_vec());
        Some(())
    }

    fn read_key_usage(&mut self, value: &[u8]) -> Option<()> {
        let (tlv, _) = super::read_tlv(value).filter(|(t, _)| t.tag == 0x03)?;
        let bits = tlv.value.get(1..)?;
        let first = u16::from(bits.first().copied().unwrap_or(0).reverse_bits());
        let second = u16::from(bits.get(1).copied().unwrap_or(0).reverse_bits());
        self.key_usage.get_or_insert(KeyUsage(first | second << 8));
        Some(())
    }

    fn read_basic_constraints(&mut self, value: &[u8]) -> Option<()> {
        let (tlv, _) = super::read_tlv(value).filter(|(t, _)| t.tag == 0x30)?;
        let mut parts = super::der::elements(tlv.value).peekable();
        let ca = parts.next_if(|t| t.tag == 0x01).is_some_and(|t| t.value.first().is_some_and(|b| *b != 0));
        let path_len = match parts.next_if(|t| t.tag == 0x02) {
            Some(t) if t.value.len() <= 4 && t.value.first().is_some_and(|b| b & 0x80 == 0) => {
                Some(t.value.iter().fold(0u32, |acc, b| acc << 8 | u32::from(*b)))
            }
            Some(_) => return None,
            None => None,
        };
        self.basic_constraints.get_or_insert(BasicConstraints { ca, path_len });
        Some(())
    }

    fn read_extended_key_usage(&mut self, value: &[u8]) -> Option<()> {
        let (tlv, _) = super::read_tlv(value).filter(|(t, _)| t.tag == 0x30)?;
        let purposes = super::der::elements(tlv.value).filter(|t| t.tag == 0x06).map(|t| match &*super::der::oid_text(t.value) {
            "2.5.29.37.0" => Purpose::Any,
            "1.3.6.1.5.5.7.3.1" => Purpose::ServerAuth,
            "1.3.6.1.5.5.7.3.2" => Purpose::ClientAuth,
            "1.3.6.1.5.5.7.3.3" => Purpose::CodeSigning,
            "1.3.6.1.5.5.7.3.4" => Purpose::EmailProtection,
            "1.3.6.1.5.5.7.3.8" => Purpose::TimeStamping,
            "1.3.6.1.5.5.7.3.9" => Purpose::OcspSigning,
            other => Purpose::Other(other.to_owned()),
        });
        let purposes = purposes.collect();
        self.extended_key_usage.get_or_insert(purposes);
        Some(())
    }

    fn read_authority_key_id(&mut self, value: &[u8]) -> Option<()> {
        // Nothing but a key identifier: nearly all are so.
        if let [0x30, outer, 0x80, inner, key_id @ ..] = value
            && usize::from(*inner) == key_id.len()
            && usize::from(*outer) == key_id.len() + 2
            && *outer < 0x80
        {
            let plain = || AuthorityKeyId { key_id: Some(key_id.to_vec()), ..AuthorityKeyId::default() };
            self.authority_key_id.get_or_insert_with(plain);
            return Some(());
        }
        let (_, aki) = parser::AuthorityKeyIdentifier::from_der(value).ok()?;
        let names = aki.authority_cert_issuer.unwrap_or_default();
        self.authority_key_id.get_or_insert(AuthorityKeyId {
            key_id: aki.key_identifier.map(|k| k.0.to_vec()),
            issuer: names
                .iter()
                .filter_map(|n| if let ParserName::DirectoryName(d) = n { Some(Name::new(d.as_raw())) } else { None })
                .collect(),
            serial: aki.authority_cert_serial.map(<[u8]>::to_vec),
        });
        Some(())
    }

    fn read_subject_alt_name(&mut self, value: &[u8]) -> Option<()> {
        let (_, san) = parser::SubjectAlternativeName::from_der(value).ok()?;
        let names = san.general_names.iter().map(|name| match name {
            ParserName::DNSName(dns) => GeneralName::Dns((*dns).to_owned()),
            ParserName::IPAddress(ip) => GeneralName::Ip(ip.to_vec()),
            ParserName::RFC822Name(email) => GeneralName::Email((*email).to_owned()),
            ParserName::URI(uri) => GeneralName::Uri((*uri).to_owned()),
            ParserName::DirectoryName(name) => GeneralName::Directory(Name::new(name.as_raw())),
            _ => GeneralName::Other,
        });
        let names = names.collect();
        self.subject_alt_name.get_or_insert(names);
        Some(())
    }
}
