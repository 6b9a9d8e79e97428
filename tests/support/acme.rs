//! A real ACME server (pebble), real certbots and nginx, in namespaces of their own: ports 80 and 443 are free there, `/etc/letsencrypt`
//! and `/etc/nginx` are folders of a test's own root, and everything that runs ends with the value.

use std::{
    fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use tempfile::TempDir;

use super::common::{clean, oracle, oracles, program, skip};

/// The directory of the ACME server.
pub const SERVER: &str = "https://127.0.0.1:14000/dir";

/// Let's Encrypt's, which stands before it once [`Site::lets_encrypt`] was called.
const LETS_ENCRYPT: &str = "https://acme-v02.api.letsencrypt.org/directory";

/// The hosts of Let's Encrypt that certbot asks: for certificates, and for dry runs.
const HOSTS: [&str; 2] = ["acme-v02.api.letsencrypt.org", "acme-staging-v02.api.letsencrypt.org"];

/// How long a certificate lives, in seconds.
const LIFETIME: u32 = 90 * 86_400;

/// A certbot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Certbot {
    /// Debian's package, 2.1.
    Debian,
    /// 5.8 from PyPI.
    Pip,
}

impl Certbot {
    /// Its program; `None` after a line that says what is skipped.
    pub fn program(self) -> Option<PathBuf> {
        match self {
            Certbot::Debian => oracle("certbot"),
            Certbot::Pip => {
                let found = oracles().map(|o| o.join("certbot-5.8/bin/certbot")).filter(|p| p.exists());
                if found.is_none() {
                    skip("certbot 5.8 is not installed (scripts/oracles/renewal.sh)");
                }
                found
            }
        }
    }
}

/// A host of its own.
pub struct Site {
    /// Its root: `etc/letsencrypt`, `etc/nginx`, `var/log/letsencrypt` in it are the ones that the programs see.
    pub root: TempDir,
    init: Child,
    /// The first process in it.
    pid: u32,
    certbot: PathBuf,
    /// The directory that certificates come from.
    server: &'static str,
    /// Where nginx listens with TLS.
    https: &'static str,
}

impl Site {
    /// Starts the namespaces and the ACME server. `None` after a line that says what is skipped.
    pub fn start(which: Certbot) -> Option<Site> {
        Site::start_with(which, LIFETIME)
    }

    /// The same, with certificates that live so many seconds.
    pub fn start_with(which: Certbot, lifetime: u32) -> Option<Site> {
        let certbot = which.program()?;
        let (pebble, dns) = (oracle("pebble")?, oracle("pebble-challtestsrv")?);
        for needed in ["nginx", "unshare", "nsenter", "ip"] {
            oracle(needed)?;
        }
        if !rustix::process::geteuid().is_root() {
            skip("namespaces for certbot and nginx need root");
            return None;
        }
        let root = tempfile::tempdir().expect("a temporary folder");
        let at = |path: &str| root.path().join(path);
        for folder in
            ["etc/letsencrypt", "etc/nginx", "var/lib/letsencrypt", "var/log/letsencrypt", "var/www/html", "acme/web", "stub"]
        {
            fs::create_dir_all(at(folder)).expect("a folder");
        }
        pebble_files(&at("acme"), lifetime);
        // Hooks reload by systemd, which does not run here.
        let stub = "#!/bin/sh\n[ \"$1 $2\" = 'reload nginx' ] && exec nginx -s reload\nexit 1\n";
        fs::write(at("stub/systemctl"), stub).expect("written");
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        fs::set_permissions(at("stub/systemctl"), mode).expect("executable");
        // The first process is a shell that waits: what has ended and has no parent left would stay as a zombie.
        let script = format!(
            "set -e; ip link set lo up; \
             for dir in etc/letsencrypt etc/nginx var/lib/letsencrypt var/log/letsencrypt var/www; do \
               mkdir -p /$dir; mount --bind {root}/$dir /$dir; done; \
             mount -t tmpfs none /run; mkdir -p /var/lib/certdoctor; mount -t tmpfs none /var/lib/certdoctor; \
             sh -c 'while sleep 43200; do certbot -q renew; done' & \
             {dns} -defaultIPv4 127.0.0.1 -defaultIPv6 '' -dns01 :8053 -http01 '' -https01 '' -tlsalpn01 '' -management :8055 \
               >{root}/acme/dns.log 2>&1 & \
             cd {root}/acme; PEBBLE_VA_NOSLEEP=1 PEBBLE_WFE_NONCEREJECT=0 PEBBLE_AUTHZREUSE=0 \
               {pebble} -config pebble.json -dnsserver 127.0.0.1:8053 >pebble.log 2>&1 & \
             echo ready; exec sh -c 'sleep 3600 & wait $!'",
            root = root.path().display(),
            dns = dns.display(),
            pebble = pebble.display(),
        );
        let mut unshare = Command::new("unshare");
        unshare.args(["--fork", "--kill-child", "--pid", "--mount-proc", "--mount", "--net", "sh", "-c", &script]);
        let mut init = clean(&mut unshare).stdout(Stdio::piped()).spawn().expect("unshare runs");
        let mut line = String::new();
        BufReader::new(init.stdout.take().expect("its output")).read_line(&mut line).expect("its first line");
        if line.trim() != "ready" {
            let _ = init.kill();
            let _ = init.wait();
            skip("namespaces can't be made here (unshare)");
            return None;
        }
        let children = format!("/proc/{0}/task/{0}/children", init.id());
        let pid = fs::read_to_string(children)
            .expect("its child")
            .split_whitespace()
            .next()
            .expect("a child")
            .parse()
            .expect("a number");
        let site = Site { root, init, pid, certbot, server: SERVER, https: "443" };
        site.wait_for("pebble", |text| text.contains("Listening on: 127.0.0.1:14000"));
        Some(site)
    }

    /// Puts Let's Encrypt before the ACME server: its names lead to a proxy, which refuses what Let's Encrypt refuses and pebble takes, with
    /// the same words. Certbot needs no `--server` any more. Whether there is a python3 to run it; a line says so if not.
    pub fn lets_encrypt(&mut self) -> bool {
        let Some(python) = oracle("python3") else { return false };
        let script = format!(
            "cd {acme} && (cat /etc/hosts; echo 127.0.0.2 {hosts}) >hosts && mount --bind hosts /etc/hosts && \
             {python} {program} 127.0.0.2:443 127.0.0.1:14000 127.0.0.1:8053 api.pem api.key >policy.log 2>&1 &",
            acme = self.path("acme").display(),
            hosts = HOSTS.join(" "),
            python = python.display(),
            program = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/acme/policy.py").display(),
        );
        let (ok, said) = said(&self.run(&["sh", "-c", &script]));
        assert!(ok, "{said}");
        self.wait_for("policy", |text| text.contains("listening on"));
        (self.server, self.https) = (LETS_ENCRYPT, "127.0.0.1:443");
        true
    }

    /// Waits until the ACME server's log says something; half a minute at most.
    fn wait_for(&self, name: &str, says: impl Fn(&str) -> bool) {
        let log = self.path(&format!("acme/{name}.log"));
        for _ in 0..300 {
            if says(&fs::read_to_string(&log).unwrap_or_default()) {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(100));
        }
        panic!("{name} did not start: {}", fs::read_to_string(&log).unwrap_or_default());
    }

    /// A path in the root.
    pub fn path(&self, path: &str) -> PathBuf {
        self.root.path().join(path.trim_start_matches('/'))
    }

    /// Runs a program in the namespaces.
    pub fn run(&self, argv: &[&str]) -> Output {
        let mut command = Command::new("nsenter");
        command.args(["--target", &self.pid.to_string(), "--mount", "--net", "--pid", "--"]).args(argv);
        clean(&mut command);
        let path = std::env::var("PATH").unwrap_or_default();
        command.env("PATH", format!("{}:/usr/sbin:/sbin:{path}", self.path("stub").display()));
        command.env("REQUESTS_CA_BUNDLE", self.path("acme/ca.pem")).stdin(Stdio::null());
        command.output().expect("nsenter runs")
    }

    /// Runs a line of the shell: what it says, and whether it ended well.
    pub fn shell(&self, line: &str) -> (bool, String) {
        said(&self.run(&["sh", "-c", line]))
    }

    /// Runs certbot: what it says, and whether it ended well.
    pub fn certbot(&self, arguments: &[&str]) -> (bool, String) {
        self.certbot_under(&[], arguments)
    }

    /// The same by another program, which stands before it: `faketime`.
    pub fn certbot_under(&self, before: &[&str], arguments: &[&str]) -> (bool, String) {
        let (work, logs) = (self.path("var/lib/letsencrypt"), self.path("var/log/letsencrypt"));
        let program = self.certbot.to_str().expect("UTF-8").to_owned();
        let mut argv = before.to_vec();
        argv.push(program.as_str());
        argv.extend(arguments);
        let (work, logs) = (work.to_str().expect("UTF-8").to_owned(), logs.to_str().expect("UTF-8").to_owned());
        argv.extend(["--work-dir", &work, "--logs-dir", &logs, "--non-interactive"]);
        said(&self.run(&argv))
    }

    /// The first certificate of this name, by certbot's own server on port 80.
    pub fn issue(&self, name: &str, more: &[&str]) {
        let mut arguments = vec!["certonly", "--agree-tos", "-m", "ops@example.test", "--server", self.server, "-d", name];
        arguments.extend(more);
        let (ok, said) = self.certbot(&arguments);
        assert!(ok, "{said}");
    }

    /// Ends the ACME server; it is the only one of its name in this PID namespace.
    pub fn stop_server(&self) {
        let (ok, said) = said(&self.run(&["sh", "-c", "kill $(pidof pebble)"]));
        assert!(ok, "{said}");
    }

    /// Renews at once.
    pub fn renew(&self, name: &str) -> (bool, String) {
        self.certbot(&["renew", "--force-renewal", "--cert-name", name, "--no-random-sleep-on-renew"])
    }

    /// Renews, which fails: what certbot says. With `PEBBLE_AUTHZREUSE=0` pebble still takes a valid authorization again in one order of a
    /// hundred (`rand.Intn(100) > percentage` makes a new one), and then nothing is validated: it is tried again.
    pub fn fails(&self, name: &str) -> String {
        for _ in 0..3 {
            let (ok, said) = self.renew(name);
            if !ok {
                return said;
            }
        }
        panic!("{name} is renewed each time");
    }

    /// The built binary in the namespaces, as on a live host.
    pub fn doctor(&self, arguments: &[&str]) -> (bool, String) {
        let mut argv = vec![assert_cmd::cargo::cargo_bin!("certdoctor").to_str().expect("UTF-8").to_owned()];
        argv.extend(arguments.iter().map(|a| (*a).to_owned()));
        said(&self.run(&argv.iter().map(String::as_str).collect::<Vec<_>>()))
    }

    /// What the built binary finds in the namespaces, as on a live host: its report.
    pub fn found(&self, arguments: &[&str]) -> serde_json::Value {
        self.found_under(&[], arguments)
    }

    /// The same by another program, which stands before it: `faketime`.
    pub fn found_under(&self, before: &[&str], arguments: &[&str]) -> serde_json::Value {
        let mut argv = before.to_vec();
        argv.extend([assert_cmd::cargo::cargo_bin!("certdoctor").to_str().expect("UTF-8"), "renewal", "--format", "json"]);
        argv.extend(arguments);
        let output = self.run(&argv);
        serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {}", String::from_utf8_lossy(&output.stderr)))
    }

    /// Starts nginx: port 80 with challenges out of `acme/web`, port 443 with the certificate of this name.
    pub fn nginx(&self, name: &str) {
        let port_80 = format!(
            "  location ^~ /.well-known/acme-challenge/ {{\n    root {web};\n  }}\n  location / {{ return 301 https://$host$request_uri; }}\n",
            web = self.path("acme/web").display()
        );
        self.nginx_with(name, &port_80, &format!("/etc/letsencrypt/live/{name}"));
    }

    /// Starts nginx: port 80 of this name with these lines in its server, port 443 with `fullchain.pem` and `privkey.pem` of this folder.
    pub fn nginx_with(&self, name: &str, port_80: &str, pair: &str) {
        let conf = format!(
            "error_log {root}/acme/nginx.log;\npid {root}/acme/nginx.pid;\nevents {{}}\nhttp {{\n  access_log off;\n  include /etc/nginx/conf.d/*.conf;\n}}\n",
            root = self.root.path().display()
        );
        let server = format!(
            "server {{\n  listen 80;\n  server_name {name};\n{port_80}}}\nserver {{\n  listen {https} ssl;\n  server_name {name};\n  \
             ssl_certificate {pair}/fullchain.pem;\n  ssl_certificate_key {pair}/privkey.pem;\n}}\n",
            https = self.https,
        );
        fs::create_dir_all(self.path("etc/nginx/conf.d")).expect("a folder");
        fs::write(self.path("etc/nginx/nginx.conf"), conf).expect("written");
        fs::write(self.path("etc/nginx/conf.d/site.conf"), server).expect("written");
        // Workers are another user.
        for folder in ["", "acme", "acme/web", "var", "var/www", "var/www/html"] {
            let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
            fs::set_permissions(self.path(folder), mode).expect("readable");
        }
        let nginx = program("nginx").expect("nginx");
        let (ok, said) = said(&self.run(&[nginx.to_str().expect("UTF-8")]));
        assert!(ok, "{said}");
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        // The first process of a PID namespace takes all others with it.
        let _ = self.init.kill();
        let _ = self.init.wait();
    }
}

fn said(output: &Output) -> (bool, String) {
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    (output.status.success(), text)
}

/// The configuration of the ACME server, and the certificate of its own API.
fn pebble_files(folder: &Path, lifetime: u32) {
    let mut ca = CertificateParams::default();
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    ca.distinguished_name.push(DnType::CommonName, "The CA of the test's ACME server");
    let key = KeyPair::generate().expect("a key");
    fs::write(folder.join("ca.pem"), ca.self_signed(&key).expect("a certificate").pem()).expect("written");
    let issuer = Issuer::new(ca, key);
    let key = KeyPair::generate().expect("a key");
    let names: Vec<String> = ["127.0.0.1", "localhost"].iter().chain(&HOSTS).map(|name| (*name).to_owned()).collect();
    let api = CertificateParams::new(names).expect("names");
    fs::write(folder.join("api.pem"), api.signed_by(&key, &issuer).expect("a certificate").pem()).expect("written");
    fs::write(folder.join("api.key"), key.serialize_pem()).expect("written");
    let config = serde_json::json!({ "pebble": {
        "listenAddress": "127.0.0.1:14000", "managementListenAddress": "127.0.0.1:15000", "certificate": "api.pem",
        "privateKey": "api.key", "httpPort": 80, "tlsPort": 443, "ocspResponderURL": "", "externalAccountBindingRequired": false,
        "certificateValidityPeriod": lifetime,
    }});
    fs::write(folder.join("pebble.json"), config.to_string()).expect("written");
}
