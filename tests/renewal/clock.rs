//! What the time does to a renewal: certificates that live six days, and a clock that is wrong (`faketime`), for certbot and for what looks
//! at it.

use std::fs;

use serde_json::Value;

use super::{
    acme::{Certbot, Site},
    cause, codes, common,
    founding::NAME,
    live, report,
    score::{Score, Step},
};

const SIX_DAYS: u32 = 6 * 86_400;

/// A renewal as a timer starts it.
const RENEW: &[&str] = &["renew", "--no-random-sleep-on-renew", "--cert-name", NAME];

/// Which version of the certificate is the current one.
fn version(site: &Site) -> String {
    let link = fs::read_link(site.path("etc/letsencrypt/live/a.example.test/cert.pem")).expect("a link");
    link.file_name().expect("a name").to_string_lossy().into_owned()
}

/// Runs certbot under this clock: whether it renewed.
fn renews(site: &Site, clock: &[&str]) -> bool {
    let before = version(site);
    let (ok, said) = site.certbot_under(clock, RENEW);
    assert!(ok, "{clock:?}: {said}");
    let renewed = version(site) != before;
    assert_eq!(!renewed, said.contains("not yet due"), "{clock:?}: {said}");
    renewed
}

fn wrong_clock(site: &Site, score: &mut Score) {
    for (code, clock, does) in [("CD721", ["faketime", "-f", "-60d"], false), ("CD722", ["faketime", "-f", "+400d"], true)] {
        assert_eq!(codes(&site.found(&[])), Vec::<String>::new(), "{code}: before");
        assert_eq!(renews(site, &clock), does, "{code}");
        // At every run, when it does.
        assert!(!does || renews(site, &clock), "{code}");
        let found = site.found_under(&clock, &[]);
        assert!(codes(&found).contains(&code.to_owned()), "{:#}", found["findings"]);
        assert_eq!(cause(&found), code, "{:#}", found["findings"]);
        // Put right.
        assert_eq!(codes(&site.found(&[])), Vec::<String>::new(), "{code}: afterwards");
        assert!(!renews(site, &[]), "{code}: afterwards");
        score.done(code, &[Step::Injected, Step::Named, Step::Healthy, Step::Silent]);
    }
}

#[test]
fn six_days_and_a_wrong_clock_with_debians_certbot() {
    if common::oracle("faketime").is_none() {
        return;
    }
    let Some(site) = Site::start_with(Certbot::Debian, SIX_DAYS) else { return };
    let mut score = Score::new("clock");
    site.issue(NAME, &["--standalone", "--deploy-hook", "true"]);
    assert_eq!([renews(&site, &[]), renews(&site, &[])], [true, true], "due at every run");
    let found = site.found(&[]);
    assert_eq!(codes(&found), ["CD723"], "{:#}", found["findings"]);
    let applied = site.found(&["--apply"]);
    assert_eq!(applied["applied"]["rolled_back"], Value::Null, "{applied:#}");
    assert_eq!(codes(&site.found(&[])), Vec::<String>::new());
    assert!(!renews(&site, &[]), "with a third of the lifetime");
    score.done("CD723", &[Step::Injected, Step::Named, Step::Patched, Step::Healthy, Step::Silent]);
    wrong_clock(&site, &mut score);
    // What was logged by the clock ahead hides nothing of today.
    site.stop_server();
    let (ok, said) = site.renew(NAME);
    assert!(!ok, "{said}");
    let found = site.found(&[]);
    assert_eq!(codes(&found), ["CD720"], "{:#}", found["findings"]);
    score.finish();
}

/// Its rule goes by the lifetime: nothing is to be said of six days.
#[test]
fn six_days_with_certbot_5_8() {
    let Some(site) = Site::start_with(Certbot::Pip, SIX_DAYS) else { return };
    site.issue(NAME, &["--standalone", "--deploy-hook", "true"]);
    assert!(!renews(&site, &[]), "it is fresh");
    // On the live host Debian's older one may be installed besides.
    live::host(&site, Certbot::Pip);
    assert_eq!(codes(&report(site.root.path(), &[])), Vec::<String>::new());
}
