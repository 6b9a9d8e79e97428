//! Certificate authorities made for a test, dated in days from now: real programs judge them by this host's clock.

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use time::{Duration, OffsetDateTime};

pub struct Authority {
    params: CertificateParams,
    key: KeyPair,
}

impl Authority {
    pub fn new(name: &str, from: i64, until: i64) -> Authority {
        let mut params = dated(CertificateParams::default(), name, from, until);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        Authority { params, key: KeyPair::generate().expect("a key") }
    }

    /// Its own certificate, as PEM.
    pub fn pem(&self) -> String {
        self.params.clone().self_signed(&self.key).expect("a root").pem()
    }

    /// Its key certified by another authority, DER.
    pub fn certified_by(&self, issuer: &Authority, from: i64, until: i64) -> Vec<u8> {
        let mut params = self.params.clone();
        params.use_authority_key_identifier_extension = true;
        (params.not_before, params.not_after) = (days(from), days(until));
        params.signed_by(&self.key, &issuer.issuer()).expect("a certificate").der().to_vec()
    }

    /// A certificate for `localhost`, and its key, DER.
    pub fn server(&self, from: i64, until: i64) -> (Vec<u8>, Vec<u8>) {
        let mut params = dated(CertificateParams::new(["localhost".to_owned()]).expect("a name"), "localhost", from, until);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate().expect("a key");
        let leaf = params.signed_by(&key, &self.issuer()).expect("a leaf");
        (leaf.der().to_vec(), key.serialize_der())
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

pub fn days(from_now: i64) -> OffsetDateTime {
    OffsetDateTime::now_utc() + Duration::days(from_now)
}
