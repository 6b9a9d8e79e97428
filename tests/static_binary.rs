//! What `scripts/dist` made, in the places where it is to run: an empty root, busybox, Alpine, a Debian whose names are looked up by
//! modules, without privileges, on a file system that nobody can write to. And the packages around it.
//!
//! `CERTDOCTOR_DIST` is the folder that it made; `scripts/test` sets it.

mod common;

use std::{
    env,
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
    time::Instant,
};

use certdoctor::host::Loopback;
use common::{
    listing::{Listing, SCOPE},
    oracle, program, skip,
};
use tempfile::TempDir;

/// Debian's `hosts:` line with libnss-mdns, libnss-resolve and libnss-myhostname: modules that a program of glibc must load.
const NSSWITCH: &str = "hosts: files mymachines mdns4_minimal [NOTFOUND=return] resolve [!UNAVAIL=return] dns myhostname\n";
/// Nobody.
const NOBODY: &str = "65534:65534";
const AT: [&str; 2] = ["--at", "2026-11-22T01:00:00Z"];

/// The folder of what is handed out; `None` after a visible skip.
fn dist() -> Option<PathBuf> {
    let folder = env::var_os("CERTDOCTOR_DIST").map(PathBuf::from);
    if folder.is_none() {
        skip("the static binary (scripts/dist makes it, CERTDOCTOR_DIST names its folder)");
    }
    folder
}

/// The binary for this machine.
fn binary() -> Option<PathBuf> {
    Some(dist()?.join(format!("certdoctor-{}", env::consts::ARCH)))
}

/// A root with nothing but the binary in it, and maybe a Debian 12 store in `/tree`.
struct Root(TempDir);

impl Root {
    fn new(folder: TempDir) -> Option<Root> {
        Some(Root::with(&binary()?, folder))
    }

    fn with(binary: &Path, folder: TempDir) -> Root {
        fs::copy(binary, folder.path().join("certdoctor")).expect("copied");
        // A temporary folder is for its owner alone, and not everything here runs as the owner.
        open(folder.path());
        Root(folder)
    }

    fn empty() -> Option<Root> {
        Root::new(tempfile::tempdir().expect("a folder"))
    }

    fn with_tree(self) -> Root {
        let tree = self.path("tree");
        fs::rename(common::tree("debian-12").keep(), &tree).expect("renamed");
        open(&tree);
        self
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Runs a program of the root in it, with an empty environment. The network is this machine's.
    fn run(&self, user: Option<&str>, line: &[&str]) -> Said {
        let owner = rustix::process::geteuid().is_root();
        let mut command = Command::new(program(if owner { "chroot" } else { "unshare" }).expect("coreutils, util-linux"));
        if !owner {
            command.args(["--map-root-user", "chroot"]);
        }
        command.args(user.map(|user| format!("--userspec={user}"))).arg(self.0.path()).args(line);
        Said::of(command.env_clear().env("PATH", "/bin:/usr/bin:/sbin:/usr/sbin").output().expect("chroot runs"))
    }
}

fn open(folder: &Path) {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).expect("set");
}

/// What a program said.
#[derive(Debug)]
struct Said {
    status: Option<i32>,
    text: String,
}

impl Said {
    fn of(output: Output) -> Said {
        let text = [output.stdout, output.stderr].concat();
        Said { status: output.status.code(), text: String::from_utf8_lossy(&text).into_owned() }
    }

    #[track_caller]
    fn expect(self, status: i32, words: &[&str]) -> Said {
        assert_eq!(self.status, Some(status), "{}", self.text);
        for words in words {
            assert!(self.text.contains(words), "`{words}` in\n{}", self.text);
        }
        self
    }
}

/// A TLS server on 127.0.0.1 with a certificate for `localhost`, which is its own root, PEM.
fn server() -> (Loopback, String) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    let server = Loopback::serve(&[made.cert.der().to_vec()], &made.signing_key.serialize_der()).expect("a server");
    (server, made.cert.pem())
}

#[test]
fn it_needs_no_loader_and_no_library_and_no_relocation() {
    const INTERP: u32 = 3;
    const DYNAMIC: u32 = 2;
    let Some(folder) = dist() else { return };
    for arch in ["x86_64", "aarch64"] {
        let Ok(elf) = fs::read(folder.join(format!("certdoctor-{arch}"))) else { continue };
        assert_eq!((&elf[..4], elf[4], elf[5]), (&b"\x7fELF"[..], 2, 1), "64 bits, little-endian");
        let number = |at: usize, len: usize| elf[at..at + len].iter().rev().fold(0usize, |n, b| n << 8 | usize::from(*b));
        assert_eq!(number(16, 2), 2, "ET_EXEC: its addresses are fixed");
        let (table, size, count) = (number(32, 8), number(54, 2), number(56, 2));
        let kinds: Vec<u32> = (0..count).map(|n| number(table + n * size, 4) as u32).collect();
        assert!(!kinds.contains(&INTERP) && !kinds.contains(&DYNAMIC), "{arch}: {kinds:?}");
        eprintln!("static binary, {arch}: {} bytes", elf.len());
    }
    let Some(binary) = binary() else { return };
    let time = |program: &Path, arguments: &[&str]| {
        let mut times: Vec<_> = (0..50)
            .map(|_| {
                let start = Instant::now();
                assert!(common::command(program).args(arguments).output().expect("it runs").status.success());
                start.elapsed()
            })
            .collect();
        times.sort_unstable();
        times[times.len() / 2]
    };
    let nothing = program("true").map(|p| time(&p, &[]));
    eprintln!("static binary: --version in {:?}, `true` in {nothing:?}", time(&binary, &["--version"]));
}

#[test]
fn an_empty_root_is_enough() {
    let Some(root) = Root::empty().map(Root::with_tree) else { return };
    let (server, pem) = server();
    fs::write(root.path("root.pem"), pem).expect("written");
    let target = format!("localhost:{}", server.port());
    for user in [None, Some(NOBODY)] {
        if user.is_some() && !rustix::process::geteuid().is_root() {
            continue;
        }
        root.run(user, &["/certdoctor", "--version"]).expect(0, &["certdoctor "]);
        root.run(user, &[&["/certdoctor", "scan", "--root", "/tree"], &AT[..]].concat()).expect(0, &["142 roots, 4 expired"]);
        root.run(user, &["/certdoctor", "scan"]).expect(1, &["no trust store"]);
        // There is no /etc/hosts.
        root.run(user, &["/certdoctor", "verify", &target, "--CAfile", "/root.pem"]).expect(0, &["rustls"]);
        root.run(user, &["/certdoctor", "inspect", "nowhere.invalid"]).expect(2, &["does not resolve"]);
    }
    let before = Listing::of(&root.path("tree"), &SCOPE);
    if rustix::process::geteuid().is_root() {
        let fix = ["/certdoctor", "fix", "--root", "/tree", "--anchor", "Baltimore CyberTrust Root", "--apply"];
        root.run(Some(NOBODY), &fix).expect(2, &["cannot"]);
        assert_eq!(Listing::of(&root.path("tree"), &SCOPE).difference(&before), Vec::<String>::new());
    }
}

#[test]
fn busybox_is_enough_and_pipes_are_no_trouble() {
    let (Some(busybox), Some(root)) = (oracle("busybox"), Root::empty()) else { return };
    let root = root.with_tree();
    fs::create_dir(root.path("bin")).expect("made");
    fs::copy(busybox, root.path("bin/busybox")).expect("copied");
    let sh = |script: &str| root.run(None, &["/bin/busybox", "sh", "-c", script]);
    if sh("true").status != Some(0) {
        return skip("a busybox that needs no library");
    }
    sh("/certdoctor scan --root /tree --at 2026-11-22 | busybox head -n 1").expect(0, &["142 roots"]);
    sh("busybox cat /tree/etc/ssl/certs/ca-certificates.crt | /certdoctor inspect - --at 2026-11-22 >/dev/null; echo status $?")
        .expect(0, &["status "]);
}

#[test]
fn beside_alpines_own_programs() {
    let Some(root) = common::real::alpine().and_then(Root::new) else { return };
    root.run(None, &["/bin/sh", "-c", "/certdoctor scan --format json; true"]).expect(0, &["\"alpine\""]);
    root.run(None, &["/bin/sh", "-c", "/certdoctor verify 127.0.0.1:1"]).expect(2, &["refused"]);
}

#[test]
fn name_service_modules_are_not_loaded() {
    let Some(root) = Root::empty() else { return };
    fs::create_dir_all(root.path("etc")).expect("made");
    fs::write(root.path("etc/nsswitch.conf"), NSSWITCH).expect("written");
    fs::write(root.path("etc/hosts"), "127.0.0.1 known.example\n").expect("written");
    // Something that can't be loaded stands where the modules would.
    for folder in ["lib", "lib/x86_64-linux-gnu", "usr/lib/x86_64-linux-gnu"] {
        fs::create_dir_all(root.path(folder)).expect("made");
        for module in ["mdns4_minimal", "resolve", "mymachines", "myhostname"] {
            fs::write(root.path(folder).join(format!("libnss_{module}.so.2")), "no library").expect("written");
        }
    }
    let (server, pem) = server();
    fs::write(root.path("root.pem"), pem).expect("written");
    let port = server.port();
    root.run(None, &["/certdoctor", "verify", &format!("localhost:{port}"), "--CAfile", "/root.pem"]).expect(0, &["rustls"]);
    root.run(None, &["/certdoctor", "inspect", &format!("known.example:{port}"), "--servername", "localhost"])
        .expect(1, &["localhost"]);
    root.run(None, &["/certdoctor", "inspect", "nowhere.invalid"]).expect(2, &["does not resolve"]);
}

#[test]
fn a_file_system_that_nobody_can_write_to() {
    if !rustix::process::geteuid().is_root() {
        return skip("mount namespaces need root");
    }
    let Some(root) = Root::empty().map(Root::with_tree) else { return };
    let script = r#"mount --bind "$0" "$0" && mount -o remount,bind,ro "$0" && exec chroot "$0" "$@""#;
    let run = |line: &[&str]| {
        let mut command = Command::new(program("unshare").expect("util-linux"));
        command.args(["-m", "--propagation", "private", "sh", "-euc", script]).arg(root.0.path()).args(line);
        Said::of(command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").output().expect("unshare runs"))
    };
    let fix = ["/certdoctor", "fix", "--root", "/tree", "--anchor", "Baltimore CyberTrust Root"];
    run(&[&["/certdoctor", "scan", "--root", "/tree"], &AT[..]].concat()).expect(0, &["142 roots"]);
    run(&[&fix[..], &["--diff"]].concat()).expect(0, &["+!mozilla/Baltimore_CyberTrust_Root.crt"]);
    run(&[&fix[..], &["--apply"]].concat()).expect(2, &["Read-only file system"]);
}

#[test]
fn the_packages_hold_what_they_say() {
    let Some(folder) = dist() else { return };
    let run = |name: &str, arguments: &[&OsStr]| {
        let tool = program(name)?;
        Some(Said::of(common::command(tool).args(arguments).current_dir(&folder).output().expect("it runs")))
    };
    run("sha256sum", &["-c".as_ref(), "--strict".as_ref(), "SHA256SUMS".as_ref()]).expect("coreutils").expect(0, &["OK"]);
    let names: Vec<String> =
        fs::read_dir(&folder).expect("listed").map(|e| e.expect("an entry").file_name().into_string().expect("UTF-8")).collect();
    let sums = fs::read_to_string(folder.join("SHA256SUMS")).expect("read");
    for name in names.iter().filter(|name| *name != "SHA256SUMS") {
        assert!(sums.contains(name.as_str()), "{name} has a sum");
    }
    for name in names.iter().filter(|name| name.ends_with(".deb")) {
        let Some(said) = run("dpkg-deb", &["--contents".as_ref(), name.as_ref()]) else {
            return skip("dpkg-deb is not installed");
        };
        said.expect(
            0,
            &[
                "root/root",
                "./usr/bin/certdoctor",
                "./usr/share/man/man1/certdoctor.1.gz",
                "./usr/share/bash-completion/completions/certdoctor",
                "./usr/share/zsh/vendor-completions/_certdoctor",
                "./usr/share/fish/vendor_completions.d/certdoctor.fish",
                "./usr/share/doc/certdoctor/copyright",
            ],
        );
        let root = tempfile::tempdir().expect("a folder");
        run("dpkg-deb", &["--extract".as_ref(), name.as_ref(), root.path().as_os_str()]).expect("dpkg-deb").expect(0, &[]);
        let arch = if name.contains("amd64") { "x86_64" } else { "aarch64" };
        let packed = fs::read(root.path().join("usr/bin/certdoctor")).expect("read");
        assert!(packed == fs::read(folder.join(format!("certdoctor-{arch}"))).expect("read"), "{name} holds the binary");
        run("bash", &["-n".as_ref(), root.path().join("usr/share/bash-completion/completions/certdoctor").as_os_str()])
            .expect("bash")
            .expect(0, &[]);
    }
}

/// The binary for aarch64, and an emulator of that name. `None` after a line that says so: that the binary is not there is no failure in CI
/// either, which has no time to build it. `scripts/dist --only aarch64 DIR`, then `CERTDOCTOR_DIST=DIR cargo test --test static_binary aarch64`.
fn aarch64(emulators: &[&str]) -> Option<(PathBuf, PathBuf)> {
    let binary = dist()?.join("certdoctor-aarch64");
    if !binary.exists() {
        eprintln!("skipped: the binary for aarch64 (scripts/dist --only aarch64 DIR, and DIR in CERTDOCTOR_DIST)");
        return None;
    }
    let emulator = emulators.iter().find_map(|name| program(name));
    if emulator.is_none() {
        skip(&format!("{} is not installed", emulators.join(" or ")));
    }
    Some((binary, emulator?))
}

#[test]
fn the_aarch64_binary_runs() {
    let Some((binary, qemu)) = aarch64(&["qemu-aarch64", "qemu-aarch64-static"]) else { return };
    let tree = common::tree("debian-12");
    let run = |arguments: &[&str]| Said::of(common::command(&qemu).arg(&binary).args(arguments).output().expect("qemu runs"));
    run(&["--version"]).expect(0, &["certdoctor "]);
    run(&["explain", "CD101"]).expect(0, &["CD101", "What it means"]);
    let root = tree.path().to_str().expect("UTF-8");
    run(&[&["scan", "--root", root], &AT[..]].concat()).expect(0, &["142 roots, 4 expired"]);
    let (server, pem) = server();
    let file = tree.path().join("root.pem");
    fs::write(&file, pem).expect("written");
    let file = file.to_str().expect("UTF-8");
    run(&["inspect", file, "--CAfile", file]).expect(0, &["rcgen self signed cert"]);
    let target = format!("localhost:{}", server.port());
    run(&["verify", &target, "--CAfile", file]).expect(0, &["rustls"]);
    let before = Listing::of(tree.path(), &SCOPE);
    run(&["fix", "--root", root, "--anchor", "Baltimore CyberTrust Root", "--apply"]).expect(0, &["deselect"]);
    assert_ne!(Listing::of(tree.path(), &SCOPE).difference(&before), Vec::<String>::new());
    run(&["undo", "--root", root]).expect(0, &[]);
    assert_eq!(Listing::of(tree.path(), &SCOPE).difference(&before), Vec::<String>::new());
}

/// The emulator is static too, so that the root holds these two and the store to look at.
#[test]
fn an_empty_root_is_enough_for_the_aarch64_binary() {
    let Some((binary, qemu)) = aarch64(&["qemu-aarch64-static"]) else { return };
    let root = Root::with(&binary, tempfile::tempdir().expect("a folder")).with_tree();
    fs::copy(qemu, root.path("qemu")).expect("copied");
    let run = |arguments: &[&str]| root.run(None, &[&["/qemu", "/certdoctor"], arguments].concat());
    let (server, pem) = server();
    fs::write(root.path("root.pem"), pem).expect("written");
    run(&["--version"]).expect(0, &["certdoctor "]);
    run(&[&["scan", "--root", "/tree"], &AT[..]].concat()).expect(0, &["142 roots, 4 expired"]);
    run(&["scan"]).expect(1, &["no trust store"]);
    run(&["explain", "CD101"]).expect(0, &["CD101"]);
    run(&["verify", &format!("localhost:{}", server.port()), "--CAfile", "/root.pem"]).expect(0, &["rustls"]);
    run(&["inspect", "nowhere.invalid"]).expect(2, &["does not resolve"]);
}
