//! Certificate revocation lists (RFC 5280, section 5), read as OpenSSL reads them (`crl_cb`, crypto/x509/x_crl.c).

use std::{collections::BTreeMap, ops::Range, sync::Arc};

use super::{
    AuthorityKeyId, GeneralName, Name, NotACertificate, SignatureAlgorithm,
    certificate::read_date,
    der::{Tlv, elements, oid_text, read_tlv},
    general_names,
};
use crate::base::At;

/// All reasons that a list can be about (`CRLDP_ALL_REASONS`): the bits of ReasonFlags as they lie in the octets.
pub const ALL_REASONS: u16 = 0x807f;

/// A parsed list; cheap to clone. Equality is equality of the DER.
#[derive(Clone, Debug)]
pub struct Crl(Arc<Fields>);

#[derive(Debug)]
struct Fields {
    der: Box<[u8]>,
    tbs: Range<usize>,
    signature: Range<usize>,
    algorithm: SignatureAlgorithm,
    same_algorithm: bool,
    issuer: Name,
    this_update: Option<At>,
    next_update: Option<Option<At>>,
    revoked: BTreeMap<Vec<u8>, Vec<Revoked>>,
    extensions: BTreeMap<String, Range<usize>>,
    unhandled_critical: bool,
    scope: Option<Scope>,
    authority_key_id: Option<AuthorityKeyId>,
}

/// One entry of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revoked {
    /// Who issued the certificate, when that is not who issued the list (certificateIssuer, which later entries inherit).
    pub issuer: Option<Vec<GeneralName>>,
    /// The reason says removeFromCRL: a delta takes the entry back.
    pub removed: bool,
}

/// issuingDistributionPoint.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scope {
    /// The point, if it is named.
    pub point: Option<PointName>,
    /// onlyContainsUserCerts.
    pub only_users: bool,
    /// onlyContainsCACerts.
    pub only_cas: bool,
    /// onlyContainsAttributeCerts.
    pub only_attributes: bool,
    /// onlySomeReasons.
    pub reasons: Option<u16>,
    /// indirectCRL.
    pub indirect: bool,
}

/// DistributionPointName.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PointName {
    /// fullName.
    Full(Vec<GeneralName>),
    /// nameRelativeToCRLIssuer, already appended to the issuer's name: its canonical form.
    Relative(Vec<u8>),
}

/// One element of cRLDistributionPoints in a certificate.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DistributionPoint {
    /// Where the list is.
    pub point: Option<PointName>,
    /// The reasons that it is about; `None` for all.
    pub reasons: Option<u16>,
    /// Who issues it, when that is not the certificate's issuer.
    pub issuer: Vec<GeneralName>,
}

impl Scope {
    /// Whether more than one of the three kinds is said to be the only one.
    #[must_use]
    pub fn is_invalid(&self) -> bool {
        [self.only_users, self.only_cas, self.only_attributes].iter().filter(|b| **b).count() > 1
    }
}

impl Crl {
    /// Reads one DER list, leniently.
    ///
    /// # Errors
    /// [`NotACertificate`] when the frame of RFC 5280, section 5.1 isn't there.
    pub fn parse(der: &[u8]) -> Result<Crl, NotACertificate> {
        let fail = NotACertificate;
        let (outer, _) = read_tlv(der).filter(|(t, _)| t.tag == 0x30).ok_or(fail("no complete SEQUENCE"))?;
        let der = outer.whole;
        let at = |part: &[u8]| {
            let start = part.as_ptr() as usize - der.as_ptr() as usize;
            start..start + part.len()
        };
        let mut parts = elements(outer.value);
        let tbs = parts.next().filter(|t| t.tag == 0x30).ok_or(fail("no tbsCertList"))?;
        let algorithm = parts.next().filter(|t| t.tag == 0x30).ok_or(fail("no signatureAlgorithm"))?;
        let signature = parts.next().filter(|t| t.tag == 0x03).ok_or(fail("no signature"))?;
        let mut fields = elements(tbs.value).peekable();
        fields.next_if(|t| t.tag == 0x02);
        let inner = fields.next().filter(|t| t.tag == 0x30).ok_or(fail("no signature algorithm"))?;
        let issuer = fields.next().filter(|t| t.tag == 0x30).ok_or(fail("no issuer"))?;
        let is_date = |t: &Tlv<'_>| matches!(t.tag, 0x17 | 0x18);
        let this_update = fields.next_if(is_date).ok_or(fail("no thisUpdate"))?;
        let next_update = fields.next_if(is_date);
        let entries = fields.next_if(|t| t.tag == 0x30);
        let list = fields.next_if(|t| t.tag == 0xa0).and_then(|t| read_tlv(t.value)).map(|(t, _)| t.value).unwrap_or_default();

        let issuer = Name::new(issuer.whole);
        let mut unhandled_critical = false;
        let mut revoked: BTreeMap<Vec<u8>, Vec<Revoked>> = BTreeMap::new();
        let mut inherited = None;
        for entry in elements(entries.map(|e| e.value).unwrap_or_default()) {
            let mut parts = elements(entry.value);
            let Some(serial) = parts.next().filter(|t| t.tag == 0x02) else { continue };
            let mut read = Revoked { issuer: None, removed: false };
            for extension in extensions(parts.nth(1).map(|t| t.value).unwrap_or_default()) {
                match &*extension.oid {
                    "2.5.29.21" => read.removed = read_tlv(extension.value.value).is_some_and(|(t, _)| t.value == [8]),
                    "2.5.29.29" => inherited = read_tlv(extension.value.value).and_then(|(t, _)| general_names(t.value)),
                    _ => {}
                }
                unhandled_critical |= extension.critical && extension.oid != "2.5.29.29";
            }
            read.issuer.clone_from(&inherited);
            revoked.entry(serial.value.to_vec()).or_default().push(read);
        }

        let mut found = BTreeMap::new();
        let mut scope = None;
        let mut authority_key_id = None;
        for extension in extensions(list) {
            let value = extension.value.value;
            match &*extension.oid {
                "2.5.29.28" => scope = Some(read_scope(value, &issuer)),
                "2.5.29.35" => authority_key_id = AuthorityKeyId::read(value),
                _ => {}
            }
            // Handled: issuingDistributionPoint, authorityKeyIdentifier, deltaCRLIndicator.
            unhandled_critical |= extension.critical && !matches!(&*extension.oid, "2.5.29.27" | "2.5.29.28" | "2.5.29.35");
            found.entry(extension.oid).or_insert_with(|| at(value));
        }
        Ok(Crl(Arc::new(Fields {
            tbs: at(tbs.whole),
            signature: at(signature.value.get(1..).unwrap_or(signature.value)),
            algorithm: SignatureAlgorithm::read(algorithm.whole),
            same_algorithm: algorithm.whole == inner.whole,
            issuer,
            this_update: read_date(&this_update),
            next_update: next_update.map(|t| read_date(&t)),
            revoked,
            extensions: found,
            unhandled_critical,
            scope,
            authority_key_id,
            der: der.into(),
        })))
    }

    /// The whole list.
    #[must_use]
    pub fn der(&self) -> &[u8] {
        &self.0.der
    }

    /// The signed part, with tag and length.
    #[must_use]
    pub fn tbs(&self) -> &[u8] {
        &self.0.der[self.0.tbs.clone()]
    }

    /// The signature's octets.
    #[must_use]
    pub fn signature(&self) -> &[u8] {
        &self.0.der[self.0.signature.clone()]
    }

    /// How it was signed.
    #[must_use]
    pub fn signature_algorithm(&self) -> &SignatureAlgorithm {
        &self.0.algorithm
    }

    /// Whether the two algorithm fields agree.
    #[must_use]
    pub fn names_one_algorithm(&self) -> bool {
        self.0.same_algorithm
    }

    /// Who signed it, by name.
    #[must_use]
    pub fn issuer(&self) -> &Name {
        &self.0.issuer
    }

    /// thisUpdate; `None` when it can't be read.
    #[must_use]
    pub fn this_update(&self) -> Option<At> {
        self.0.this_update
    }

    /// nextUpdate: outer `None` when there is none, inner `None` when it can't be read.
    #[must_use]
    pub fn next_update(&self) -> Option<Option<At>> {
        self.0.next_update
    }

    /// The entries with this serial number (its contents, as encoded).
    #[must_use]
    pub fn revoked(&self, serial: &[u8]) -> &[Revoked] {
        self.0.revoked.get(serial).map(Vec::as_slice).unwrap_or_default()
    }

    /// Whether an extension of the list or of an entry is critical and unknown.
    #[must_use]
    pub fn has_unhandled_critical(&self) -> bool {
        self.0.unhandled_critical
    }

    /// issuingDistributionPoint.
    #[must_use]
    pub fn scope(&self) -> Option<&Scope> {
        self.0.scope.as_ref()
    }

    /// authorityKeyIdentifier.
    #[must_use]
    pub fn authority_key_id(&self) -> Option<&AuthorityKeyId> {
        self.0.authority_key_id.as_ref()
    }

    /// The contents of the extension `oid`.
    #[must_use]
    pub fn extension(&self, oid: &str) -> Option<&[u8]> {
        self.0.extensions.get(oid).map(|range| &self.0.der[range.clone()])
    }

    /// cRLNumber, without leading zeros.
    #[must_use]
    pub fn number(&self) -> Option<&[u8]> {
        self.extension("2.5.29.20").and_then(integer)
    }

    /// BaseCRLNumber of deltaCRLIndicator, without leading zeros.
    #[must_use]
    pub fn base_number(&self) -> Option<&[u8]> {
        self.extension("2.5.29.27").and_then(integer)
    }
}

impl PartialEq for Crl {
    fn eq(&self, other: &Self) -> bool {
        self.0.der == other.0.der
    }
}

impl Eq for Crl {}

/// Reads cRLDistributionPoints of a certificate that `issuer` issued (`setup_crldp`, crypto/x509/v3_purp.c).
#[must_use]
pub fn distribution_points(value: &[u8], issuer: &Name) -> Vec<DistributionPoint> {
    let list = read_tlv(value).map(|(t, _)| t.value).unwrap_or_default();
    let read = |point: Tlv<'_>| {
        let parts = || elements(point.value);
        let names = parts().find(|t| t.tag == 0xa2).and_then(|t| general_names(t.value)).unwrap_or_default();
        let base = names.iter().find_map(|n| if let GeneralName::Directory(name) = n { Some(name) } else { None });
        DistributionPoint {
            point: parts().find(|t| t.tag == 0xa0).and_then(|t| point_name(t.value, base.unwrap_or(issuer))),
            reasons: parts().find(|t| t.tag == 0x81).map(|t| reasons(t.value)),
            issuer: names,
        }
    };
    elements(list).map(read).collect()
}

fn read_scope(value: &[u8], issuer: &Name) -> Scope {
    let mut scope = Scope::default();
    let list = read_tlv(value).map(|(t, _)| t.value).unwrap_or_default();
    for part in elements(list) {
        let yes = part.value.first().is_some_and(|b| *b != 0);
        match part.tag {
            0xa0 => scope.point = point_name(part.value, issuer),
            0x81 => scope.only_users = yes,
            0x82 => scope.only_cas = yes,
            0x83 => scope.reasons = Some(reasons(part.value)),
            0x84 => scope.indirect = yes,
            0x85 => scope.only_attributes = yes,
            _ => {}
        }
    }
    scope
}

fn point_name(value: &[u8], issuer: &Name) -> Option<PointName> {
    let (name, _) = read_tlv(value)?;
    match name.tag {
        0xa0 => general_names(name.value).map(PointName::Full),
        // The fragment is one RDN: a SET without its tag.
        0xa1 => {
            let mut relative = issuer.canonical();
            relative.extend(Name::of_rdn(name.value).canonical());
            Some(PointName::Relative(relative))
        }
        _ => None,
    }
}

fn reasons(bits: &[u8]) -> u16 {
    let octet = |i: usize| u16::from(bits.get(i).copied().unwrap_or(0));
    (octet(1) | octet(2) << 8) & ALL_REASONS
}

fn integer(value: &[u8]) -> Option<&[u8]> {
    let (number, _) = read_tlv(value).filter(|(t, _)| t.tag == 0x02)?;
    Some(&number.value[number.value.iter().take_while(|b| **b == 0).count()..])
}

struct FoundExtension<'a> {
    oid: String,
    critical: bool,
    value: Tlv<'a>,
}

fn extensions(list: &[u8]) -> Vec<FoundExtension<'_>> {
    let mut found = Vec::new();
    for item in elements(list) {
        let mut parts = elements(item.value).peekable();
        let Some(oid) = parts.next().filter(|t| t.tag == 0x06) else { continue };
        let critical = parts.next_if(|t| t.tag == 0x01).is_some_and(|t| t.value.first().is_some_and(|b| *b != 0));
        let Some(value) = parts.next().filter(|t| t.tag == 0x04) else { continue };
        found.push(FoundExtension { oid: oid_text(oid.value).into_owned(), critical, value });
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::x509::{Certificate, SignatureCache};

    #[test]
    fn reads_what_rcgen_writes() {
        let key = rcgen::KeyPair::generate().expect("a key");
        let mut params = rcgen::CertificateParams::new(Vec::new()).expect("params");
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let ca = Certificate::parse(params.self_signed(&key).expect("signs").der()).expect("parses");
        let date = |year| time::Date::from_calendar_date(year, time::Month::January, 1).expect("a date").midnight().assume_utc();
        let revoked = rcgen::RevokedCertParams {
            serial_number: rcgen::SerialNumber::from(vec![7]),
            revocation_time: date(2020),
            reason_code: None,
            invalidity_date: None,
        };
        let list = rcgen::CertificateRevocationListParams {
            this_update: date(2020),
            next_update: date(2021),
            crl_number: rcgen::SerialNumber::from(vec![9]),
            issuing_distribution_point: None,
            revoked_certs: vec![revoked],
            key_identifier_method: rcgen::KeyIdMethod::Sha256,
        };
        let der = list.signed_by(&rcgen::Issuer::from_params(&params, &key)).expect("signs");
        let crl = Crl::parse(der.der()).expect("a list");
        assert_eq!(crl.issuer().canonical(), ca.canonical_subject());
        assert_eq!(crl.next_update().flatten().map(|at| at.to_string()).as_deref(), Some("2021-01-01T00:00:00Z"));
        assert_eq!((crl.number(), crl.base_number()), (Some(&[9][..]), None));
        assert_eq!((crl.revoked(&[7]).len(), crl.revoked(&[8]).len()), (1, 0));
        assert!(!crl.has_unhandled_critical() && crl.scope().is_none());
        assert_eq!(SignatureCache::new().verify_crl(&crl, &ca), Ok(()));
        assert!(Crl::parse(ca.der()).is_err());
    }

    #[test]
    fn reasons_are_bits_in_octets() {
        assert_eq!(reasons(&[6, 0x40]), 0x0040);
        assert_eq!(reasons(&[7, 0x00, 0x80]), 0x8000 & ALL_REASONS);
    }
}
