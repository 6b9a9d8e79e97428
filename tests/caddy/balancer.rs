//! Caddys behind a haproxy through which the CA comes: it ends TLS, or it spreads the CA's validations over servers that share no storage.

use std::{fs, path::Path};

use super::{
    codes, common, renewal, renewal_by,
    score::{Score, Step},
    world::{Caddy, DOMAIN, Pebble, Running, listens, port, start, until},
};

/// Only TLS-ALPN is left to be validated by.
const BY_TLS_ALPN: &str = "\ttls {\n\t\tissuer acme {\n\t\t\tdisable_http_challenge\n\t\t}\n\t}\n";

/// What haproxy does with a server that is down: give up, or take another.
const GIVE_UP: &str = "retries 0";
const TAKE_ANOTHER: &str = "retries 3\n option redispatch 1";

/// haproxy on the port that the CA asks; each server in turn.
fn balancer(folder: &Path, pebble: &Pebble, bind: &str, down: &str, servers: &[u16]) -> Option<Running> {
    let haproxy = common::oracle("servers/usr/sbin/haproxy")?;
    let servers: String = servers.iter().map(|port| format!(" server s{port} 127.0.0.1:{port}\n")).collect();
    let text = format!(
        "defaults\n mode tcp\n {down}\n timeout connect 5s\n timeout client 5s\n timeout server 5s\n\
         listen l\n bind 127.0.0.1:{} {bind}\n balance roundrobin\n{servers}",
        pebble.tls_port
    );
    fs::write(folder.join("haproxy.cfg"), text).expect("written");
    let mut command = common::command(haproxy);
    command.args(["-db", "-f"]).arg(folder.join("haproxy.cfg"));
    if let Some(libraries) = common::oracles().map(|dir| dir.join("servers/usr/lib/x86_64-linux-gnu")) {
        command.env("LD_LIBRARY_PATH", libraries);
    }
    let running = start(&mut command, &folder.join("haproxy.out"));
    until("haproxy listens", || listens(pebble.tls_port));
    Some(running)
}

/// Starts it, and waits until the CA has refused its order.
fn is_refused(caddy: &mut Caddy) {
    let before = caddy.said().matches("challenge failed").count();
    assert!(caddy.start(), "{}", caddy.said());
    until("the CA refuses", || caddy.said().matches("challenge failed").count() > before);
}

#[test]
fn a_balancer_that_ends_tls_is_told_by_the_cas_words() {
    let Some(binary) = common::oracle("caddy/current/caddy") else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let Some(pebble) = Pebble::start(folder) else { return };
    let key = rcgen::KeyPair::generate().expect("a key");
    let own = rcgen::CertificateParams::new(vec![DOMAIN.to_owned()]).expect("a name").self_signed(&key).expect("signed");
    fs::write(folder.join("both.pem"), own.pem() + &key.serialize_pem()).expect("written");
    let https = port();
    let mut caddy = Caddy::listening(binary, folder.join("root"), &pebble, (port(), https), BY_TLS_ALPN);
    let mut score = Score::new("balancer");
    let Some(ends) = balancer(folder, &pebble, &format!("ssl crt {}", folder.join("both.pem").display()), GIVE_UP, &[https])
    else {
        return;
    };
    is_refused(&mut caddy);
    caddy.stop();
    let (_, report) = renewal(&caddy.tree, &[]);
    assert_eq!(codes(&report), ["CD737"], "{report:#}");
    score.done("CD737", &[Step::Injected, Step::Named]);
    let text = report["findings"][0]["remedies"][0]["text"].as_str().expect("a text");
    assert!(text.contains("haproxy: `mode tcp`"), "{text}");
    drop(ends);
    let _passes = balancer(folder, &pebble, "", GIVE_UP, &[https]);
    assert!(caddy.start(), "{}", caddy.said());
    caddy.obtains();
    until("served", || caddy.presents());
    assert_eq!(codes(&renewal(&caddy.tree, &[]).1), Vec::<&str>::new());
    score.done("CD737", &[Step::Healthy, Step::Silent]);
    unshared(&mut score);
    score.finish();
}

/// Two Caddys, each with a storage of its own, and the CA meets them in turn.
fn unshared(score: &mut Score) {
    let Some(binary) = common::oracle("caddy/current/caddy") else { return };
    if !rustix::process::geteuid().is_root() {
        common::skip("a storage that is mounted twice needs root");
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let Some(pebble) = Pebble::start(folder) else { return };
    let ports = [port(), port()];
    let Some(gives_up) = balancer(folder, &pebble, "", GIVE_UP, &ports) else { return };
    let [mut one, mut two] = [("one", ports[0]), ("two", ports[1])]
        .map(|(name, https)| Caddy::listening(binary.clone(), folder.join(name), &pebble, (port(), https), BY_TLS_ALPN));
    for caddy in [&one, &two] {
        assert_eq!(codes(&renewal(&caddy.tree, &[]).1), Vec::<&str>::new(), "before anything is ordered");
    }
    score.done("CD738", &[Step::Silent]);
    // The first is alone at first; then each orders while the other runs and waits for its next try.
    is_refused(&mut one);
    is_refused(&mut two);
    is_refused(&mut one);
    for caddy in [&one, &two] {
        let (_, report) = renewal(&caddy.tree, &[]);
        assert_eq!(codes(&report), ["CD738"], "{report:#}\n{}", caddy.said());
        let message = report["findings"][0]["message"].as_str().expect("a message");
        assert!(message.contains("their storages are not one"), "{message}");
    }
    score.done("CD738", &[Step::Injected, Step::Named]);

    // As told: one storage for both, by a mount that the second server and whoever looks at it have.
    one.stop();
    two.stop();
    fs::create_dir_all(two.storage()).expect("made");
    let mount = format!("mount --bind {} {} && exec \"$@\"", one.storage().display(), two.storage().display());
    two.within = ["unshare", "--mount", "sh", "-c", &mount, "sh"].map(str::to_owned).into();
    drop(gives_up);
    let Some(_balancer) = balancer(folder, &pebble, "", TAKE_ANOTHER, &ports) else { return };
    assert!(two.start(), "{}", two.said());
    one.obtains();
    until("served", || two.presents());
    // Now the first one orders, and the second answers for it.
    fs::remove_dir_all(one.storage().join("certificates")).expect("removed");
    assert!(one.start(), "{}", one.said());
    one.obtains();
    until("served", || one.presents());
    assert!(two.said().contains("\"distributed\":true"), "{}", two.said());
    assert_eq!(codes(&renewal(&one.tree, &[]).1), Vec::<&str>::new());
    let mut seen = common::command("unshare");
    seen.args(&two.within[1..]).arg(assert_cmd::cargo::cargo_bin!("certdoctor"));
    let (_, report) = renewal_by(assert_cmd::Command::from_std(seen), &two.tree, &[]);
    assert_eq!(codes(&report), Vec::<&str>::new(), "{report:#}");
    assert!(report.to_string().contains(DOMAIN), "the certificate in the storage is seen: {report:#}");
    score.done("CD738", &[Step::Healthy]);
}
