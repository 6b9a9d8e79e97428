//! Where a name leads: a host and another one with a cable in between, each in a network of its own, with the CA's resolver and the host's
//! hosts file telling the same address. The other one is what else may stand there: a stranger, a balancer that ends TLS, a proxy with
//! nobody behind it.

use std::{fs, path::PathBuf};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use serde_json::Value;

use super::{
    acme::{Certbot, Site},
    codes, common,
    founding::{NAME, finding, settle, until},
    score::{Score, Step},
};

/// The host's address, and the other's.
const HERE: &str = "198.51.100.1";
const THERE: &str = "198.51.100.2";

/// How `renewal` is asked: what is silent must not take long.
const PUBLIC: &[&str] = &["--public", "--timeout", "2"];

/// A reload can't bind to one address while the old socket is bound to all.
const RESTART: &str = "nginx -s stop; while pidof nginx; do sleep 0.1; done; nginx";

/// The host with its neighbour.
struct Street {
    site: Site,
    haproxy: PathBuf,
}

impl Street {
    /// `None` after a line that says what is skipped.
    fn new() -> Option<Street> {
        let haproxy = common::oracle("servers/usr/sbin/haproxy")?;
        common::oracle("iptables")?;
        let site = Site::start(Certbot::Debian)?;
        let street = Street { site, haproxy };
        fs::write(street.site.path("acme/hosts"), "").expect("written");
        street.run(&format!(
            "ip netns add there; ip link add cable type veth peer name cable netns there; \
             ip addr add {HERE}/24 dev cable; ip link set cable up; \
             ip -n there addr add {THERE}/24 dev cable; ip -n there link set cable up; \
             mount --bind {} /etc/hosts",
            street.site.path("acme/hosts").display()
        ));
        street.lead(HERE);
        Some(street)
    }

    fn run(&self, script: &str) -> String {
        let output = self.site.run(&["sh", "-ec", script]);
        let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{script}: {said}");
        said
    }

    /// The A record of the name, for the CA and for the host itself.
    fn lead(&self, to: &str) {
        fs::write(self.site.path("acme/hosts"), format!("127.0.0.1 localhost\n{to} {NAME}\n")).expect("written");
        self.record("clear-a", &format!("{{\"host\": \"{NAME}\"}}"));
        self.record("add-a", &format!("{{\"host\": \"{NAME}\", \"addresses\": [\"{to}\"]}}"));
    }

    /// A change of what the CA's resolver says.
    fn record(&self, what: &str, body: &str) {
        self.run(&format!("curl -sf -d '{body}' http://127.0.0.1:8055/{what}"));
    }

    /// The neighbour's haproxy with these sections, in the place of the one before. It binds before its first process ends.
    fn neighbour(&self, sections: &str) {
        let at = |name: &str| self.site.path(&format!("acme/{name}"));
        let text = format!("defaults\n mode http\n timeout connect 5s\n timeout client 5s\n timeout server 5s\n{sections}");
        fs::write(at("haproxy.cfg"), text).expect("written");
        let libraries = common::oracles().map(|dir| dir.join("servers/usr/lib/x86_64-linux-gnu")).unwrap_or_default();
        let (pid, config) = (at("haproxy.pid"), at("haproxy.cfg"));
        self.run(&format!(
            "if [ -e {pid} ]; then kill $(cat {pid}); while readlink /proc/$(cat {pid})/exe >/dev/null; do sleep 0.1; done; fi; \
             ip netns exec there env LD_LIBRARY_PATH={} {} -D -p {pid} -f {} >/dev/null 2>&1",
            libraries.display(),
            self.haproxy.display(),
            config.display(),
            pid = pid.display(),
        ));
    }

    /// nginx with another site.
    fn nginx(&self, site: &str) {
        fs::write(self.site.path("etc/nginx/conf.d/site.conf"), site).expect("written");
        self.run("nginx -t && nginx -s reload");
    }

    fn public(&self) -> Value {
        self.site.found(PUBLIC)
    }

    fn renews(&self) {
        let (ok, said) = self.site.renew(NAME);
        assert!(ok, "{said}");
    }
}

/// A certificate of the name for haproxy, which has its key in the same file, from a CA of these names.
fn certificate(street: &Street, file: &str, organization: &str, common_name: &str) -> String {
    let mut ca = CertificateParams::default();
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    ca.distinguished_name.push(DnType::OrganizationName, organization);
    ca.distinguished_name.push(DnType::CommonName, common_name);
    let key = KeyPair::generate().expect("a key");
    let issuer_pem = ca.self_signed(&key).expect("a certificate").pem();
    let issuer = Issuer::new(ca, key);
    let key = KeyPair::generate().expect("a key");
    let leaf = CertificateParams::new(vec![NAME.to_owned()]).expect("a name").signed_by(&key, &issuer).expect("a certificate");
    let path = street.site.path(&format!("acme/{file}"));
    fs::write(&path, leaf.pem() + &issuer_pem + &key.serialize_pem()).expect("written");
    path.display().to_string()
}

/// Whether it becomes true once a reload is done: nginx's old workers take connections for a moment beside the new ones, so that one right
/// answer does not tell that the next is right.
fn soon(holds: impl Fn() -> bool) -> bool {
    (0..50).any(|_| {
        holds() || {
            std::thread::sleep(std::time::Duration::from_millis(100));
            false
        }
    })
}

fn cause(found: &Value) -> &str {
    found["lineages"][0]["cause"].as_str().unwrap_or("none")
}

#[test]
fn where_the_name_leads() {
    let Some(street) = Street::new() else { return };
    let site = &street.site;
    let mut score = Score::new("public");
    settle(site);
    until(site, PUBLIC, &[]);
    for code in ["CD734", "CD735", "CD761", "CD763", "CD764"] {
        score.done(code, &[Step::Silent]);
    }
    over_ipv6(&street, &mut score);
    to_another_host(&street, &mut score);
    past_a_filter(&street, &mut score);
    to_a_balancer_of_aws(&street, &mut score);
    round_in_circles(&street, &mut score);
    score.finish();
}

/// The name has an AAAA record, and nginx does not listen there on port 80.
fn over_ipv6(street: &Street, score: &mut Score) {
    let site = &street.site;
    street.run(
        "sed -i 's/^  listen 443 ssl;/&\\n  listen [::]:443 ssl;/' /etc/nginx/conf.d/site.conf; nginx -t && nginx -s reload",
    );
    until(site, &[], &["CD734"]);
    street.record("add-aaaa", &format!("{{\"host\": \"{NAME}\", \"addresses\": [\"::1\"]}}"));
    let said = site.fails(NAME);
    assert!(said.contains("dial tcp [::1]:80: connect: connection refused"), "{said}");
    let found = site.found(&[]);
    assert_eq!(
        (cause(&found), codes(&found)),
        ("CD734", vec!["CD734".to_owned(), "CD765".to_owned()]),
        "{:#}",
        found["findings"]
    );
    let applied = site.found(&["--apply"]);
    assert_eq!(applied["applied"]["rolled_back"], Value::Null, "{applied:#}");
    street.renews();
    until(site, PUBLIC, &[]);
    score.done("CD734", &[Step::Injected, Step::Named, Step::Patched, Step::Healthy]);
    street.record("clear-aaaa", &format!("{{\"host\": \"{NAME}\"}}"));
}

/// The A record is an old one.
fn to_another_host(street: &Street, score: &mut Score) {
    let other = certificate(street, "other.pem", "Example", "Another CA");
    street.neighbour(&format!("frontend f\n bind :80\n bind :443 ssl crt {other}\n http-request return status 404\n"));
    street.lead(THERE);
    let said = street.site.fails(NAME);
    assert!(said.contains("returned 404"), "{said}");
    let found = street.public();
    assert_eq!(
        (cause(&found), codes(&found)),
        ("CD735", vec!["CD735".to_owned(), "CD765".to_owned()]),
        "{:#}",
        found["findings"]
    );
    let text = finding(&found, "CD735")["remedies"][0]["text"].as_str().expect("a text");
    assert!(text.contains(&format!("if {THERE} is not meant to answer for {NAME}, change the A record")), "{text}");
    street.lead(HERE);
    street.renews();
    until(&street.site, PUBLIC, &[]);
    score.done("CD735", &[Step::Injected, Step::Named, Step::Healthy]);
}

/// Port 443 of the public address can't be used, for each of these reasons.
fn past_a_filter(street: &Street, score: &mut Score) {
    let filter = |target: &str| format!("iptables -I INPUT -d {HERE} -p tcp --dport 443 -j {target}");
    let open = "iptables -F INPUT";
    for (make, class, cure) in [
        (filter("DROP"), "no answer: a filter drops what comes", open),
        (filter("REJECT --reject-with tcp-reset"), "refused, although something listens here", open),
        (filter("REJECT --reject-with icmp-admin-prohibited"), "no route: a filter rejects", open),
        (
            "sed -i 's/listen 443/listen 127.0.0.1:443/; s/listen .::.:443/listen [::1]:443/' /etc/nginx/conf.d/site.conf; $RESTART".to_owned(),
            "refused, and nothing listens here",
            "sed -i 's/listen 127.0.0.1:443/listen 443/; s/listen .::1.:443/listen [::]:443/' /etc/nginx/conf.d/site.conf; $RESTART",
        ),
    ] {
        street.run(&make.replace("$RESTART", RESTART));
        until(&street.site, PUBLIC, &["CD764"]);
        told(street, class);
        street.run(&cure.replace("$RESTART", RESTART));
        until(&street.site, PUBLIC, &[]);
        // From the other end of the cable too.
        street.run(&format!("ip netns exec there openssl s_client -connect {HERE}:443 -servername {NAME} </dev/null"));
    }
    // A balancer with nobody behind it, and one that passes TLS on to a port without.
    street.lead(THERE);
    for (sections, classes) in [
        ("listen l\n mode tcp\n bind :443\n server s 127.0.0.1:9\n", ["closed after the hello", "reset after it was accepted"]),
        ("frontend f\n bind :443\n http-request return status 200\n", ["what answers is no TLS"; 2]),
    ] {
        street.neighbour(sections);
        let found = street.public();
        assert_eq!((cause(&found), codes(&found)), ("CD764", vec!["CD764".to_owned()]), "{:#}", found["findings"]);
        let message = finding(&found, "CD764")["message"].as_str().expect("a message");
        assert!(classes.iter().any(|class| message.contains(class)), "{message}");
    }
    street.neighbour(&format!("listen l\n mode tcp\n bind :443\n server s {HERE}:443\n"));
    until(&street.site, PUBLIC, &[]);
    street.lead(HERE);
    score.done("CD764", &[Step::Injected, Step::Named, Step::Healthy]);
}

fn told(street: &Street, class: &str) {
    let found = street.public();
    assert_eq!(cause(&found), "CD764", "{:#}", found["findings"]);
    let message = finding(&found, "CD764")["message"].as_str().expect("a message");
    assert!(message.contains(class), "{message}");
}

/// What ACM issues is known by its issuer's names; this chain has them, and keys of the test.
fn to_a_balancer_of_aws(street: &Street, score: &mut Score) {
    let amazon = certificate(street, "amazon.pem", "Amazon", "Amazon RSA 2048 M03");
    street.neighbour(&format!("frontend f\n bind :443 ssl crt {amazon}\n http-request return status 200\n"));
    street.lead(THERE);
    let found = street.public();
    assert_eq!((cause(&found), codes(&found)), ("none", vec!["CD763".to_owned()]), "{:#}", found["findings"]);
    score.done("CD763", &[Step::Injected, Step::Named]);
    street.lead(HERE);
}

/// The balancer ends TLS, and nginx behind it sends everything to `https://`.
fn round_in_circles(street: &Street, score: &mut Score) {
    let site = &street.site;
    let both = site.path("acme/both.pem").display().to_string();
    street.run(&format!("cd /etc/letsencrypt/live/{NAME}; cat fullchain.pem privkey.pem >{both}"));
    street.neighbour(&format!(
        "frontend f\n bind :80\n bind :443 ssl crt {both}\n http-request set-header X-Forwarded-Proto https if {{ ssl_fc }}\n \
         http-request set-header X-Forwarded-Proto http if !{{ ssl_fc }}\n option forwardfor\n default_backend b\n\
         backend b\n server s {HERE}:80\n"
    ));
    fs::write(site.path("var/www/html/index.html"), "INDEX\n").expect("written");
    street.nginx(&format!(
        "set_real_ip_from {THERE};\nreal_ip_header X-Forwarded-For;\nserver {{\n  listen 80;\n  server_name {NAME};\n  root /var/www/html;\n  \
         location ^~ /.well-known/acme-challenge/ {{\n    root /var/www/letsencrypt;\n  }}\n  location / {{\n    return 301 https://$host$request_uri;\n  }}\n}}\n"
    ));
    street.lead(THERE);
    let curl = |url: &str| site.run(&["curl", "-skL", "--max-redirs", "10", url]);
    // Code 47: too many redirects.
    let looped = || curl(&format!("https://{NAME}/")).status.code() == Some(47);
    assert!(soon(looped), "no loop");
    until(site, PUBLIC, &["CD761"]);
    assert_eq!(cause(&street.public()), "CD761");
    let applied = site.found(&["--apply"]);
    assert_eq!(applied["applied"]["rolled_back"], Value::Null, "{applied:#}");
    until(site, PUBLIC, &[]);
    for scheme in ["https", "http"] {
        let index = || {
            let answer = curl(&format!("{scheme}://{NAME}/"));
            answer.status.success() && answer.stdout == b"INDEX\n"
        };
        assert!(soon(index), "{scheme}: {:?}", curl(&format!("{scheme}://{NAME}/")));
    }
    street.renews();
    score.done("CD761", &[Step::Injected, Step::Named, Step::Patched, Step::Healthy]);
}
