//! The whole round with a real nginx on loopback: it does not serve a challenge, the finding's patch is written, nginx accepts and loads it,
//! and a file from the webroot comes.

use std::{fs, path::Path};

use certdoctor::{
    base::{At, TreePath},
    edit::Change,
    facts::{Clock, Facts, renewal::HttpChallenge},
    finding::{Finding, Intent},
    gather,
    host::{DirTree, LiveDial, LiveExec},
    judge::{Inquiry, judge},
    renewal,
    x509::Purpose,
};

use crate::{
    score::{Score, Step},
    site::{self, Site},
};

const AT: At = At(1_795_651_200);

/// What this host looks like, with no nginx but that of `site`, and a challenge for its name.
fn look(host: &renewal::Host<'_>, site: &Site, port: u16) -> Facts {
    let clock = Clock { at: AT, injected: false, built: None, newest_file: None, server_dates: Vec::new() };
    let mut facts = gather::renewal(host, clock);
    let found = facts.renewal.as_mut().expect("the server side");
    let main = TreePath::from(site.path("etc/nginx/nginx.conf").to_str().expect("text"));
    found.nginx.instances.retain(|i| i.conf == main);
    assert_eq!(found.nginx.instances.len(), 1, "the running master tells its configuration");
    assert!(found.nginx.instances[0].is_whole(), "{:?}", found.nginx.instances[0].defects);
    found.lineages.clear();
    found.challenges = vec![HttpChallenge {
        lineage: ("certbot", "a.test".to_owned()),
        name: "a.test".to_owned(),
        port,
        webroot: site.path("var/www/le").to_str().expect("text").into(),
        said: ("/etc/letsencrypt/renewal/a.test.conf".into(), Some(12)),
    }];
    facts
}

fn findings(facts: &Facts) -> Vec<Finding> {
    let inquiry =
        Inquiry { at: AT, within: 14, horizon: None, purpose: Purpose::ServerAuth, clients: Vec::new(), regrade: Vec::new() };
    let judgement = judge(facts, &inquiry);
    assert_eq!(judgement.broken, []);
    judgement.findings.into_iter().filter(|f| f.lineages.iter().any(|(_, name)| name == "a.test")).collect()
}

/// Writes the changes of the first patch, and says which files they are in.
fn write(finding: &Finding) -> Vec<TreePath> {
    let patch = finding.remedies.iter().find_map(|r| if let Intent::Patch(changes) = &r.intent { Some(changes) } else { None });
    let mut splices: Vec<_> = patch
        .unwrap_or_else(|| panic!("no patch: {finding:#?}"))
        .iter()
        .map(|c| {
            if let Change::Splice { path, at, with, .. } = c { (path.clone(), at.clone(), with.clone()) } else { panic!("{c:?}") }
        })
        .collect();
    splices.sort_by_key(|(_, at, _)| std::cmp::Reverse((at.start, at.end)));
    for (path, at, with) in &splices {
        let path = path.to_string();
        let mut bytes = fs::read(&path).expect("the configuration");
        bytes.splice(at.clone(), with.iter().copied());
        fs::write(&path, bytes).expect("written");
    }
    splices.into_iter().map(|(path, ..)| path).collect()
}

#[test]
fn a_patch_is_loaded_and_proved() {
    let Some(nginx) = site::program() else { return };
    let tls = "server { listen 127.0.0.1:TLS; server_name a.test; location / { return 503; } }";
    let mut score = Score::new("nginx");
    for (code, server) in [
        ("CD726", "location / {\n            return 404;\n        }"),
        ("CD727", "return 410;"),
        (
            "CD727",
            "if ($host = a.test) {\n            return 410;\n        } # managed by Certbot\n\n        return 404; # managed by Certbot",
        ),
        ("CD728", "root @/var/www/le;\n        location ~ /\\. { deny all; }\n        location /.well-known/acme-challenge/ { }"),
        ("CD729", "location /.well-known/acme-challenge/ { root @/var/www/le/.well-known/acme-challenge; }"),
        ("CD730", "root @/var/www/html;"),
        ("CD733", "root @/var/www/html;\n        location / { try_files $uri $uri/ /index.html; }"),
    ] {
        let mut site = Site::new();
        site.write("var/www/html/index.html", "INDEX");
        fs::create_dir_all(site.path("var/www/le")).expect("a folder");
        let (port, other) = (site::free_port(), site::free_port());
        let text = format!(
            "    server {{\n        listen 127.0.0.1:{port};\n        server_name a.test;\n        {server}\n    }}\n{tls}"
        );
        site.configure(&text.replace("TLS", &other.to_string()));
        site.start(&nginx, port);
        let (tree, dial, exec) = (DirTree::new(Path::new("/")).expect("this host"), LiveDial::new(), LiveExec);
        let host = renewal::Host { tree: &tree, dial: &dial, live: true, public: false, at: AT, now: AT, timeout: 10, jobs: 2 };

        let before = look(&host, &site, port);
        let proofs = renewal::self_test(&host, &tree, before.renewal.as_ref().expect("the server side"));
        assert!(proofs.len() == 1 && proofs[0].outcome.is_err(), "{code}: {proofs:?}");
        let found = findings(&before);
        let finding = found.iter().find(|f| f.code == code).unwrap_or_else(|| panic!("{code} is not among {found:#?}"));

        let changed = write(finding);
        let after = look(&host, &site, port);
        let left: Vec<String> = findings(&after).into_iter().filter(|f| f.code != "CD736").map(|f| f.message).collect();
        assert!(left.is_empty(), "{code}: {left:?}");
        assert!(site.test(&nginx).0, "{code}: {}", site.test(&nginx).1);
        let proved = renewal::prove(&host, &tree, &exec, after.renewal.as_ref().expect("the server side"), &changed);
        assert_eq!(proved, Ok(()), "{code}\n{}", fs::read_to_string(site.path("etc/nginx/nginx.conf")).expect("text"));
        let rest: Vec<_> = fs::read_dir(site.path("var/www/le/.well-known/acme-challenge")).expect("a folder").collect();
        assert!(rest.is_empty(), "the file is removed: {rest:?}");
        score.done(code, &[Step::Injected, Step::Named, Step::Patched, Step::Healthy, Step::Silent]);
    }
    score.finish();
}
