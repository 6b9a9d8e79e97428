//! With the real ansible-core: the collection's module and role, the binary as a module, check, diff, apply, apply again, failure.

mod common;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Output,
};

use common::{
    clean, command, fixture,
    listing::{Listing, SCOPE},
    oracle, skip, tree,
};
use tempfile::TempDir;

/// A control node with the collection installed, and a host that is an unpacked root.
struct Lab {
    programs: PathBuf,
    home: TempDir,
    root: TempDir,
}

impl Lab {
    fn new() -> Option<Lab> {
        let programs = oracle("ansible/bin/ansible-playbook")?.parent()?.to_owned();
        let home = tempfile::tempdir().expect("a directory");
        let collection = home.path().join("collections/ansible_collections/certdoctor");
        fs::create_dir_all(&collection).expect("a directory");
        copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/ansible"), &collection.join("trust"));
        Some(Lab { programs, home, root: tree("alpine-2019") })
    }

    fn run(&self, program: &str, arguments: &[&str]) -> Output {
        let mut command = command(self.programs.join(program));
        let path = format!("{}:{}", self.programs.display(), std::env::var("PATH").unwrap_or_default());
        clean(&mut command)
            .args(arguments)
            .current_dir(self.home.path())
            .env("PATH", path)
            .env("HOME", self.home.path())
            .env("ANSIBLE_HOME", self.home.path().join("ansible"))
            .env("ANSIBLE_COLLECTIONS_PATH", self.home.path().join("collections"))
            .env("ANSIBLE_LOCAL_TEMP", self.home.path().join("tmp"))
            .env("ANSIBLE_NOCOLOR", "1")
            .env("ANSIBLE_LOCALHOST_WARNING", "False")
            .env("LC_ALL", "C.UTF-8")
            .output()
            .expect("ansible runs")
    }

    /// Runs a play with this task or role on the one host; returns the status and what was said.
    fn play(&self, body: &str, more: &[&str]) -> (bool, String) {
        let play = format!("- hosts: host\n  gather_facts: false\n{body}");
        fs::write(self.home.path().join("play.yml"), play).expect("written");
        let python = self.programs.join("python").display().to_string();
        let interpreter = format!("ansible_python_interpreter={python}");
        let fixed = ["-i", "host,", "-e", "ansible_connection=local", "-e", &interpreter, "play.yml"];
        let output = self.run("ansible-playbook", &[&fixed[..], more].concat());
        let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        (output.status.success(), said)
    }

    fn bundle(&self) -> Vec<u8> {
        fs::read(self.root.path().join("etc/ssl/certs/ca-certificates.crt")).expect("a bundle")
    }
}

fn copy(from: &Path, to: &Path) {
    for entry in walkdir::WalkDir::new(from).into_iter().map(|e| e.expect("walked")) {
        let target = to.join(entry.path().strip_prefix(from).expect("below"));
        if entry.file_type().is_dir() {
            fs::create_dir_all(target).expect("a directory");
        } else {
            fs::copy(entry.path(), target).expect("copied");
        }
    }
}

fn binary() -> String {
    assert_cmd::cargo::cargo_bin!("certdoctor").display().to_string()
}

#[test]
fn a_role_checks_applies_and_then_changes_nothing() {
    let Some(lab) = Lab::new() else { return };
    let role = format!(
        "  roles:\n    - role: certdoctor.trust.trust_store\n      vars:\n        trust_store_binary: {}\n        trust_store_root: {}\n        \
         trust_store_at: \"2020-06-01\"\n        trust_store_anchors: [AddTrust External CA Root]\n",
        binary(),
        lab.root.path().display()
    );
    let before = lab.bundle();
    let (ok, said) = lab.play(&role, &["--check", "--diff"]);
    assert!(ok && said.contains("changed=1") && said.contains("+!mozilla/AddTrust_External_Root.crt"), "{said}");
    assert_eq!(lab.bundle(), before, "check mode wrote");
    let (ok, said) = lab.play(&role, &[]);
    assert!(ok && said.contains("changed=1") && !said.contains("+!mozilla"), "{said}");
    assert!(said.contains("RUNNING HANDLER"), "{said}");
    assert_ne!(lab.bundle(), before);
    let (ok, said) = lab.play(&role, &["--diff"]);
    assert!(ok && said.contains("changed=0") && !said.contains("RUNNING HANDLER"), "{said}");
    let wrong = role.replace("trust_store_anchors: [AddTrust External CA Root]", "trust_store_restart: perhaps");
    let (ok, said) = lab.play(&wrong, &[]);
    assert!(!ok && said.contains("trust_store_restart"), "the argument specification refuses it: {said}");
}

/// Check mode puts no program on the host, so that nothing can look at its stores yet.
#[test]
fn a_role_checks_a_host_without_the_program() {
    let Some(lab) = Lab::new() else { return };
    let own = lab.home.path().join("own/certdoctor");
    fs::create_dir_all(own.parent().expect("a folder")).expect("a directory");
    let role = format!(
        "  pre_tasks:\n    - ansible.builtin.setup:\n        gather_subset: [platform]\n  roles:\n    \
         - role: certdoctor.trust.trust_store\n      vars:\n        trust_store_binaries: {{ {arch}: {} }}\n        \
         trust_store_binary: {}\n        trust_store_root: {}\n        trust_store_at: \"2020-06-01\"\n        \
         trust_store_anchors: [AddTrust External CA Root]\n",
        binary(),
        own.display(),
        lab.root.path().display(),
        arch = std::env::consts::ARCH,
    );
    let before = lab.bundle();
    let (ok, said) = lab.play(&role, &["--check"]);
    assert!(ok && said.contains("changed=1") && said.contains("is not put on the host"), "{said}");
    assert!(!own.exists() && lab.bundle() == before, "check mode wrote");
    let (ok, said) = lab.play(&role, &[]);
    assert!(ok && said.contains("changed=2") && !said.contains("is not put on the host"), "{said}");
    assert_ne!(lab.bundle(), before);
    // The program is there, and check mode looks again.
    let (ok, said) = lab.play(&role, &["--check"]);
    assert!(ok && said.contains("changed=0") && !said.contains("is not put on the host"), "{said}");
}

/// The tool goes as a module itself, as to a host without Python.
#[test]
fn the_binary_is_a_module() {
    let Some(lab) = Lab::new() else { return };
    fs::create_dir_all(lab.home.path().join("library")).expect("a directory");
    fs::copy(binary(), lab.home.path().join("library/certdoctor")).expect("copied");
    let task = |parameters: &str| {
        format!(
            "  tasks:\n    - name: Cure\n      certdoctor:\n        root: {}\n        at: \"2020-06-01\"\n{parameters}",
            lab.root.path().display()
        )
    };
    let fix = task("        anchors: [AddTrust External CA Root]\n");
    let before = lab.bundle();
    let (ok, said) = lab.play(&fix, &["--check", "--diff"]);
    assert!(ok && said.contains("changed=1") && said.contains("+!mozilla/AddTrust_External_Root.crt"), "{said}");
    assert_eq!(lab.bundle(), before, "check mode wrote");
    let (ok, said) = lab.play(&fix, &[]);
    assert!(ok && said.contains("changed=1"), "{said}");
    let (ok, said) = lab.play(&fix, &[]);
    assert!(ok && said.contains("changed=0"), "{said}");
    let (ok, said) = lab.play(&task("        ancors: [x]\n"), &[]);
    assert!(
        !ok && said.contains("Unsupported parameters for (certdoctor) module: ancors. Supported parameters include: action,"),
        "{said}"
    );
    let (ok, said) = lab.play(&task("        anchors: [No Such Root]\n"), &[]);
    assert!(!ok && said.contains("no store knows an anchor called `No Such Root`"), "{said}");
}

/// A target that would lose its only path: nothing is changed, and the task fails with the reason.
#[test]
fn a_fix_that_would_break_a_target_fails_and_leaves_the_host_as_it_was() {
    let Some(lab) = Lab::new() else { return };
    let root = lab.root.path();
    fs::remove_dir_all(root.join("etc")).expect("removed");
    fs::remove_dir_all(root.join("usr")).expect("removed");
    fs::create_dir_all(root.join("etc/ssl")).expect("a directory");
    let store = root.join("etc/ssl/cert.pem");
    fs::copy(fixture("clients/stores/U.pem"), &store).expect("copied");
    let before = fs::read(&store).expect("a store");
    let anchor = certdoctor::base::Fingerprint::of(
        certdoctor::format::sniff::certificates(&before).certificates.first().expect("an anchor").der(),
    );
    let task = format!(
        "  tasks:\n    - certdoctor.trust.trust_store:\n        binary: {}\n        root: {}\n        at: \"2026-11-22T01:00:00Z\"\n        \
         anchors: [\"{anchor}\"]\n        targets: [{}]\n",
        binary(),
        root.display(),
        fixture("clients/chains/nocross.pem").display(),
    );
    let (ok, said) = lab.play(&task, &[]);
    assert!(!ok && said.contains("failed=1") && said.contains("not fixed"), "{said}");
    assert_eq!(fs::read(&store).expect("a store"), before);
}

#[test]
fn the_documentation_is_read_and_names_every_parameter() {
    let Some(lab) = Lab::new() else { return };
    let output = lab.run("ansible-doc", &["--json", "certdoctor.trust.trust_store", "certdoctor.trust.trust_facts"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.trim().is_empty(), "{said}");
    let documents: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let options = documents["certdoctor.trust.trust_store"]["doc"]["options"].as_object().expect("options");
    let told: Vec<&str> = options.keys().map(String::as_str).filter(|name| *name != "binary").collect();
    let known: Vec<&str> = certdoctor::command::ansible_module::parameters().collect();
    assert_eq!(told, known);
    assert!(documents["certdoctor.trust.trust_facts"]["return"]["ansible_facts"].is_object());
}

#[test]
fn ansible_lint_has_nothing_to_say() {
    let Some(lab) = Lab::new() else { return };
    let collection = lab.home.path().join("collections/ansible_collections/certdoctor/trust");
    let output = lab.run(
        "ansible-lint",
        &[
            "--offline",
            "--profile",
            "production",
            "-q",
            "--project-dir",
            collection.to_str().expect("UTF-8"),
            collection.to_str().expect("UTF-8"),
        ],
    );
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{said}");
}

#[test]
fn molecule_finds_it_idempotent() {
    let Some(lab) = Lab::new() else { return };
    let collection = lab.home.path().join("collections/ansible_collections/certdoctor/trust");
    let mut command = command(lab.programs.join("molecule"));
    let path = format!("{}:{}", lab.programs.display(), std::env::var("PATH").unwrap_or_default());
    let output = clean(&mut command)
        .args(["test", "--scenario-name", "default"])
        .current_dir(collection.join("extensions"))
        .env("PATH", path)
        .env("HOME", lab.home.path())
        .env("ANSIBLE_HOME", lab.home.path().join("ansible"))
        .env("ANSIBLE_COLLECTIONS_PATH", lab.home.path().join("collections"))
        .env("CERTDOCTOR_MOLECULE_ROOT", lab.root.path())
        .env("CERTDOCTOR_BINARY", binary())
        .env("LC_ALL", "C.UTF-8")
        .output();
    let Ok(output) = output else {
        skip("molecule does not run");
        return;
    };
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{said}");
    let listing = certdoctor::format::sniff::certificates(&lab.bundle());
    assert!(listing.certificates.iter().all(|c| c.label() != "AddTrust External CA Root"));
}

/// Three Debians as hosts of one play, the oldest without Python, and a fourth whose own refresh tool fails.
struct Debians {
    lab: Lab,
    hosts: TempDir,
}

impl Debians {
    const HOSTS: [(&str, &str); 4] = [("old", "bullseye"), ("middle", "bookworm"), ("new", "trixie"), ("lost", "bullseye")];

    /// `None` after a visible skip.
    fn new() -> Option<Debians> {
        if !rustix::process::geteuid().is_root() {
            skip("chroot needs root");
            return None;
        }
        let lab = Lab::new()?;
        let Some(folder) = std::env::var_os("CERTDOCTOR_DIST").map(PathBuf::from) else {
            skip("the static binary (scripts/dist makes it, CERTDOCTOR_DIST names its folder)");
            return None;
        };
        let binary = folder.join(format!("certdoctor-{}", std::env::consts::ARCH));
        let hosts = tempfile::tempdir().expect("a directory");
        let mut inventory = String::new();
        for (host, suite) in Debians::HOSTS {
            let archive = oracle(&format!("images/{suite}.tar"))?;
            let root = hosts.path().join(host);
            fs::create_dir(&root).expect("a directory");
            let status = command("tar").arg("-xf").arg(archive).arg("-C").arg(&root).status().expect("tar runs");
            assert!(status.success(), "{suite}: {status}");
            fs::copy(&binary, root.join("usr/local/bin/certdoctor")).expect("copied");
            let kind = if root.join("usr/bin/python3").exists() { "python" } else { "bare" };
            inventory.push_str(&format!("[{kind}]\n{host} ansible_host={}\n", root.display()));
        }
        inventory.push_str(
            "[all:vars]\nansible_connection=debian_root\nansible_python_interpreter=/usr/bin/python3\nansible_remote_tmp=/tmp/ansible\n",
        );
        fs::write(lab.home.path().join("inventory"), inventory).expect("written");
        fs::create_dir_all(lab.home.path().join("library")).expect("a directory");
        fs::copy(&binary, lab.home.path().join("library/certdoctor")).expect("copied");
        copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/ansible"), &lab.home.path().join("connection_plugins"));
        Some(Debians { lab, hosts })
    }

    fn play(&self, more: &[&str]) -> (bool, String) {
        let output = self.lab.run("ansible-playbook", &[&["-i", "inventory", "play.yml"], more].concat());
        let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        (output.status.success(), said)
    }

    fn read(&self, host: &str, path: &str) -> Vec<u8> {
        fs::read(self.hosts.path().join(host).join(path)).expect("read")
    }

    /// Whether the host still trusts the anchor of the play, by its bundle.
    fn trusts(&self, host: &str) -> bool {
        let bundle = self.read(host, "etc/ssl/certs/ca-certificates.crt");
        certdoctor::format::sniff::certificates(&bundle).certificates.iter().any(|c| c.label() == "Baltimore CyberTrust Root")
    }
}

#[test]
fn three_debians_in_one_play_and_one_that_must_be_rolled_back() {
    let Some(debians) = Debians::new() else { return };
    let lost = debians.hosts.path().join("lost");
    let refresh = lost.join("usr/sbin/update-ca-certificates");
    fs::write(&refresh, "#!/bin/sh\necho 'the disk is full' >&2\nexit 1\n").expect("written");
    let play = "- hosts: python\n  gather_facts: false\n  tasks:\n    - certdoctor.trust.trust_store:\n        \
                binary: /usr/local/bin/certdoctor\n        anchors: [Baltimore CyberTrust Root]\n\
                - hosts: bare\n  gather_facts: false\n  tasks:\n    - certdoctor:\n        anchors: [Baltimore CyberTrust Root]\n";
    fs::write(debians.lab.home.path().join("play.yml"), play).expect("written");
    let healthy = ["old", "middle", "new"];
    let before = Listing::of(&lost, &SCOPE);
    let recap = |said: &str, host: &str| {
        let line = said.lines().rfind(|line| line.starts_with(host) && line.contains("changed=")).unwrap_or_default().to_owned();
        line.split_whitespace()
            .filter(|word| word.starts_with("changed=") || word.starts_with("failed="))
            .collect::<Vec<_>>()
            .join(" ")
    };

    let (_, said) = debians.play(&["--check", "--diff"]);
    for host in healthy {
        assert_eq!(recap(&said, host), "changed=1 failed=0", "{host}: {said}");
        assert!(debians.trusts(host), "{host}: check mode wrote");
    }
    assert_eq!(said.matches("+!mozilla/Baltimore_CyberTrust_Root.crt").count(), 4, "{said}");

    let (ok, said) = debians.play(&[]);
    for host in healthy {
        assert_eq!(recap(&said, host), "changed=1 failed=0", "{host}: {said}");
        assert!(!debians.trusts(host), "{host}");
    }
    assert!(!ok && recap(&said, "lost") == "changed=0 failed=1" && said.contains("rolled back, nothing is changed"), "{said}");
    assert_eq!(Listing::of(&lost, &SCOPE).difference(&before), Vec::<String>::new());

    let (_, said) = debians.play(&["--limit", "!lost"]);
    for host in healthy {
        assert_eq!(recap(&said, host), "changed=0 failed=0", "{host}: {said}");
    }
}
