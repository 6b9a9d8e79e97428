//! GnuTLS, and the programs that use it in their own ways.

use super::{Engine, Profile, library, reading};
use crate::path::{ClientError, Question, Rejection, Verdict, gnutls::Policy, host_name, host_name::Rules};

/// Up to 3.5.
pub static V3_5: Profile = Profile {
    id: "gnutls-3.5",
    family: "gnutls",
    range: ("3.3", "3.5"),
    versions: "3.3 to 3.5",
    title: "GnuTLS up to 3.5",
    source: "lib/x509/verify-high.c, verify.c; measured: 3.5.19",
    measured: true,
    ignores_anchor_dates: false,
    engine: Engine::Gnutls(Policy::V3_5),
    reads: reading::gnutls,
    settings: &[],
    asks: library,
};

/// 3.6.0 to 3.6.13: SHA-1 is broken, an expired anchor still ends the search.
pub static V3_6_13: Profile = Profile {
    id: "gnutls-3.6.13",
    range: ("3.6", "3.6.13"),
    versions: "3.6.0 to 3.6.13",
    title: "GnuTLS 3.6 before 3.6.14",
    source: "lib/x509/verify-high.c before cdf075e7f; measured: 3.6.10 in ffmpeg",
    engine: Engine::Gnutls(Policy::V3_6),
    ..V3_5
};

/// 3.6.14 to 3.6.16.
pub static V3_6_14: Profile = Profile {
    id: "gnutls-3.6.14",
    range: ("3.6.14", "3.6"),
    versions: "3.6.14 to 3.6.16",
    title: "GnuTLS 3.6 from 3.6.14",
    source: "lib/x509/verify-high.c from cdf075e7f (2020-05-31); from the source only",
    measured: false,
    engine: Engine::Gnutls(Policy::V3_6_14),
    ..V3_5
};

/// 3.7 and later.
pub static V3_7: Profile = Profile {
    id: "gnutls-3.7",
    range: ("3.7", "3.99"),
    versions: "3.7 and later",
    title: "GnuTLS 3.7 and 3.8",
    source: "lib/x509/verify-high.c; measured: 3.7.1, 3.7.9, 3.8.9, 3.8.13",
    engine: Engine::Gnutls(Policy::V3_7),
    ..V3_5
};

/// gnutls-cli 3.7 and later: exit status 1 for everything.
pub static CLI: Profile = Profile {
    id: "gnutls-cli-3.7",
    family: "gnutls-cli",
    title: "gnutls-cli",
    source: "src/cli.c; measured: 3.7.9",
    asks: |engine, question| recode(engine.judge(question), "1", |text| text),
    ..V3_7
};

/// ffmpeg with GnuTLS up to 3.5: no key purpose, one message.
pub static FFMPEG_3_5: Profile = Profile {
    id: "ffmpeg-gnutls-3.5",
    family: "ffmpeg-gnutls",
    title: "ffmpeg with GnuTLS up to 3.5",
    source: "libavformat/tls_gnutls.c; measured: ffmpeg 4.1 with 3.5.19",
    engine: Engine::Gnutls(Policy::V3_5.without_purpose()),
    asks: ffmpeg,
    ..V3_5
};

/// ffmpeg with GnuTLS 3.6 before 3.6.14.
pub static FFMPEG_3_6: Profile = Profile {
    id: "ffmpeg-gnutls-3.6",
    title: "ffmpeg with GnuTLS 3.6 before 3.6.14",
    range: ("3.6", "3.6.13"),
    versions: "3.6.0 to 3.6.13",
    source: "libavformat/tls_gnutls.c; measured: ffmpeg 4.2.2 with 3.6.10",
    engine: Engine::Gnutls(Policy::V3_6.without_purpose()),
    ..FFMPEG_3_5
};

fn ffmpeg(engine: &Engine, question: &Question<'_>) -> Verdict {
    recode(engine.judge(question), "1", |_| "Peer certificate failed verification".to_owned())
}

/// wget 1.19 and later on GnuTLS 3.7 (Debian): no key purpose, its own look at the leaf's dates and at the host.
pub static WGET: Profile = Profile {
    id: "wget-1.19",
    family: "wget",
    range: ("1.19", "1.99"),
    versions: "1.19 and later, on GnuTLS 3.7",
    title: "wget",
    source: "src/gnutls.c, ssl_check_certificate; measured: 1.21.3 on GnuTLS 3.7.9",
    engine: Engine::Gnutls(Policy::V3_7.without_purpose()),
    asks: wget,
    ..V3_7
};

fn wget(engine: &Engine, question: &Question<'_>) -> Verdict {
    let host = question.host.unwrap_or_default();
    let path = match engine.judge(&Question { host: None, ..*question }) {
        Verdict::Trusted { path } => path,
        refused => return recode(refused, "5", |_| format!("The certificate of '{host}' is not trusted.")),
    };
    let error = |text: String, rejection| ClientError {
        code: "5".to_owned(),
        name: "WGET_EXIT_SSL_AUTH_FAIL".to_owned(),
        depth: Some(0),
        text,
        rejection,
    };
    let leaf = question.leaf();
    let errors = match leaf.validity().not_after {
        // wget refuses at the second of notAfter, which GnuTLS still accepts.
        Some(not_after) if not_after <= question.at => {
            vec![error("The certificate has expired".to_owned(), Rejection::Expired { not_after, at: question.at })]
        }
        _ => match host_name::check(leaf, host, Rules::GNUTLS) {
            Err(rejection) if question.host.is_some() => {
                vec![error(format!("The certificate's owner does not match hostname '{host}'"), rejection)]
            }
            _ => return Verdict::Trusted { path },
        },
    };
    Verdict::Untrusted { path, errors }
}

/// The library's verdict with the program's exit status; `word` gets GnuTLS's sentences.
pub(super) fn recode(verdict: Verdict, code: &str, word: impl Fn(String) -> String) -> Verdict {
    match verdict {
        Verdict::Untrusted { path, errors } => {
            let recode = |error: ClientError| ClientError { code: code.to_owned(), text: word(error.text), ..error };
            Verdict::Untrusted { path, errors: errors.into_iter().map(recode).collect() }
        }
        other => other,
    }
}
