//! Certificates in the shape of 30 May 2020, dated by this host's clock: the programs in the images judge by it.

#[path = "../common/authority.rs"]
mod authority;

use authority::{Authority, days};

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
            let (leaf, key) = middle.server(-800, 60);
            Identity { chain: std::iter::once(leaf).chain(above).collect(), key }
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

    /// The dead root's SHA-256.
    pub fn dead_sha256(&self) -> String {
        let certificates = certdoctor::format::sniff::certificates(self.dead.as_bytes()).certificates;
        certificates[0].fingerprint().to_string()
    }

    /// What the server without a valid path sends, as a file.
    pub fn only_path(&self) -> String {
        let certificate = |der: &Vec<u8>| certdoctor::x509::Certificate::parse(der).expect("a certificate");
        let blocks = self.under_dead.chain.iter().map(|der| certdoctor::render::pem(&certificate(der)));
        blocks.collect()
    }
}
