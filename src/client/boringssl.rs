//! BoringSSL called as a library, which has no versions: its X509 code and its newer path builder, libpki.

use super::{Engine, Profile, library, reading};
use crate::path::{Question, Verdict, boringssl, libpki};

/// `X509_verify_cert`.
pub static X509: Profile = Profile {
    id: "boringssl-x509",
    family: "boringssl-x509",
    range: ("2020", "2099"),
    versions: "2020 and later",
    title: "BoringSSL, X509_verify_cert",
    source: "crypto/x509/x509_vfy.cc; measured: boring-sys 5.4.0",
    measured: true,
    ignores_anchor_dates: false,
    engine: Engine::Boringssl(boringssl::Policy { partial_chain: false }),
    reads: |facts| reading::told(facts, None, "BoringSSL has no store of its own"),
    settings: &[],
    asks: library,
};

/// `bssl::CertificateVerify`, which checks no host.
pub static LIBPKI: Profile = Profile {
    id: "boringssl-libpki",
    family: "boringssl-libpki",
    range: ("2023", "2099"),
    versions: "2023 and later",
    title: "BoringSSL, bssl::CertificateVerify",
    source: "pki/path_builder.cc, pki/verify_certificate_chain.cc; measured: boring-sys 5.4.0",
    ignores_anchor_dates: true,
    engine: Engine::Libpki(libpki::Policy::LIBRARY),
    asks: without_host,
    ..X509
};

/// The client that leaves the host to its caller.
pub(super) fn without_host(engine: &Engine, question: &Question<'_>) -> Verdict {
    engine.judge(&Question { host: None, ..*question })
}
