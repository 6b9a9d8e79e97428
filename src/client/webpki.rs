//! rustls and everything on it, by the version of its verifier.

use super::{Engine, Profile, library, reading, setting};
use crate::path::webpki::Policy;

/// webpki 0.22 (rustls 0.20 and 0.21.0).
pub static V0_22: Profile = Profile {
    id: "webpki-0.22",
    family: "webpki",
    range: ("0.21", "0.22"),
    versions: "0.21 to 0.22",
    title: "webpki 0.22",
    source: "src/verify_cert.rs; measured: 0.22.4",
    measured: true,
    ignores_anchor_dates: true,
    engine: Engine::Webpki(Policy::V0_22),
    reads: reading::rustls,
    settings: setting::OPENSSL,
    asks: library,
};

/// rustls-webpki 0.100 and 0.101 (rustls 0.21).
pub static V0_101: Profile = Profile {
    id: "rustls-webpki-0.101",
    family: "rustls-webpki",
    range: ("0.100", "0.101"),
    versions: "0.100 to 0.101",
    title: "rustls 0.21",
    source: "src/verify_cert.rs; measured: 0.101.7",
    engine: Engine::Webpki(Policy::V0_101),
    ..V0_22
};

/// rustls-webpki 0.102 and 0.103 (rustls 0.22 and 0.23).
pub static V0_102: Profile = Profile {
    id: "rustls-webpki-0.103",
    range: ("0.102", "0.103"),
    versions: "0.102 to 0.103",
    title: "rustls 0.23",
    source: "src/verify_cert.rs; measured: 0.103.16",
    engine: Engine::Webpki(Policy::V0_103),
    ..V0_101
};
