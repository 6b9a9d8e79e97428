//! Certificates in the shape of 30 May 2020, dated by this host's clock: the programs in the images judge by it.

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use time::{Duration, OffsetDateTime};

/// Days from now when everything was valid, the dead root too.
const HEALTHY: i64 = -500;

/// What a server presents, and its key, DER.
pub struct Identity {
    pub chain: Vec<Vec<u8>>,
    pub key: Vec<u8>,
}

/// A root that died 200 days ago, one that lives on, and servers below them.
pub struct Pki {
    pub dead: String,
    pub living: String,
    /// Sends the living root's key, certified by the dead root: two paths, of which one is valid.
    pub crossed: Identity,
    /// Has no path but the one to the dead root.
    pub under_dead: Identity,
    /// A Unix time at which the dead root was alive.
    pub healthy: i64,
}

impl Pki {
    pub fn new() -> Pki {
        let dead = Authority::new("Test Dead Root", -4000, -200);
        let living = Authority::new("Test Living Root", -1000, 4000);
        let middle = Authority::new("Test Intermediate", -900, 3000);
        let identity = |above: Vec<Vec<u8>>| {
            let mut params = dated(CertificateParams::new(["localhost".to_owned()]).expect("a name"), "localhost", -800, 60);
            params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
            params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
            params.use_authority_key_identifier_extension = true;
            let key = KeyPair::generate().expect("a key");
            let leaf = params.signed_by(&key, &middle.issuer()).expect("a leaf").der().to_vec();
            Identity { chain: std::iter::once(leaf).chain(above).collect(), key: key.serialize_der() }
        };
        Pki {
            crossed: identity(vec![middle.certified_by(&living, -900, 3000), living.certified_by(&dead, -1000, -200)]),
            under_dead: identity(vec![middle.certified_by(&dead, -900, 3000)]),
            dead: dead.pem(),
            living: living.pem(),
            healthy: days(HEALTHY).unix_timestamp(),
        }
    }

    /// The day of `healthy`, as `--at` takes it.
    pub fn day_of_health(&self) -> String {
        days(HEALTHY).date().to_string()
    }

    /// What the server without a valid path sends, as a file.
    pub fn only_path(&self) -> String {
        let blocks = self.under_dead.chain.iter().map(|der| {
            let text = base64_simd::STANDARD.encode_to_string(der);
            let lines: Vec<&str> = text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).expect("ASCII")).collect();
            format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n"))
        });
        blocks.collect()
    }
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
