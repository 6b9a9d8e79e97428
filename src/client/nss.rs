//! NSS, as `vfychain` asks it in its two modes; no mode looks at the host.

use super::{Engine, Profile, library, reading};

/// `CERT_VerifyCertificate`.
pub static CLASSIC_3_61: Profile = Profile {
    id: "nss-classic-3.61",
    family: "nss-classic",
    range: ("3.61", "3.87"),
    versions: "3.61 to 3.87",
    title: "NSS, CERT_VerifyCertificate",
    source: "lib/certhigh/certvfy.c, lib/pki/pkibase.c; measured: vfychain 3.61, 3.87",
    measured: true,
    ignores_anchor_dates: false,
    engine: Engine::Nss,
    reads: reading::nss,
    settings: &[],
    asks: library,
};

/// `CERT_VerifyCertificate` since it answers as libpkix does; where between 3.87 and 3.110 that began is not known.
pub static CLASSIC_3_110: Profile = Profile {
    id: "nss-classic-3.110",
    range: ("3.110", "3.132"),
    versions: "3.110 to 3.132",
    title: "NSS, CERT_VerifyCertificate by libpkix",
    source: "lib/libpkix; measured: vfychain 3.110, 3.132",
    engine: Engine::NssPkix,
    ..CLASSIC_3_61
};

/// `CERT_PKIXVerifyCert`.
pub static PKIX: Profile = Profile {
    id: "nss-pkix",
    family: "nss-pkix",
    range: ("3.61", "3.132"),
    versions: "3.61 to 3.132",
    title: "NSS, CERT_PKIXVerifyCert",
    source: "lib/libpkix/pkix/top/pkix_build.c; measured: vfychain -pp 3.61, 3.87, 3.110, 3.132",
    engine: Engine::NssPkix,
    ..CLASSIC_3_61
};
