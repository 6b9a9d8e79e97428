//! Python's `ssl.create_default_context`: TRUSTED_FIRST since 2.7.10 and 3.4.5, partial chains and strictness since 3.13 (gh-107361).

use super::{Engine, Profile, reading, setting};
use crate::path::{ClientError, Question, Verdict, host_name::Rules, openssl, openssl_legacy, openssl_rules::Dialect};

/// `X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS` (Modules/_ssl.c, `new_context`).
const fn whole_label(policy: openssl::Policy) -> openssl::Policy {
    openssl::Policy { dialect: Dialect { host: Rules::WHOLE_LABEL, ..policy.dialect }, ..policy }
}

/// 2.7.10 to 3.6 on OpenSSL 1.0.2: the flag that saved Python from the outage on the same library.
pub static V2_7: Profile = Profile {
    id: "python-2.7",
    family: "python",
    range: ("2.7", "3.6"),
    versions: "2.7.10 to 2.7.18, 3.4.5 to 3.6, on OpenSSL 1.0.2",
    title: "Python up to 3.6",
    source: "Modules/_ssl.c, X509_V_FLAG_TRUSTED_FIRST; stands on openssl-1.0.2n+trusted_first",
    measured: false,
    ignores_anchor_dates: false,
    engine: Engine::OpensslLegacy(openssl_legacy::Policy { trusted_first: true, ..openssl_legacy::Policy::V1_0_2 }),
    reads: reading::openssl,
    settings: setting::OPENSSL,
    asks: judge,
};

/// 3.7 to 3.9 on OpenSSL 1.1.1.
pub static V3_7: Profile = Profile {
    id: "python-3.7",
    range: ("3.7", "3.9"),
    versions: "3.7 to 3.9, on OpenSSL 1.1.1",
    title: "Python 3.7 to 3.9",
    source: "Modules/_ssl.c; stands on openssl-1.1.1w",
    engine: Engine::Openssl(whole_label(openssl::Policy::V1_1_1)),
    ..V2_7
};

/// 3.10 to 3.12 on OpenSSL 3 at level 2 (3.10's own cipher list asks for it, and so do Debian and Ubuntu).
pub static V3_10: Profile = Profile {
    id: "python-3.10",
    range: ("3.10", "3.12"),
    versions: "3.10 to 3.12, on OpenSSL 3",
    title: "Python 3.10 to 3.12",
    source: "Modules/_ssl.c; measured: 3.11.7 and 3.12.1 on OpenSSL 3.0.22",
    measured: true,
    engine: Engine::Openssl(whole_label(openssl::Policy::V3.level(2))),
    ..V2_7
};

/// 3.13 and later: VERIFY_X509_PARTIAL_CHAIN and VERIFY_X509_STRICT by default.
pub static V3_13: Profile = Profile {
    id: "python-3.13",
    range: ("3.13", "3.99"),
    versions: "3.13 and later, on OpenSSL 3",
    title: "Python 3.13 and later",
    source: "Lib/ssl.py, create_default_context; measured: 3.13.0 on OpenSSL 3.0.22",
    engine: Engine::Openssl(openssl::Policy { partial_chain: true, strict: true, ..whole_label(openssl::Policy::V3.level(2)) }),
    ..V3_10
};

/// The library's first error; Python words a wrong host itself (`fill_and_set_sslerror`).
fn judge(engine: &Engine, question: &Question<'_>) -> Verdict {
    let host = question.host.unwrap_or_default();
    match engine.judge(question) {
        Verdict::Untrusted { path, errors } => {
            let word = |error: ClientError| match error.code.as_str() {
                "62" => ClientError { text: format!("Hostname mismatch, certificate is not valid for '{host}'."), ..error },
                "64" => ClientError { text: format!("IP address mismatch, certificate is not valid for '{host}'."), ..error },
                _ => error,
            };
            Verdict::Untrusted { path, errors: errors.into_iter().map(word).collect() }
        }
        other => other,
    }
}
