//! What goes wrong behind a renewal that works, on a live host of its own: each fault is made with the real programs, named, and cured by the
//! patch or by what the finding prints, run as it is printed.

use std::fs;

use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair, date_time_ymd};
use serde_json::Value;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::{
    acme::{Certbot, SERVER, Site},
    codes,
    founding::{NAME, finding, settle, until},
    score::{Score, Step},
};

/// A fault, and how it is cured: by the patch where neither a command nor a person's work is named.
struct Fault {
    code: &'static str,
    /// The commands that make it.
    inject: &'static str,
    /// The day of judgement, from today: nothing renews until then.
    days: i64,
    /// How a renewal ends afterwards, if one is tried.
    renew: Option<bool>,
    /// The headline, where it is another finding.
    cause: Option<&'static str>,
    /// What the remedy tells a person to do: these commands.
    mend: &'static str,
    /// The remedy whose command is run.
    printed: Option<usize>,
    /// Words of that command that stand for something else here, with what they stand for.
    words: &'static [(&'static str, &'static str)],
    /// What it prints.
    prints: &'static str,
    /// What comes of itself afterwards, or is a person's to do.
    then: &'static str,
    /// The commands that take back what is left.
    after: &'static str,
}

const FAULT: Fault = Fault {
    code: "",
    inject: "",
    days: 0,
    renew: None,
    cause: None,
    mend: "",
    printed: None,
    words: &[],
    prints: "",
    then: "",
    after: "",
};

const REFUSED_RELOAD: Fault = Fault {
    code: "CD752",
    mend: "rm /etc/nginx/conf.d/z.conf",
    printed: Some(0),
    prints: "test is successful",
    then: "$RELOAD",
    ..FAULT
};

const RELOAD: &str = "nginx -t && nginx -s reload";

/// certbot with nobody there to answer it: a renewal without a terminal would wait for up to eight minutes first.
const ANSWERED: &str = "certbot() { if [ \"$1\" = renew ]; then shift; set -- renew --no-random-sleep-on-renew \"$@\"; fi; \
    command certbot --non-interactive \"$@\"; }";

/// Where Let's Encrypt would answer.
const LETS_ENCRYPT: &str = "https://acme-v02.api.letsencrypt.org/directory";

/// Writes the record of a DNS challenge.
const DNS_HOOK: &str = "--manual --preferred-challenges dns --manual-auth-hook 'curl -sf -d \
    \"{\\\"host\\\": \\\"_acme-challenge.$CERTBOT_DOMAIN.\\\", \\\"value\\\": \\\"$CERTBOT_VALIDATION\\\"}\" http://127.0.0.1:8055/set-txt'";

const FAULTS: &[Fault] = &[
    Fault {
        code: "CD706",
        inject: "for p in /proc/[0-9]*; do if tr '\\0' ' ' <$p/cmdline | grep -q '^sh -c while sleep'; then kill ${p#/proc/}; fi; done",
        printed: Some(0),
        then: "while pidof -x certbot; do sleep 0.1; done",
        ..FAULT
    },
    Fault {
        code: "CD709",
        inject: "sed -i 's/^authenticator = webroot/authenticator = standalone\\npre_hook = systemctl stop apache2\\npost_hook = systemctl start apache2/' \
                 /etc/letsencrypt/renewal/a.example.test.conf",
        printed: Some(0),
        ..FAULT
    },
    Fault {
        code: "CD731",
        inject: "chmod 700 /var/www/letsencrypt",
        printed: Some(0),
        after: "chmod 755 /var/www/letsencrypt",
        ..FAULT
    },
    Fault {
        code: "CD732",
        inject: "echo 'server { listen 80; server_name a.example.test; location / { return 404; } }' >/etc/nginx/conf.d/a.conf",
        after: "rm /etc/nginx/conf.d/a.conf; cp /etc/nginx/site.saved /etc/nginx/conf.d/site.conf; $RELOAD",
        ..FAULT
    },
    Fault { code: "CD736", inject: "nginx -s stop; while pidof nginx; do sleep 0.1; done", printed: Some(0), ..FAULT },
    Fault { inject: "echo 'server {' >/etc/nginx/conf.d/z.conf; kill -HUP $(cat $PID)", ..REFUSED_RELOAD },
    // What only nginx itself knows stands in its log. (Its workers must not be of the same second.)
    Fault {
        inject: "sleep 3; echo 'no_such_directive on;' >/etc/nginx/conf.d/z.conf; kill -HUP $(cat $PID); \
                 until grep -q no_such_directive $LOG; do sleep 0.1; done",
        ..REFUSED_RELOAD
    },
    // A container sees a mount of a single file in this way.
    Fault {
        code: "CD754",
        inject: "mkdir -p /etc/nginx/one /etc/nginx/all; cd /etc/letsencrypt/live/a.example.test; for f in fullchain privkey; do \
                 touch /etc/nginx/one/$f.pem; mount --bind $(readlink -f $f.pem) /etc/nginx/one/$f.pem; done; \
                 sed -i s,/etc/letsencrypt/live/a.example.test,/etc/nginx/one, /etc/nginx/conf.d/site.conf; $RELOAD",
        renew: Some(true),
        mend: "umount /etc/nginx/one/*; mount --bind /etc/letsencrypt /etc/nginx/all; \
               sed -i s,/etc/nginx/one,/etc/nginx/all/live/a.example.test, /etc/nginx/conf.d/site.conf; \
               nginx -s stop; while pidof nginx; do sleep 0.1; done; nginx",
        after: "cp /etc/nginx/site.saved /etc/nginx/conf.d/site.conf; $RELOAD; umount /etc/nginx/all",
        ..FAULT
    },
    Fault {
        code: "CD755",
        inject: "mkdir -p /etc/nginx/pair; cp -L /etc/letsencrypt/live/a.example.test/*.pem /etc/nginx/pair; \
                 sed -i s,/etc/letsencrypt/live/a.example.test,/etc/nginx/pair, /etc/nginx/conf.d/site.conf; $RELOAD",
        renew: Some(true),
        ..FAULT
    },
    Fault {
        code: "CD756",
        inject: "sed -i s,/etc/letsencrypt/live/a.example.test/privkey.pem,/etc/nginx/other.key, /etc/nginx/conf.d/site.conf",
        ..FAULT
    },
    Fault {
        code: "CD757",
        inject: "sed -i s,a.example.test/fullchain.pem,a.example.test/cert.pem, /etc/nginx/conf.d/site.conf; $RELOAD",
        ..FAULT
    },
    Fault {
        code: "CD758",
        inject: "cat /etc/nginx/other.pem >>$(readlink -f /etc/letsencrypt/live/a.example.test/fullchain.pem); $RELOAD",
        printed: Some(0),
        ..FAULT
    },
    Fault {
        code: "CD759",
        // Nobody renews that one.
        cause: Some("none"),
        inject: "sed -i 's,^  ssl_certificate_key.*,&\\n  ssl_certificate /etc/nginx/other.pem;\\n  \
                 ssl_certificate_key /etc/nginx/other.key;,' /etc/nginx/conf.d/site.conf; $RELOAD",
        mend: "sed -i '/nginx.other/d' /etc/nginx/conf.d/site.conf; $RELOAD",
        ..FAULT
    },
    Fault {
        code: "CD760",
        inject: "sed -i '/listen 443 ssl/{n;s/a.example.test/other.test/}; s,ssl_certificate .*,ssl_certificate /etc/nginx/other.pem;,; \
                 s,ssl_certificate_key .*,ssl_certificate_key /etc/nginx/other.key;,' /etc/nginx/conf.d/site.conf; $RELOAD",
        mend: "echo '$QUOTED' >/etc/nginx/conf.d/new.conf; $RELOAD",
        after: "rm /etc/nginx/conf.d/new.conf; cp /etc/nginx/site.saved /etc/nginx/conf.d/site.conf; $RELOAD",
        ..FAULT
    },
    Fault {
        code: "CD762",
        inject: "sed -i 's/^  listen 443 ssl;/&\\n  add_header Strict-Transport-Security max-age=63072000;/' /etc/nginx/conf.d/site.conf; \
                 $EXPIRE; $RELOAD",
        cause: Some("CD766"),
        printed: Some(0),
        after: "cp /etc/nginx/site.saved /etc/nginx/conf.d/site.conf; $RELOAD",
        ..FAULT
    },
    Fault {
        code: "CD766",
        inject: "$EXPIRE; $RELOAD",
        printed: Some(0),
        prints: "simulated renewals succeeded",
        then: "certbot renew",
        ..FAULT
    },
    Fault {
        code: "CD717",
        inject: "sed -i 's,^server = .*,server = https://acme-staging-v02.api.letsencrypt.org/directory,' \
                 /etc/letsencrypt/renewal/a.example.test.conf",
        printed: Some(0),
        words: &[(LETS_ENCRYPT, SERVER)],
        ..FAULT
    },
    // A hook that never ends.
    Fault {
        code: "CD725",
        inject: "$CERTBOT certonly --manual --manual-auth-hook 'tail -f /dev/null' -d b.example.test >/dev/null 2>&1 & \
                 while ! pidof tail; do sleep 0.1; done",
        days: 1,
        printed: Some(0),
        prints: "tail -f /dev/null",
        then: "while pidof -x certbot; do sleep 0.1; done; kill $(pidof tail)",
        ..FAULT
    },
    Fault {
        code: "CD749",
        inject: "$CERTBOT certonly $DNS_HOOK -d '*.w.example.test' --cert-name w.example.test --deploy-hook 'nginx -s reload' && \
                 sed -i 's,^authenticator = manual,authenticator = webroot\\nwebroot_path = /var/www/letsencrypt\\,,' /etc/letsencrypt/renewal/w.example.test.conf",
        printed: Some(0),
        words: &[("--dns-PROVIDER", DNS_HOOK)],
        then: "certbot renew --cert-name w.example.test --force-renewal",
        after: "$CERTBOT delete --cert-name w.example.test",
        ..FAULT
    },
    // The CA finds no address: nothing on this host tells why, but for the CA's own words.
    Fault {
        code: "CD765",
        inject: "kill $(pidof pebble-challtestsrv)",
        renew: Some(false),
        mend: "pebble-challtestsrv -defaultIPv4 127.0.0.1 -defaultIPv6 '' -dns01 :8053 -http01 '' -https01 '' -tlsalpn01 '' \
               -management :8055 >/dev/null 2>&1 &",
        printed: Some(0),
        prints: "simulated renewals succeeded",
        then: "certbot renew --cert-name a.example.test --force-renewal",
        ..FAULT
    },
];

/// Makes an RSA certificate of another name.
const OTHER: &str = "openssl req -x509 -newkey rsa:2048 -nodes -days 5 -subj /CN=other.test -addext subjectAltName=DNS:other.test \
    -keyout /etc/nginx/other.key -out /etc/nginx/other.pem";

/// Writes a certificate of the name that has expired, and its key.
fn expired(site: &Site) {
    let mut params = CertificateParams::new(vec![NAME.to_owned()]).expect("a name");
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, NAME);
    (params.not_before, params.not_after) = (date_time_ymd(2025, 1, 1), date_time_ymd(2025, 4, 1));
    let key = KeyPair::generate().expect("a key");
    fs::write(site.path("etc/nginx/expired.pem"), params.self_signed(&key).expect("signed").pem()).expect("written");
    fs::write(site.path("etc/nginx/expired.key"), key.serialize_pem()).expect("written");
}

/// What stands between the first backticks of a remedy.
fn quoted(remedy: &Value) -> &str {
    remedy["text"].as_str().and_then(|text| text.split('`').nth(1)).unwrap_or_default()
}

#[test]
fn faults_of_the_server() {
    let Some(site) = Site::start(Certbot::Debian) else { return };
    let mut score = Score::new("server");
    settle(&site);
    expired(&site);
    fs::copy(site.path("etc/nginx/conf.d/site.conf"), site.path("etc/nginx/site.saved")).expect("copied");
    let log = site.path("acme/nginx.log").display().to_string();
    let pid = site.path("acme/nginx.pid").display().to_string();
    let out = site.path("acme/out").display().to_string();
    let certbot = format!("certbot --agree-tos -m ops@example.test --server {SERVER} ");
    let expire = format!(
        "cd /etc/letsencrypt/live/{NAME}; cp /etc/nginx/expired.pem $(readlink -f fullchain.pem); \
         cp /etc/nginx/expired.pem $(readlink -f cert.pem); cp /etc/nginx/expired.key $(readlink -f privkey.pem)"
    );
    // What goes on in the background must not keep an output of ours.
    let run = |script: &str| {
        let known = [
            ("$CERTBOT ", certbot.as_str()),
            ("$PID", &pid),
            ("$LOG", &log),
            ("$RELOAD", RELOAD),
            ("$EXPIRE", &expire),
            ("$DNS_HOOK", DNS_HOOK),
        ];
        let script = known.iter().fold(script.to_owned(), |script, (word, with)| script.replace(word, with));
        let script = format!("exec >{out} 2>&1\n{ANSWERED}\n{script}");
        let output = site.run(&["sh", "-c", &script]);
        let said = fs::read_to_string(&out).unwrap_or_default();
        assert!(output.status.success(), "{script}: {said}");
        said
    };
    run(OTHER);
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
        let at: &[&str] = if fault.days == 0 { &[] } else { &["--at", &day] };
        let found = site.found(at);
        let told = finding(&found, code);
        let lineages = found["lineages"].as_array().expect("lineages");
        let causes: Vec<_> = lineages.iter().map(|l| l["cause"].as_str().unwrap_or("none")).collect();
        assert!(causes.contains(&fault.cause.unwrap_or(code)), "{code}: {causes:?} of {:?}", codes(&found));
        score.done(code, &[Step::Injected, Step::Named, Step::Silent]);
        let remedies = told["remedies"].as_array().expect("remedies");
        let planned = remedies.iter().any(|remedy| remedy["applicability"] != "manual");
        let by_patch = fault.mend.is_empty() && fault.printed.is_none();
        assert_eq!(planned, by_patch, "{code}: {:#}", found["plan"]);
        if by_patch {
            let applied = site.found(&["--apply"]);
            assert_eq!(applied["applied"]["rolled_back"], Value::Null, "{code}: {applied:#}");
            score.done(code, &[Step::Patched]);
        }
        run(&fault.mend.replace("$QUOTED", quoted(&told["remedies"][0])));
        if let Some(number) = fault.printed {
            let command = told["remedies"][number]["command"].as_str().unwrap_or_else(|| panic!("{code}: {told:#}"));
            assert!(fault.words.iter().all(|(word, _)| command.contains(word)), "{code}: {command}");
            let said = run(&fault.words.iter().fold(command.to_owned(), |command, (word, with)| command.replace(word, with)));
            assert!(said.contains(fault.prints), "{code}: {command}: {said}");
        }
        run(fault.then);
        until(&site, at, &[]);
        // What keeps the served certificate from being the newest is seen in the handshakes of that look.
        if code < "CD751" {
            let (ok, said) = site.renew(NAME);
            assert!(ok, "{code}: {said}");
            until(&site, &[], &[]);
        }
        score.done(code, &[Step::Healthy]);
        run(fault.after);
    }
    score.finish();
}
