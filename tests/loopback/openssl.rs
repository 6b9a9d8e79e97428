//! The real `openssl` command, and its server.

use std::{
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
};

/// Variables that redirect trust: some machines export them all.
const REDIRECTS: &[&str] = &[
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "CURL_CA_BUNDLE",
    "REQUESTS_CA_BUNDLE",
    "NODE_EXTRA_CA_CERTS",
    "GIT_SSL_CAINFO",
    "AWS_CA_BUNDLE",
    "PIP_CERT",
    "NIX_SSL_CERT_FILE",
    "HTTPLIB2_CA_CERTS",
    "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH",
    "CLOUDSDK_CORE_CUSTOM_CA_CERTS_FILE",
];

/// A command without the surroundings that redirect trust.
pub fn command(program: &str) -> Command {
    let mut command = Command::new(program);
    for name in REDIRECTS {
        command.env_remove(name);
    }
    command
}

/// Whether OpenSSL 3.0's command is here; says so if not, and insists on it in CI.
pub fn have_openssl() -> bool {
    let version = command("openssl").arg("version").output().map(|o| String::from_utf8_lossy(&o.stdout).into_owned());
    let found = version.as_ref().is_ok_and(|v| v.starts_with("OpenSSL 3."));
    if !found {
        assert!(std::env::var("CI").as_deref() != Ok("true"), "openssl 3 is missing: {version:?}");
        eprintln!("skipped: no openssl 3 here");
    }
    found
}

/// A process that is ended when the test is over.
pub struct Server {
    pub port: u16,
    child: Child,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Writes `content` into `directory`.
pub fn file(directory: &Path, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
    let path = directory.join(name);
    std::fs::write(&path, content).expect("a file");
    path
}

/// `openssl s_server` on a free port.
pub fn s_server(directory: &Path, arguments: &[&str]) -> Server {
    let mut child = command("openssl")
        .args(["s_server", "-accept", "127.0.0.1:0"])
        .args(arguments)
        .current_dir(directory)
        // It ends a connection when its input ends.
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("openssl");
    let stderr = child.stderr.take().expect("a pipe");
    let (sender, said) = std::sync::mpsc::channel();
    thread::spawn(move || {
        let mut text = String::new();
        let _ = BufReader::new(stderr).read_to_string(&mut text);
        let _ = sender.send(text);
    });
    let mut stdout = BufReader::new(child.stdout.take().expect("a pipe"));
    let mut line = String::new();
    let port = loop {
        line.clear();
        if stdout.read_line(&mut line).expect("output") == 0 {
            panic!("s_server {arguments:?}: {}", said.recv().unwrap_or_default());
        }
        if let Some(address) = line.trim().strip_prefix("ACCEPT ") {
            break address.rsplit(':').next().and_then(|p| p.parse().ok()).expect("a port");
        }
    };
    // What it prints must go somewhere.
    thread::spawn(move || std::io::copy(&mut stdout, &mut std::io::sink()));
    Server { port, child }
}
