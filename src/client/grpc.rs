//! gRPC's C core (Python's grpcio, C++, Ruby, PHP) on BoringSSL: PARTIAL_CHAIN, and its own look at the host afterwards.

use super::{Engine, Profile, reading, setting};
use crate::path::{
    ClientError, Question, Rejection, Verdict, boringssl, host_name,
    host_name::{CommonName, Rules},
};

/// 1.30 and later.
pub static CORE: Profile = Profile {
    id: "grpcio-1.30",
    family: "grpcio",
    range: ("1.30", "1.999"),
    versions: "1.30 and later",
    title: "gRPC (Python, C++, Ruby, PHP)",
    source: "src/core/tsi/ssl_transport_security.cc (PARTIAL_CHAIN, TRUSTED_FIRST); measured: 1.30.0, 1.85.1",
    measured: true,
    ignores_anchor_dates: false,
    engine: Engine::Boringssl(boringssl::Policy { partial_chain: true }),
    reads: |facts| {
        reading::told(
            facts,
            Some("GRPC_DEFAULT_SSL_ROOTS_FILE_PATH"),
            "gRPC trusts the list packed with it, not this host's store",
        )
    },
    settings: setting::GRPC,
    asks: judge,
};

/// `tsi_ssl_peer_matches_name`.
const HOST: Rules = Rules { common_name: CommonName::WithoutAltName, ..Rules::WHOLE_LABEL };

/// It shows no codes, only BoringSSL's words; the host comes after the handshake.
fn judge(engine: &Engine, question: &Question<'_>) -> Verdict {
    let verdict = match wrong_usage(question) {
        Some(verdict) => verdict,
        None => engine.judge(&Question { host: None, ..*question }),
    };
    match verdict {
        Verdict::Untrusted { path, errors } => {
            let word = |error: ClientError| {
                let text = match error.code.as_str() {
                    "7" => "error:0400006b:RSA routines:OPENSSL_internal:BLOCK_TYPE_IS_NOT_01".to_owned(),
                    _ => format!("CERTIFICATE_VERIFY_FAILED: {}", error.text),
                };
                ClientError { code: String::new(), text, ..error }
            };
            Verdict::Untrusted { path, errors: errors.into_iter().map(word).collect() }
        }
        Verdict::Trusted { path } => match question.host.map(|host| host_name::check(question.leaf(), host, HOST)) {
            Some(Err(rejection)) => {
                let text = "Hostname Verification Check failed.".to_owned();
                let error = ClientError { code: String::new(), name: "UNAUTHENTICATED".into(), depth: Some(0), text, rejection };
                Verdict::Untrusted { path, errors: vec![error] }
            }
            _ => Verdict::Trusted { path },
        },
        unknown @ Verdict::Unknown(_) => unknown,
    }
}

/// BoringSSL's TLS layer refuses a leaf whose keyUsage has no digitalSignature, whatever is trusted (`ssl_cert_check_key_usage`,
/// ssl/ssl_cert.cc): with TLS 1.3, and with every ECDHE suite of TLS 1.2.
pub(super) fn wrong_usage(question: &Question<'_>) -> Option<Verdict> {
    let leaf = question.leaf();
    let wrong = leaf.key_usage().is_some_and(|usage| !usage.digital_signature());
    let text = "KEY_USAGE_BIT_INCORRECT";
    wrong.then(|| Verdict::Untrusted {
        path: vec![leaf.clone()],
        errors: vec![ClientError {
            code: text.into(),
            name: text.into(),
            depth: Some(0),
            text: text.into(),
            rejection: Rejection::PurposeMismatch("digitalSignature".to_owned()),
        }],
    })
}
