//! Certbot's plugin for RFC 2136 with a real name server (BIND), and what goes wrong with its credentials.

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use super::{
    acme::{Certbot, Site},
    codes, common,
    founding::{NAME, finding},
    score::{Score, Step},
};

/// Where the plugin has its secret, in the root.
const CREDENTIALS: &str = "etc/letsencrypt/dns.ini";

/// Serves `example.test`, which all who know the key may change, in place of the name server of the other tests.
fn named(site: &Site, secret: &str) -> Option<()> {
    let folder = common::oracle("named")?;
    let conf = format!(
        "options {{ directory \"{acme}\"; pid-file none; session-keyfile none; listen-on port 8053 {{ 127.0.0.1; }}; listen-on-v6 {{ none; }};\n  \
         recursion no; dnssec-validation no; }};\ncontrols {{ }};\nkey certbot {{ algorithm hmac-sha512; secret \"{secret}\"; }};\n\
         zone example.test {{ type primary; file \"zone\"; allow-update {{ key certbot; }}; }};\n",
        acme = site.path("acme").display(),
    );
    fs::write(site.path("acme/named.conf"), conf).expect("written");
    let zone = "$TTL 1\n@ SOA ns.example.test. ops.example.test. 1 3600 600 86400 1\n@ NS ns\n* A 127.0.0.1\n";
    fs::write(site.path("acme/zone"), zone).expect("written");
    let libraries = ["usr/lib/x86_64-linux-gnu", "lib/x86_64-linux-gnu"].map(|l| folder.join(l).display().to_string()).join(":");
    let script = format!(
        "kill $(pidof pebble-challtestsrv); while pidof pebble-challtestsrv; do sleep 0.1; done; \
         LD_LIBRARY_PATH={libraries} {named} -f -u root -c {conf} >{log} 2>&1 & \
         for i in $(seq 100); do ss -lun | grep -q 127.0.0.1:8053 && pidof named && exit 0; sleep 0.1; done; cat {log}; exit 1",
        named = folder.join("usr/sbin/named").display(),
        conf = site.path("acme/named.conf").display(),
        log = site.path("acme/named.log").display(),
    );
    let (ok, said) = site.shell(&script);
    assert!(ok, "{said}");
    Some(())
}

fn credentials(path: &Path, secret: &str) {
    let text = format!(
        "dns_rfc2136_server = 127.0.0.1\ndns_rfc2136_port = 8053\ndns_rfc2136_name = certbot.\ndns_rfc2136_secret = {secret}\n\
         dns_rfc2136_algorithm = HMAC-SHA512\n"
    );
    fs::write(path, text).expect("written");
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).expect("private");
}

fn renews(site: &Site) {
    let (ok, said) = site.renew(NAME);
    assert!(ok, "{said}");
}

fn fails(site: &Site, words: &str) {
    let said = site.fails(NAME);
    assert!(said.contains(words), "{said}");
}

fn each_fault(which: Certbot) {
    let Some(site) = Site::start(which) else { return };
    // Made for this test.
    let secret = "c2VjcmV0IG9mIHRoaXMgdGVzdCBhbG9uZQ==";
    if named(&site, secret).is_none() {
        return;
    }
    let mut score = Score::new("dns");
    let path = site.path(CREDENTIALS);
    credentials(&path, secret);
    let plugin =
        ["--dns-rfc2136", "--dns-rfc2136-credentials", "/etc/letsencrypt/dns.ini", "--dns-rfc2136-propagation-seconds", "0"];
    site.issue(NAME, &[&plugin[..], &["--deploy-hook", "true"]].concat());
    assert_eq!(codes(&site.found(&[])), Vec::<String>::new());

    // Open to all: certbot warns, and renews.
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).expect("open");
    renews(&site);
    let found = site.found(&[]);
    assert_eq!(codes(&found), ["CD719"], "{:#}", found["findings"]);
    let command = finding(&found, "CD719")["remedies"][0]["command"].as_str().expect("a command").to_owned();
    let (ok, said) = site.shell(&command);
    assert!(ok, "{command}: {said}");
    assert_eq!(codes(&site.found(&[])), Vec::<String>::new());

    // Gone.
    fs::rename(&path, path.with_extension("away")).expect("moved");
    fails(&site, "File not found: /etc/letsencrypt/dns.ini");
    let found = site.found(&[]);
    assert_eq!(codes(&found), ["CD719"], "{:#}", found["findings"]);
    fs::rename(path.with_extension("away"), &path).expect("moved");
    renews(&site);
    assert_eq!(codes(&site.found(&[])), Vec::<String>::new());
    score.done("CD719", &[Step::Injected, Step::Named, Step::Healthy, Step::Silent]);

    // Another secret: the file can't tell, and the words of the last renewal are all there is.
    credentials(&path, "YW5vdGhlciBzZWNyZXQgb2YgdGhpcyB0ZXN0");
    fails(&site, "Encountered error");
    let found = site.found(&[]);
    assert_eq!(codes(&found), ["CD765"], "{:#}", found["findings"]);
    score.finish();
}

#[test]
fn credentials_of_debians_certbot() {
    each_fault(Certbot::Debian);
}

#[test]
fn credentials_of_certbot_5_8() {
    each_fault(Certbot::Pip);
}
