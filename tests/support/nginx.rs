//! A real nginx on loopback ports of its own, and what certdoctor reads of the same configuration.

use std::{
    fs,
    io::{Read, Write},
    net::{IpAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use certdoctor::{
    base::At,
    facts::{Renewal, renewal::nginx::Instance},
    host::{DirTree, LiveDial},
    renewal,
};
use tempfile::TempDir;

use crate::common;

/// How often we look whether a server has come up; each look waits 20 ms.
const LOOKS: usize = 1500;

/// A root file system in a folder, with `/etc/nginx`, `/var/log/nginx` and whatever a test puts there. nginx runs on the same paths with the
/// folder in front.
pub struct Site {
    pub folder: TempDir,
    child: Option<Child>,
}

/// A port that nobody listens on.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|s| s.local_addr()).expect("a port").port()
}

/// The real program.
pub fn program() -> Option<PathBuf> {
    common::oracle("nginx")
}

impl Site {
    pub fn new() -> Self {
        let folder = tempfile::Builder::new().prefix("certdoctor-nginx-").tempdir().expect("a folder");
        for dir in ["etc/nginx/conf.d", "var/log/nginx", "var/www/html", "run", "tmp"] {
            fs::create_dir_all(folder.path().join(dir)).expect("a folder");
        }
        // Workers run as another user when root starts nginx; they must be able to enter.
        let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        fs::set_permissions(folder.path(), open).expect("permissions");
        Site { folder, child: None }
    }

    pub fn path(&self, path: &str) -> PathBuf {
        self.folder.path().join(path.trim_start_matches('/'))
    }

    pub fn write(&self, path: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(path);
        fs::create_dir_all(path.parent().expect("a folder")).expect("folders");
        fs::write(&path, text).expect("written");
        path
    }

    /// Writes the main file: `http` holds the servers, and `@/` in it stands for the folder.
    pub fn configure(&self, http: &str) -> PathBuf {
        let root = self.folder.path().display().to_string();
        let text = format!(
            "daemon off;\nmaster_process on;\nworker_processes 1;\npid @/run/nginx.pid;\nerror_log @/var/log/nginx/error.log info;\n\
             events {{ worker_connections 64; }}\nhttp {{\n    access_log off;\n    client_body_temp_path @/tmp/body;\n    \
             proxy_temp_path @/tmp/proxy;\n    fastcgi_temp_path @/tmp/fastcgi;\n    uwsgi_temp_path @/tmp/uwsgi;\n    \
             scgi_temp_path @/tmp/scgi;\n{http}\n}}\n"
        );
        self.write("etc/nginx/nginx.conf", text.replace("@/", &(root + "/")))
    }

    fn arguments(&self) -> Vec<String> {
        let main = self.path("etc/nginx/nginx.conf").display().to_string();
        let prefix = self.folder.path().display().to_string() + "/";
        ["-p", &prefix, "-c", &main, "-e", &self.path("var/log/nginx/error.log").display().to_string()]
            .map(str::to_owned)
            .to_vec()
    }

    /// What `nginx -t` says, and whether it accepts.
    pub fn test(&self, nginx: &Path) -> (bool, String) {
        let output = common::command(nginx).arg("-t").args(self.arguments()).stdin(Stdio::null()).output().expect("nginx");
        (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
    }

    /// Starts nginx and waits until it listens on `port`.
    pub fn start(&mut self, nginx: &Path, port: u16) {
        let mut command: Command = common::command(nginx);
        command.args(self.arguments()).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        self.child = Some(command.spawn().expect("nginx starts"));
        for _ in 0..LOOKS {
            if TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return;
            }
            thread::sleep(Duration::from_millis(20));
        }
        panic!("nginx did not come up: {}", self.test(nginx).1);
    }

    /// What certdoctor reads of it: as an unpacked root, with the folder's paths in the configuration made those of the root.
    pub fn gather(&self) -> Renewal {
        let root = self.folder.path().display().to_string();
        let folder = tempfile::tempdir().expect("a folder");
        copy(self.folder.path(), folder.path(), &root);
        let tree = DirTree::new(folder.path()).expect("a tree");
        let dial = LiveDial::new();
        renewal::gather(&renewal::Host {
            tree: &tree,
            dial: &dial,
            live: false,
            public: false,
            at: At(0),
            now: At(0),
            timeout: 5,
            jobs: 1,
        })
    }

    pub fn instance(&self) -> Instance {
        let mut renewal = self.gather();
        let mut instance = renewal.nginx.instances.remove(0);
        // What `-p` says to the real one.
        instance.prefix = Some("/".into());
        instance
    }
}

/// Copies configurations with `root` taken out of their text, and everything else as it is.
fn copy(from: &Path, to: &Path, root: &str) {
    for entry in fs::read_dir(from).expect("a folder") {
        let entry = entry.expect("an entry");
        let target = to.join(entry.file_name());
        let kind = entry.file_type().expect("a kind");
        if kind.is_dir() {
            fs::create_dir_all(&target).expect("a folder");
            copy(&entry.path(), &target, root);
        } else if kind.is_file() {
            let bytes = fs::read(entry.path()).expect("a file");
            match String::from_utf8(bytes) {
                Ok(text) => fs::write(&target, text.replace(root, "")).expect("written"),
                Err(e) => fs::write(&target, e.into_bytes()).expect("written"),
            }
        } else if kind.is_symlink() {
            std::os::unix::fs::symlink(fs::read_link(entry.path()).expect("a link"), &target).expect("a link");
        }
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        let Some(mut child) = self.child.take() else { return };
        // The master ends its workers at SIGTERM; a master that is killed outright leaves them.
        let pid = child.id().to_string();
        let _ = Command::new("kill").args(["-TERM", &pid]).status();
        for _ in 0..LOOKS {
            if child.try_wait().is_ok_and(|status| status.is_some()) {
                return;
            }
            thread::sleep(Duration::from_millis(20));
        }
        let _ = child.kill();
        let _ = child.wait();
    }
}

/// Status, `Location` and body of a GET.
pub fn get(address: IpAddr, port: u16, host: &str, path: &str) -> (u16, Option<String>, Vec<u8>) {
    let mut stream = TcpStream::connect((address, port)).expect("a connection");
    stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a limit");
    write!(stream, "GET {path} HTTP/1.0\r\nHost: {host}\r\n\r\n").expect("sent");
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    let end = answer.windows(4).position(|w| w == b"\r\n\r\n").map_or(answer.len(), |n| n + 4);
    let head = String::from_utf8_lossy(&answer[..end]).into_owned();
    let status = head.split(' ').nth(1).and_then(|s| s.parse().ok()).unwrap_or(0);
    let location = head.lines().find_map(|l| l.strip_prefix("Location: ")).map(str::to_owned);
    (status, location, answer[end..].to_vec())
}
