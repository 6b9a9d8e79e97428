//! buildah with a storage of its own, and the images in it.

use std::{
    fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
};

use certdoctor::host::Loopback;
use tempfile::TempDir;

use crate::{
    common::{command, oracle, program, skip},
    pki::Pki,
};

/// What a program said.
#[derive(Debug)]
pub struct Said {
    pub ok: bool,
    pub text: String,
}

impl Said {
    fn of(output: Output) -> Said {
        let text = [output.stdout, output.stderr].concat();
        Said { ok: output.status.success(), text: String::from_utf8_lossy(&text).into_owned() }
    }

    #[track_caller]
    pub fn succeeds(self, words: &[&str]) -> Said {
        assert!(self.ok, "{}", self.text);
        self.holds(words)
    }

    #[track_caller]
    pub fn fails(self, words: &[&str]) -> Said {
        assert!(!self.ok, "{}", self.text);
        self.holds(words)
    }

    #[track_caller]
    fn holds(self, words: &[&str]) -> Said {
        for words in words {
            assert!(self.text.contains(words), "`{words}` in\n{}", self.text);
        }
        self
    }
}

/// Puts together a root for Debian 13's buildah, `MOUNT ROOT`: this machine's but for the programs and their settings, so that every path
/// means the same inside and outside. The mounts last as long as whoever reads the end of this; no other process sees them.
const MOUNT: &str = r#"
    mount --bind "$0" "$0"
    for folder in /*; do
        case "$folder" in /bin | /etc | /lib* | /sbin | /usr) continue ;; esac
        [ -d "$folder" ] && [ ! -L "$folder" ] || continue
        mkdir -p "$0$folder"
        mount --rbind "$folder" "$0$folder"
    done
    echo mounted
    exec cat"#;

/// A builder, the certificates of the night, and servers that present them.
pub struct Builder {
    buildah: Buildah,
    driver: &'static str,
    /// The build context.
    pub context: PathBuf,
    pub pki: Pki,
    crossed: Loopback,
    under_dead: Loopback,
    directory: TempDir,
}

enum Buildah {
    /// A program of this machine.
    Here(PathBuf),
    /// In a root of its own, whose mounts this process holds.
    In(PathBuf, Child),
}

impl Buildah {
    /// `None` after a visible skip.
    fn in_root(root: PathBuf) -> Option<Buildah> {
        let mut command = command(program("unshare").expect("util-linux"));
        command.args(["-m", "--propagation", "private", "sh", "-euc", MOUNT]).arg(&root);
        let mut holder = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("unshare runs");
        let mut said = String::new();
        BufReader::new(holder.stdout.as_mut().expect("piped")).read_line(&mut said).expect("read");
        if said == "mounted\n" {
            return Some(Buildah::In(root, holder));
        }
        // What was told of it stands in the output of the test.
        let _ = holder.wait();
        skip("this root may not mount");
        None
    }

    fn command(&self) -> Command {
        match self {
            Buildah::Here(program) => command(program),
            Buildah::In(root, holder) => {
                let mut command = command(program("nsenter").expect("util-linux"));
                command.arg(format!("--mount=/proc/{}/ns/mnt", holder.id())).arg(program("chroot").expect("coreutils"));
                command.arg(root).arg("/usr/bin/buildah");
                command
            }
        }
    }

    /// Where this process finds what buildah mounted at `path`.
    fn outside(&self, path: &str) -> PathBuf {
        match self {
            Buildah::Here(_) => path.into(),
            Buildah::In(root, holder) => format!("/proc/{}/root{}{path}", holder.id(), root.display()).into(),
        }
    }
}

impl Builder {
    /// This machine's buildah; `None` after a visible skip.
    pub fn new() -> Option<Builder> {
        let program = may_build().and_then(|()| oracle("buildah"))?;
        Some(Builder::with(Buildah::Here(program)))
    }

    /// Debian 13's buildah, which knows here-documents; `None` after a visible skip.
    pub fn trixie() -> Option<Builder> {
        let root = may_build().and_then(|()| oracle("images/buildah"))?;
        Some(Builder::with(Buildah::in_root(root)?))
    }

    fn with(buildah: Buildah) -> Builder {
        let directory = tempfile::tempdir().expect("a folder");
        let context = directory.path().join("context");
        fs::create_dir(&context).expect("made");
        let pki = Pki::new();
        fs::write(context.join("Test_Dead_Root.crt"), &pki.dead).expect("written");
        fs::write(context.join("Test_Living_Root.crt"), &pki.living).expect("written");
        let crossed = Loopback::serve(&pki.crossed.chain, &pki.crossed.key).expect("a server");
        let under_dead = Loopback::serve(&pki.under_dead.chain, &pki.under_dead.key).expect("a server");
        let mut builder = Builder { buildah, driver: "overlay", context, pki, crossed, under_dead, directory };
        // Layers that share files are quick; where the kernel or the file system has no overlays, every layer is a copy.
        if !Said::of(builder.command(&["info"]).output().expect("buildah runs")).ok {
            builder.driver = "vfs";
        }
        builder
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.buildah.command();
        command.arg("--root").arg(self.directory.path().join(self.driver)).arg("--runroot");
        command.arg(self.directory.path().join("run")).args(["--storage-driver", self.driver]).args(arguments);
        command.env("TMPDIR", self.directory.path());
        command
    }

    /// Runs buildah, which must succeed; its standard output, trimmed.
    #[track_caller]
    pub fn buildah(&self, arguments: &[&str]) -> String {
        let output = self.command(arguments).output().expect("buildah runs");
        assert!(output.status.success(), "buildah {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("UTF-8").trim().to_owned()
    }

    /// An image of an archive or a folder.
    pub fn import(&self, root: &Path, image: &str) {
        let container = self.buildah(&["from", "scratch"]);
        self.buildah(&["add", "-q", &container, root.to_str().expect("UTF-8"), "/"]);
        self.buildah(&["config", "--cmd", "/bin/sh", &container]);
        self.buildah(&["commit", "-q", "--rm", &container, image]);
    }

    /// Debian of this suite as `localhost/debian:SUITE`, with both roots in its store as if its package had brought them.
    pub fn debian(&self, suite: &str) -> Option<String> {
        let root = oracle(&format!("images/{suite}.tar"))?;
        let (plain, image) = (format!("localhost/plain:{suite}"), format!("localhost/debian:{suite}"));
        self.import(&root, &plain);
        self.build(&furnished(&plain), &image, &[]).succeeds(&["2 added, 0 removed"]);
        Some(image)
    }

    /// Alpine as `localhost/alpine:3`, with both roots in its store.
    pub fn alpine(&self) -> Option<String> {
        let root = oracle("alpine")?;
        let image = "localhost/alpine:3".to_owned();
        self.import(&root, "localhost/plain:alpine");
        self.build(&furnished("localhost/plain:alpine"), &image, &[]).succeeds(&[]);
        Some(image)
    }

    pub fn build(&self, dockerfile: &str, image: &str, more: &[&str]) -> Said {
        let (file, context) = (self.context.join("Dockerfile"), self.context.to_str().expect("UTF-8"));
        fs::write(&file, dockerfile).expect("written");
        let fixed = ["bud", "--isolation", "chroot", "--pull-never", "--network", "host", "--layers=false", "-t", image];
        let line = [&fixed[..], more, &["-f", file.to_str().expect("UTF-8"), context]].concat();
        Said::of(self.command(&line).output().expect("buildah runs"))
    }

    /// Runs a shell's line in a container of the image, with this machine's network, and what `--volume` and the like say.
    pub fn run(&self, image: &str, more: &[&str], script: &str) -> Said {
        let container = self.buildah(&["from", "--pull-never", image]);
        let line = [&["run", "--isolation", "chroot"], more, &[&container, "--", "/bin/sh", "-c", script]].concat();
        let said = Said::of(self.command(&line).output().expect("buildah runs"));
        self.buildah(&["rm", &container]);
        said
    }

    /// Calls `with` on the image's files.
    pub fn files<T>(&self, image: &str, with: impl FnOnce(&Path) -> T) -> T {
        let container = self.buildah(&["from", "--pull-never", image]);
        let result = with(&self.buildah.outside(&self.buildah(&["mount", &container])));
        self.buildah(&["umount", &container]);
        self.buildah(&["rm", &container]);
        result
    }

    /// The handshakes of the night, by the image's own openssl and its own store: `still` tells whether the dead root is trusted.
    /// OpenSSL looks into its store first since 1.1.0, so that it takes the valid path either way; what tells is a server that has no path
    /// but the dead root's, at a time when that one was alive.
    #[track_caller]
    pub fn handshakes(&self, image: &str, still: bool) {
        let client = "openssl s_client -verify_return_error -servername localhost -verify_hostname localhost";
        let said = self.run(
            image,
            &[],
            &format!(
                "echo | {client} -connect 127.0.0.1:{} 2>&1; echo crossed $?; \
                 echo | {client} -attime {} -connect 127.0.0.1:{} 2>&1; echo under dead $?",
                self.crossed.port(),
                self.pki.healthy,
                self.under_dead.port()
            ),
        );
        said.succeeds(&["crossed 0", if still { "under dead 0" } else { "under dead 1" }]);
    }

    /// Node 8 (OpenSSL 1.0.2), lent to an image of glibc, over the image's bundle: the client that failed that night.
    #[track_caller]
    pub fn old_client(&self, image: &str, accepts: bool) {
        let Some(node) = oracle("node-8.17.0/package/bin/node") else { return };
        let script = format!(
            "const s = require('tls').connect({{ port: {}, host: '127.0.0.1', servername: 'localhost' }}, \
             () => {{ console.log('accepts'); s.end() }}); s.on('error', e => console.log('refuses ' + e.code))",
            self.crossed.port()
        );
        let bundle = "SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt SSL_CERT_DIR=/nowhere";
        let volume = format!("{}:/lent:ro", node.parent().expect("a folder").display());
        let said = self.run(image, &["-v", &volume], &format!("{bundle} /lent/node --use-openssl-ca -e \"{script}\""));
        said.succeeds(&[if accepts { "accepts" } else { "refuses CERT_HAS_EXPIRED" }]);
    }

    /// The same for an image without programs: this machine's openssl over the image's bundle.
    #[track_caller]
    pub fn bundle(&self, image: &str, still: bool) {
        let openssl = program("openssl").expect("openssl");
        let ask = |bundle: &Path, port: u16, more: &[&str]| {
            let mut command = command(&openssl);
            command.args(["s_client", "-verify_return_error", "-no-CApath", "-connect", &format!("127.0.0.1:{port}")]);
            command.arg("-CAfile").arg(bundle).args(more).stdin(std::process::Stdio::null());
            Said::of(command.output().expect("openssl runs"))
        };
        self.files(image, |root| {
            let bundle = root.join("etc/ssl/certs/ca-certificates.crt");
            ask(&bundle, self.crossed.port(), &[]).succeeds(&["Verify return code: 0"]);
            let said = ask(&bundle, self.under_dead.port(), &["-attime", &self.pki.healthy.to_string()]);
            if still {
                said.succeeds(&[])
            } else {
                said.fails(&["unable to get local issuer certificate"])
            };
        });
    }

    /// `certdoctor dockerfile`, with the anchors as the image itself names them, over this Dockerfile; the file as it is then.
    #[track_caller]
    pub fn patched(&self, dockerfile: &str, image: &str, anchors: &[&str]) -> String {
        let file = self.context.join("Dockerfile");
        fs::write(&file, dockerfile).expect("written");
        self.files(image, |root| {
            let mut command = crate::common::certdoctor();
            command.arg("dockerfile").arg(&file).arg("--root").arg(root).arg("--write");
            command.args(anchors.iter().flat_map(|anchor| ["--anchor", anchor]));
            let said = Said::of(command.output().expect("the binary runs"));
            said.succeeds(&["written"]);
        });
        fs::read_to_string(&file).expect("read")
    }
}

impl Drop for Builder {
    fn drop(&mut self) {
        // What a failed test left mounted would keep the folder from going.
        let _ = self.command(&["rm", "--all"]).output();
        if let Buildah::In(_, holder) = &mut self.buildah {
            drop(holder.stdin.take());
            let _ = holder.wait();
        }
    }
}

/// `None` after a visible skip.
fn may_build() -> Option<()> {
    if rustix::process::geteuid().is_root() {
        return Some(());
    }
    skip("images are built as root");
    None
}

/// Both roots, as the package itself would bring them.
fn furnished(base: &str) -> String {
    format!(
        "FROM {base}\n\
         COPY Test_Dead_Root.crt Test_Living_Root.crt /usr/share/ca-certificates/mozilla/\n\
         RUN printf '%s\\n' mozilla/Test_Dead_Root.crt mozilla/Test_Living_Root.crt >>/etc/ca-certificates.conf && update-ca-certificates\n"
    )
}
