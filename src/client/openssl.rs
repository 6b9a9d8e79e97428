//! OpenSSL's library, called as `openssl verify` calls it.

use super::{Engine, Profile, library, reading, setting};
use crate::path::{openssl, openssl_legacy};

/// 1.0.1 to 1.0.1m: no search for an alternative (it came with 1.0.1n, June 2015).
pub static V1_0_1M: Profile = Profile {
    id: "openssl-1.0.1m",
    range: ("1.0.1", "1.0.1m"),
    versions: "1.0.1 to 1.0.1m",
    title: "OpenSSL 1.0.1 before alternative chains",
    engine: Engine::OpensslLegacy(openssl_legacy::Policy { alternative_chains: false, ..openssl_legacy::Policy::V1_0_1 }),
    measured: false,
    ..V1_0_1
};

/// 1.0.1n to 1.0.1u.
pub static V1_0_1: Profile = Profile {
    id: "openssl-1.0.1",
    family: "openssl",
    range: ("1.0.1n", "1.0.1zz"),
    versions: "1.0.1n to 1.0.1u",
    title: "OpenSSL 1.0.1",
    source: "crypto/x509/x509_vfy.c, X509_verify_cert; measured in Node 0.12 (1.0.1u)",
    measured: true,
    ignores_anchor_dates: false,
    engine: Engine::OpensslLegacy(openssl_legacy::Policy::V1_0_1),
    reads: reading::openssl,
    settings: setting::OPENSSL,
    asks: library,
};

/// 1.0.2 and 1.0.2a: no search for an alternative.
pub static V1_0_2A: Profile = Profile {
    id: "openssl-1.0.2a",
    range: ("1.0.2", "1.0.2a"),
    versions: "1.0.2 to 1.0.2a",
    title: "OpenSSL 1.0.2 before alternative chains",
    engine: Engine::OpensslLegacy(openssl_legacy::Policy { alternative_chains: false, ..openssl_legacy::Policy::V1_0_2 }),
    measured: false,
    ..V1_0_2
};

/// 1.0.2b to 1.0.2u (and the letters of its extended support).
pub static V1_0_2: Profile = Profile {
    id: "openssl-1.0.2",
    range: ("1.0.2b", "1.0.2zz"),
    versions: "1.0.2b to 1.0.2u",
    title: "OpenSSL 1.0.2",
    source: "crypto/x509/x509_vfy.c, X509_verify_cert; measured: 1.0.2e, 1.0.2n, and 1.0.2o, r, s in Node",
    engine: Engine::OpensslLegacy(openssl_legacy::Policy::V1_0_2),
    ..V1_0_1
};

/// 1.1.0: `build_chain`, trusted first.
pub static V1_1_0: Profile = Profile {
    id: "openssl-1.1.0",
    range: ("1.1.0", "1.1.0zz"),
    versions: "1.1.0 to 1.1.0l",
    title: "OpenSSL 1.1.0",
    source: "crypto/x509/x509_vfy.c, build_chain; measured: 1.1.0i",
    engine: Engine::Openssl(openssl::Policy::V1_1_0),
    ..V1_0_1
};

/// 1.1.1 to 1.1.1g.
pub static V1_1_1G: Profile = Profile {
    id: "openssl-1.1.1g",
    range: ("1.1.1", "1.1.1g"),
    versions: "1.1.1 to 1.1.1g",
    title: "OpenSSL 1.1.1 up to 1.1.1g",
    source: "crypto/x509/x509_vfy.c, build_chain; measured: 1.1.1g",
    ..V1_1_0
};

/// 1.1.1h to 1.1.1w. The letter in which the issuer test stopped looking at keyUsage lies between h and k (1.1.1k measured in Node 10).
pub static V1_1_1: Profile = Profile {
    id: "openssl-1.1.1",
    range: ("1.1.1h", "1.1.1zz"),
    versions: "1.1.1h to 1.1.1w",
    title: "OpenSSL 1.1.1",
    source: "crypto/x509/x509_vfy.c, build_chain; measured: 1.1.1s, 1.1.1w, and 1.1.1k, n, v in Node",
    engine: Engine::Openssl(openssl::Policy::V1_1_1),
    ..V1_0_1
};

/// 3.0 to 3.5 at security level 1, which `X509_verify_cert` has by itself; TLS adds its own level.
pub static V3: Profile = Profile {
    id: "openssl-3.0",
    range: ("3.0", "3.5"),
    versions: "3.0 to 3.5",
    title: "OpenSSL 3.0 to 3.5",
    source: "crypto/x509/x509_vfy.c, build_chain; measured: 3.0.22, 3.5.7",
    engine: Engine::Openssl(openssl::Policy::V3),
    ..V1_0_1
};

/// 3.6 to 4.0: the same choices, one new text.
pub static V3_6: Profile = Profile {
    id: "openssl-3.6",
    range: ("3.6", "4.0"),
    versions: "3.6 to 4.0",
    title: "OpenSSL 3.6 and 4.0",
    source: "crypto/x509/x509_vfy.c, build_chain; measured: 3.6.5 (4.0 from its source only)",
    engine: Engine::Openssl(openssl::Policy::V3_6),
    ..V1_0_1
};
