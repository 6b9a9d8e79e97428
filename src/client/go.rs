//! Go's crypto/x509, as every Go program uses it on Linux and the BSDs; on macOS and Windows Go asks the platform.

use super::{Engine, Profile, library, reading, setting};
use crate::path::go::Policy;

/// 1.15: the common name stopped to count.
pub static V1_15: Profile = Profile {
    id: "go-1.15",
    family: "go",
    range: ("1.15", "1.15"),
    versions: "1.15",
    title: "Go 1.15",
    source: "crypto/x509/verify.go; measured: 1.15",
    measured: true,
    ignores_anchor_dates: false,
    engine: Engine::Go(Policy::V1_15),
    reads: reading::go,
    settings: setting::GO,
    asks: library,
};

/// 1.16 and 1.17.
pub static V1_16: Profile = Profile {
    id: "go-1.16",
    range: ("1.16", "1.17"),
    versions: "1.16 to 1.17",
    title: "Go 1.16 and 1.17",
    source: "crypto/x509/verify.go; from the source only",
    measured: false,
    engine: Engine::Go(Policy::V1_16),
    ..V1_15
};

/// 1.18 to 1.22: SHA-1 is refused.
pub static V1_18: Profile = Profile {
    id: "go-1.18",
    range: ("1.18", "1.22"),
    versions: "1.18 to 1.22",
    title: "Go 1.18 to 1.22",
    source: "crypto/x509/verify.go; measured: 1.19",
    engine: Engine::Go(Policy::V1_18),
    settings: setting::GO_SHA1,
    ..V1_15
};

/// 1.23 and later.
pub static V1_23: Profile = Profile {
    id: "go-1.23",
    range: ("1.23", "1.99"),
    versions: "1.23 and later",
    title: "Go 1.23 and later",
    source: "crypto/x509/verify.go; measured: 1.24, 1.27",
    engine: Engine::Go(Policy::V1_23),
    ..V1_15
};
