//! Certificates of any kind, made by rcgen.

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose, SignatureAlgorithm,
};

use super::openssl::command;

/// A certificate with its key.
pub struct Issued {
    pub pem: String,
    pub der: Vec<u8>,
    pub params: CertificateParams,
    pub key: KeyPair,
}

/// A distinguished name from its attributes.
pub fn name(attributes: &[(DnType, &str)]) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    for (kind, value) in attributes {
        name.push(kind.clone(), *value);
    }
    name
}

/// Parameters of a CA, valid from 2020 to 2040.
pub fn ca_params(common_name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = name(&[(DnType::CommonName, common_name)]);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.not_before = rcgen::date_time_ymd(2020, 1, 1);
    params.not_after = rcgen::date_time_ymd(2040, 1, 1);
    params
}

/// Parameters of a server's certificate for `localhost` and 127.0.0.1, valid from 2020 to 2040.
pub fn leaf_params() -> CertificateParams {
    let mut params = CertificateParams::new(vec!["localhost".into(), "127.0.0.1".into()]).expect("names");
    params.distinguished_name = name(&[(DnType::CommonName, "localhost")]);
    params.not_before = rcgen::date_time_ymd(2020, 1, 1);
    params.not_after = rcgen::date_time_ymd(2040, 1, 1);
    params
}

/// Signs `params` with a new P-256 key by `issuer`, or by itself.
pub fn issue(params: CertificateParams, issuer: Option<&Issued>) -> Issued {
    issue_with(params, KeyPair::generate().expect("a key"), issuer)
}

/// Signs `params` with `key` by `issuer`, or by itself.
pub fn issue_with(params: CertificateParams, key: KeyPair, issuer: Option<&Issued>) -> Issued {
    let certificate = match issuer {
        Some(issuer) => params.signed_by(&key, &Issuer::from_params(&issuer.params, &issuer.key)),
        None => params.self_signed(&key),
    }
    .expect("a certificate");
    Issued { pem: certificate.pem(), der: certificate.der().to_vec(), params, key }
}

/// A new RSA key, which ring can use but not make.
pub fn rsa_key() -> KeyPair {
    made_by_openssl(&["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"], &rcgen::PKCS_RSA_SHA256)
}

/// A new key of another program's make: ring writes Ed25519 keys in a form that OpenSSL 3.0 can't read.
pub fn made_by_openssl(arguments: &[&str], algorithm: &'static SignatureAlgorithm) -> KeyPair {
    let made = command("openssl").args(["genpkey", "-quiet"]).args(arguments).output();
    let pem = String::from_utf8(made.expect("openssl").stdout).expect("PEM");
    KeyPair::from_pkcs8_pem_and_sign_algo(&pem, algorithm).expect("a key")
}
