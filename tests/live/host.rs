//! This host with another store: a mount namespace of its own, in which `/etc` and whatever else `fix` reads and writes are copies.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use tempfile::TempDir;

use crate::common::{
    self, clean,
    listing::{Listing, SCOPE},
    program, skip,
};

/// What of `/etc` the programs need that the tests run: the choice of awk, accounts, names of hosts, Java's and Python's settings.
const ETC: [&str; 12] = [
    "alternatives",
    "debian_version",
    "gnutls",
    "group",
    "host.conf",
    "hosts",
    "java-",
    "ld.so.",
    "nsswitch.conf",
    "os-release",
    "passwd",
    "python3",
];

/// The copies and where they are mounted. Directories, so that files in them can be replaced by renaming, as on any host.
const MOUNTS: [(&str, &str); 6] = [
    ("etc", "/etc"),
    ("usr/share/ca-certificates", "/usr/share/ca-certificates"),
    ("usr/local", "/usr/local"),
    ("var/lib", "/var/lib"),
    ("var/log", "/var/log"),
    ("run", "/run"),
];

/// Nothing is written before every mount is seen to be in place; 99 says that one is not.
const ENTER: &str = r#"
    lost() { echo "not mounted: $1" >&2; exit 99; }
    [ "$(readlink /proc/self/ns/mnt)" != "$OUTSIDE" ] || lost namespace
    ! grep -q shared: /proc/self/mountinfo || lost private
    mount --bind "$BINARY" "$COPY/certdoctor"
    for pair in $MOUNTS; do
        mount --bind "$COPY/tree/${pair%%:*}" "${pair#*:}"
        [ "$(stat -c %d:%i "${pair#*:}")" = "$(stat -c %d:%i "$COPY/tree/${pair%%:*}")" ] || lost "$pair"
    done
    certdoctor() { "$COPY/certdoctor" "$@"; }
    unset BINARY MOUNTS OUTSIDE
"#;

/// A copy of what `fix` changes, which outlives each command that is run in it.
pub struct Host {
    directory: TempDir,
}

/// What a command said.
#[derive(Debug)]
pub struct Said {
    pub status: i32,
    pub out: String,
    pub err: String,
}

impl Host {
    /// Debian 12's store. `None`, after a visible skip, where there are no mount namespaces or no Debian.
    pub fn debian() -> Option<Host> {
        if !may_mount() {
            return None;
        }
        let tool = program("update-ca-certificates").and_then(|path| fs::read(path).ok());
        if !tool.is_some_and(|text| text.starts_with(b"#!")) {
            skip("no update-ca-certificates of Debian's");
            return None;
        }
        let directory = tempfile::tempdir().expect("a temporary folder");
        let tree = directory.path().join("tree");
        fs::rename(common::tree("debian-12").keep(), &tree).expect("renamed");
        for needed in ["usr/local/sbin", "var/lib", "var/log", "run/lock", "../tmp"] {
            fs::create_dir_all(tree.join(needed)).expect("a folder");
        }
        fs::write(directory.path().join("certdoctor"), "").expect("a place for the program");
        for entry in fs::read_dir("/etc").expect("/etc").map(|e| e.expect("an entry")) {
            let name = entry.file_name().into_string().unwrap_or_default();
            if ETC.iter().any(|begin| name.starts_with(begin)) {
                let copied = Command::new("cp").arg("-a").args([&entry.path(), &tree.join("etc")]).status().expect("cp runs");
                assert!(copied.success(), "{name}");
            }
        }
        Some(Host { directory })
    }

    pub fn path(&self, path: &str) -> PathBuf {
        self.directory.path().join("tree").join(path.trim_start_matches('/'))
    }

    pub fn read(&self, path: &str) -> String {
        fs::read_to_string(self.path(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
    }

    pub fn write(&self, path: &str, text: &str) {
        fs::write(self.path(path), text).unwrap_or_else(|e| panic!("{path}: {e}"));
    }

    pub fn exists(&self, path: &str) -> bool {
        fs::symlink_metadata(self.path(path)).is_ok()
    }

    /// Everything that a fix may change.
    pub fn listing(&self) -> Listing {
        Listing::of(&self.path(""), &SCOPE)
    }

    /// A program of this name comes first in the search path.
    pub fn stub(&self, name: &str, script: &str) {
        use std::os::unix::fs::PermissionsExt;
        let path = self.path("usr/local/sbin").join(name);
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).expect("written");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("set");
    }

    /// Runs the built binary.
    pub fn certdoctor(&self, arguments: &[&str]) -> Said {
        self.run("certdoctor \"$@\"", arguments)
    }

    /// Runs a shell script in which `certdoctor` is the built binary.
    pub fn sh(&self, script: &str) -> Said {
        self.run(script, &[])
    }

    fn run(&self, script: &str, arguments: &[&str]) -> Said {
        let before = own();
        let mut command = Command::new("unshare");
        command.args(["-m", "--propagation", "private", "sh", "-euc", &format!("{ENTER}\n{script}"), "sh"]).args(arguments);
        command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").env("HOME", "/nonexistent");
        command.env("BINARY", env!("CARGO_BIN_EXE_certdoctor")).env("COPY", self.directory.path());
        command.env("MOUNTS", MOUNTS.map(|(copy, at)| format!("{copy}:{at}")).join(" "));
        command.env("OUTSIDE", fs::read_link("/proc/self/ns/mnt").expect("a namespace"));
        command.env("TMPDIR", self.directory.path().join("tmp"));
        let said = Said::of(clean(&mut command).output().expect("unshare runs"));
        assert_eq!(own().difference(&before), Vec::<String>::new(), "this host's own store was touched: {said:?}");
        assert_ne!(said.status, 99, "{said:?}");
        said
    }
}

impl Said {
    pub fn of(output: Output) -> Said {
        Said {
            status: output.status.code().unwrap_or(-1),
            out: String::from_utf8(output.stdout).expect("UTF-8"),
            err: String::from_utf8(output.stderr).expect("UTF-8"),
        }
    }

    #[track_caller]
    pub fn expect(self, status: i32) -> Said {
        assert_eq!(self.status, status, "\n{}{}", self.out, self.err);
        self
    }

    #[track_caller]
    pub fn says(self, words: &[&str]) -> Said {
        for words in words {
            assert!(self.out.contains(words) || self.err.contains(words), "`{words}` in\n{}{}", self.out, self.err);
        }
        self
    }

    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.out).unwrap_or_else(|e| panic!("{e}:\n{}{}", self.out, self.err))
    }
}

/// Whether this user may make mount namespaces; a visible skip where not.
pub fn may_mount() -> bool {
    let probe = ["-m", "--propagation", "private", "mount", "--bind", "/tmp", "/tmp"];
    let made = rustix::process::geteuid().is_root()
        && Command::new("unshare").args(probe).output().is_ok_and(|output| output.status.success());
    if !made {
        assert!(
            !rustix::process::geteuid().is_root() || std::env::var_os("CI").is_none_or(|ci| ci != "true"),
            "root in CI must be able to make mount namespaces"
        );
        eprintln!("skipped: mount namespaces need root");
    }
    made
}

/// What of this host itself must stay as it is.
fn own() -> Listing {
    let scope: Vec<&str> = SCOPE.iter().copied().chain(["/var/lib/certdoctor"]).collect();
    Listing::of(Path::new("/"), &scope)
}

/// Copies the built binary and the libraries that it needs to the same places below `root`. `None`, after a visible skip, where
/// nobody says which libraries these are.
pub fn put_certdoctor_into(root: &Path) -> Option<()> {
    let binary = env!("CARGO_BIN_EXE_certdoctor");
    fs::copy(binary, root.join("certdoctor")).expect("copied");
    let ldd = match common::command("ldd").arg(binary).output() {
        Ok(output) => String::from_utf8(output.stdout).expect("UTF-8"),
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            skip("no ldd");
            return None;
        }
        Err(e) => panic!("ldd: {e}"),
    };
    for library in ldd.split_whitespace().filter(|word| word.starts_with('/')) {
        let to = root.join(&library[1..]);
        fs::create_dir_all(to.parent().expect("a folder")).expect("made");
        fs::copy(library, to).expect("copied");
    }
    Some(())
}
