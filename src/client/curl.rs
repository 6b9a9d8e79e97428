//! curl on OpenSSL.
//!
//! It sets TRUSTED_FIRST only where the library lacks NO_ALT_CHAINS (7.43.0, commit b8673bb9f0), which is to say never on 1.0.2b and later:
//! on the same OpenSSL 1.0.2 curl failed and Python did not.

use super::{Engine, Profile, reading, setting};
use crate::path::{ClientError, Question, Rejection, Verdict, host_name, host_name::Rules, openssl, openssl_legacy};

/// 7.43 to 7.67 on OpenSSL 1.0.2.
pub static BEFORE_PARTIAL: Profile = Profile {
    id: "curl-7.43",
    family: "curl",
    range: ("7.43", "7.67"),
    versions: "7.43 to 7.67, on OpenSSL 1.0.2",
    title: "curl up to 7.67 on OpenSSL 1.0.2",
    source: "lib/vtls/openssl.c (b8673bb9f0), curl#5496; stands on openssl-1.0.2n",
    measured: false,
    ignores_anchor_dates: false,
    engine: Engine::OpensslLegacy(openssl_legacy::Policy::V1_0_2),
    reads: reading::curl,
    settings: setting::CURL,
    asks: judge,
};

/// 7.68 and later on OpenSSL 3 at level 2: PARTIAL_CHAIN by default (94f1f77158).
pub static PARTIAL: Profile = Profile {
    id: "curl-7.68",
    range: ("7.68", "9"),
    versions: "7.68 and later, on OpenSSL 3",
    title: "curl on OpenSSL 3",
    source: "lib/vtls/openssl.c (94f1f77158); measured: 7.88.1 on OpenSSL 3.0.22",
    measured: true,
    engine: Engine::Openssl(openssl::Policy { partial_chain: true, ..openssl::Policy::V3.level(2) }),
    ..BEFORE_PARTIAL
};

/// The library judges the path, curl the host; exit status 60, but 35 for a signature, whose error the handshake reports itself.
fn judge(engine: &Engine, question: &Question<'_>) -> Verdict {
    match engine.judge(&Question { host: None, ..*question }) {
        Verdict::Untrusted { path, errors } => Verdict::Untrusted { path, errors: errors.into_iter().map(word).collect() },
        Verdict::Trusted { path } => {
            match question.host.map(|host| (host, host_name::check(question.leaf(), host, Rules::WHOLE_LABEL))) {
                Some((host, Err(rejection))) => Verdict::Untrusted { path, errors: vec![wrong_host(host, rejection)] },
                _ => Verdict::Trusted { path },
            }
        }
        unknown => unknown,
    }
}

fn word(error: ClientError) -> ClientError {
    if error.code == "7" {
        let name = "CURLE_SSL_CONNECT_ERROR".to_owned();
        return ClientError { code: "35".into(), name, text: "error:0200008A:rsa routines::invalid padding".into(), ..error };
    }
    let text = format!("SSL certificate problem: {}", error.text);
    ClientError { code: "60".into(), name: "CURLE_PEER_FAILED_VERIFICATION".into(), text, ..error }
}

pub(super) fn wrong_host(host: &str, rejection: Rejection) -> ClientError {
    ClientError {
        code: "60".into(),
        name: "CURLE_PEER_FAILED_VERIFICATION".into(),
        depth: Some(0),
        text: format!("SSL: no alternative certificate subject name matches target host name '{host}'"),
        rejection,
    }
}
