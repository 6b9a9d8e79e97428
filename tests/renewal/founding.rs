//! The founding case from beginning to end, on a live host of its own: a certificate by certbot's own server, nginx takes its port, the
//! renewal fails, and what `renewal` says and does until the new certificate is served.

use std::{fs, thread, time::Duration};

use serde_json::Value;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::{
    acme::{Certbot, SERVER, Site},
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
pub fn until(site: &Site, expected: &[&str]) {
    let mut last = Value::Null;
    for _ in 0..50 {
        last = site.found(&[]);
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
        until(&site, &["CD753"]);
        score.done("CD751", &[Step::Healthy]);
        let applied = site.found(&["--apply"]);
        assert_eq!(applied["applied"]["rolled_back"], Value::Null, "{layout}: {applied:#}");
        score.done("CD753", &[Step::Patched]);
        until(&site, &[]);
        score.done("CD751", &[Step::Silent]);
        score.done("CD753", &[Step::Silent]);

        // Now the hook reloads.
        let (ok, said) = site.renew(NAME);
        assert!(ok && !said.contains("reported error code"), "{layout}: {said}");
        until(&site, &[]);
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
    until(site, &[]);
}

/// A fault of the server's side.
struct Fault {
    code: &'static str,
    /// The commands that make it.
    inject: &'static str,
    /// The day of judgement, from today: nothing renews until then.
    days: i64,
    /// How a renewal ends afterwards, if one is tried.
    renew: Option<bool>,
    /// The commands that take it back; `None` where the patch does.
    undo: Option<&'static str>,
}

const RELOAD: &str = "nginx -t && nginx -s reload";

const FAULTS: &[Fault] = &[
    Fault {
        code: "CD709",
        inject: "sed -i 's/^authenticator = webroot/authenticator = standalone\\npre_hook = systemctl stop apache2\\npost_hook = systemctl start apache2/' \
                 /etc/letsencrypt/renewal/a.example.test.conf",
        days: 0,
        renew: None,
        undo: Some(
            "sed -i 's/^authenticator = standalone/authenticator = webroot/; /^pre_hook/d; /^post_hook/d' \
             /etc/letsencrypt/renewal/a.example.test.conf",
        ),
    },
    Fault {
        code: "CD731",
        inject: "chmod 700 /var/www/letsencrypt",
        days: 0,
        renew: None,
        undo: Some("chmod 755 /var/www/letsencrypt"),
    },
    Fault {
        code: "CD732",
        inject: "echo 'server { listen 80; server_name a.example.test; location / { return 404; } }' >/etc/nginx/conf.d/a.conf",
        days: 0,
        renew: None,
        undo: None,
    },
    Fault {
        code: "CD736",
        inject: "nginx -s stop; while pidof nginx; do sleep 0.1; done",
        days: 0,
        renew: None,
        undo: Some("nginx"),
    },
    Fault {
        code: "CD752",
        inject: "echo 'server {' >/etc/nginx/conf.d/z.conf; kill -HUP $(cat $PID)",
        days: 0,
        renew: None,
        undo: Some("rm /etc/nginx/conf.d/z.conf; : >$LOG; $RELOAD"),
    },
    Fault {
        code: "CD754",
        inject: "mkdir -p /etc/nginx/one; touch /etc/nginx/one/fullchain.pem; \
                 mount --bind $(readlink -f /etc/letsencrypt/live/a.example.test/fullchain.pem) /etc/nginx/one/fullchain.pem",
        days: 0,
        renew: Some(true),
        undo: Some("umount /etc/nginx/one/fullchain.pem"),
    },
    Fault {
        code: "CD755",
        inject: "mkdir -p /etc/nginx/pair; cp -L /etc/letsencrypt/live/a.example.test/*.pem /etc/nginx/pair; \
                 sed -i s,/etc/letsencrypt/live/a.example.test,/etc/nginx/pair, /etc/nginx/conf.d/site.conf; $RELOAD",
        days: 0,
        renew: Some(true),
        undo: None,
    },
    Fault {
        code: "CD756",
        inject: "openssl ecparam -genkey -name prime256v1 -noout -out /etc/nginx/other.key; \
                 sed -i s,/etc/letsencrypt/live/a.example.test/privkey.pem,/etc/nginx/other.key, /etc/nginx/conf.d/site.conf",
        days: 0,
        renew: None,
        undo: Some("sed -i s,/etc/nginx/other.key,/etc/letsencrypt/live/a.example.test/privkey.pem, /etc/nginx/conf.d/site.conf"),
    },
    Fault {
        code: "CD757",
        inject: "sed -i s,a.example.test/fullchain.pem,a.example.test/cert.pem, /etc/nginx/conf.d/site.conf; $RELOAD",
        days: 0,
        renew: None,
        undo: None,
    },
    Fault {
        code: "CD758",
        inject: "openssl req -x509 -newkey rsa:2048 -nodes -days 5 -subj /CN=other.test -addext subjectAltName=DNS:other.test \
                 -keyout /etc/nginx/other.key -out /etc/nginx/other.pem; f=$(readlink -f /etc/letsencrypt/live/a.example.test/fullchain.pem); \
                 cp -a $f /etc/nginx/full.saved; cat /etc/nginx/other.pem >>$f; $RELOAD",
        days: 0,
        renew: None,
        undo: Some("cp -a /etc/nginx/full.saved $(readlink -f /etc/letsencrypt/live/a.example.test/fullchain.pem); $RELOAD"),
    },
    Fault {
        code: "CD759",
        inject: "cp /etc/nginx/conf.d/site.conf /etc/nginx/site.saved; sed -i 's,^  ssl_certificate_key.*,&\\n  ssl_certificate /etc/nginx/other.pem;\\n  \
                 ssl_certificate_key /etc/nginx/other.key;,' /etc/nginx/conf.d/site.conf; $RELOAD",
        days: 0,
        renew: None,
        undo: Some("cp /etc/nginx/site.saved /etc/nginx/conf.d/site.conf; $RELOAD"),
    },
    Fault {
        code: "CD760",
        inject: "sed -i '/listen 443 ssl/{n;s/a.example.test/other.test/}; s,ssl_certificate .*,ssl_certificate /etc/nginx/other.pem;,; \
                 s,ssl_certificate_key .*,ssl_certificate_key /etc/nginx/other.key;,' /etc/nginx/conf.d/site.conf; $RELOAD",
        days: 0,
        renew: None,
        undo: Some("cp /etc/nginx/site.saved /etc/nginx/conf.d/site.conf; $RELOAD"),
    },
    Fault {
        code: "CD762",
        inject: "sed -i 's/^  listen 443 ssl;/&\\n  add_header Strict-Transport-Security max-age=63072000;/' /etc/nginx/conf.d/site.conf; $RELOAD",
        days: 100,
        renew: None,
        undo: Some("cp /etc/nginx/site.saved /etc/nginx/conf.d/site.conf; $RELOAD"),
    },
    Fault { code: "CD766", inject: "true", days: 100, renew: None, undo: Some("true") },
    Fault {
        code: "CD717",
        inject: "cp /etc/letsencrypt/renewal/a.example.test.conf /etc/nginx/conf.saved; sed -i \
                 's,^server = .*,server = https://acme-staging-v02.api.letsencrypt.org/directory,' /etc/letsencrypt/renewal/a.example.test.conf",
        days: 0,
        renew: None,
        undo: Some("cp /etc/nginx/conf.saved /etc/letsencrypt/renewal/a.example.test.conf"),
    },
    // A hook that never ends.
    Fault {
        code: "CD725",
        inject: "$CERTBOT certonly --manual --manual-auth-hook 'tail -f /dev/null' -d b.example.test >/dev/null 2>&1 & \
                 while ! pidof tail; do sleep 0.1; done",
        days: 1,
        renew: None,
        undo: Some("kill $(pidof tail); while pidof -x certbot; do sleep 0.1; done"),
    },
    Fault {
        code: "CD749",
        inject: "$CERTBOT certonly --manual --preferred-challenges dns -d '*.w.example.test' --cert-name w.example.test --deploy-hook 'nginx -s reload' --manual-auth-hook \
                 'curl -sf -d \"{\\\"host\\\": \\\"_acme-challenge.$CERTBOT_DOMAIN.\\\", \\\"value\\\": \\\"$CERTBOT_VALIDATION\\\"}\" \
                 http://127.0.0.1:8055/set-txt' && sed -i 's/^authenticator = manual/authenticator = webroot/' \
                 /etc/letsencrypt/renewal/w.example.test.conf",
        days: 0,
        renew: None,
        undo: Some("$CERTBOT delete --cert-name w.example.test"),
    },
    // The CA finds no address: nothing on this host tells why, but for the CA's own words.
    Fault {
        code: "CD765",
        inject: "kill $(pidof pebble-challtestsrv)",
        days: 0,
        renew: Some(false),
        undo: Some(
            "pebble-challtestsrv -defaultIPv4 127.0.0.1 -defaultIPv6 '' -dns01 :8053 -http01 '' -https01 '' -tlsalpn01 '' \
             -management :8055 >/dev/null 2>&1 &",
        ),
    },
];

/// What goes wrong behind a renewal that works, each on the live host that the founding case leaves.
#[test]
fn faults_of_the_server() {
    let Some(site) = Site::start(Certbot::Debian) else { return };
    let mut score = Score::new("server");
    settle(&site);
    let log = site.path("acme/nginx.log").display().to_string();
    let pid = site.path("acme/nginx.pid").display().to_string();
    let certbot = format!(
        "certbot --non-interactive --agree-tos -m ops@example.test --server {SERVER} --work-dir {} --logs-dir {} ",
        site.path("var/lib/letsencrypt").display(),
        site.path("var/log/letsencrypt").display()
    );
    let run = |script: &str| {
        let script = script.replace("$CERTBOT ", &certbot).replace("$PID", &pid).replace("$LOG", &log).replace("$RELOAD", RELOAD);
        let output = site.run(&["sh", "-c", &script]);
        assert!(output.status.success(), "{script}: {output:?}");
    };
    for fault in FAULTS {
        let code = fault.code;
        run(fault.inject);
        match fault.renew {
            Some(true) => {
                let (ok, said) = site.renew(NAME);
                assert!(ok, "{code}: {said}");
            }
            Some(false) => drop(site.fails(NAME)),
            None => {}
        }
        let day = (OffsetDateTime::now_utc() + time::Duration::days(fault.days)).format(&Rfc3339).expect("a date");
        let found = if fault.days == 0 { site.found(&[]) } else { site.found(&["--at", &day]) };
        finding(&found, code);
        score.done(code, &[Step::Injected, Step::Named, Step::Silent]);
        let planned = found["plan"]["would_change"] == Value::Bool(true);
        assert_eq!(planned, fault.undo.is_none(), "{code}: {:#}", found["plan"]);
        match fault.undo {
            Some(undo) => {
                run(undo);
                if fault.renew == Some(false) {
                    let (ok, said) = site.renew(NAME);
                    assert!(ok, "{code}: {said}");
                }
            }
            None => {
                let applied = site.found(&["--apply"]);
                assert_eq!(applied["applied"]["rolled_back"], Value::Null, "{code}: {applied:#}");
                score.done(code, &[Step::Patched]);
            }
        }
        until(&site, &[]);
        if fault.undo.is_none() {
            let (ok, said) = site.renew(NAME);
            assert!(ok, "{code}: {said}");
            until(&site, &[]);
            score.done(code, &[Step::Healthy]);
        }
    }
    score.finish();
}
