//! `openssl verify` and `openssl s_client` 3.0: verdict, errors and chain.

use certdoctor::{
    path::{Anchors, Extra, Question, Verdict, openssl, openssl_crl::Reach, openssl_rules::Callback},
    x509::{Certificate, Purpose, SignatureCache},
};
use serde_json::Value;

use crate::cases::{Case, SUITES, Suite, key};

/// What `openssl verify` or `s_client` is told.
struct Asked<'a> {
    policy: openssl::Policy,
    policies: Vec<&'a str>,
}

fn asked<'a>(case: &'a Case, callback: Callback, level: u8) -> Option<Asked<'a>> {
    let mut policy = openssl::Policy { callback, ..openssl::Policy::V3.level(level) };
    let mut policies = Vec::new();
    let options = case.options();
    let mut options = options.into_iter();
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
                policies.push(value());
            }
            "-policy_check" => policy.policies.check = true,
            "-use_deltas" => policy.crl.deltas = true,
            "-verify_depth" => policy.depth = value().parse().expect("a depth"),
            "-x509_strict" => policy.strict = true,
            _ => return None,
        }
    }
    Some(Asked { policy, policies })
}

fn judge(case: &Case, asked: &Asked<'_>, signatures: &SignatureCache) -> Verdict {
    let purpose = match case.text("purpose") {
        None => Purpose::Any,
        Some("sslserver") => Purpose::ServerAuth,
        Some("sslclient") => Purpose::ClientAuth,
        Some(other) => panic!("{other}"),
    };
    let anchors = Anchors { file: case.trusted.clone(), directory: Vec::new() };
    let question = Question {
        presented: std::slice::from_ref(&case.leaf),
        anchors: &anchors,
        at: case.at,
        host: case.text("host").or_else(|| case.text("ip")),
        purpose: &purpose,
        signatures,
        extra: Extra { untrusted: Some(&case.untrusted), crls: &case.crls, email: case.text("email"), policies: &asked.policies },
    };
    openssl::judge(&question, &asked.policy)
}

#[derive(Debug, PartialEq)]
struct Told {
    verdict: String,
    errors: Vec<(u32, usize)>,
    chain: Vec<String>,
}

fn recorded(oracle: &Value) -> Told {
    let errors = oracle["errs"].as_array().expect("errors").iter();
    let number = |v: &Value| v.as_u64().expect("a number");
    Told {
        verdict: oracle["v"].as_str().expect("a verdict").to_owned(),
        errors: errors.map(|e| (u32::try_from(number(&e[0])).expect("a code"), number(&e[1]) as usize)).collect(),
        chain: oracle["chain"].as_array().expect("a chain").iter().map(|k| k.as_str().expect("a key").to_owned()).collect(),
    }
}

fn told(verdict: &Verdict) -> Told {
    let keys = |path: &[Certificate]| path.iter().map(key).collect();
    match verdict {
        Verdict::Trusted { path } => Told { verdict: "ok".into(), errors: Vec::new(), chain: keys(path) },
        Verdict::Untrusted { path, errors } => Told {
            verdict: "fail".into(),
            errors: errors.iter().map(|e| (e.code.parse().expect("a number"), e.depth.expect("a depth"))).collect(),
            chain: keys(path),
        },
        Verdict::Unknown(why) => Told { verdict: why.clone(), errors: Vec::new(), chain: Vec::new() },
    }
}

#[test]
fn verify() {
    compare("openssl-verify", Callback::Verify, 0);
}

#[test]
fn s_client() {
    compare("openssl-sclient", Callback::CarriesOn, 2);
}

fn compare(oracle: &str, callback: Callback, level: u8) {
    let mut wrong = 0;
    for name in SUITES {
        let suite = Suite::load(name);
        let signatures = SignatureCache::new();
        let (mut n, mut v, mut e, mut c) = (0, 0, 0, 0);
        for case in &suite.cases {
            let oracle = &case.json["oracles"][oracle];
            if oracle["v"] == "skip" {
                continue;
            }
            n += 1;
            let Some(asked) = asked(case, callback, level) else { panic!("{}: {:?}", case.id, case.options()) };
            let is = told(&judge(case, &asked, &signatures));
            let should = recorded(oracle);
            v += usize::from(is.verdict == should.verdict);
            e += usize::from(is.verdict == should.verdict && is.errors == should.errors);
            c += usize::from(is == should);
            if is != should {
                wrong += 1;
                eprintln!("{}: recorded {should:?}\n   model {is:?} {:?}", case.id, case.unreadable);
            }
        }
        eprintln!("== {name}: {n} cases, verdict {v}, errors {e}, all {c}");
    }
    assert_eq!(wrong, 0);
}
