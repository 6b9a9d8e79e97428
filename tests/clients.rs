//! Every cell of `fixtures/clients/matrix.json`: what real clients said, and what the models say.

use std::{collections::BTreeMap, fs, path::PathBuf};

use certdoctor::{
    base::At,
    client::{self, Client},
    path::{Anchors, Question, Verdict},
    x509::{Certificate, Purpose, SignatureCache},
};
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

    fn judge(&self, client: &Client, case: &str, at: At) -> Verdict {
        let mut parts = case.split('|');
        let scenario = &self.cases[parts.next().expect("a scenario")];
        let anchors = &scenario.stores[parts.next().expect("a store")];
        // The static ffmpegs can't resolve names and were asked for the address (`note` in matrix.json).
        let host = if client.profile.family == "ffmpeg-gnutls" { "127.0.0.1" } else { &scenario.host };
        client.judge(&Question {
            presented: &scenario.chain,
            anchors,
            at,
            host: Some(host),
            purpose: &Purpose::ServerAuth,
            signatures: &self.signatures,
        })
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
    for row in fixtures.matrix["results"].as_array().expect("results") {
        let id = row["client"].as_str().expect("a client");
        let Ok(client) = client::resolve(id) else {
            *not_modelled.entry(id.to_owned()).or_insert(0) += 1;
            continue;
        };
        let case = row["case"].as_str().expect("a case");
        let at = At::parse(row["at"].as_str().expect("an instant")).expect("an instant");
        let verdict = fixtures.judge(&client, case, at);
        cells += 1;
        let (is, should) = (predicted(&verdict), recorded(row));
        if is != should {
            wrong.push(format!("{id} {case}: recorded {should:?}, model {is:?}: {verdict:?}"));
        }
    }
    eprintln!("{cells} cells judged; not modelled yet: {not_modelled:?}");
    assert!(wrong.is_empty(), "{} of {cells} cells differ:\n{}", wrong.len(), wrong.join("\n"));
}
