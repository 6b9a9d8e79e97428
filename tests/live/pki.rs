//! Certificates in the shape of 30 May 2020, dated by this host's clock: the real programs judge by it.

#[path = "../common/authority.rs"]
mod authority;

use authority::Authority;

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
    let (leaf, key) = middle.server(-10, 60);
    let cross = living.certified_by(&dead, -3000, -200);
    AddTrust { chain: vec![leaf, middle.certified_by(&living, -300, 3000), cross], dead: dead.pem(), living: living.pem(), key }
}

/// A root that died yesterday, as PEM.
pub fn expired_root(name: &str) -> String {
    Authority::new(name, -400, -1).pem()
}
