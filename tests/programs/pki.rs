//! Certificates made for one test, in the shapes that matter.

use std::path::PathBuf;

use certdoctor::program::StoreChoice;
use rcgen::{BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use tempfile::TempDir;
use time::{Duration as Days, OffsetDateTime};

/// What a server presents.
pub struct Identity {
    pub chain: Vec<Vec<u8>>,
    pub key: Vec<u8>,
}

/// Certificates, and stores in files.
pub struct Pki {
    pub dir: TempDir,
    pub good: Identity,
    pub expired_leaf: Identity,
    pub other_name: Identity,
    pub mapped: Identity,
    pub address: Identity,
    pub under_dead_root: Identity,
    pub addtrust: Identity,
}

impl Pki {
    pub fn new() -> Pki {
        let dir = tempfile::tempdir().expect("a directory");
        let root = Authority::new("Test USERTrust", -400, 4000);
        let dead = Authority::new("Test AddTrust", -4000, -200);
        let stranger = Authority::new("Test Stranger", -400, 4000);
        let [root_pem, dead_pem, stranger_pem] = [&root, &dead, &stranger].map(Authority::self_signed_pem);
        let both = format!("{dead_pem}{root_pem}");
        let glued = format!("{}{root_pem}", stranger_pem.trim_end());
        let stores = [("root", root_pem), ("dead", dead_pem), ("stranger", stranger_pem), ("dead+root", both), ("glued", glued)];
        for (name, content) in stores {
            std::fs::write(dir.path().join(format!("{name}.pem")), content).expect("a store");
        }
        let middle = Authority::new("Test Intermediate", -300, 3000);
        let (under_root, under_dead) = (middle.signed_by(&root), middle.signed_by(&dead));
        // The root's name and key, certified by the dead root for as long as that one lived.
        let cross = root.crossed_by(&dead, -3000, -200);
        let leaf = |name: &str, from, until, above: &[&Vec<u8>]| {
            let (certificate, key) = leaf(&middle, name, from, until);
            Identity { chain: std::iter::once(certificate).chain(above.iter().map(|der| (*der).clone())).collect(), key }
        };
        Pki {
            good: leaf("localhost", -10, 60, &[&under_root]),
            expired_leaf: leaf("localhost", -60, -2, &[&under_root]),
            other_name: leaf("other.example", -10, 60, &[&under_root]),
            mapped: leaf("mapped.example", -10, 60, &[&under_root]),
            address: leaf("127.0.0.1", -10, 60, &[&under_root]),
            under_dead_root: leaf("localhost", -10, 60, &[&under_dead]),
            addtrust: leaf("localhost", -10, 60, &[&under_root, &cross]),
            dir,
        }
    }

    pub fn path(&self, store: &str) -> PathBuf {
        self.dir.path().join(format!("{store}.pem"))
    }

    pub fn store(&self, store: &str) -> StoreChoice {
        StoreChoice::Files { file: Some(self.path(store).to_string_lossy().into_owned()), directory: None }
    }
}

struct Authority {
    params: CertificateParams,
    key: KeyPair,
}

impl Authority {
    fn new(name: &str, from: i64, until: i64) -> Authority {
        let mut params = dated(CertificateParams::default(), from, until);
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        Authority { params, key: KeyPair::generate().expect("a key") }
    }

    fn self_signed_pem(&self) -> String {
        self.params.clone().self_signed(&self.key).expect("a root").pem()
    }

    fn signed_by(&self, issuer: &Authority) -> Vec<u8> {
        let mut params = self.params.clone();
        params.use_authority_key_identifier_extension = true;
        params.signed_by(&self.key, &issuer.issuer()).expect("a certificate").der().to_vec()
    }

    fn crossed_by(&self, issuer: &Authority, from: i64, until: i64) -> Vec<u8> {
        let name = self.params.distinguished_name.clone();
        let mut crossed = dated(self.params.clone(), from, until);
        crossed.distinguished_name = name;
        crossed.signed_by(&self.key, &issuer.issuer()).expect("a certificate").der().to_vec()
    }

    fn issuer(&self) -> Issuer<'_, &KeyPair> {
        Issuer::from_params(&self.params, &self.key)
    }
}

fn leaf(issuer: &Authority, name: &str, from: i64, until: i64) -> (Vec<u8>, Vec<u8>) {
    let mut params = dated(CertificateParams::new([name.to_owned()]).expect("a name"), from, until);
    params.distinguished_name.push(DnType::CommonName, "Test Leaf");
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    let key = KeyPair::generate().expect("a key");
    (params.signed_by(&key, &issuer.issuer()).expect("a leaf").der().to_vec(), key.serialize_der())
}

/// Without a name, valid from and until so many days from now: the programs judge by this host's clock.
fn dated(mut params: CertificateParams, from: i64, until: i64) -> CertificateParams {
    let now = OffsetDateTime::now_utc();
    params.not_before = now + Days::days(from);
    params.not_after = now + Days::days(until);
    params.distinguished_name = rcgen::DistinguishedName::new();
    params
}
