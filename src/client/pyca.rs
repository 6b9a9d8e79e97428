//! pyca/cryptography's x509.verification.

use super::{Engine, Profile, library, reading};
use crate::path::pyca::Policy;

/// 49 and later: with a bound on signature checks.
pub static V49: Profile = Profile {
    id: "pyca-cryptography-49",
    family: "pyca-cryptography",
    range: ("49", "50"),
    versions: "49 to 50",
    title: "Python's cryptography 49 and later",
    source: "src/rust/cryptography-x509-verification; GHSA-jwv3-5hgf-82ww; measured: 50.0.2",
    measured: true,
    ignores_anchor_dates: false,
    engine: Engine::Pyca(Policy::V49),
    reads: reading::pyca,
    settings: &[],
    asks: library,
};

/// 46.0.6 to 48: without it.
pub static V46_0_6: Profile = Profile {
    id: "pyca-cryptography-46.0.6",
    range: ("46.0.6", "48"),
    versions: "46.0.6 to 48",
    title: "Python's cryptography 46.0.6 to 48",
    source: "src/rust/cryptography-x509-verification; CVE-2026-34073; measured: 46.0.7 over the corpora",
    engine: Engine::Pyca(Policy::V46_0_6),
    ..V49
};

/// 45 to 46.0.5: the name asked for is not compared with the constraints.
pub static V45: Profile = Profile {
    id: "pyca-cryptography-45",
    range: ("45", "46.0.5"),
    versions: "45 to 46.0.5",
    title: "Python's cryptography 45 to 46.0.5",
    source: "src/rust/cryptography-x509-verification; measured: 45.0.7, 46.0.5 over the corpora",
    engine: Engine::Pyca(Policy::V45),
    ..V49
};
