//! curl_cffi (curl-impersonate): curl on BoringSSL, with PARTIAL_CHAIN, and with the host checked before the path.

use super::{Engine, Profile, curl::wrong_host, grpc::wrong_usage, reading};
use crate::path::{ClientError, Question, Verdict, boringssl, host_name, host_name::Rules};

/// 0.16 and later.
pub static PYTHON: Profile = Profile {
    id: "curl_cffi-0.16",
    family: "curl_cffi",
    range: ("0.16", "0.999"),
    versions: "0.16 and later (curl 8 on BoringSSL)",
    title: "curl_cffi",
    source: "curl lib/vtls/openssl.c, ossl_check_peer_cert; curl_cffi/requests/utils.py (certifi); measured: 0.16.3",
    measured: true,
    ignores_anchor_dates: false,
    engine: Engine::Boringssl(boringssl::Policy { partial_chain: true }),
    reads: |facts| reading::told(facts, None, "curl_cffi trusts the list of the Python package certifi, not this host's store"),
    settings: &[],
    asks: judge,
};

fn judge(engine: &Engine, question: &Question<'_>) -> Verdict {
    if let Some(Verdict::Untrusted { path, errors }) = wrong_usage(question) {
        let word = |e: ClientError| ClientError { code: "35".into(), name: "CURLE_SSL_CONNECT_ERROR".into(), ..e };
        return Verdict::Untrusted { path, errors: errors.into_iter().map(word).collect() };
    }
    let verdict = engine.judge(&Question { host: None, ..*question });
    let wrong = question.host.and_then(|host| {
        let wrong = wrong_host(host, host_name::check(question.leaf(), host, Rules::WHOLE_LABEL).err()?);
        // curl 8 writes the word together.
        Some(ClientError { text: wrong.text.replace("host name", "hostname"), ..wrong })
    });
    match (verdict, wrong) {
        (Verdict::Trusted { path }, None) => Verdict::Trusted { path },
        (Verdict::Trusted { path }, Some(wrong)) => Verdict::Untrusted { path, errors: vec![wrong] },
        (Verdict::Untrusted { path, errors }, wrong) => {
            let word = |e: ClientError| ClientError {
                text: format!("SSL certificate OpenSSL verify result: {} ({})", e.text, e.code),
                code: "60".into(),
                name: "CURLE_PEER_FAILED_VERIFICATION".into(),
                ..e
            };
            Verdict::Untrusted { path, errors: wrong.into_iter().chain(errors.into_iter().map(word)).collect() }
        }
        (unknown, _) => unknown,
    }
}
