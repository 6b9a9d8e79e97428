//! `openssl verify` and `openssl s_client` 3.0: verdict, errors with their depths, and chain.

use certdoctor::{
    path::{Anchors, Extra, Question, Verdict, openssl, openssl_crl::Reach, openssl_rules::Callback},
    x509::{Certificate, Purpose, SignatureCache},
};
use serde_json::Value;

use crate::{
    agreement::{Compared, How, Verifier},
    cases::{Case, key},
};

/// `openssl verify`: no security level, its own choice of errors to go on after.
pub const VERIFY: Verifier = Verifier {
    name: "openssl verify 3.0.19",
    model: "openssl-3.0, as `openssl verify` calls it",
    depth: "verdict, ordered errors with their depths, chain",
    how: How::Openssl("openssl-verify", &CALLED_BY_VERIFY),
};

/// `openssl s_client` on Debian: security level 2, the server's purpose, on after every error.
pub const S_CLIENT: Verifier = Verifier {
    name: "openssl s_client 3.0.19",
    model: "s_client-3.0 on Debian (security level 2)",
    depth: "verdict, ordered errors with their depths, chain",
    how: How::Openssl("openssl-sclient", &CALLED_BY_S_CLIENT),
};

/// How a program calls the library.
pub struct Caller {
    callback: Callback,
    level: u8,
    purpose: Purpose,
}

static CALLED_BY_VERIFY: Caller = Caller { callback: Callback::Verify, level: 0, purpose: Purpose::Any };
static CALLED_BY_S_CLIENT: Caller = Caller { callback: Callback::CarriesOn, level: 2, purpose: Purpose::ServerAuth };

/// The options of a case as a policy, and the certificate policies wanted.
fn policy<'a>(case: &'a Case, caller: &Caller) -> (openssl::Policy, Vec<&'a str>) {
    let mut policy = openssl::Policy { callback: caller.callback, ..openssl::Policy::V3.level(caller.level) };
    let mut wanted = Vec::new();
    let mut options = case.options().into_iter();
    while let Some(option) = options.next() {
        let mut value = || options.next().expect("a value");
        match option {
            "-allow_proxy_certs" => policy.allow_proxies = true,
            "-auth_level" => policy.level = value().parse().expect("a level"),
            "-check_ss_sig" => policy.check_own_signature = true,
            "-crl_check" => policy.crl.check = Reach::Leaf,
            "-crl_check_all" => policy.crl.check = Reach::All,
            "-explicit_policy" => (policy.policies.check, policy.policies.explicit) = (true, true),
            "-extended_crl" => policy.crl.extended = true,
            "-inhibit_any" => (policy.policies.check, policy.policies.inhibit_any) = (true, true),
            "-inhibit_map" => (policy.policies.check, policy.policies.inhibit_map) = (true, true),
            "-partial_chain" => policy.partial_chain = true,
            "-policy" => {
                policy.policies.check = true;
                wanted.push(value());
            }
            "-policy_check" => policy.policies.check = true,
            "-use_deltas" => policy.crl.deltas = true,
            "-verify_depth" => policy.depth = value().parse().expect("a depth"),
            "-x509_strict" => policy.strict = true,
            other => panic!("{}: {other}", case.id),
        }
    }
    (policy, wanted)
}

fn judge(case: &Case, caller: &Caller, signatures: &SignatureCache) -> Verdict {
    let (policy, policies) = policy(case, caller);
    let anchors = Anchors { file: case.trusted.clone(), directory: Vec::new() };
    openssl::judge(
        &Question {
            presented: std::slice::from_ref(&case.leaf),
            anchors: &anchors,
            at: case.at,
            host: case.host(),
            purpose: &case.purpose().unwrap_or(caller.purpose.clone()),
            signatures,
            extra: Extra { untrusted: Some(&case.untrusted), crls: &case.crls, email: case.text("email"), policies: &policies },
        },
        &policy,
    )
}

/// What `s_client` makes of a case, for its transcript.
pub fn as_s_client(case: &Case, signatures: &SignatureCache) -> Verdict {
    judge(case, &CALLED_BY_S_CLIENT, signatures)
}

/// Verdict, errors, chain.
type Told = (String, Vec<(u64, u64)>, Vec<String>);

pub fn compare(case: &Case, oracle: &str, caller: &Caller, signatures: &SignatureCache) -> Compared {
    let oracle = &case.json["oracles"][oracle];
    if oracle["v"] == "skip" {
        return Compared::NotRun(oracle["why"].as_str().unwrap_or("skipped").to_owned());
    }
    let (is, should) = (told(&judge(case, caller, signatures)), recorded(oracle));
    if is == should {
        return Compared::Equal;
    }
    let what = if is.0 != should.0 {
        "verdict"
    } else if is.1 != should.1 {
        "errors"
    } else {
        "chain"
    };
    Compared::Different { what, is: format!("{is:?}"), should: format!("{should:?}") }
}

fn recorded(oracle: &Value) -> Told {
    let number = |v: &Value| v.as_u64().expect("a number");
    let text = |v: &Value| v.as_str().expect("a text").to_owned();
    let list = |field: &str| oracle[field].as_array().expect("a list").iter();
    let errors = list("errs").map(|e| (number(&e[0]), number(&e[1])));
    (text(&oracle["v"]), errors.collect(), list("chain").map(text).collect())
}

fn told(verdict: &Verdict) -> Told {
    let keys = |path: &[Certificate]| path.iter().map(key).collect();
    match verdict {
        Verdict::Trusted { path } => ("ok".to_owned(), Vec::new(), keys(path)),
        Verdict::Untrusted { path, errors } => {
            let error = |e: &certdoctor::path::ClientError| (e.code.parse().expect("a number"), e.depth.expect("a depth") as u64);
            ("fail".to_owned(), errors.iter().map(error).collect(), keys(path))
        }
        Verdict::Unknown(why) => (format!("can't say: {why}"), Vec::new(), Vec::new()),
    }
}
