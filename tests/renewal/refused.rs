//! What the CA refuses. Pebble refuses little of what Let's Encrypt does: a proxy before it (`tests/support/acme/policy.py`) holds to the
//! rules of Let's Encrypt's server and says it in its words; certbot, its log, nginx and all else are real.

use std::fs;

use serde_json::{Value, json};

use super::{
    acme::{Certbot, Site},
    cause, codes,
    founding::{NAME, finding, settle, until},
    score::{Score, Step},
};

const CONF: &str = "etc/letsencrypt/renewal/a.example.test.conf";

/// Puts a setting into the renewal configuration.
fn set(site: &Site, line: &str) {
    let conf = site.path(CONF);
    let text = fs::read_to_string(&conf).expect("the file");
    let key = line.split(' ').next().expect("a key");
    let rest: String = text.lines().filter(|l| !l.starts_with(key)).map(|l| l.to_owned() + "\n").collect();
    fs::write(conf, rest.replace("[renewalparams]\n", &format!("[renewalparams]\n{line}\n"))).expect("written");
}

/// Sets the CAA record of the name, at the server that the CA asks.
fn caa(site: &Site, what: &str, policies: &Value) {
    let body = json!({ "host": format!("{NAME}."), "policies": policies });
    let (ok, said) = site.shell(&format!("curl -sf -d '{body}' http://127.0.0.1:8055/{what}-caa"));
    assert!(ok, "{said}");
}

/// A renewal that the CA refuses, and what it says.
fn refused(site: &Site, words: &str) {
    let (ok, said) = site.renew(NAME);
    assert!(!ok && said.contains(words), "{said}");
}

/// A host whose certbot renews at Let's Encrypt.
fn site(which: Certbot) -> Option<Site> {
    let mut site = Site::start(which)?;
    site.lets_encrypt().then_some(())?;
    settle(&site);
    Some(site)
}

const FORBIDS: &str = "CAA record for a.example.test prevents issuance";

/// A CAA record for another CA.
fn forbidden(site: &Site) {
    caa(site, "add", &json!([{ "tag": "issue", "value": "ca.example.net" }]));
    refused(site, FORBIDS);
    let found = site.found(&[]);
    assert_eq!(codes(&found), ["CD742"], "{:#}", found["findings"]);
}

/// The same with certbot in a loop, until the CA's limit of failures shuts.
fn forbidden_until_limited(site: &Site, score: &mut Score) {
    forbidden(site);
    for _ in 0..4 {
        refused(site, FORBIDS);
    }
    assert_eq!(codes(&site.found(&[])), ["CD742"], "five an hour are within the limit");
    refused(site, "too many failed authorizations (5)");
    let found = site.found(&[]);
    assert_eq!(codes(&found), ["CD742", "CD743", "CD744"], "{:#}", found["findings"]);
    assert_eq!(cause(&found), "CD742");
    let message = |code| finding(&found, code)["message"].as_str().expect("a message").to_owned();
    assert!(message("CD744").contains("failed 6 times within an hour"), "{}", message("CD744"));
    let limit = finding(&found, "CD743");
    let fact = |name: &str| {
        let facts = limit["facts"].as_array().expect("facts");
        let fact = facts.iter().find(|f| f["name"] == name).unwrap_or_else(|| panic!("no {name} in {facts:#?}"));
        fact["value"].as_str().expect("a value").to_owned()
    };
    assert_eq!(fact("limit"), "failed validations of one name: 5 an hour");
    for code in ["CD742", "CD743", "CD744"] {
        score.done(code, &[Step::Injected, Step::Named, Step::Silent]);
    }

    // What repeats it, as printed.
    let command = finding(&found, "CD744")["remedies"][0]["command"].as_str().expect("a command").to_owned();
    let (ok, said) = site.shell(&command);
    assert!(ok && said.contains("certbot -q renew"), "{command}: {said}");
    // Mended, and proven without counting, as printed: the limit is still shut.
    caa(site, "clear", &json!([]));
    let command = limit["remedies"][0]["command"].as_str().expect("a command");
    let arguments: Vec<&str> = command.split(' ').skip(1).chain(["--no-random-sleep-on-renew"]).collect();
    let (ok, said) = site.certbot(&arguments);
    assert!(ok, "{command}: {said}");
    refused(site, "too many failed authorizations (5)");
    let after = fact("next try");
    let later = site.found(&["--at", &after]);
    assert_eq!(finding(&later, "CD743")["severity"], "note", "{:#}", later["findings"]);
    // A quarter of an hour later for the CA.
    fs::write(site.path("acme/LATER"), "900").expect("written");
    let (ok, said) = site.renew(NAME);
    assert!(ok, "{said}");
    until(site, &[], &[]);
    for code in ["CD742", "CD743", "CD744"] {
        score.done(code, &[Step::Healthy]);
    }
}

/// Limited until a person lifts it.
fn paused(site: &Site) {
    let address = format!("https://portal.letsencrypt.org/sfe/v1/unpause?jwt={}.{}", "eyJhbGciOiJIUzI1NiJ9", "e30".repeat(300));
    fs::write(site.path("acme/PAUSED"), &address).expect("written");
    refused(site, "temporarily prevented from requesting certificates");
    let found = site.found(&[]);
    assert_eq!(codes(&found), ["CD743"], "{:#}", found["findings"]);
    let command = finding(&found, "CD743")["remedies"][1]["command"].as_str().expect("a command").to_owned();
    let (ok, said) = site.shell(&command);
    assert!(ok && said.trim() == address, "{command}: {said}");
    fs::remove_file(site.path("acme/PAUSED")).expect("lifted");
}

/// Must-staple, and then a key on a curve that is not taken: the patch of the first shows by the refusal of the second.
fn asked_for_too_much(site: &Site, score: &mut Score) {
    for (line, words) in [
        ("must_staple = True", "OCSP must-staple extension is no longer available"),
        ("elliptic_curve = secp521r1", "ECDSA curve P-521 not allowed"),
    ] {
        set(site, line);
        refused(site, words);
        let found = site.found(&[]);
        assert_eq!(codes(&found), ["CD750"], "{line}: {:#}", found["findings"]);
        let applied = site.found(&["--apply"]);
        assert_eq!(applied["applied"]["rolled_back"], Value::Null, "{line}: {applied:#}");
        until(site, &[], &[]);
    }
    let (ok, said) = site.renew(NAME);
    assert!(ok, "{said}");
    until(site, &[], &[]);
    score.done("CD750", &[Step::Injected, Step::Named, Step::Patched, Step::Healthy, Step::Silent]);
}

/// A profile that the CA does not have, which only a certbot of version 4 and later asks for; the printed command, with one that it has.
fn profile(site: &Site) {
    set(site, "required_profile = soon");
    refused(site, "profile name \"soon\" not recognized");
    let found = site.found(&[]);
    assert_eq!(codes(&found), ["CD750"], "{:#}", found["findings"]);
    let command = finding(&found, "CD750")["remedies"][0]["command"].as_str().expect("a command").to_owned();
    let (curl, certbot) = command.split_once(" && ").expect("two commands");
    let (ok, said) = site.shell(&format!("CURL_CA_BUNDLE=$REQUESTS_CA_BUNDLE {curl}"));
    assert!(ok && said.contains("\"tlsserver\""), "{curl}: {said}");
    let certbot = certbot.replace("PROFILE", "tlsserver");
    let (ok, said) = site.certbot(&certbot.split(' ').skip(1).collect::<Vec<_>>());
    assert!(ok, "{certbot}: {said}");
    until(site, &[], &[]);
    let (ok, said) = site.renew(NAME);
    assert!(ok, "{said}");
    until(site, &[], &[]);
}

#[test]
fn what_lets_encrypt_refuses_of_debians_certbot() {
    let Some(site) = site(Certbot::Debian) else { return };
    let mut score = Score::new("refused");
    forbidden_until_limited(&site, &mut score);
    paused(&site);
    asked_for_too_much(&site, &mut score);
    score.finish();
}

/// The same texts in the log of a newer one, and what only it asks for.
#[test]
fn what_lets_encrypt_refuses_of_certbot_5_8() {
    let Some(site) = site(Certbot::Pip) else { return };
    paused(&site);
    forbidden(&site);
    caa(&site, "clear", &json!([]));
    profile(&site);
}
