//! The table of `AlpnEnd` against real servers: who answers a hello that offers `acme-tls/1` and nothing else.

mod common;
#[path = "support/score.rs"]
mod score;
#[path = "caddy/world.rs"]
mod world;

use std::{fs, net::IpAddr, path::Path};

use certdoctor::{
    facts::{
        Target, TargetSource,
        renewal::{ACME_TLS, AlpnEnd},
    },
    host::{Dial, Hello, LiveDial},
};
use score::{Score, Step};
use world::{DOMAIN, Running, listens, port, start, until};

/// What this port answers for this name.
fn asked(port: u16, name: &str) -> AlpnEnd {
    let address = IpAddr::from([127, 0, 0, 1]).to_string();
    let source = TargetSource::Server { host: address, port, starttls: None };
    let target = Target { text: String::new(), source, host: Some(name.to_owned()) };
    let hello = Hello {
        servername: Some(Some(name.to_owned())),
        alpn: vec![ACME_TLS.into()],
        once: true,
        timeout: 20,
        ..Hello::default()
    };
    AlpnEnd::of(&LiveDial::new().observe(&target, &hello))
}

/// A certificate with its key in one file, as haproxy wants it, and in two.
fn identity(folder: &Path) {
    let key = rcgen::KeyPair::generate().expect("a key");
    let params = rcgen::CertificateParams::new(vec![DOMAIN.to_owned()]).expect("a name");
    let certificate = params.self_signed(&key).expect("a certificate").pem();
    fs::write(folder.join("cert.pem"), &certificate).expect("written");
    fs::write(folder.join("key.pem"), key.serialize_pem()).expect("written");
    fs::write(folder.join("both.pem"), certificate + &key.serialize_pem()).expect("written");
}

/// A Caddy that makes its certificate itself, on this port.
fn caddy(folder: &Path, port: u16) -> Option<Running> {
    let binary = common::oracle("caddy/current/caddy")?;
    let http = world::port();
    let config = format!(
        "{{\n\tadmin off\n\tskip_install_trust\n\thttp_port {http}\n\thttps_port {port}\n\tauto_https disable_redirects\n}}\n\
         {DOMAIN} {{\n\ttls internal\n\trespond hi\n}}\n"
    );
    fs::write(folder.join("Caddyfile"), config).expect("written");
    let mut command = common::command(binary);
    command.args(["run", "--config"]).arg(folder.join("Caddyfile")).env("HOME", folder).env_remove("XDG_DATA_HOME");
    let running = start(&mut command, &folder.join("caddy.log"));
    until("Caddy listens", || listens(port));
    Some(running)
}

#[test]
fn a_caddy_is_told_from_what_stands_before_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    identity(folder);
    let direct = port();
    let Some(_caddy) = caddy(folder, direct) else { return };
    assert_eq!(asked(direct, DOMAIN), AlpnEnd::CertMagic);
    assert_eq!(asked(port(), DOMAIN), AlpnEnd::Unreached);
    behind_nginx(folder, direct);
    behind_haproxy(folder, direct);
}

fn behind_nginx(folder: &Path, direct: u16) {
    let Some(nginx) = common::oracle("servers/usr/sbin/nginx") else { return };
    let Some(module) = common::oracle("servers/usr/lib/nginx/modules/ngx_stream_module.so") else { return };
    let [http, reject, plain, map, ends, pass, dead, nobody] = std::array::from_fn(|_| port());
    let (module, dir) = (module.display(), folder.display());
    let config = format!(
        "load_module {module}; pid {dir}/nginx.pid; error_log {dir}/nginx.log; daemon off; events {{}}\n\
         http {{ access_log off; client_body_temp_path {dir}/t1; proxy_temp_path {dir}/t2; fastcgi_temp_path {dir}/t3; \
           uwsgi_temp_path {dir}/t4; scgi_temp_path {dir}/t5;\n\
         server {{ listen 127.0.0.1:{http} ssl http2; ssl_certificate {dir}/cert.pem; ssl_certificate_key {dir}/key.pem; }}\n\
         server {{ listen 127.0.0.1:{reject} ssl; ssl_reject_handshake on; }}\n\
         server {{ listen 127.0.0.1:{plain}; }} }}\n\
         stream {{ map $ssl_preread_alpn_protocols $to {{ ~\\bacme-tls/1\\b {direct}; default {http}; }}\n\
         server {{ listen 127.0.0.1:{map}; ssl_preread on; proxy_pass 127.0.0.1:$to; }}\n\
         server {{ listen 127.0.0.1:{ends} ssl; ssl_certificate {dir}/cert.pem; ssl_certificate_key {dir}/key.pem; \
           proxy_pass 127.0.0.1:{plain}; }}\n\
         server {{ listen 127.0.0.1:{pass}; proxy_pass 127.0.0.1:{direct}; }}\n\
         server {{ listen 127.0.0.1:{nobody}; proxy_pass 127.0.0.1:{dead}; }} }}\n"
    );
    fs::write(folder.join("nginx.conf"), config).expect("written");
    let mut command = common::command(nginx);
    command.arg("-p").arg(folder).arg("-c").arg(folder.join("nginx.conf"));
    let _running = start(&mut command, &folder.join("nginx.out"));
    until("nginx listens", || listens(nobody));
    let expected = [
        (http, AlpnEnd::NotKnown),
        (reject, AlpnEnd::NameRefused),
        (plain, AlpnEnd::Plain),
        (map, AlpnEnd::CertMagic),
        (ends, AlpnEnd::Terminated),
        (pass, AlpnEnd::CertMagic),
        (nobody, AlpnEnd::Nobody),
    ];
    for (n, (port, end)) in expected.into_iter().enumerate() {
        assert_eq!(asked(port, DOMAIN), end, "server {n} of nginx");
    }
}

fn behind_haproxy(folder: &Path, direct: u16) {
    let Some(haproxy) = common::oracle("servers/usr/sbin/haproxy") else { return };
    let [ends, alpn, strict, claims, pass] = std::array::from_fn(|_| port());
    let both = folder.join("both.pem");
    let both = both.display();
    let config = format!(
        "defaults\n mode tcp\n timeout connect 5s\n timeout client 5s\n timeout server 5s\n\
         listen ends\n bind 127.0.0.1:{ends} ssl crt {both}\n server s 127.0.0.1:{direct}\n\
         listen alpn\n bind 127.0.0.1:{alpn} ssl crt {both} alpn h2,http/1.1\n server s 127.0.0.1:{direct}\n\
         listen strict\n bind 127.0.0.1:{strict} ssl crt {both} strict-sni\n server s 127.0.0.1:{direct}\n\
         listen claims\n bind 127.0.0.1:{claims} ssl crt {both} alpn h2,http/1.1,acme-tls/1\n server s 127.0.0.1:{direct}\n\
         listen pass\n bind 127.0.0.1:{pass}\n server s 127.0.0.1:{direct}\n"
    );
    fs::write(folder.join("haproxy.cfg"), config).expect("written");
    let mut command = common::command(haproxy);
    command.args(["-db", "-f"]).arg(folder.join("haproxy.cfg"));
    if let Some(libraries) = common::oracles().map(|dir| dir.join("servers/usr/lib/x86_64-linux-gnu")) {
        command.env("LD_LIBRARY_PATH", libraries);
    }
    let _running = start(&mut command, &folder.join("haproxy.out"));
    until("haproxy listens", || listens(pass));
    assert_eq!(asked(ends, DOMAIN), AlpnEnd::Terminated);
    assert_eq!(asked(alpn, DOMAIN), AlpnEnd::Terminated);
    assert_eq!(asked(strict, "other.example.test"), AlpnEnd::NameRefused);
    assert_eq!(asked(claims, DOMAIN), AlpnEnd::Claimed);
    assert_eq!(asked(pass, DOMAIN), AlpnEnd::CertMagic);
}

/// A network of its own, in which port 443 is free; it ends with the value.
struct Network(Running);

impl Network {
    /// `None` where this user may make none.
    fn new(folder: &Path) -> Option<Network> {
        let ready = folder.join("ready");
        let script = format!("ip link set lo up && touch {} && exec sleep 600", ready.display());
        let mut network = start(common::command("unshare").args(["-n", "sh", "-c", &script]), &folder.join("network.log"));
        let mut gone = false;
        until("the network is there, or refused", || {
            gone = network.0.try_wait().expect("waited").is_some();
            gone || ready.exists()
        });
        if gone {
            common::skip(&format!(
                "no network of its own: {}",
                fs::read_to_string(folder.join("network.log")).unwrap_or_default()
            ));
            return None;
        }
        Some(Network(network))
    }

    fn command(&self, program: &Path) -> std::process::Command {
        let mut command = common::command("nsenter");
        command.args(["--net", "--target", &self.0.0.id().to_string()]).arg(program);
        command
    }

    fn listens(&self, port: u16) -> bool {
        let script = format!("exec 3<>/dev/tcp/127.0.0.1/{port}");
        self.command(Path::new("bash")).args(["-c", &script]).output().expect("run").status.success()
    }
}

/// A Caddy in this network, with a certificate in its storage as if it were issued by a CA of the world.
fn caddy_of_the_world(network: &Network, folder: &Path, binary: &Path, port: u16) -> Running {
    let site = folder.join(".local/share/caddy/certificates/acme.example.test-directory").join(DOMAIN);
    fs::create_dir_all(&site).expect("made");
    fs::copy(folder.join("cert.pem"), site.join(format!("{DOMAIN}.crt"))).expect("copied");
    fs::copy(folder.join("key.pem"), site.join(format!("{DOMAIN}.key"))).expect("copied");
    fs::write(site.join(format!("{DOMAIN}.json")), format!("{{\"sans\":[\"{DOMAIN}\"]}}")).expect("written");
    let config = format!(
        "{{\n\tadmin off\n\tskip_install_trust\n\thttp_port 8080\n\thttps_port {port}\n\tauto_https disable_redirects\n}}\n\
         {DOMAIN} {{\n\ttls internal\n\trespond hi\n}}\n"
    );
    fs::write(folder.join("Caddyfile"), config).expect("written");
    let mut command = network.command(binary);
    command.args(["run", "--config"]).arg(folder.join("Caddyfile")).env("HOME", folder).env_remove("XDG_DATA_HOME");
    let caddy = start(&mut command, &folder.join("caddy.log"));
    until("Caddy listens", || network.listens(port));
    caddy
}

#[test]
fn the_process_that_ends_tls_on_this_host_is_named() {
    let (Some(binary), Some(haproxy)) = (common::oracle("caddy/current/caddy"), common::oracle("servers/usr/sbin/haproxy"))
    else {
        return;
    };
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let Some(network) = Network::new(folder) else { return };
    identity(folder);
    let _caddy = caddy_of_the_world(&network, folder, &binary, 8443);
    let mut score = Score::new("terminator");
    for (ssl, found) in [(format!("ssl crt {}", folder.join("both.pem").display()), true), (String::new(), false)] {
        let config = format!(
            "defaults\n mode tcp\n timeout connect 5s\n timeout client 5s\n timeout server 5s\n\
             listen a\n bind 127.0.0.1:443 {ssl}\n server s 127.0.0.1:8443\n"
        );
        fs::write(folder.join("haproxy.cfg"), config).expect("written");
        let mut command = network.command(&haproxy);
        command.args(["-db", "-f"]).arg(folder.join("haproxy.cfg"));
        if let Some(libraries) = common::oracles().map(|dir| dir.join("servers/usr/lib/x86_64-linux-gnu")) {
            command.env("LD_LIBRARY_PATH", libraries);
        }
        let running = start(&mut command, &folder.join("haproxy.out"));
        until("haproxy listens", || network.listens(443));
        let mut command = network.command(assert_cmd::cargo::cargo_bin!("certdoctor"));
        let output = command.args(["renewal", DOMAIN, "--format", "json"]).output().expect("run");
        let report = String::from_utf8_lossy(&output.stdout).into_owned();
        let named = format!("haproxy (process {}) ends TLS on port 443", running.0.id());
        assert_eq!(report.contains(&named), found, "{report}");
        assert_eq!(report.contains("CD737"), found, "{report}");
        score.done("CD737", if found { &[Step::Injected, Step::Named] } else { &[Step::Silent] });
    }
    score.finish();
}

/// The host and the balancer before it, each in a network of its own, with a cable in between.
#[test]
fn a_balancer_that_ends_tls_is_found_by_its_public_address() {
    let (Some(binary), Some(haproxy)) = (common::oracle("caddy/current/caddy"), common::oracle("servers/usr/sbin/haproxy"))
    else {
        return;
    };
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    identity(folder);
    let [here, there] = ["here", "there"].map(|name| {
        let folder = folder.join(name);
        fs::create_dir(&folder).expect("made");
        Network::new(&folder)
    });
    let (Some(here), Some(there)) = (here, there) else { return };
    let ip = |network: &Network, words: &str| {
        let output = network.command(Path::new("ip")).args(words.split(' ')).output().expect("run");
        assert!(output.status.success(), "ip {words}: {}", String::from_utf8_lossy(&output.stderr));
    };
    ip(&here, &format!("link add cable type veth peer name cable netns {}", there.0.0.id()));
    for (network, address) in [(&here, "198.51.100.1/24"), (&there, "198.51.100.2/24")] {
        ip(network, &format!("addr add {address} dev cable"));
        ip(network, "link set cable up");
    }
    let _caddy = caddy_of_the_world(&here, folder, &binary, 443);
    let hosts = folder.join("hosts");
    fs::write(&hosts, format!("127.0.0.1 localhost\n198.51.100.2 {DOMAIN}\n")).expect("written");
    for (ssl, found) in [(format!("ssl crt {}", folder.join("both.pem").display()), true), (String::new(), false)] {
        let config = format!(
            "defaults\n mode tcp\n timeout connect 5s\n timeout client 5s\n timeout server 5s\n\
             listen a\n bind :443 {ssl}\n server s 198.51.100.1:443\n"
        );
        fs::write(folder.join("haproxy.cfg"), config).expect("written");
        let mut command = there.command(&haproxy);
        command.args(["-db", "-f"]).arg(folder.join("haproxy.cfg"));
        if let Some(libraries) = common::oracles().map(|dir| dir.join("servers/usr/lib/x86_64-linux-gnu")) {
            command.env("LD_LIBRARY_PATH", libraries);
        }
        let _running = start(&mut command, &folder.join("haproxy.out"));
        until("haproxy listens", || there.listens(443));
        // The name leads to the balancer for this run alone.
        let mut command = here.command(Path::new("unshare"));
        let script = format!("mount --bind {} /etc/hosts && exec \"$@\"", hosts.display());
        command.args(["--mount", "sh", "-c", &script, "sh"]).arg(assert_cmd::cargo::cargo_bin!("certdoctor"));
        let output = command.args(["renewal", DOMAIN, "--public", "--format", "json"]).output().expect("run");
        let report = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        assert_eq!(report.contains("what stands at 198.51.100.2 ends TLS on port 443"), found, "{report}");
        assert_eq!(report.contains("CD737"), found, "{report}");
    }
}
