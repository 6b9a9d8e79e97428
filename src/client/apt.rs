//! apt over HTTPS: GnuTLS from 1.5 (its own `https` method) to 2.8; apt 3 has OpenSSL.

use super::{Engine, Profile, gnutls::recode, reading};
use crate::path::{Question, Verdict, gnutls::Policy};

/// On GnuTLS 3.7 and later: no key purpose; the host is checked by the library.
pub static GNUTLS: Profile = Profile {
    id: "apt-1.5",
    family: "apt",
    range: ("1.5", "2.8"),
    versions: "1.5 to 2.8, on GnuTLS 3.7 and later",
    title: "apt",
    source: "methods/connect.cc, UnwrapTLS (gnutls_session_set_verify_cert); measured: 2.6.1 on GnuTLS 3.7.9",
    measured: true,
    ignores_anchor_dates: false,
    engine: Engine::Gnutls(Policy::V3_7.without_purpose()),
    reads: reading::gnutls,
    settings: &[],
    asks: judge,
};

/// The exit status is that of `APT::Update::Error-Mode=any`; without it a failed source is a warning.
fn judge(engine: &Engine, question: &Question<'_>) -> Verdict {
    let word =
        |text| format!("Certificate verification failed: {text} Could not handshake: Error in the certificate verification.");
    recode(engine.judge(question), "100", word)
}
