//! Firefox: mozilla::pkix with its own host check.

use super::{Engine, Profile, library, reading};

/// 115 to 153: no common name, no SHA-1.
pub static V115: Profile = Profile {
    id: "firefox-115",
    family: "firefox",
    range: ("115", "153esr"),
    versions: "115 to 153",
    title: "Firefox",
    source: "security/nss/lib/mozpkix/lib/pkixbuild.cpp, security/certverifier/NSSCertDBTrustDomain.cpp; measured: 153 ESR",
    measured: true,
    ignores_anchor_dates: false,
    engine: Engine::MozillaPkix,
    reads: reading::firefox,
    settings: &[],
    asks: library,
};
