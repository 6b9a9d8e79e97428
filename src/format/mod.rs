//! Bytes to entries: PEM bundles, DER, PKCS #7, Java keystores; and Dockerfiles to instructions.
//!
//! Absent on purpose: files. Everything here takes bytes and returns values; a block that can't be read is an entry with a reason,
//! never an error that hides the others.

pub mod caddyfile;
pub mod config_obj;
pub mod crontab;
pub mod der;
pub mod dockerfile;
pub mod jks;
pub mod nginx;
pub mod pem;
pub mod pkcs7;
pub mod private_key;
pub mod section;
pub mod sniff;
pub mod systemd_unit;
pub mod toml_table;

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Mutex, PoisonError},
};

use crate::{
    base::same,
    facts::{Entry, Quirk},
    x509::{Certificate, NotACertificate},
};

/// What a file holds.
#[derive(Clone, Debug, Default)]
pub struct Scan {
    /// In file order.
    pub entries: Vec<Entry>,
    /// Oddities of its form.
    pub quirks: BTreeSet<Quirk>,
}

/// Certificates seen before, so that a store parses each once although bundle, sources and links repeat it. Two threads may share it.
#[derive(Debug)]
pub struct Interner {
    /// By the last bytes of the DER: they lie in the signature, so two certificates hardly ever share them. Only asked, never gone
    /// through: the order of hashes does not show.
    known: Mutex<HashMap<u128, Certificate, foldhash::fast::RandomState>>,
}

/// As many as a store holds.
const STORE: usize = 200;

impl Default for Interner {
    fn default() -> Self {
        Interner { known: Mutex::new(HashMap::with_capacity_and_hasher(STORE, Default::default())) }
    }
}

impl Interner {
    /// The certificate of this DER, parsed at most once (twice when two threads see it at the same time).
    ///
    /// # Errors
    /// As [`Certificate::parse`].
    pub fn certificate(&self, der: &[u8]) -> Result<Certificate, NotACertificate> {
        let Some(tail) = der.last_chunk().copied().map(u128::from_ne_bytes) else { return Certificate::parse(der) };
        let known = || self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = known().get(&tail).filter(|k| same(k.der(), der)) {
            return Ok(found.clone());
        }
        let certificate = Certificate::parse(der)?;
        known().insert(tail, certificate.clone());
        Ok(certificate)
    }
}
