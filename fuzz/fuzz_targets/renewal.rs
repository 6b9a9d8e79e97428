//! One file of the server side as anybody may have written it, on a host that is otherwise well: every reader, every check, every patch.
//! The first byte says which file.
#![no_main]

use certdoctor::{
    base::At,
    edit::Applicability,
    facts::{Clock, Facts},
    finding::Intent,
    format::config_obj,
    host::{LiveDial, memory::MemoryTree},
    judge::{Inquiry, judge},
    plan::{self, Proposal},
    renewal::{self, Host},
    x509::Purpose,
};
use libfuzzer_sys::fuzz_target;

const AT: At = At(1_795_305_600);

const CONF: &str = "/etc/letsencrypt/renewal/a.test.conf";

/// The files, by first byte; seeds are made for these places (`examples/fuzz_seeds.rs`).
const PLACES: [&str; 8] = [
    CONF,
    "/var/log/letsencrypt/letsencrypt.log",
    "/etc/letsencrypt/cli.ini",
    "/usr/lib/systemd/system/certbot.timer",
    "/usr/lib/systemd/system/certbot.service",
    "/etc/cron.d/certbot",
    "/etc/cron.daily/certbot",
    "/etc/nginx/nginx.conf",
];

const WELL: [&str; 8] = [
    "cert = /etc/letsencrypt/live/a.test/cert.pem\nprivkey = /p\nchain = /c\nfullchain = /f\n[renewalparams]\nauthenticator = webroot\n[[webroot_map]]\na.test = /srv\n",
    "",
    "",
    "[Timer]\nOnCalendar=daily\n",
    "[Service]\nExecStart=/usr/bin/certbot renew\n",
    "",
    "",
    "events {}\nhttp { server { listen 80; server_name a.test; root /srv; } }\n",
];

fuzz_target!(|bytes: &[u8]| {
    let Some((kind, content)) = bytes.split_first() else { return };
    let tree = MemoryTree::new();
    for (place, well) in PLACES.into_iter().zip(WELL) {
        tree.file(place, well);
    }
    tree.file("/usr/lib/systemd/systemd", "");
    tree.symlink("/etc/systemd/system/timers.target.wants/certbot.timer", "/usr/lib/systemd/system/certbot.timer");
    let place = PLACES[usize::from(*kind) % PLACES.len()];
    tree.file(place, content);
    let config = config_obj::parse(content);
    assert!(config.settings.iter().all(|s| s.span.end <= content.len() && s.value_span.end <= s.span.end));

    let host = Host { tree: &tree, dial: &LiveDial::default(), live: false, public: false, at: AT, now: AT, timeout: 1, jobs: 1 };
    let clock = Clock { at: AT, injected: true, built: None, newest_file: None, server_dates: Vec::new() };
    let facts = Facts { renewal: Some(renewal::gather(&host)), ..Facts::new(clock) };
    let inquiry =
        Inquiry { at: AT, within: 90, horizon: None, purpose: Purpose::ServerAuth, clients: Vec::new(), regrade: Vec::new() };
    let judgement = judge(&facts, &inquiry);
    assert!(judgement.broken.is_empty(), "a check broke");
    for finding in &judgement.findings {
        for remedy in &finding.remedies {
            let Intent::Patch(changes) = &remedy.intent else { continue };
            let proposal = Proposal { code: finding.code, summary: "x", applicability: Applicability::Auto, changes };
            let planned = plan::patch(&tree, &[proposal], AT).expect("what was read is still there");
            assert!(planned.refusals.is_empty(), "a patch contradicts itself");
        }
    }
});
