//! A CA that refuses a renewal since the certificate has been replaced. Caddy itself says of no order what it replaces, and is not refused
//! so; programs that use CertMagic as a library are (their storage and log are recorded in `fixtures/renewal/certmagic`). Here a proxy
//! before pebble says it to a real Caddy, in the words of Let's Encrypt's server, so that the log, the storage and the patch of it are
//! real ones. That the patch is what cures can't be seen with Caddy.

use std::fs;

use super::{
    codes, common, of_site, renewal,
    score::{Score, Step},
    world::{Caddy, Pebble, Policy, until},
};

const REFUSAL: &str = "which already has a replacement order";

#[test]
fn a_refused_replacement_is_named_and_a_real_caddy_takes_the_patched_storage() {
    let Some(binary) = common::oracle("caddy/current/caddy") else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let Some(mut pebble) = Pebble::start(folder.path()) else { return };
    let Some(policy) = Policy::start(folder.path(), &mut pebble) else { return };
    let mut score = Score::new("replaced");
    let mut caddy = Caddy::new(binary, folder.path(), &pebble);
    assert!(caddy.start(), "{}", caddy.said());
    caddy.obtains();
    caddy.stop();
    assert_eq!(codes(&renewal(&caddy.tree, &[]).1), Vec::<&str>::new());

    // The window to renew is open, so it tries at once.
    policy.has_replaced(true);
    assert!(caddy.start(), "{}", caddy.said());
    until("Caddy tells of the refusal", || caddy.said().contains(REFUSAL));
    caddy.stop();
    let (_, report) = renewal(&caddy.tree, &[]);
    assert_eq!(codes(&report), ["CD745"], "{report:#}");
    let (_, report) = renewal(&caddy.tree, &["--apply"]);
    assert_eq!(codes(&report), Vec::<&str>::new(), "{report:#}");
    let metadata = of_site(&caddy, "json");
    let text = fs::read_to_string(&metadata).expect("metadata");
    assert!(!text.contains("\"ca\""), "{text}");
    score.done("CD745", &[Step::Injected, Step::Named, Step::Patched, Step::Silent]);

    // What is left is a storage that Caddy takes, and completes again.
    policy.has_replaced(false);
    let before = fs::read(of_site(&caddy, "crt")).expect("a certificate");
    assert!(caddy.start(), "{}", caddy.said());
    until("Caddy has renewed", || {
        fs::read(of_site(&caddy, "crt")).is_ok_and(|now| now != before)
            && fs::read_to_string(&metadata).is_ok_and(|text| text.contains("\"ca\""))
    });
    caddy.stop();
    assert_eq!(codes(&renewal(&caddy.tree, &[]).1), Vec::<&str>::new());
    // Were this to change, the patch could be proven here.
    let orders = policy.orders();
    assert!(orders.len() >= 3 && orders.iter().all(|order| order.get("replaces").is_none()), "{orders:#?}");
    score.finish();
}
