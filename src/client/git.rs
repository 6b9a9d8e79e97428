//! git over HTTPS, which is libcurl: on GnuTLS in Debian and Ubuntu, on OpenSSL nearly everywhere else.

use super::{Engine, Profile, gnutls::recode, reading, setting};
use crate::path::{ClientError, Question, Verdict, gnutls, host_name, host_name::Rules, openssl};

/// git on libcurl with GnuTLS 3.7 and later: no key purpose, libcurl's own look at the host.
pub static GNUTLS: Profile = Profile {
    id: "git-2",
    family: "git",
    range: ("2", "2.999"),
    versions: "2, on libcurl with GnuTLS 3.7 and later (Debian, Ubuntu)",
    title: "git on Debian and Ubuntu",
    source: "git http.c; curl lib/vtls/gtls.c, Curl_gtls_verifyserver; measured: 2.47.3 on libcurl 7.88.1 with GnuTLS 3.7.9",
    measured: true,
    ignores_anchor_dates: false,
    engine: Engine::Gnutls(gnutls::Policy::V3_7.without_purpose()),
    reads: reading::git,
    settings: setting::GIT,
    asks: on_gnutls,
};

/// git on libcurl with OpenSSL 3.
pub static OPENSSL: Profile = Profile {
    id: "git-openssl-2",
    family: "git-openssl",
    versions: "2, on libcurl 7.68 and later with OpenSSL 3",
    title: "git elsewhere",
    source: "git http.c; curl lib/vtls/openssl.c (94f1f77158); stands on curl-7.88.1",
    measured: false,
    engine: Engine::Openssl(openssl::Policy { partial_chain: true, ..openssl::Policy::V3.level(2) }),
    asks: on_openssl,
    ..GNUTLS
};

fn on_gnutls(engine: &Engine, question: &Question<'_>) -> Verdict {
    judge(engine, question, |_| "server certificate verification failed.".to_owned())
}

fn on_openssl(engine: &Engine, question: &Question<'_>) -> Verdict {
    judge(engine, question, |text| format!("SSL certificate problem: {text}"))
}

/// The library's verdict on the path, then the host; git ends with 128 whatever is wrong.
fn judge(engine: &Engine, question: &Question<'_>, word: impl Fn(String) -> String) -> Verdict {
    let path = match engine.judge(&Question { host: None, ..*question }) {
        Verdict::Trusted { path } => path,
        refused => return recode(refused, "128", word),
    };
    let checked = question.host.map(|host| (host, host_name::check(question.leaf(), host, Rules::WHOLE_LABEL)));
    let Some((host, Err(rejection))) = checked else { return Verdict::Trusted { path } };
    let subject = question.leaf().subject().common_name().unwrap_or_default();
    let error = ClientError {
        code: "128".into(),
        name: "CURLE_PEER_FAILED_VERIFICATION".into(),
        depth: Some(0),
        text: format!("SSL: certificate subject name ({subject}) does not match target host name '{host}'"),
        rejection,
    };
    Verdict::Untrusted { path, errors: vec![error] }
}
