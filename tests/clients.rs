//! Every cell of `fixtures/clients/matrix.json`: what real clients said, and what the models say.

mod hostile;

use std::{
    collections::BTreeMap,
    fs,
    path::PathBuf,
    time::{Duration, Instant},
};

use certdoctor::{
    base::At,
    client::{self, Client, Engine},
    path::{
        Anchors, ClientError, Extra, Question, Rejection, Verdict, explore,
        libressl::{self, Callback},
    },
    x509::{Certificate, Purpose, SignatureCache},
};
use hostile::{AT, Authority, Shape, budget, shapes};
use serde_json::Value;

fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fixtures/clients").join(name)
}

fn json(name: &str) -> Value {
    serde_json::from_slice(&fs::read(fixture(name)).expect("the fixture exists")).expect("it is JSON")
}

fn certificates(name: &str) -> Vec<Certificate> {
    let text = fs::read_to_string(fixture(name)).expect("the fixture exists");
    text.split("-----BEGIN CERTIFICATE-----")
        .skip(1)
        .map(|block| {
            let body: String = block.split("-----END").next().expect("an END").split_whitespace().collect();
            let der = base64_simd::STANDARD.decode_to_vec(body).expect("base64");
            Certificate::parse(&der).expect("a certificate")
        })
        .collect()
}

struct Case {
    chain: Vec<Certificate>,
    host: String,
    stores: BTreeMap<String, Anchors>,
}

struct Fixtures {
    cases: BTreeMap<String, Case>,
    signatures: SignatureCache,
    matrix: Value,
}

impl Fixtures {
    fn load() -> Self {
        let scenarios = json("scenarios.json");
        let text = |value: &Value, key: &str| value[key].as_str().expect("a text").to_owned();
        let case = |scenario: &Value| {
            let stores =
                scenario["stores"].as_object().expect("stores").iter().map(|(name, store)| {
                    (name.clone(), Anchors { file: certificates(&text(store, "file")), directory: Vec::new() })
                });
            let case = Case {
                chain: certificates(&text(scenario, "chain_file")),
                host: text(scenario, "host"),
                stores: stores.collect(),
            };
            (text(scenario, "id"), case)
        };
        Fixtures {
            cases: scenarios["scenarios"].as_array().expect("scenarios").iter().map(case).collect(),
            signatures: SignatureCache::new(),
            matrix: json("matrix.json"),
        }
    }

    /// What the client was asked when `case` was recorded.
    fn question(&self, client: &Client, case: &str, at: At) -> Question<'_> {
        let mut parts = case.split('|');
        let scenario = &self.cases[parts.next().expect("a scenario")];
        let anchors = &scenario.stores[parts.next().expect("a store")];
        // The static ffmpegs can't resolve names and were asked for the address (`note` in matrix.json).
        let host = if client.profile.family == "ffmpeg-gnutls" { "127.0.0.1" } else { &scenario.host };
        let asked = &self.matrix["clients"].as_array().expect("clients").iter().find(|c| c["id"] == client.id.as_str());
        let host_checked = asked.is_none_or(|c| c["host_checked"] == true);
        Question {
            presented: &scenario.chain,
            anchors,
            at,
            host: host_checked.then_some(host),
            purpose: &Purpose::ServerAuth,
            signatures: &self.signatures,
            extra: Extra::default(),
        }
    }

    fn judge(&self, client: &Client, case: &str, at: At) -> Verdict {
        client.judge(&self.question(client, case, at))
    }
}

/// The verdict and the first code of a cell, in words.
fn recorded(row: &Value) -> (bool, String) {
    let code = match &row["code"] {
        Value::Number(number) => number.to_string(),
        Value::String(text) => text.clone(),
        other => panic!("a code: {other}"),
    };
    let accepted = row["verdict"] == "accept";
    (accepted, if accepted { String::new() } else { code })
}

fn predicted(verdict: &Verdict) -> (bool, String) {
    match verdict {
        Verdict::Trusted { .. } => (true, String::new()),
        Verdict::Untrusted { errors, .. } => (false, errors.first().expect("a refusal has an error").code.clone()),
        Verdict::Unknown(why) => (false, format!("unknown: {why}")),
    }
}

#[test]
fn every_cell_of_the_matrix() {
    let fixtures = Fixtures::load();
    let mut wrong = Vec::new();
    let (mut cells, mut not_modelled) = (0, BTreeMap::new());
    // One process answered all cases of a client that judges a list, in this order.
    let mut processes: BTreeMap<&str, libressl::Process> = BTreeMap::new();
    for row in fixtures.matrix["results"].as_array().expect("results") {
        let id = row["client"].as_str().expect("a client");
        let Ok(client) = client::resolve(id) else {
            *not_modelled.entry(id.to_owned()).or_insert(0) += 1;
            continue;
        };
        let case = row["case"].as_str().expect("a case");
        let at = At::parse(row["at"].as_str().expect("an instant")).expect("an instant");
        let verdict = match client.engine {
            Engine::Libressl(policy) => {
                libressl::judge_in(&fixtures.question(&client, case, at), &policy, processes.entry(id).or_default())
            }
            _ => fixtures.judge(&client, case, at),
        };
        cells += 1;
        let (is, should) = (predicted(&verdict), recorded(row));
        if is != should {
            wrong.push(format!("{id} {case}: recorded {should:?}, model {is:?}: {verdict:?}"));
        }
    }
    eprintln!("{cells} cells judged; not modelled yet: {not_modelled:?}");
    assert!(wrong.is_empty(), "{} of {cells} cells differ:\n{}", wrong.len(), wrong.join("\n"));
}

/// What a client sees that carries on after errors, and the path that was built, beyond verdict and first code.
#[test]
fn errors_and_paths_of_openssl() {
    let fixtures = Fixtures::load();
    let (mut wrong, mut compared) = (Vec::new(), 0);
    for row in fixtures.matrix["results"].as_array().expect("results") {
        let id = row["client"].as_str().expect("a client");
        if !id.starts_with("openssl-") && !id.starts_with("boringssl-x509") {
            continue;
        }
        let client = client::resolve(id).expect("both are modelled");
        let case = row["case"].as_str().expect("a case");
        let at = At::parse(row["at"].as_str().expect("an instant")).expect("an instant");
        let (path, errors) = match fixtures.judge(&client, case, at) {
            Verdict::Trusted { path } => (path, Vec::new()),
            Verdict::Untrusted { path, errors } => (path, errors),
            Verdict::Unknown(why) => panic!("{id} {case}: {why}"),
        };
        let is: Vec<(u64, u64)> =
            errors.iter().map(|e| (e.code.parse().expect("a number"), e.depth.expect("OpenSSL tells depths") as u64)).collect();
        let number = |value: &Value| value.as_u64().expect("a number");
        let should: Vec<(u64, u64)> = row["errors"]
            .as_array()
            .map(|list| list.iter().map(|e| (number(&e[0]), number(&e[1]))).collect())
            .unwrap_or_default();
        if is != should {
            wrong.push(format!("{id} {case}: recorded errors {should:?}, model {is:?}"));
        }
        if let Some(first) = errors.first()
            && row["text"] != first.text.as_str()
        {
            wrong.push(format!("{id} {case}: recorded text {}, model {}", row["text"], first.text));
        }
        // A leaf whose key is too weak ends the recorded run before a path is built; the model carries on.
        if let Some(list) = row["path"].as_array().filter(|_| row["code"] != 66) {
            let is: Vec<String> = path.iter().map(|c| format!("{}<-{}", c.label(), c.issuer().label())).collect();
            let should: Vec<&str> = list.iter().filter_map(Value::as_str).collect();
            if is != should {
                wrong.push(format!("{id} {case}: recorded path {should:?}, model {is:?}"));
            }
            compared += 1;
        }
    }
    assert!(compared > 200, "only {compared} paths were recorded");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The words of applications that show no more than a sentence.
#[test]
fn texts_of_applications() {
    let fixtures = Fixtures::load();
    let (mut wrong, mut compared) = (Vec::new(), 0);
    for row in fixtures.matrix["results"].as_array().expect("results") {
        let id = row["client"].as_str().expect("a client");
        if row["verdict"] == "accept" || !["apt-", "chromium-", "curl_cffi-", "git-"].iter().any(|family| id.starts_with(family))
        {
            continue;
        }
        let case = row["case"].as_str().expect("a case");
        let at = At::parse(row["at"].as_str().expect("an instant")).expect("an instant");
        let verdict = fixtures.judge(&client::resolve(id).expect("is known"), case, at);
        let (is, should) = (&verdict.errors()[0].text, row["text"].as_str().expect("a text"));
        // curl_cffi writes "Failed to perform, curl: (60) " before it and a full stop behind it.
        if !should.trim_end_matches('.').ends_with(is.trim_end_matches('.')) {
            wrong.push(format!("{id} {case}: recorded {should:?}, model {is:?}"));
        }
        compared += 1;
    }
    assert!(compared > 100, "only {compared} texts were recorded");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// LibreSSL's answers in full: the error that an accepted path leaves behind, and what a callback hears that carries on.
#[test]
fn outcomes_of_libressl() {
    let fixtures = Fixtures::load();
    let (mut wrong, mut compared, mut stale) = (Vec::new(), 0, 0);
    let mut processes: BTreeMap<&str, libressl::Process> = BTreeMap::new();
    for row in fixtures.matrix["results"].as_array().expect("results") {
        let id = row["client"].as_str().expect("a client");
        let Ok(Client { engine: Engine::Libressl(policy), .. }) = client::resolve(id) else { continue };
        let case = row["case"].as_str().expect("a case");
        let at = At::parse(row["at"].as_str().expect("an instant")).expect("an instant");
        let client = client::resolve(id).expect("is known");
        let question = fixtures.question(&client, case, at);
        let process = processes.entry(id).or_default();
        let stopped = libressl::verify(&question, &policy, Callback::Stop, process);
        let carried_on = libressl::verify(&question, &policy, Callback::CarryOn, process);
        let number = |value: &Value| value.as_u64().unwrap_or_default();
        let short = |e: &ClientError| (e.code.parse().expect("a number"), e.depth.expect("a depth") as u64);
        let error = stopped.error.as_ref();
        stale += usize::from(stopped.accepted && error.is_some());
        let is = (stopped.accepted, error.map_or(0, |e| short(e).0), error.map_or("", |e| &e.text));
        let should = (row["verdict"] == "accept", number(&row["code"]), row["text"].as_str().unwrap_or_default());
        if is != should {
            wrong.push(format!("{id} {case}: recorded {should:?}, model {is:?}"));
        }
        if let (Some(error), Some(depth)) = (error, row["depth"].as_u64())
            && short(error).1 != depth
        {
            wrong.push(format!("{id} {case}: recorded depth {depth}, model {error:?}"));
        }
        let path: Vec<String> = stopped.path.iter().map(|c| format!("{}<-{}", c.label(), c.issuer().label())).collect();
        if row["path"] != serde_json::json!(path) {
            wrong.push(format!("{id} {case}: recorded path {}, model {path:?}", row["path"]));
        }
        let heard: Vec<(u64, u64)> = carried_on.seen.iter().map(short).collect();
        let told: Vec<(u64, u64)> = row["errors"]
            .as_array()
            .map(|list| list.iter().map(|e| (number(&e[0]), number(&e[1]))).collect())
            .unwrap_or_default();
        if heard != told {
            wrong.push(format!("{id} {case}: recorded errors {told:?}, model {heard:?}"));
        }
        compared += 1;
    }
    assert!(compared > 380 && stale == 4, "{compared} compared, {stale} stale errors");
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
}

/// A client that reads `SSL_get_verify_result` refuses what the handshake accepted.
#[test]
fn a_stale_error_refuses_who_reads_it() {
    let fixtures = Fixtures::load();
    let at = At::parse("2026-11-22T01:00:00Z").expect("an instant");
    for (id, case) in [("libressl-2.9.2", "renewed-root|old+new"), ("libressl-4.3.2", "two-int-old-first|U")] {
        let judge = |id: &str| predicted(&fixtures.judge(&client::resolve(id).expect("is known"), case, at));
        assert!(judge(id).0, "{id} {case}");
        assert_eq!(judge(&format!("{id}+verify_result")), (false, "10".to_owned()), "{id} {case}");
    }
}

/// A signature that failed is remembered, but not why: asked again in one process, LibreSSL's first new verifier says something else.
#[test]
fn a_process_remembers_what_failed() {
    let fixtures = Fixtures::load();
    let client = client::resolve("libressl-3.2.3").expect("is known");
    let at = At::parse("2026-11-22T01:00:00Z").expect("an instant");
    let Engine::Libressl(policy) = client.engine else { panic!("another engine") };
    let question = fixtures.question(&client, "rekeyed-root|wrong", at);
    let mut process = libressl::Process::default();
    assert_eq!(predicted(&libressl::judge_in(&question, &policy, &mut process)).1, "7");
    assert_eq!(predicted(&libressl::judge_in(&question, &policy, &mut process)).1, "20");
    assert_eq!(predicted(&fixtures.judge(&client, "rekeyed-root|wrong", at)).1, "7");
}

/// The two outages, and what a server should send: the verdict, asserted by name.
#[test]
fn the_founding_cases() {
    let fixtures = Fixtures::load();
    let at = At::parse("2026-11-22T01:00:00Z").expect("an instant");
    let accepts = |id: &str, case: &str| fixtures.judge(&client::resolve(id).expect("is known"), case, at).is_trusted();
    let outage = ["openssl-1.0.2", "gnutls-3.6.13", "node-8", "curl-7.61.1"];
    let safe = [
        "openssl-1.0.2+trusted_first",
        "openssl-1.1.1",
        "openssl-3.0+seclevel2",
        "gnutls-3.6.14",
        "gnutls-3.7",
        "go",
        "java",
        "rustls-webpki",
        "python-2.7",
        "python-3.11",
        "python-3.13",
        "curl",
        "node-18",
        "node-22",
    ];
    for id in outage.iter().chain(&safe) {
        let hit = outage.contains(id);
        for scenario in ["addtrust", "dst"] {
            assert_eq!(accepts(id, &format!("{scenario}|AU")), !hit, "{id} {scenario}|AU");
            assert!(accepts(id, &format!("{scenario}|U")), "{id} {scenario}|U: removing the dead root must help");
        }
        assert!(!accepts(id, "addtrust|A"), "{id} addtrust|A");
        assert!(accepts(id, "nocross|AU") && accepts(id, "nocross|U"), "{id} nocross");
        assert!(!accepts(id, "nocross|A"), "{id} nocross|A");
        let ignores_dates = client::resolve(id).expect("is known").profile.ignores_anchor_dates;
        assert_eq!(accepts(id, "dst|A"), ignores_dates, "{id} dst|A");
    }
}

#[test]
fn the_directory_is_shadowed_by_the_file() {
    // Measured with CAfile={W0 expired}, CApath={W1 valid} on 1.1.1w and 3.0.22.
    let fixtures = Fixtures::load();
    let case = &fixtures.cases["renewed-root"];
    let (old, new) = (certificates("stores/W0.pem"), certificates("stores/W1.pem"));
    let judge = |id: &str, file: &[Certificate], directory: &[Certificate]| {
        let anchors = Anchors { file: file.to_vec(), directory: directory.to_vec() };
        let question = Question {
            presented: &case.chain,
            anchors: &anchors,
            at: AT,
            host: None,
            purpose: &Purpose::ServerAuth,
            signatures: &fixtures.signatures,
            extra: Extra::default(),
        };
        predicted(&client::resolve(id).expect("is known").judge(&question))
    };
    for id in ["openssl-1.1.1w", "openssl-3.0.22"] {
        assert_eq!(judge(id, &old, &new), (false, "10".to_owned()), "{id}");
        assert!(judge(id, &[], &[old.clone(), new.clone()].concat()).0, "{id}");
        assert!(judge(id, &new, &old).0, "{id}");
    }
    assert!(judge("go", &old, &new).0);
}

#[test]
fn explore_shows_every_path() {
    let fixtures = Fixtures::load();
    let case = &fixtures.cases["addtrust"];
    let at = AT;
    let attempts = explore(&case.chain, &case.stores["AU"].file, at, Some("localhost"), &fixtures.signatures);
    let shown: Vec<(Vec<String>, bool, usize)> =
        attempts.iter().map(|a| (a.path.iter().map(Certificate::label).collect(), a.anchored, a.rejections.len())).collect();
    let names = |list: &[&str]| list.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>();
    assert_eq!(
        shown,
        [
            (names(&["localhost", "Lab Sectigo RSA DV", "Lab USERTrust RSA CA"]), true, 0),
            (names(&["localhost", "Lab Sectigo RSA DV", "Lab USERTrust RSA CA", "Lab AddTrust External CA Root"]), true, 2),
        ]
    );
    let expired: Vec<usize> =
        attempts[1].rejections.iter().filter(|(_, r)| matches!(r, Rejection::Expired { .. })).map(|(depth, _)| *depth).collect();
    assert_eq!(expired, [2, 3]);
    let alone = explore(&case.chain, &[], at, Some("other.example"), &fixtures.signatures);
    assert!(alone.iter().all(|a| !a.anchored));
    assert!(alone[0].rejections.iter().any(|(depth, r)| *depth == 0 && matches!(r, Rejection::HostMismatch { .. })));
}

/// How each profile ends on a hostile chain: its verdict, and how many different signatures it checked.
fn judge_all(presented: &[Certificate], anchors: &[Certificate]) -> Vec<(&'static str, Verdict, usize)> {
    let anchors = Anchors { file: anchors.to_vec(), directory: Vec::new() };
    let judge = |profile: &&'static client::Profile| {
        let signatures = SignatureCache::new();
        let question = Question {
            presented,
            anchors: &anchors,
            at: AT,
            host: Some("localhost"),
            purpose: &Purpose::ServerAuth,
            signatures: &signatures,
            extra: Extra::default(),
        };
        let start = Instant::now();
        let verdict = profile.judge(&question);
        let took = start.elapsed();
        if took > Duration::from_millis(100) {
            eprintln!("  {} took {took:?}", profile.id);
        }
        (profile.id, verdict, signatures.len())
    };
    client::ALL.iter().map(judge).collect()
}

/// More different signatures than any client's own budget, and fewer than hostile chains offer.
const SIGNATURES_AT_MOST: usize = 1_000;

#[test]
fn hostile_chains_end_within_budgets_that_are_named() {
    let mut wrong = Vec::new();
    for Shape { name, presented, anchors } in shapes() {
        eprintln!("{name}: {} certificates", presented.len());
        let mut unnamed = Vec::new();
        for (id, verdict, signatures) in judge_all(&presented, &anchors) {
            if verdict.is_trusted() || signatures > SIGNATURES_AT_MOST {
                wrong.push(format!("{name}: {id} checked {signatures} signatures, accepted: {}", verdict.is_trusted()));
            }
            match budget(&verdict) {
                Some(_) => {}
                // Nobody follows a chain of 1,000.
                None if name == "deep" => wrong.push(format!("{name}: {id} names no budget: {:?}", verdict.errors())),
                None => unnamed.push(id),
            }
        }
        eprintln!("  ended without a budget: {}", unnamed.join(" "));
        let attempts = explore(&presented, &anchors, AT, Some("localhost"), &SignatureCache::new());
        assert!(!attempts.is_empty());
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn profiles_share_their_signature_checks() {
    let fixtures = Fixtures::load();
    let case = &fixtures.cases["addtrust"];
    // A store as large as a real one: the two roots among 138 others.
    let mut anchors = case.stores["AU"].file.clone();
    let other = Authority::new("other");
    anchors.extend((0..138).map(|i| other.sign(&format!("Other Root {i}"), &other)));
    let signatures = SignatureCache::new();
    let anchors = Anchors { file: anchors, directory: Vec::new() };
    let question = Question {
        presented: &case.chain,
        anchors: &anchors,
        at: AT,
        host: Some("localhost"),
        purpose: &Purpose::ServerAuth,
        signatures: &signatures,
        extra: Extra::default(),
    };
    let start = Instant::now();
    for profile in client::ALL {
        assert_ne!(profile.judge(&question), Verdict::Unknown(String::new()), "{profile:?}");
    }
    eprintln!("{} profiles over one chain and {} anchors: {:?}", client::ALL.len(), anchors.file.len(), start.elapsed());
    // leaf by I, I by U (one key, two certificates), UxA by A; and whether U and A signed themselves, where every path is listed.
    assert_eq!(signatures.len(), 5);
}
