//! NJet's port layout, with nginx's stream module in the place of NJet and lego in that of its certificate manager: neither is packaged.
//! What certdoctor says of each layout is compared with what a real CA gets.

mod common;
#[path = "support/score.rs"]
mod score;
#[path = "caddy/world.rs"]
mod world;

use std::{
    collections::BTreeSet,
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use certdoctor::{
    facts::{
        Target, TargetSource,
        renewal::{ACME_TLS, AlpnEnd},
    },
    host::{Dial, Hello, LiveDial},
};
use score::{Score, Step};
use world::{DOMAIN, Pebble, Running, listens, port, start, until};

/// A root file system with an NJet.
struct Root {
    folder: tempfile::TempDir,
    challenge: u16,
    https: u16,
}

impl Root {
    fn new() -> Root {
        let root = Root { folder: tempfile::tempdir().expect("a folder"), challenge: port(), https: port() };
        let key = rcgen::KeyPair::generate().expect("a key");
        let certificate =
            rcgen::CertificateParams::new(vec![DOMAIN.to_owned()]).expect("a name").self_signed(&key).expect("signed");
        root.write("conf/server.crt", &certificate.pem());
        root.write("conf/server.key", &key.serialize_pem());
        for path in [
            "conf/mqtt.conf",
            "modules/njt_helper_broker_module.so",
            "modules/njt_helper_go_copilot_module.so",
            "sbin/cert-manager",
        ] {
            root.write(path, "");
            fs::set_permissions(root.path(path), fs::Permissions::from_mode(0o755)).expect("permissions");
        }
        let stream = format!(
            "map $ssl_preread_alpn_protocols $to {{ ~\\bacme-tls/1\\b {}; default {}; }}\n\
             server {{ listen 443; proxy_pass 127.0.0.1:$to; ssl_preread on; }}",
            root.challenge, root.https
        );
        root.layout(&stream, root.challenge);
        root
    }

    fn path(&self, path: &str) -> PathBuf {
        self.folder.path().join("usr/local/njet").join(path)
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().expect("a folder")).expect("folders");
        fs::write(path, text).expect("written");
    }

    /// Both files, with this in the `stream` block and this port in the TOML file.
    fn layout(&self, stream: &str, port: u16) {
        let conf = format!(
            "helper broker modules/njt_helper_broker_module.so conf/mqtt.conf;\n\
             helper cert modules/njt_helper_go_copilot_module.so conf/cert.toml;\n\
             events {{}}\n\
             http {{\n  access_log off;\n  server {{\n    listen 127.0.0.1:{} ssl;\n    server_name {DOMAIN};\n    ssl_certificate server.crt;\n    \
             ssl_certificate_key server.key;\n    ssl_certificate_management acme;\n  }}\n}}\nstream {{\n{stream}\n}}\n",
            self.https
        );
        self.write("conf/njet.conf", &conf);
        let toml = format!(
            "[copilot]\nprogName=\"sbin/cert-manager\"\ncopilotType=\"cert\"\n[acme]\nemail=\"ops@example.test\"\nchallengeType=\"tls\"\n\
             tlsChallengeServerAddress=\":{port}\" # of lego\n[mqtt]\nmqttServerAddress=\"127.0.0.1:1883\"\n"
        );
        self.write("conf/cert.toml", &toml);
    }

    fn read(&self, path: &str) -> String {
        fs::read_to_string(self.path(path)).expect("a file")
    }

    /// nginx with this layout: port 443 is another, and what only NJet knows is left out.
    fn nginx(&self, front: u16) -> Option<Running> {
        let nginx = common::oracle("servers/usr/sbin/nginx")?;
        let module = common::oracle("servers/usr/lib/nginx/modules/ngx_stream_module.so")?;
        let known = |line: &&str| !line.starts_with("helper ") && !line.contains("ssl_certificate_management");
        let conf: String = self.read("conf/njet.conf").lines().filter(known).map(|l| format!("{l}\n")).collect();
        let dir = self.path("conf");
        let dir = dir.display();
        let temp = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map(|t| format!("{t}_temp_path {dir}/{t};")).concat();
        let conf = format!(
            "load_module {}; daemon off; master_process off; pid {dir}/pid; error_log {dir}/log;\n{conf}",
            module.display()
        )
        .replace("listen 443;", &format!("listen 127.0.0.1:{front};"))
        .replace("http {\n", &format!("http {{ {temp}\n"));
        fs::write(self.path("conf/nginx.conf"), conf).expect("written");
        let mut command = common::command(nginx);
        command.arg("-p").arg(self.path("")).arg("-c").arg(self.path("conf/nginx.conf"));
        let running = start(&mut command, &self.path("conf/out"));
        until("nginx listens", || listens(front) && listens(self.https));
        Some(running)
    }

    /// Has the ACME server issue to lego, which waits where the TOML file says: whether it does.
    fn issue(&self, pebble: &Pebble) -> Option<(bool, String)> {
        let toml: toml::Table = self.read("conf/cert.toml").parse().expect("TOML");
        let address = toml["acme"]["tlsChallengeServerAddress"].as_str().expect("an address").to_owned();
        let _nginx = self.nginx(pebble.tls_port)?;
        lego(&self.path(".lego"), pebble, &["--tls", "--tls.port", &address], "run")
    }

    /// What `renewal` finds in this root.
    fn findings(&self, more: &[&str]) -> (BTreeSet<String>, serde_json::Value) {
        findings(self.folder.path(), more)
    }
}

fn findings(root: &Path, more: &[&str]) -> (BTreeSet<String>, serde_json::Value) {
    let output =
        common::certdoctor().arg("renewal").args(more).arg("--root").arg(root).args(["--format", "json"]).output().expect("run");
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|e| {
        panic!("{e}: {}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
    });
    let codes = report["findings"].as_array().expect("findings").iter().map(|f| f["code"].as_str().expect("a code").to_owned());
    (codes.collect(), report)
}

/// lego 4.9 of Debian, run for real.
fn lego(store: &Path, pebble: &Pebble, how: &[&str], verb: &str) -> Option<(bool, String)> {
    let lego = common::oracle("servers/usr/bin/lego")?;
    let mut command = common::command(lego);
    command.args(["--server", &pebble.directory, "--accept-tos", "--email", "ops@example.test", "--domains", DOMAIN]);
    command.arg("--path").arg(store).args(how).arg(verb).env("LEGO_CA_CERTIFICATES", &pebble.root);
    let output = command.output().expect("run");
    let said = String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
    Some((output.status.success(), said))
}

/// What this port answers a hello with `acme-tls/1` alone.
fn asked(port: u16) -> AlpnEnd {
    let source = TargetSource::Server { host: "127.0.0.1".to_owned(), port, starttls: None };
    let target = Target { text: String::new(), source, host: Some(DOMAIN.to_owned()) };
    let hello = Hello {
        servername: Some(Some(DOMAIN.to_owned())),
        alpn: vec![ACME_TLS.into()],
        once: true,
        timeout: 20,
        ..Hello::default()
    };
    AlpnEnd::of(&LiveDial::new().observe(&target, &hello))
}

#[test]
fn what_is_said_of_a_layout_is_what_the_ca_meets() {
    let folder = tempfile::tempdir().expect("a folder");
    let Some(pebble) = Pebble::start(folder.path()) else { return };
    let root = Root::new();
    let Some((issued, said)) = root.issue(&pebble) else { return };
    assert!(issued, "{said}");
    let (codes, report) = root.findings(&[]);
    assert_eq!(codes, BTreeSet::new(), "{report:#}");
    let lineage = &report["facts"]["renewal"]["lineages"];
    assert!(report.to_string().contains("\"njet\""), "{lineage:#}");
    let idle = root.nginx(pebble.tls_port);
    assert_eq!(asked(pebble.tls_port), AlpnEnd::Nobody, "between validations nobody waits");
    drop(idle);

    let (challenge, https) = (root.challenge, root.https);
    let map = format!("map $ssl_preread_alpn_protocols $to {{ ~\\bacme-tls/1\\b {challenge}; default {https}; }}");
    let server = "server { listen 443; proxy_pass 127.0.0.1:$to; ssl_preread on; }";
    let wrong = [
        ("the hello is not read", format!("{map}\n{}", server.replace(" ssl_preread on;", "")), challenge, AlpnEnd::NotKnown),
        ("switched off", format!("{map}\n{}", server.replace("ssl_preread on", "ssl_preread off")), challenge, AlpnEnd::NotKnown),
        ("another port", format!("{map}\n{server}"), port(), AlpnEnd::Nobody),
        (
            "no line in the map",
            format!("{}\n{server}", map.replace(&format!("~\\bacme-tls/1\\b {challenge};"), "")),
            challenge,
            AlpnEnd::NotKnown,
        ),
        ("no map", format!("server {{ listen 443; proxy_pass 127.0.0.1:{https}; }}"), challenge, AlpnEnd::NotKnown),
    ];
    let mut score = Score::new("njet");
    score.done("CD739", &[Step::Silent]);
    for (what, stream, port, end) in wrong {
        let root = Root { folder: Root::new().folder, challenge, https };
        root.layout(&stream, port);
        let running = root.nginx(pebble.tls_port);
        assert_eq!(asked(pebble.tls_port), end, "{what}");
        drop(running);
        let (issued, said) = root.issue(&pebble).expect("lego");
        assert!(!issued, "{what}: {said}");
        let (codes, report) = root.findings(&[]);
        assert_eq!(codes, BTreeSet::from(["CD739".to_owned()]), "{what}: {report:#}");
        let (codes, report) = root.findings(&["--apply"]);
        assert_eq!(codes, BTreeSet::new(), "{what}: {report:#}");
        let (issued, said) = root.issue(&pebble).expect("lego");
        assert!(issued, "{what}, patched: {said}\n{}\n{}", root.read("conf/njet.conf"), root.read("conf/cert.toml"));
        let (codes, report) = root.findings(&[DOMAIN]);
        assert_eq!(codes, BTreeSet::new(), "{what}, issued: {report:#}");
        score.done("CD739", &[Step::Injected, Step::Named, Step::Patched, Step::Healthy]);
    }
    score.finish();
}

#[test]
fn what_lego_keeps_is_read_and_in_order() {
    let folder = tempfile::tempdir().expect("a folder");
    let Some(pebble) = Pebble::start(folder.path()) else { return };
    let root = tempfile::tempdir().expect("a folder");
    let at = |path: &str| root.path().join(path);
    for folder in ["etc/cron.d", "usr/bin"] {
        fs::create_dir_all(at(folder)).expect("folders");
    }
    let how = format!("127.0.0.1:{}", pebble.http_port);
    let how = ["--http", "--http.port", &how];
    let Some((issued, said)) = lego(&at("etc/lego"), &pebble, &how, "run") else { return };
    assert!(issued, "{said}");
    // `renew` of version 4 finds what `run` wrote.
    let (renewed, said) = lego(&at("etc/lego"), &pebble, &how, "renew").expect("lego");
    assert!(renewed, "{said}");
    fs::copy(common::oracle("servers/usr/bin/lego").expect("lego"), at("usr/bin/lego")).expect("copied");
    let line =
        format!("17 3 * * * root /usr/bin/lego --path /etc/lego --email ops@example.test --domains {DOMAIN} --http renew\n");
    fs::write(at("etc/cron.d/lego"), line).expect("written");
    let (codes, report) = findings(root.path(), &[DOMAIN]);
    assert_eq!(codes, BTreeSet::new(), "{report:#}");
    assert!(report.to_string().contains(&format!("/etc/lego/certificates/{DOMAIN}.crt")), "{report:#}");
}

#[test]
fn the_recorded_njet_is_in_order_until_a_part_is_taken_out() {
    let root = Root::new();
    let recorded = common::fixture("renewal/njet");
    let text = |name: &str| fs::read_to_string(recorded.join(name)).expect("a fixture");
    // Recorded with nginx in the place of NJet: what only NJet knows is a comment there.
    let managed = "# ssl_certificate_management acme;   (NJet only)";
    let conf = text("nginx.conf");
    assert!(conf.contains(managed));
    let helpers = "helper broker modules/njt_helper_broker_module.so conf/mqtt.conf;\n\
                   helper cert modules/njt_helper_go_copilot_module.so conf/cert.toml;\n";
    let conf = helpers.to_owned() + &conf.replace(managed, "ssl_certificate_management acme;");
    root.write("conf/njet.conf", &conf);
    root.write("conf/cert.toml", &text("cert.toml"));
    for name in ["vs8.example.test.crt", "vs8.example.test.issuer.crt", "vs8.example.test.json"] {
        root.write(&format!(".lego/certificates/{name}"), &text(&format!("dot-lego/certificates/{name}")));
    }
    let at = ["--at", "2026-11-22T01:00:00Z"];
    let (codes, report) = root.findings(&at);
    assert_eq!(codes, BTreeSet::new(), "{report:#}");
    let taken_out = [
        (" ssl_preread on;", "CD739"),
        ("helper cert modules/njt_helper_go_copilot_module.so conf/cert.toml;\n", "CD741"),
        ("helper broker modules/njt_helper_broker_module.so conf/mqtt.conf;\n", "CD741"),
    ];
    for (part, code) in taken_out {
        assert!(conf.contains(part), "{part}");
        root.write("conf/njet.conf", &conf.replace(part, ""));
        let (codes, report) = root.findings(&at);
        assert_eq!(codes, BTreeSet::from([code.to_owned()]), "{part}: {report:#}");
        let (codes, report) = root.findings(&["--apply", "--at", "2026-11-22T01:00:00Z"]);
        assert_eq!(codes, BTreeSet::new(), "{part}: {report:#}");
    }
    root.write("conf/njet.conf", &conf);
    root.write("conf/cert.toml", &text("cert.toml").replace("\"tls\"", "\"http\""));
    let (codes, report) = root.findings(&at);
    assert_eq!(codes, BTreeSet::from(["CD740".to_owned()]), "{report:#}");
    let (codes, report) = root.findings(&["--apply", "--at", "2026-11-22T01:00:00Z"]);
    assert_eq!(codes, BTreeSet::new(), "{report:#}");
}
