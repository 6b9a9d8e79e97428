//! LibreSSL (OpenBSD, Alpine 3.5 to 3.6, macOS's curl of its time), by what stands behind `X509_verify_cert`.

use super::{Engine, Profile, library, reading};
use crate::path::libressl::Policy;

/// 2.5.1 to 3.1.2: as OpenSSL 1.0.2, but a valid issuer is preferred.
pub static V2_5: Profile = Profile {
    id: "libressl-2.5.1",
    family: "libressl",
    range: ("2.5.1", "3.1.2"),
    versions: "2.5.1 to 3.1.2",
    title: "LibreSSL up to 3.1.2",
    source: "crypto/x509/x509_vfy.c, X509_verify_cert, and x509_lu.c, X509_STORE_CTX_get1_issuer; measured: 2.9.2",
    measured: true,
    ignores_anchor_dates: false,
    engine: Engine::Libressl(Policy::V2_5),
    reads: reading::libressl,
    settings: &[],
    asks: library,
};

/// 3.1.3 to 3.2.1: expired certificates that were sent are passed over, which cured AddTrust and not DST.
pub static V3_1_3: Profile = Profile {
    id: "libressl-3.1.3",
    range: ("3.1.3", "3.2.1"),
    versions: "3.1.3 to 3.2.1",
    title: "LibreSSL 3.1.3 to 3.2.1",
    source: "crypto/x509/x509_vfy.c, find_issuer (allow_expired); measured: 3.1.5",
    engine: Engine::Libressl(Policy::V3_1_3),
    ..V2_5
};

/// 3.2.2 and 3.2.3: the first verifier after Go's.
pub static V3_2_2: Profile = Profile {
    id: "libressl-3.2.2",
    range: ("3.2.2", "3.2.3"),
    versions: "3.2.2, 3.2.3",
    title: "LibreSSL's first new verifier",
    source: "x509/x509_verify.c, x509_verify; measured: 3.2.3",
    engine: Engine::Libressl(Policy::V3_2_2),
    ..V2_5
};

/// 3.2.4 to 3.2.6: the old one again.
pub static V3_2_4: Profile = Profile {
    id: "libressl-3.2.4",
    range: ("3.2.4", "3.2.6"),
    versions: "3.2.4 to 3.2.6",
    title: "LibreSSL 3.2.4 to 3.2.6",
    source: "x509/x509_vpm.c, X509_V_FLAG_LEGACY_VERIFY by default; x509_vfy.c, X509_verify_cert_legacy",
    measured: false,
    engine: Engine::Libressl(Policy::V3_2_4),
    ..V2_5
};

/// 3.2.7 on: the old one, trusted first.
pub static V3_2_7: Profile = Profile {
    id: "libressl-3.2.7",
    range: ("3.2.7", "3.2.99"),
    versions: "3.2.7",
    title: "LibreSSL 3.2.7",
    source: "x509/x509_vpm.c, X509_V_FLAG_TRUSTED_FIRST by default; x509_vfy.c, X509_verify_cert_legacy",
    engine: Engine::Libressl(Policy::V3_2_7),
    ..V3_2_4
};

/// 3.3.0 and 3.3.1.
pub static V3_3_0: Profile = Profile {
    id: "libressl-3.3.0",
    range: ("3.3.0", "3.3.1"),
    versions: "3.3.0, 3.3.1",
    title: "LibreSSL 3.3.0 and 3.3.1",
    source: "x509/x509_verify.c, x509_verify; stands on 3.2.3",
    measured: false,
    ..V3_2_2
};

/// 3.3.2 to 3.3.4.
pub static V3_3_2: Profile = Profile {
    id: "libressl-3.3.2",
    range: ("3.3.2", "3.3.4"),
    versions: "3.3.2 to 3.3.4",
    title: "LibreSSL 3.3.2 to 3.3.4",
    ..V3_2_4
};

/// 3.3.5 on.
pub static V3_3_5: Profile = Profile {
    id: "libressl-3.3.5",
    range: ("3.3.5", "3.3.99"),
    versions: "3.3.5, 3.3.6",
    title: "LibreSSL 3.3.5 and 3.3.6",
    source: "x509/x509_vpm.c, X509_V_FLAG_TRUSTED_FIRST by default; x509_vfy.c, X509_verify_cert_legacy; measured: 3.3.6",
    measured: true,
    ..V3_2_7
};

/// 3.4.0 and later: the second new verifier.
pub static V3_4: Profile = Profile {
    id: "libressl-3.4.0",
    range: ("3.4.0", "4.99"),
    versions: "3.4.0 to 4.3",
    title: "LibreSSL 3.4 and later",
    source: "x509/x509_verify.c, x509_verify; measured: 4.3.2 (3.4.0 to 4.2 were not asked: they stand on their source and on 4.3.2)",
    engine: Engine::Libressl(Policy::V3_4),
    ..V2_5
};
