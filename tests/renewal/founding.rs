//! The founding case from beginning to end, on a live host of its own: a certificate by certbot's own server, nginx takes its port, the
//! renewal fails, and what `renewal` says and does until the new certificate is served.

use std::{fs, thread, time::Duration};

use serde_json::Value;

use super::{
    acme::{Certbot, Site},
    codes,
    score::{Score, Step},
};

pub const NAME: &str = "a.example.test";

/// What nginx's server on port 80 does with a challenge, and the code of that alone.
const LAYOUTS: &[(&str, &str)] = &[
    ("a redirect in a location", "  location / { return 301 https://$host$request_uri; }\n"),
    ("a redirect of the server", "  return 301 https://$host$request_uri;\n"),
    ("dotfiles are denied", "  root /var/www/html;\n  location ~ /\\. { deny all; }\n  location / { try_files $uri =404; }\n"),
    ("one page for everything", "  root /var/www/html;\n  location / { try_files $uri /index.html; }\n"),
];

pub fn finding<'a>(found: &'a Value, code: &str) -> &'a Value {
    let findings = found["findings"].as_array().expect("findings");
    findings.iter().find(|f| f["code"] == code).unwrap_or_else(|| panic!("{code} is not among {findings:#?}"))
}

/// Looks until a server that was told to reload has done so: its old workers go on for a moment.
pub fn until(site: &Site, arguments: &[&str], expected: &[&str]) {
    let mut last = Value::Null;
    for _ in 0..50 {
        last = site.found(arguments);
        if codes(&last) == expected {
            return;
        }
        thread::sleep(Duration::from_millis(200));
    }
    panic!("not {expected:?}: {:#}", last["findings"]);
}

fn from_beginning_to_end(which: Certbot) {
    let mut score = Score::new("founding");
    for (layout, port_80) in LAYOUTS {
        let Some(site) = Site::start(which) else { return };
        fs::write(site.path("var/www/html/index.html"), "INDEX\n").expect("written");
        site.issue(NAME, &["--standalone"]);
        assert_eq!(codes(&site.found(&[])), Vec::<String>::new(), "{layout}: before nginx takes the port");
        score.done("CD708", &[Step::Silent]);

        site.nginx_with(NAME, port_80, &format!("/etc/letsencrypt/live/{NAME}"));
        let said = site.fails(NAME);
        assert!(said.contains("Could not bind TCP port 80"), "{layout}: {said}");
        score.done("CD708", &[Step::Injected]);

        let (_, said) = site.doctor(&["renewal", NAME]);
        assert!(said.contains("CD708") && said.contains("but nginx (process "), "{layout}: {said}");
        for file in [&format!("etc/letsencrypt/renewal/{NAME}.conf"), "etc/nginx/conf.d/site.conf"] {
            assert!(said.contains(&format!("--- ./{file}")), "{layout}: no diff of {file} in {said}");
        }
        score.done("CD708", &[Step::Named]);

        let applied = site.found(&["--apply"]);
        assert_eq!(applied["applied"]["rolled_back"], Value::Null, "{layout}: {applied:#}");
        score.done("CD708", &[Step::Patched]);

        // A renewal without the hook that the patch brought.
        let conf = site.path(&format!("etc/letsencrypt/renewal/{NAME}.conf"));
        let text = fs::read_to_string(&conf).expect("the file");
        let bare: String = text.lines().filter(|l| !l.starts_with("renew_hook")).map(|l| l.to_owned() + "\n").collect();
        assert_ne!(text, bare);
        fs::write(&conf, bare).expect("written");
        let (ok, said) = site.renew(NAME);
        assert!(ok, "{layout}: {said}");
        let found = site.found(&[]);
        assert_eq!(codes(&found), ["CD751", "CD753"], "{layout}: {:#}", found["findings"]);
        score.done("CD708", &[Step::Healthy]);
        for code in ["CD751", "CD753"] {
            score.done(code, &[Step::Injected, Step::Named]);
        }

        // As printed.
        let reload = finding(&found, "CD751")["remedies"][0]["command"].as_str().expect("a command").to_owned();
        let output = site.run(&["sh", "-c", &reload]);
        assert!(output.status.success(), "{layout}: {output:?}");
        until(&site, &[], &["CD753"]);
        score.done("CD751", &[Step::Healthy]);
        let applied = site.found(&["--apply"]);
        assert_eq!(applied["applied"]["rolled_back"], Value::Null, "{layout}: {applied:#}");
        score.done("CD753", &[Step::Patched]);
        until(&site, &[], &[]);
        score.done("CD751", &[Step::Silent]);
        score.done("CD753", &[Step::Silent]);

        // Now the hook reloads.
        let (ok, said) = site.renew(NAME);
        assert!(ok && !said.contains("reported error code"), "{layout}: {said}");
        until(&site, &[], &[]);
        score.done("CD753", &[Step::Healthy]);
    }
    score.finish();
}

#[test]
fn with_debians_certbot() {
    from_beginning_to_end(Certbot::Debian);
}

#[test]
fn with_certbot_5_8() {
    from_beginning_to_end(Certbot::Pip);
}

/// What the founding case leaves: nginx has the port, and certbot renews by it.
pub fn settle(site: &Site) {
    site.issue(NAME, &["--standalone"]);
    site.nginx_with(NAME, LAYOUTS[0].1, &format!("/etc/letsencrypt/live/{NAME}"));
    let applied = site.found(&["--apply"]);
    assert_eq!(applied["applied"]["rolled_back"], Value::Null, "{applied:#}");
    let (ok, said) = site.renew(NAME);
    assert!(ok, "{said}");
    until(site, &[], &[]);
}
