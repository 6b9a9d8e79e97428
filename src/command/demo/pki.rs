//! The chains of both nights in shape, with keys made on the spot: names, dates and cross-signs as they were, under names of their own.

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
};
use time::OffsetDateTime;

use crate::{base::At, cli::Scenario};

/// What the demo needs.
pub(super) struct Pki {
    /// The roots to put into the store: file name, PEM.
    pub(super) roots: Vec<(String, Vec<u8>)>,
    /// What the server sends: DER, leaf first.
    pub(super) chain: Vec<Vec<u8>>,
    /// The leaf's key, PKCS #8.
    pub(super) key: Vec<u8>,
    /// What the server sends, in words.
    pub(super) sends: &'static str,
}

/// What is told of a night.
pub(super) struct Story {
    /// What happened.
    pub(super) night: &'static str,
    /// The SHA-256 of the real root that died: what a real image's Dockerfile must name.
    pub(super) real_root: &'static str,
}

/// The telling of each scenario.
pub(super) fn story(scenario: Scenario) -> Story {
    match scenario {
        Scenario::Addtrust => Story {
            night: "30 May 2020, 10:48:38 UTC: AddTrust External CA Root expires. Servers still send a cross-certificate under it; browsers \
                    find the younger root, and old OpenSSL and GnuTLS take the dead one.",
            real_root: "687fa451382278fff0c8b11f8d43d576671c6eb2bceab413fb83d965d06d2ff2",
        },
        Scenario::DstRootX3 => Story {
            night: "30 September 2021, 14:01:15 UTC: DST Root CA X3 expires. Let's Encrypt's servers send a cross-certificate under it that is \
                    still valid; what looks at the root's dates and takes the sent path first refuses.",
            real_root: "0687260331a72403d909f105e69bcf0d32e1bd2493ffc6d9206d11bcd6770739",
        },
    }
}

/// Names and dates of a night.
struct Night {
    dead: (&'static str, &'static str, &'static str, &'static str),
    living: (&'static str, &'static str, &'static str, &'static str),
    cross: (&'static str, &'static str),
    issuing: (&'static str, &'static str, &'static str),
    sends: &'static str,
}

const ADDTRUST: Night = Night {
    dead: ("Demo AddTrust External CA Root", "Demo_AddTrust_External_Root.crt", "2000-05-30T10:48:38Z", "2020-05-30T10:48:38Z"),
    living: ("Demo USERTrust RSA CA", "Demo_USERTrust_RSA_CA.crt", "2010-02-01T00:00:00Z", "2038-01-18T23:59:59Z"),
    cross: ("2000-05-30T10:48:38Z", "2020-05-30T10:48:38Z"),
    issuing: ("Demo Sectigo RSA DV CA", "2018-11-02T00:00:00Z", "2040-12-31T23:59:59Z"),
    sends: "leaf, intermediate, and the cross-certificate of Demo USERTrust RSA CA under Demo AddTrust External CA Root",
};

const DST: Night = Night {
    dead: ("Demo DST Root CA X3", "Demo_DST_Root_CA_X3.crt", "2000-09-30T21:12:19Z", "2021-09-30T14:01:15Z"),
    living: ("Demo ISRG Root X1", "Demo_ISRG_Root_X1.crt", "2015-06-04T11:04:38Z", "2045-06-04T11:04:38Z"),
    cross: ("2021-01-20T19:14:03Z", "2044-09-30T18:14:03Z"),
    issuing: ("Demo R3", "2020-09-04T00:00:00Z", "2042-09-15T16:00:00Z"),
    sends: "leaf, intermediate, and the cross-certificate of Demo ISRG Root X1 under Demo DST Root CA X3",
};

/// Makes the PKI; the leaf is valid around `now`.
pub(super) fn make(scenario: Scenario, now: At) -> Result<Pki, rcgen::Error> {
    let night = match scenario {
        Scenario::Addtrust => ADDTRUST,
        Scenario::DstRootX3 => DST,
    };
    let (name, dead_file, from, to) = night.dead;
    let dead = CertifiedIssuer::self_signed(ca(name, from, to, None), KeyPair::generate()?)?;
    let (living_name, living_file, from, to) = night.living;
    let living = CertifiedIssuer::self_signed(ca(living_name, from, to, None), KeyPair::generate()?)?;
    let living_key: &KeyPair = living.key();
    let cross = ca(living_name, night.cross.0, night.cross.1, None).signed_by(living_key, &dead)?;
    let (issuing_name, from, to) = night.issuing;
    let issuing_key = KeyPair::generate()?;
    let issuing_params = ca(issuing_name, from, to, Some(0));
    let issuing = issuing_params.signed_by(&issuing_key, &living)?;
    let issuer = Issuer::new(issuing_params, issuing_key);

    let mut leaf = CertificateParams::new(vec![super::HOST.to_owned()])?;
    leaf.distinguished_name = rcgen::DistinguishedName::new();
    leaf.distinguished_name.push(DnType::CommonName, super::HOST);
    leaf.not_before = instant(now.plus_days(-20));
    leaf.not_after = instant(now.plus_days(60));
    leaf.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    leaf.use_authority_key_identifier_extension = true;
    let leaf_key = KeyPair::generate()?;
    let leaf = leaf.signed_by(&leaf_key, &issuer)?;

    Ok(Pki {
        roots: vec![(dead_file.to_owned(), dead.pem().into_bytes()), (living_file.to_owned(), living.pem().into_bytes())],
        chain: [leaf.der(), issuing.der(), cross.der()].iter().map(|der| der.to_vec()).collect(),
        key: leaf_key.serialize_der(),
        sends: night.sends,
    })
}

fn ca(name: &str, from: &str, to: &str, path_len: Option<u8>) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CountryName, "US");
    params.distinguished_name.push(DnType::OrganizationName, "certdoctor demo");
    params.distinguished_name.push(DnType::CommonName, name);
    params.not_before = At::parse(from).map_or(OffsetDateTime::UNIX_EPOCH, instant);
    params.not_after = At::parse(to).map_or(OffsetDateTime::UNIX_EPOCH, instant);
    params.is_ca = IsCa::Ca(path_len.map_or(BasicConstraints::Unconstrained, BasicConstraints::Constrained));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.use_authority_key_identifier_extension = true;
    params
}

fn instant(at: At) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(at.0).unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::x509::Certificate;

    #[test]
    fn both_nights_have_their_shape() {
        let now = At::parse("2026-11-22").expect("a date");
        for scenario in [Scenario::Addtrust, Scenario::DstRootX3] {
            let pki = make(scenario, now).expect("a PKI");
            let chain: Vec<Certificate> = pki.chain.iter().map(|der| Certificate::parse(der).expect("a certificate")).collect();
            let cross = &chain[2];
            assert!(!cross.is_self_issued());
            assert_eq!(chain[1].issuer(), cross.subject());
            assert_eq!(cross.is_expired(now), scenario == Scenario::Addtrust);
            assert_eq!(chain[1].authority_key_id().and_then(|a| a.key_id.as_deref()), cross.subject_key_id());
        }
    }
}
