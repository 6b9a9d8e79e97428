//! Certificates in the shape of 30 May 2020, dated by this host's clock: the real programs judge by it.

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use time::{Duration, OffsetDateTime};

/// A dead root, the root that lives on, and what the server presents: its certificate, the one above it, and the living root's key
/// certified by the dead root.
pub struct AddTrust {
    pub dead: String,
    pub living: String,
    pub chain: Vec<Vec<u8>>,
    pub key: Vec<u8>,
}

pub fn addtrust() -> AddTrust {
    let dead = Authority::new("Live Test Dead Root", -4000, -200);
    let living = Authority::new("Live Test Living Root", -400, 4000);
    let middle = Authority::new("Live Test Intermediate", -300, 3000);
    let mut params = dated(CertificateParams::new(["localhost".to_owned()]).expect("a name"), "localhost", -10, 60);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    let key = KeyPair::generate().expect("a key");
    let leaf = params.signed_by(&key, &middle.issuer()).expect("a leaf");
    let cross = living.certified_by(&dead, -3000, -200);
    AddTrust {
        chain: vec![leaf.der().to_vec(), middle.certified_by(&living, -300, 3000), cross],
        dead: dead.pem(),
        living: living.pem(),
        key: key.serialize_der(),
    }
}

/// A root that died yesterday, as PEM.
pub fn expired_root(name: &str) -> String {
    Authority::new(name, -400, -1).pem()
}

struct Authority {
    params: CertificateParams,
    key: KeyPair,
}

impl Authority {
    fn new(name: &str, from: i64, until: i64) -> Authority {
        let mut params = dated(CertificateParams::default(), name, from, until);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        Authority { params, key: KeyPair::generate().expect("a key") }
    }

    fn pem(&self) -> String {
        self.params.clone().self_signed(&self.key).expect("a root").pem()
    }

    fn certified_by(&self, issuer: &Authority, from: i64, until: i64) -> Vec<u8> {
        let mut params = self.params.clone();
        params.use_authority_key_identifier_extension = true;
        (params.not_before, params.not_after) = (days(from), days(until));
        params.signed_by(&self.key, &issuer.issuer()).expect("a certificate").der().to_vec()
    }

    fn issuer(&self) -> Issuer<'_, &KeyPair> {
        Issuer::from_params(&self.params, &self.key)
    }
}

fn dated(mut params: CertificateParams, name: &str, from: i64, until: i64) -> CertificateParams {
    (params.not_before, params.not_after) = (days(from), days(until));
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params
}

fn days(from_now: i64) -> OffsetDateTime {
    OffsetDateTime::now_utc() + Duration::days(from_now)
}
