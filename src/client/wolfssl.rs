//! wolfSSL, by version and as distributions build it; `+alt_cert_chains` and `+no_alt_cert_chains` stand for the other builds.

use super::{Engine, Profile, library, reading};
use crate::path::wolfssl::Policy;

/// 4.x in a plain build.
pub static V4: Profile = Profile {
    id: "wolfssl-4",
    family: "wolfssl",
    range: ("4", "4.8"),
    versions: "4.0 to 4.8, without WOLFSSL_ALT_CERT_CHAINS",
    title: "wolfSSL 4",
    source: "src/internal.c, ProcessPeerCerts; measured: 4.6.0 of Debian 11",
    measured: true,
    // An expired authority is not loaded at all.
    ignores_anchor_dates: false,
    engine: Engine::Wolfssl(Policy::V4),
    reads: reading::wolfssl,
    settings: &[],
    asks: library,
};

/// 5.0 to 5.5 as distributions build it.
pub static V5: Profile = Profile {
    id: "wolfssl-5",
    range: ("5", "5.5"),
    versions: "5.0 to 5.5, with WOLFSSL_ALT_CERT_CHAINS",
    title: "wolfSSL 5",
    source: "src/internal.c, ProcessPeerCerts; measured: 5.5.4 of Debian 12",
    engine: Engine::Wolfssl(Policy::V5),
    ..V4
};

/// 5.7 as distributions build it.
pub static V5_7: Profile = Profile {
    id: "wolfssl-5.7",
    range: ("5.7", "5.7"),
    versions: "5.7, with WOLFSSL_ALT_CERT_CHAINS",
    title: "wolfSSL 5.7",
    source: "src/internal.c, ProcessPeerCerts; measured: 5.7.2 of Debian 13",
    engine: Engine::Wolfssl(Policy::V5_7),
    ..V4
};
