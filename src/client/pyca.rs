//! pyca/cryptography's x509.verification.

use super::{Engine, Profile, library, reading};

/// 50: with a bound on signature checks.
pub static V50: Profile = Profile {
    id: "pyca-cryptography-50",
    family: "pyca-cryptography",
    range: ("50", "50"),
    versions: "50",
    title: "Python's cryptography",
    source: "src/rust/cryptography-x509-verification; measured: 50.0.2",
    measured: true,
    ignores_anchor_dates: false,
    engine: Engine::Pyca,
    reads: reading::pyca,
    asks: library,
};
