//! Apple's SecTrust, from documents and open sources; nobody asked it.

use super::{Engine, Profile, library, reading};
use crate::path::platform::Policy;

/// macOS 10.12 and iOS 10, and later.
pub static SEC_TRUST: Profile = Profile {
    id: "apple",
    family: "apple",
    range: ("10.12", "99"),
    versions: "macOS 10.12 and iOS 10, and later",
    title: "Apple SecTrust",
    source: "trustd SecPathBuilder, SecCertificatePathVCScore; support.apple.com/103769; documented, not asked",
    measured: false,
    ignores_anchor_dates: false,
    engine: Engine::Platform(Policy::Apple),
    reads: reading::apple,
    settings: &[],
    asks: library,
};
