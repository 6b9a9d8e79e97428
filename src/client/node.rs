//! Node.js: OpenSSL with a callback that carries on, so that the *last* error is the one that people see.

use super::{Engine, Profile, reading, setting};
use crate::path::{ClientError, Question, Rejection, Verdict, host_name, host_name::Rules, openssl, openssl_legacy};

/// 0.12 (OpenSSL 1.0.1).
pub static V0_12: Profile = Profile {
    id: "node-0.12",
    family: "node",
    range: ("0.12", "3"),
    versions: "0.12 to 3 (OpenSSL 1.0.1)",
    title: "Node 0.12",
    source: "src/node_crypto.cc; measured: 0.12.18",
    measured: true,
    ignores_anchor_dates: false,
    engine: Engine::OpensslLegacy(openssl_legacy::Policy::V1_0_1),
    reads: reading::node,
    settings: &[],
    asks: |engine, question| judge(engine, question, &OLD),
};

/// 4 to 9 (OpenSSL 1.0.2).
pub static V4: Profile = Profile {
    id: "node-4",
    range: ("4", "9"),
    versions: "4 to 9 (OpenSSL 1.0.2)",
    title: "Node 4 to 9",
    source: "src/node_crypto.cc; measured: 4.9.1, 6.17.1, 8.17.0",
    engine: Engine::OpensslLegacy(openssl_legacy::Policy::V1_0_2),
    settings: setting::NODE,
    ..V0_12
};

/// 10 and 11 (OpenSSL 1.1.1): the first with error codes for the host, and the ones that crash.
pub static V10: Profile = Profile {
    id: "node-10",
    range: ("10", "11"),
    versions: "10 to 11 (OpenSSL 1.1.1)",
    title: "Node 10",
    source: "src/node_crypto.cc; measured: 10.24.1",
    engine: Engine::Openssl(openssl::Policy::V1_1_1),
    asks: |engine, question| judge(engine, question, &Wording { crashes: true, host_code: HOST_CODE, ..OLD }),
    ..V4
};

/// 12 and 13: errors without a name of their own became `UNSPECIFIED`.
pub static V12: Profile = Profile {
    id: "node-12",
    range: ("12", "13"),
    versions: "12 to 13 (OpenSSL 1.1.1)",
    title: "Node 12",
    source: "src/node_crypto_common.cc; measured: 12.22.12",
    asks: |engine, question| judge(engine, question, &Wording { crashes: true, ..NEW }),
    ..V10
};

/// 14 to 16.
pub static V14: Profile = Profile {
    id: "node-14",
    range: ("14", "16"),
    versions: "14 to 16 (OpenSSL 1.1.1)",
    title: "Node 14 to 16",
    source: "src/crypto/crypto_common.cc; measured: 16.20.2",
    asks: |engine, question| judge(engine, question, &NEW),
    ..V10
};

/// 17 to 21 (OpenSSL 3.0).
pub static V18: Profile = Profile {
    id: "node-18",
    range: ("17", "21"),
    versions: "17 to 21 (OpenSSL 3.0)",
    title: "Node 18 and 20",
    source: "src/crypto/crypto_common.cc; measured: 18.20.8",
    engine: Engine::Openssl(openssl::Policy::V3),
    ..V14
};

/// 22 and 23 (OpenSSL 3.5 at level 1).
pub static V22: Profile = Profile {
    id: "node-22",
    range: ("22", "23"),
    versions: "22 to 23 (OpenSSL 3.5)",
    title: "Node 22",
    source: "src/crypto/crypto_common.cc; measured: 22.23.3",
    ..V18
};

/// 24 and later (OpenSSL 3.5 at level 2).
pub static V24: Profile = Profile {
    id: "node-24",
    range: ("24", "99"),
    versions: "24 and later (OpenSSL 3.5, level 2)",
    title: "Node 24",
    source: "src/crypto/crypto_common.cc; measured: 24.21.0",
    engine: Engine::Openssl(openssl::Policy::V3.level(2)),
    asks: |engine, question| judge(engine, question, &Wording { advises: true, ..NEW }),
    ..V18
};

/// What differs between versions in the answer.
struct Wording {
    /// Whether an error without a name is `UNSPECIFIED` or its own text.
    unspecified: bool,
    /// The code for a wrong host; versions up to 9 have none.
    host_code: &'static str,
    host_text: &'static str,
    /// `getPeerCertificate()` of an accepted self-signed leaf runs out of memory.
    crashes: bool,
    /// Whether texts about missing roots recommend `--use-system-ca`.
    advises: bool,
}

const HOST_CODE: &str = "ERR_TLS_CERT_ALTNAME_INVALID";
const OLD: Wording = Wording {
    unspecified: false,
    host_code: "",
    host_text: "Hostname/IP doesn't match certificate's altnames",
    crashes: false,
    advises: false,
};
const NEW: Wording = Wording {
    unspecified: true,
    host_code: HOST_CODE,
    host_text: "Hostname/IP does not match certificate's altnames",
    crashes: false,
    advises: false,
};

/// The errors that `X509ErrorCode` knows by name.
const NAMED: &[u32] =
    &[2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 62, 79];
/// The errors that a missing root causes.
const ADVISED: &[u32] = &[2, 18, 21];

fn judge(engine: &Engine, question: &Question<'_>, wording: &Wording) -> Verdict {
    // Node's own `checkServerIdentity` looks at the host, after the library was content.
    match engine.judge(&Question { host: None, ..*question }) {
        Verdict::Untrusted { path, mut errors } => {
            errors.reverse();
            let errors = errors.into_iter().map(|error| word(error, wording)).collect();
            Verdict::Untrusted { path, errors }
        }
        Verdict::Trusted { path } if wording.crashes && path.len() == 1 => {
            let error = ClientError {
                code: "SIGABRT".into(),
                name: "SIGABRT".into(),
                depth: None,
                text: "heap out of memory in getPeerCertificate()".into(),
                rejection: Rejection::Other("this version crashes when it trusts a self-signed leaf".into()),
            };
            Verdict::Untrusted { path, errors: vec![error] }
        }
        Verdict::Trusted { path } => {
            match question.host.map(|host| (host, host_name::check(question.leaf(), host, Rules::WHOLE_LABEL))) {
                Some((host, Err(rejection))) => Verdict::Untrusted { path, errors: vec![wrong_host(host, rejection, wording)] },
                _ => Verdict::Trusted { path },
            }
        }
        unknown => unknown,
    }
}

fn word(error: ClientError, wording: &Wording) -> ClientError {
    let number: u32 = error.code.parse().unwrap_or_default();
    let code = if NAMED.contains(&number) {
        error.name.trim_start_matches("X509_V_ERR_").to_owned()
    } else if wording.unspecified {
        "UNSPECIFIED".to_owned()
    } else {
        error.text.clone()
    };
    let mut text = error.text;
    if wording.advises && ADVISED.contains(&number) {
        text.push_str("; if the root CA is installed locally, try running Node.js with --use-system-ca");
    }
    ClientError { code, text, ..error }
}

fn wrong_host(host: &str, rejection: Rejection, wording: &Wording) -> ClientError {
    let names = match &rejection {
        Rejection::HostMismatch { names, .. } => names.iter().map(|n| format!("DNS:{n}")).collect::<Vec<_>>().join(", "),
        _ => String::new(),
    };
    let detail = format!("Host: {host}. is not in the cert's altnames: {names}");
    let detail = if wording.host_code.is_empty() { format!("\"{detail}\"") } else { detail };
    ClientError {
        code: wording.host_code.to_owned(),
        name: wording.host_code.to_owned(),
        depth: Some(0),
        text: format!("{}: {detail}", wording.host_text),
        rejection,
    }
}
