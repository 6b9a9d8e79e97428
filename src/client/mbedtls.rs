//! Mbed TLS, by the default profile of its major version.

use super::{Engine, Profile, library, reading};
use crate::path::mbedtls::Policy;

/// 2.16 to 2.28.
pub static V2: Profile = Profile {
    id: "mbedtls-2",
    family: "mbedtls",
    range: ("2.16", "2.28"),
    versions: "2.16 to 2.28",
    title: "Mbed TLS 2",
    source: "library/x509_crt.c, x509_crt_verify_chain, the call without the TLS layer's look at the purpose; measured: 2.16, 2.28.3",
    measured: true,
    ignores_anchor_dates: false,
    engine: Engine::Mbedtls(Policy::V2),
    reads: reading::mbedtls,
    settings: &[],
    asks: library,
};

/// 3.0 to 3.4: the default profile from 128 bits on.
pub static V3: Profile = Profile {
    id: "mbedtls-3",
    range: ("3.0", "3.4"),
    versions: "3.0 to 3.4",
    title: "Mbed TLS 3",
    source: "library/x509_crt.c; from the source only",
    measured: false,
    engine: Engine::Mbedtls(Policy::V3),
    ..V2
};

/// 3.5 and 3.6: addresses among the alternative names.
pub static V3_6: Profile = Profile {
    id: "mbedtls-3.6",
    range: ("3.5", "3.6"),
    versions: "3.5 to 3.6",
    title: "Mbed TLS 3.6",
    source: "library/x509_crt.c; measured: 3.6",
    engine: Engine::Mbedtls(Policy::V3_5),
    ..V2
};
