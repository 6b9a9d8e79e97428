//! Java's SunJSSE.

use super::{Engine, Profile, library, reading};

/// 11 to 25, which agree in every measured case; 8 shares the code but was not asked.
pub static V11: Profile = Profile {
    id: "java-11",
    family: "java",
    range: ("8", "25"),
    versions: "8 to 25",
    title: "Java",
    source: "sun.security.validator.PKIXValidator, sun.security.provider.certpath; measured: OpenJDK 11, 17, 25",
    measured: true,
    ignores_anchor_dates: true,
    engine: Engine::Java,
    reads: reading::java,
    settings: &[],
    asks: library,
};
