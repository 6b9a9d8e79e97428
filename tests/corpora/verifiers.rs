//! Verifiers that are compared by their verdicts.

use certdoctor::{
    client::{self, Engine},
    path::{Anchors, Extra, Question, Verdict},
    x509::{Certificate, Purpose, SignatureCache},
};

use crate::{agreement::Compared, cases::Case};

/// The verdict of `client` beside the one recorded as `oracle`.
pub fn compare(case: &Case, oracle: &str, client: &str, signatures: &SignatureCache) -> Compared {
    let oracle = &case.json["oracles"][oracle];
    let said = oracle["err"].as_str().unwrap_or_default();
    let accepted = match oracle["v"].as_str().expect("a verdict") {
        "ok" => true,
        "fail" | "hang" => false,
        // What can't be read of the leaf is refused; what can't be read elsewhere, the driver did not hand on.
        "parse" if said.starts_with("leaf: ") && !said.contains("label") => false,
        "parse" => return Compared::NotRun("an object that the driver can't read".to_owned()),
        _ => return Compared::NotRun("an option that the verifier does not have".to_owned()),
    };
    let mut presented: Vec<Certificate> = vec![case.leaf.clone()];
    presented.extend(case.untrusted.iter().cloned());
    let anchors = Anchors { file: case.trusted.clone(), directory: Vec::new() };
    let mut client = client::resolve(client).expect("a profile");
    if let Engine::Gnutls(policy) = &mut client.engine {
        // Whoever recorded the verdicts asked as certtool does.
        policy.medium_profile = true;
    }
    let verdict = client.judge(&Question {
        presented: &presented,
        anchors: &anchors,
        at: case.at,
        host: case.host(),
        purpose: &case.purpose().unwrap_or(Purpose::Any),
        signatures,
        extra: Extra { crls: &case.crls, ..Extra::default() },
    });
    let is = match &verdict {
        Verdict::Trusted { .. } => "accepts".to_owned(),
        Verdict::Untrusted { errors, .. } => format!("refuses: {}", errors.first().map_or("", |e| e.text.as_str())),
        Verdict::Unknown(why) => format!("can't say: {why}"),
    };
    if verdict.is_trusted() == accepted && !matches!(verdict, Verdict::Unknown(_)) {
        return Compared::Equal;
    }
    let should = if accepted { "accepts".to_owned() } else { format!("refuses: {said}") };
    Compared::Different { what: "verdict", is, should }
}
