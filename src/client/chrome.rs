//! Chrome and Chromium (and Edge, and Electron's network stack): libpki with Chrome's own delegate, and a net error for the worst
//! fault.

use super::{Engine, Profile, grpc::wrong_usage, reading};
use crate::path::{
    ClientError, Question, Rejection, Verdict, host_name,
    host_name::{CommonName, Rules},
    libpki::{self, ErrorId, Failure, Found},
};

/// 114 and later: the built-in verifier on every desktop system.
pub static V114: Profile = Profile {
    id: "chromium-114",
    family: "chromium",
    range: ("114", "999"),
    versions: "114 and later, with anchors that the user added",
    title: "Chrome, Chromium",
    source: "net/cert/cert_verify_proc_builtin.cc, MapPathBuilderErrorsToCertStatus; trust_store_nss.cc; measured: 156 on Linux",
    measured: true,
    ignores_anchor_dates: false,
    engine: Engine::Libpki(libpki::Policy {
        anchor_expires: true,
        anchor_constrains: true,
        anchor_may_be_leaf: true,
        iterations: 20,
        rsa_bits: 1024,
    }),
    reads: |facts| {
        reading::told(facts, None, "Chrome trusts its own root store and the user's NSS database, not this host's store")
    },
    settings: &[],
    asks: judge,
};

/// `X509Certificate::VerifyHostname`.
const HOST: Rules = Rules { common_name: CommonName::Never, ..Rules::WHOLE_LABEL };

/// The faults by which a path fails, the gravest first (`MapCertStatusToNetError`, net/cert/cert_status_flags.cc).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Status {
    Invalid,
    AuthorityInvalid,
    CommonNameInvalid,
    WeakKey,
    DateInvalid,
}

impl Status {
    fn name(self) -> &'static str {
        match self {
            Status::Invalid => "ERR_CERT_INVALID",
            Status::AuthorityInvalid => "ERR_CERT_AUTHORITY_INVALID",
            Status::CommonNameInvalid => "ERR_CERT_COMMON_NAME_INVALID",
            Status::WeakKey => "ERR_CERT_WEAK_KEY",
            Status::DateInvalid => "ERR_CERT_DATE_INVALID",
        }
    }

    /// `MapPathBuilderErrorsToCertStatus`; `None` for what counts only if nothing else does.
    fn of(id: ErrorId) -> Option<Status> {
        match id {
            ErrorId::IterationLimitExceeded | ErrorId::NoIssuersFound | ErrorId::VerifySignedDataFailed => {
                Some(Status::AuthorityInvalid)
            }
            ErrorId::UnacceptablePublicKey => Some(Status::WeakKey),
            ErrorId::ValidityFailedNotAfter | ErrorId::ValidityFailedNotBefore => Some(Status::DateInvalid),
            ErrorId::EkuLacksPurpose
            | ErrorId::KeyCertSignBitNotSet
            | ErrorId::MaxPathLengthViolated
            | ErrorId::NameConstraints
            | ErrorId::NotCa
            | ErrorId::SignatureAlgorithmMismatch
            | ErrorId::UnacceptableSignatureAlgorithm
            | ErrorId::UnconsumedCriticalExtension => None,
        }
    }
}

fn judge(engine: &Engine, question: &Question<'_>) -> Verdict {
    let Engine::Libpki(policy) = engine else { return engine.judge(question) };
    if let Some(Verdict::Untrusted { path, errors }) = wrong_usage(question) {
        let name = "ERR_SSL_KEY_USAGE_INCOMPATIBLE";
        let word = |e: ClientError| ClientError { code: name.into(), name: name.into(), text: name.into(), ..e };
        return Verdict::Untrusted { path, errors: errors.into_iter().map(word).collect() };
    }
    let (path, failures) = match libpki::find(question, policy) {
        Found::Path(path) => (path, Vec::new()),
        Found::Best(path, failures) => (path, failures),
        Found::Unchecked(what) => return Verdict::unchecked(&what),
    };
    let mut faults = faults(failures);
    if let Some(Err(rejection)) = question.host.map(|host| host_name::check(question.leaf(), host, HOST)) {
        faults.push((Status::CommonNameInvalid, Some(0), rejection));
    }
    if faults.is_empty() {
        return Verdict::Trusted { path };
    }
    faults.sort_by_key(|(status, ..)| *status);
    let word = |(status, depth, rejection): (Status, Option<usize>, _)| {
        let name = status.name();
        ClientError { code: name.into(), name: name.into(), depth, text: name.into(), rejection }
    };
    Verdict::Untrusted { path, errors: faults.into_iter().map(word).collect() }
}

fn faults(failures: Vec<Failure>) -> Vec<(Status, Option<usize>, Rejection)> {
    let named = failures.iter().any(|f| Status::of(f.id).is_some());
    let fault = |f: Failure| match Status::of(f.id) {
        Some(status) => Some((status, Some(f.depth), f.rejection)),
        None if named => None,
        None => Some((Status::Invalid, Some(f.depth), f.rejection)),
    };
    failures.into_iter().filter_map(fault).collect()
}
