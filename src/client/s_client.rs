//! `openssl s_client`: the library at the security level of TLS.

use super::{Engine, Profile, openssl as library_profiles};
use crate::path::openssl;

/// 1.0.2.
pub static V1_0_2: Profile = Profile {
    id: "s_client-1.0.2",
    family: "s_client",
    range: ("1.0.2b", "1.0.2zz"),
    title: "openssl s_client 1.0.2",
    measured: false,
    ..library_profiles::V1_0_2
};

/// 1.1.1 at its built-in level 1; Debian 11 raises it to 2 in openssl.cnf (`+seclevel2`).
pub static V1_1_1: Profile = Profile {
    id: "s_client-1.1.1",
    family: "s_client",
    title: "openssl s_client 1.1.1",
    source: "apps/s_cb.c; measured: 1.1.1w with OPENSSL_CONF=/dev/null",
    ..library_profiles::V1_1_1
};

/// 3.0 and later at level 2: compiled in by Debian and Ubuntu, upstream's default from 3.2 on.
pub static V3: Profile = Profile {
    id: "s_client-3.0",
    family: "s_client",
    title: "openssl s_client 3.0 to 3.5",
    source: "apps/lib/s_cb.c; measured: Debian's 3.0.22, 3.5.7",
    engine: Engine::Openssl(openssl::Policy::V3.level(2)),
    ..library_profiles::V3
};

/// 3.6 and later.
pub static V3_6: Profile = Profile {
    id: "s_client-3.6",
    family: "s_client",
    title: "openssl s_client 3.6",
    source: "apps/lib/s_cb.c; measured: Debian's 3.6.5",
    engine: Engine::Openssl(openssl::Policy::V3_6.level(2)),
    ..library_profiles::V3_6
};
