//! Windows' CryptoAPI and Schannel, from documents; nobody asked it.

use super::{Engine, Profile, library, reading};
use crate::path::platform::Policy;

/// Every version that is maintained.
pub static CRYPTO_API: Profile = Profile {
    id: "windows",
    family: "windows",
    range: ("6.1", "99"),
    versions: "7 and later",
    title: "Windows CryptoAPI",
    source: "CertGetCertificateChain (learn.microsoft.com); documented, not asked",
    measured: false,
    ignores_anchor_dates: false,
    engine: Engine::Platform(Policy::Windows),
    reads: reading::windows,
    settings: &[],
    asks: library,
};
