//! nassl (SSLyze): OpenSSL's own verdict from `SSL_get_verify_result`, without the host.

use super::{Engine, Profile, boringssl::without_host, reading};
use crate::path::{openssl, openssl_legacy};

/// Its old OpenSSL.
pub static V1_0_2: Profile = Profile {
    id: "nassl-1.0.2",
    family: "nassl",
    range: ("1.0.2", "1.0.2zz"),
    versions: "nassl on OpenSSL 1.0.2",
    title: "nassl (SSLyze), old",
    source: "nassl/ssl_client.py, get_certificate_chain_verify_result; measured: nassl 5.0.0 with 1.0.2e",
    measured: true,
    ignores_anchor_dates: false,
    engine: Engine::OpensslLegacy(openssl_legacy::Policy::V1_0_2),
    reads: |facts| reading::told(facts, None, "nassl reads the file that its caller names"),
    settings: &[],
    asks: without_host,
};

/// Its modern OpenSSL.
pub static V1_1_1: Profile = Profile {
    id: "nassl-1.1.1",
    range: ("1.1.1h", "1.1.1zz"),
    versions: "nassl on OpenSSL 1.1.1",
    title: "nassl (SSLyze)",
    source: "nassl/ssl_client.py, get_certificate_chain_verify_result; measured: nassl 5.0.0 with 1.1.1s",
    engine: Engine::Openssl(openssl::Policy::V1_1_1),
    ..V1_0_2
};
