//! A real Caddy that obtains its certificates from a real pebble, all on loopback ports of its own; everything ends with the value.
#![allow(dead_code, reason = "each test file uses its part of this")]

use std::{
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use certdoctor::{
    facts::{Target, TargetSource},
    host::{Dial, Hello, LiveDial},
};

use crate::common;

/// How long anything here may take.
const PATIENCE: Duration = Duration::from_secs(90);

/// A child that is killed when the value goes.
pub struct Running(pub Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts a program with its output in a file.
pub fn start(command: &mut Command, log: &Path) -> Running {
    let out = fs::File::create(log).expect("a log");
    let err = out.try_clone().expect("a log");
    Running(command.stdin(Stdio::null()).stdout(out).stderr(err).spawn().unwrap_or_else(|e| panic!("{command:?}: {e}")))
}

/// A port that was free a moment ago.
pub fn port() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a port").port()
}

/// Waits until something holds.
pub fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < end, "in vain: {what}");
        thread::sleep(Duration::from_millis(50));
    }
}

pub fn listens(port: u16) -> bool {
    std::net::TcpStream::connect(("127.0.0.1", port)).is_ok()
}

/// An ACME server that finds every name on loopback.
pub struct Pebble {
    pub directory: String,
    api: u16,
    dns: u16,
    pub tls_port: u16,
    pub http_port: u16,
    pub root: PathBuf,
    _running: [Running; 2],
}

impl Pebble {
    /// `None` after a word on what is missing.
    pub fn start(folder: &Path) -> Option<Pebble> {
        let (pebble, names) = (common::oracle("pebble")?, common::oracle("pebble-challtestsrv")?);
        let [api, management, dns, names_management, http_port, tls_port] = std::array::from_fn(|_| port());
        let key = rcgen::KeyPair::generate().expect("a key");
        let params = rcgen::CertificateParams::new(vec!["127.0.0.1".to_owned()]).expect("a name");
        let root = folder.join("api.pem");
        fs::write(&root, params.self_signed(&key).expect("a certificate").pem()).expect("written");
        fs::write(folder.join("api.key"), key.serialize_pem()).expect("written");
        let config = serde_json::json!({ "pebble": {
            "listenAddress": format!("127.0.0.1:{api}"), "managementListenAddress": format!("127.0.0.1:{management}"),
            "certificate": root, "privateKey": folder.join("api.key"), "httpPort": http_port, "tlsPort": tls_port,
        }});
        fs::write(folder.join("pebble.json"), config.to_string()).expect("written");
        let names = start(
            common::command(names)
                .args(["-dns01", &format!("127.0.0.1:{dns}"), "-http01", "", "-https01", "", "-tlsalpn01", ""])
                .args(["-management", &format!("127.0.0.1:{names_management}"), "-defaultIPv4", "127.0.0.1", "-defaultIPv6", ""]),
            &folder.join("names.log"),
        );
        let pebble = start(
            common::command(pebble)
                .args(["-dnsserver", &format!("127.0.0.1:{dns}"), "-config"])
                .arg(folder.join("pebble.json"))
                .envs([("PEBBLE_VA_NOSLEEP", "1"), ("PEBBLE_WFE_NONCEREJECT", "0"), ("PEBBLE_AUTHZREUSE", "0")]),
            &folder.join("pebble.log"),
        );
        until("pebble listens", || listens(api));
        Some(Pebble {
            directory: format!("https://127.0.0.1:{api}/dir"),
            api,
            dns,
            tls_port,
            http_port,
            root,
            _running: [names, pebble],
        })
    }
}

/// The rules of Let's Encrypt before an ACME server, which is asked through it from then on.
pub struct Policy {
    _running: Running,
    folder: PathBuf,
}

impl Policy {
    /// `None` after a word on what is missing.
    pub fn start(folder: &Path, pebble: &mut Pebble) -> Option<Policy> {
        let listen = port();
        let local = |port: u16| format!("127.0.0.1:{port}");
        let mut command = common::command(common::oracle("python3")?);
        command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/acme/policy.py"));
        command.args([local(listen), local(pebble.api), local(pebble.dns)]).args(["api.pem", "api.key", "--ari"]);
        let running = start(command.current_dir(folder), &folder.join("policy.log"));
        until("the policy listens", || listens(listen));
        pebble.directory = format!("https://127.0.0.1:{listen}/dir");
        Some(Policy { _running: running, folder: folder.to_owned() })
    }

    /// Whether every order is refused that could replace a certificate.
    pub fn has_replaced(&self, all: bool) {
        let file = self.folder.join("REPLACED");
        if all { fs::write(file, "") } else { fs::remove_file(file) }.expect("told");
    }

    /// The new orders so far, as they were asked for.
    pub fn orders(&self) -> Vec<serde_json::Value> {
        let log = fs::read_to_string(self.folder.join("policy.log")).expect("a log");
        log.lines().filter_map(|l| l.strip_prefix("order ")).map(|o| serde_json::from_str(o).expect("JSON")).collect()
    }
}

/// A tree with Caddy's files where Debian's package has them, and what runs the binary with them.
pub struct Caddy {
    binary: PathBuf,
    pub tree: PathBuf,
    https: u16,
    /// The words before its command: what it runs as, and in.
    pub within: Vec<String>,
    running: Option<Running>,
}

/// What Caddy says once everything has been loaded.
const SERVES: &str = "serving initial configuration";

pub const DOMAIN: &str = "app.example.test";

impl Caddy {
    pub fn new(binary: PathBuf, folder: &Path, pebble: &Pebble) -> Caddy {
        Caddy::listening(binary, folder.join("root"), pebble, (pebble.http_port, pebble.tls_port), "")
    }

    /// One with this tree, on these ports for HTTP and HTTPS, and with this for its site besides.
    pub fn listening(binary: PathBuf, tree: PathBuf, pebble: &Pebble, (http, https): (u16, u16), site: &str) -> Caddy {
        for directory in ["etc/caddy", "var/log/caddy", "var/lib/caddy"] {
            fs::create_dir_all(tree.join(directory)).expect("made");
        }
        fs::write(tree.join("etc/passwd"), "root:x:0:0::/root:/bin/sh\ncaddy:x:0:0::/var/lib/caddy:/bin/sh\n").expect("written");
        let config = format!(
            "{{\n\thttp_port {}\n\thttps_port {}\n\tadmin off\n\tacme_ca {}\n\tacme_ca_root {}\n\temail ops@example.test\n\t\
             auto_https disable_redirects\n\tlog {{\n\t\toutput file {}\n\t}}\n}}\n{DOMAIN} {{\n{site}\trespond hello\n}}\n",
            http,
            https,
            pebble.directory,
            pebble.root.display(),
            tree.join("var/log/caddy/caddy.log").display(),
        );
        fs::write(tree.join("etc/caddy/Caddyfile"), config).expect("written");
        Caddy { binary, tree, https, within: Vec::new(), running: None }
    }

    /// The folder of the certificate.
    pub fn site(&self) -> PathBuf {
        let certificates = self.storage().join("certificates");
        let ca = fs::read_dir(certificates).expect("certificates").next().expect("a CA").expect("read").path();
        ca.join(DOMAIN)
    }

    pub fn storage(&self) -> PathBuf {
        self.tree.join("var/lib/caddy/.local/share/caddy")
    }

    /// Starts it; whether it is still there once it serves or has given up.
    pub fn start(&mut self) -> bool {
        self.stop();
        let before = fs::read_to_string(self.log()).unwrap_or_default().matches(SERVES).count();
        let binary = self.binary.display().to_string();
        let mut words = self.within.iter().chain([&binary]);
        let mut command = common::command(words.next().expect("a program"));
        command.args(words).args(["run", "--config"]).arg(self.tree.join("etc/caddy/Caddyfile"));
        command.env("HOME", self.tree.join("var/lib/caddy")).env_remove("XDG_DATA_HOME").env_remove("XDG_CONFIG_HOME");
        let mut running = start(&mut command, &self.tree.join("caddy.out"));
        let mut gone = false;
        until("Caddy serves or ends", || {
            gone = running.0.try_wait().expect("waited").is_some();
            // It listens before it has loaded its certificates.
            gone || self.said().matches(SERVES).count() > before
        });
        self.running = Some(running);
        !gone
    }

    pub fn stop(&mut self) {
        if let Some(mut running) = self.running.take() {
            // SIGKILL would leave locks.
            let pid = rustix::process::Pid::from_child(&running.0);
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
            until("Caddy ends", || running.0.try_wait().expect("waited").is_some());
        }
    }

    /// Whether a client gets a certificate for the domain.
    pub fn presents(&self) -> bool {
        let source = TargetSource::Server { host: "127.0.0.1".into(), port: self.https, starttls: None };
        let target = Target { text: String::new(), source, host: Some(DOMAIN.into()) };
        let hello = Hello { servername: Some(Some(DOMAIN.into())), timeout: 20, ..Hello::default() };
        LiveDial::new().observe(&target, &hello).is_ok()
    }

    /// Waits until the certificate is there.
    pub fn obtains(&self) {
        until("the certificate is stored", || {
            let Ok(cas) = fs::read_dir(self.storage().join("certificates")) else { return false };
            cas.flatten()
                .any(|ca| ["crt", "key", "json"].iter().all(|e| ca.path().join(DOMAIN).join(format!("{DOMAIN}.{e}")).exists()))
        });
    }

    fn log(&self) -> PathBuf {
        self.tree.join("var/log/caddy/caddy.log")
    }

    pub fn said(&self) -> String {
        fs::read_to_string(self.tree.join("caddy.out")).unwrap_or_default() + &fs::read_to_string(self.log()).unwrap_or_default()
    }
}

/// Makes a file look as if it had lain there for a while: nobody writes to it.
pub fn make_old(path: &Path) {
    let file = fs::File::options().write(true).open(path).expect("opened");
    file.set_modified(std::time::SystemTime::now() - Duration::from_secs(60)).expect("set");
}
