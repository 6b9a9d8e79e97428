//! The extensions of RFC 5280, section 4.2.1, that decide verdicts.

use std::{borrow::Cow, ops::Range};

use super::{
    Defect, Name, Tlv,
    der::{elements, elements_exactly, oid_text, read_tlv},
};

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

impl Purpose {
    /// The purpose that a dotted OID stands for.
    #[must_use]
    pub fn of(oid: &str) -> Purpose {
        match oid {
            "2.5.29.37.0" => Purpose::Any,
            "1.3.6.1.5.5.7.3.1" => Purpose::ServerAuth,
            "1.3.6.1.5.5.7.3.2" => Purpose::ClientAuth,
            "1.3.6.1.5.5.7.3.3" => Purpose::CodeSigning,
            "1.3.6.1.5.5.7.3.4" => Purpose::EmailProtection,
            "1.3.6.1.5.5.7.3.8" => Purpose::TimeStamping,
            "1.3.6.1.5.5.7.3.9" => Purpose::OcspSigning,
            other => Purpose::Other(other.to_owned()),
        }
    }
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
    /// Anything else: its tag.
    Other(u8),
    /// An otherName: its type as a dotted OID, and its value with tag and length.
    OtherName(String, Vec<u8>),
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
                "2.5.29.19" => {
                    if has_loose_boolean(value) {
                        defects.push(Defect::LooseBoolean(extension.oid.clone().into_owned()));
                    }
                    known.read_basic_constraints(value)
                }
                "2.5.29.30" => is_name_constraints(value),
                "2.5.29.31" => is_distribution_points(value),
                "2.5.29.35" => known.read_authority_key_id(value),
                "2.5.29.37" => known.read_extended_key_usage(value),
                "1.3.6.1.5.5.7.1.14" => is_proxy_info(value),
                "2.16.840.1.113730.1.1" => read_tlv(value).filter(|(t, _)| t.tag == 0x03).map(|_| ()),
                _ => Some(()),
            };
            if read.is_none() {
                defects.push(Defect::BadExtension(extension.oid.clone().into_owned(), "can't be read".into()));
            }
        }
        known
    }

    fn read_subject_key_id(&mut self, value: &[u8]) -> Option<()> {
        let (tlv, _) = read_tlv(value).filter(|(t, _)| t.tag == 0x04)?;
        self.subject_key_id.get_or_insert_with(|| tlv.value.to_vec());
        Some(())
    }

    fn read_key_usage(&mut self, value: &[u8]) -> Option<()> {
        let (tlv, _) = read_tlv(value).filter(|(t, _)| t.tag == 0x03)?;
        let bits = tlv.value.get(1..)?;
        let first = u16::from(bits.first().copied().unwrap_or(0).reverse_bits());
        let second = u16::from(bits.get(1).copied().unwrap_or(0).reverse_bits());
        self.key_usage.get_or_insert(KeyUsage(first | second << 8));
        Some(())
    }

    fn read_basic_constraints(&mut self, value: &[u8]) -> Option<()> {
        let (tlv, _) = read_tlv(value).filter(|(t, _)| t.tag == 0x30)?;
        let mut parts = elements(tlv.value).peekable();
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
        let (tlv, _) = read_tlv(value).filter(|(t, _)| t.tag == 0x30)?;
        let purposes = elements(tlv.value).filter(|t| t.tag == 0x06).map(|t| Purpose::of(&oid_text(t.value))).collect();
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
        let read = AuthorityKeyId::read(value)?;
        self.authority_key_id.get_or_insert(read);
        Some(())
    }

    fn read_subject_alt_name(&mut self, value: &[u8]) -> Option<()> {
        let (list, _) = read_tlv(value).filter(|(t, _)| t.tag == 0x30)?;
        let names = general_names(list.value)?;
        self.subject_alt_name.get_or_insert(names);
        Some(())
    }
}

impl AuthorityKeyId {
    /// Reads the extension's contents.
    pub(super) fn read(value: &[u8]) -> Option<AuthorityKeyId> {
        let (outer, _) = read_tlv(value).filter(|(t, _)| t.tag == 0x30)?;
        let mut fields = elements_exactly(outer.value)?.into_iter().peekable();
        let key_id = fields.next_if(|t| t.tag == 0x80).map(|t| t.value.to_vec());
        let names = match fields.next_if(|t| t.tag == 0xa1) {
            Some(list) => general_names(list.value)?,
            None => Vec::new(),
        };
        let serial = fields.next_if(|t| t.tag == 0x82).map(|t| t.value.to_vec());
        if fields.next().is_some() {
            return None;
        }
        let directory = |name| if let GeneralName::Directory(name) = name { Some(name) } else { None };
        Some(AuthorityKeyId { key_id, issuer: names.into_iter().filter_map(directory).collect(), serial })
    }
}

/// The elements of GeneralNames; `None` if one is not what its tag says (`d2i_GENERAL_NAMES`).
#[must_use]
pub fn general_names(list: &[u8]) -> Option<Vec<GeneralName>> {
    elements_exactly(list)?.into_iter().map(general_name).collect()
}

/// The name of an extension of RFC 5280, or the dotted OID again.
#[must_use]
pub fn extension_name(oid: &str) -> &str {
    match oid {
        "1.3.6.1.5.5.7.1.14" => "proxyCertInfo",
        "2.16.840.1.113730.1.1" => "Netscape's certificate type",
        "2.5.29.14" => "subjectKeyIdentifier",
        "2.5.29.15" => "keyUsage",
        "2.5.29.17" => "subjectAltName",
        "2.5.29.19" => "basicConstraints",
        "2.5.29.30" => "nameConstraints",
        "2.5.29.31" => "cRLDistributionPoints",
        "2.5.29.35" => "authorityKeyIdentifier",
        "2.5.29.37" => "extKeyUsage",
        other => other,
    }
}

/// One GeneralName.
#[must_use]
pub fn general_name(name: Tlv<'_>) -> Option<GeneralName> {
    Some(match name.tag {
        0xa0 => {
            let mut parts = elements(name.value);
            let kind = parts.next().filter(|t| t.tag == 0x06)?;
            let value = parts.next().filter(|t| t.tag == 0xa0).and_then(|t| read_tlv(t.value))?.0;
            GeneralName::OtherName(oid_text(kind.value).into_owned(), value.whole.to_vec())
        }
        0x81 => GeneralName::Email(ia5(name.value)),
        0x82 => GeneralName::Dns(ia5(name.value)),
        0xa4 => GeneralName::Directory(Name::new(read_tlv(name.value).filter(|(t, _)| t.tag == 0x30)?.0.whole)),
        0x86 => GeneralName::Uri(ia5(name.value)),
        0x87 => GeneralName::Ip(name.value.to_vec()),
        0xa3 | 0xa5 | 0x88 => GeneralName::Other(name.tag),
        _ => return None,
    })
}

/// An IA5String; octets above 127 do not belong there and are read as Latin-1.
fn ia5(value: &[u8]) -> String {
    std::str::from_utf8(value).map_or_else(|_| value.iter().map(|b| char::from(*b)).collect(), str::to_owned)
}

/// Whether a BOOLEAN in a SEQUENCE is written as BER allows and DER does not.
fn has_loose_boolean(value: &[u8]) -> bool {
    let fields = read_tlv(value).map(|(t, _)| t.value).unwrap_or_default();
    elements(fields).any(|t| t.tag == 0x01 && !matches!(t.value, [0x00 | 0xff]))
}

fn is_name_constraints(value: &[u8]) -> Option<()> {
    let (outer, _) = read_tlv(value).filter(|(t, _)| t.tag == 0x30)?;
    for list in elements_exactly(outer.value)? {
        if !matches!(list.tag, 0xa0 | 0xa1) {
            return None;
        }
        for subtree in elements_exactly(list.value)? {
            let mut parts = elements_exactly(subtree.value).filter(|_| subtree.tag == 0x30)?.into_iter();
            general_name(parts.next()?)?;
            if parts.any(|t| !matches!(t.tag, 0x80 | 0x81)) {
                return None;
            }
        }
    }
    Some(())
}

/// CRLDistributionPoints: a sequence of sequences of [0] name, [1] reasons and [2] cRLIssuer.
fn is_distribution_points(value: &[u8]) -> Option<()> {
    let (outer, _) = read_tlv(value).filter(|(t, _)| t.tag == 0x30)?;
    for point in elements_exactly(outer.value)? {
        for part in elements_exactly(point.value).filter(|_| point.tag == 0x30)? {
            match part.tag {
                0xa0 => {
                    let (name, _) = read_tlv(part.value)?;
                    match name.tag {
                        0xa0 => general_names(name.value).map(|_| ())?,
                        0xa1 => {}
                        _ => return None,
                    }
                }
                0x81 => {}
                0xa2 => general_names(part.value).map(|_| ())?,
                _ => return None,
            }
        }
    }
    Some(())
}

/// ProxyCertInfo (RFC 3820, section 3.8): an optional length and a policy, which names its language.
fn is_proxy_info(value: &[u8]) -> Option<()> {
    let (outer, _) = read_tlv(value).filter(|(t, _)| t.tag == 0x30)?;
    let mut parts = elements_exactly(outer.value)?.into_iter().peekable();
    parts.next_if(|t| t.tag == 0x02);
    let policy = parts.next().filter(|t| t.tag == 0x30)?;
    elements(policy.value).next().filter(|t| t.tag == 0x06).map(|_| ())
}
