//! The binary in an empty root: no shell, no openssl, no network, no /proc. And in a real Alpine, which has another C library.

use std::{fs, os::unix::fs::PermissionsExt, path::Path, process::Command};

use tempfile::TempDir;

use crate::{
    common::{
        self,
        case::Case,
        fixture,
        listing::{Listing, SCOPE},
        program, real, skip,
    },
    host::{Said, may_mount, put_certdoctor_into},
};

const UNCHANGED: Vec<String> = Vec::new();

/// Runs the binary as root of `root`, with an empty environment and no network.
fn in_root(root: &Path, arguments: &[&str]) -> Said {
    let (Some(unshare), Some(chroot)) = (program("unshare"), program("chroot")) else { panic!("util-linux and coreutils") };
    let mut command = Command::new(unshare);
    command.arg("--net").arg(chroot).arg(root).arg("/certdoctor").args(arguments);
    Said::of(command.env_clear().env("PATH", "/nonexistent").output().expect("unshare runs"))
}

/// A case of a system, and the tree that the real tool left.
fn golden(system: &str, name: &str) -> Listing {
    let case = Case::all(system).into_iter().find(|c| c.name == format!("{system}/{name}")).expect("the case");
    case.after(&case.before(&Listing::base(system)))
}

#[test]
fn nothing_but_the_binary_is_needed() {
    if !may_mount() {
        return;
    }
    let empty = tempfile::tempdir().expect("a folder");
    let root = empty.path();
    if put_certdoctor_into(root).is_none() {
        return;
    }
    let tree = root.join("tree");
    fs::rename(common::tree("debian-12").keep(), &tree).expect("renamed");
    for (name, from) in [
        ("chain.pem", "clients/chains/addtrust.pem"),
        ("store.pem", "clients/stores/A_U.pem"),
        ("Dockerfile", "dockerfiles/debian-simple.Dockerfile"),
    ] {
        fs::copy(fixture(from), root.join(name)).expect("copied");
    }
    let before = Listing::of(&tree, &SCOPE);

    in_root(root, &["scan"]).says(&["no trust store"]);
    in_root(root, &["scan", "--root", "/tree", "--at", "2026-11-22"]).expect(0).says(&["142 roots, 4 expired"]);
    let chain = ["/chain.pem", "--CAfile", "/store.pem", "--verify-hostname", "localhost", "--at", "2026-11-22T01:00:00Z"];
    in_root(root, &[&["inspect"], &chain[..]].concat()).expect(1).says(&["openssl-1.0.2"]);
    in_root(root, &[&["diagnose"], &chain[..]].concat()).expect(1).says(&["CD501"]);

    let fix = ["fix", "--root", "/tree", "--anchor", "Baltimore CyberTrust Root"];
    in_root(root, &[&fix[..], &["--diff"]].concat()).expect(0).says(&["\n+!mozilla/Baltimore_CyberTrust_Root.crt\n"]);
    in_root(root, &[&fix[..], &["--check"]].concat()).expect(3);
    assert_eq!(Listing::of(&tree, &SCOPE).difference(&before), UNCHANGED);
    in_root(root, &[&fix[..], &["--apply"]].concat()).expect(0);
    assert_eq!(Listing::of(&tree, &SCOPE).difference(&golden("debian", "01-deselect-bang")), UNCHANGED);
    in_root(root, &["undo", "--root", "/tree"]).expect(0);
    assert_eq!(Listing::of(&tree, &SCOPE).difference(&before), UNCHANGED);

    let anchor = ["--anchor", "Baltimore CyberTrust Root"];
    in_root(root, &[&["dockerfile", "--base", "debian:12"], &anchor[..]].concat()).expect(0).says(&["update-ca-certificates"]);
    in_root(root, &[&["dockerfile", "/Dockerfile"], &anchor[..]].concat()).says(&["\n+RUN "]);
    in_root(root, &["explain", "CD501"]).expect(0);
}

/// A real Alpine with the list of 2019: its own tool, its own c_rehash, musl beside our glibc.
fn alpine() -> Option<TempDir> {
    if !may_mount() {
        return None;
    }
    let alpine = real::alpine()?;
    let tree = common::tree("alpine-2019");
    for part in ["etc/ssl", "etc/ca-certificates.conf", "usr/share/ca-certificates"] {
        let (from, to) = (tree.path().join(part), alpine.path().join(part));
        let _ = if to.is_dir() { fs::remove_dir_all(&to) } else { fs::remove_file(&to) };
        fs::create_dir_all(to.parent().expect("a folder")).expect("made");
        assert!(Command::new("cp").arg("-a").args([from, to]).status().expect("cp runs").success(), "{part}");
    }
    put_certdoctor_into(alpine.path())?;
    let said = in_root(alpine.path(), &["--version"]);
    if said.status != 0 {
        skip(&format!("the binary does not run beside Alpine's own programs: {}", said.err));
        return None;
    }
    Some(alpine)
}

const FIX: [&str; 4] = ["fix", "--anchor", "AddTrust External CA Root", "--apply"];

#[test]
fn alpine_from_the_fix_to_undo() {
    let Some(alpine) = alpine() else { return };
    let listing = || {
        let mut listing = Listing::of(alpine.path(), &SCOPE);
        listing.0.retain(|path, _| !path.starts_with("/etc/ca-certificates/"));
        listing
    };
    let golden = || {
        let mut listing = golden("alpine2019", "01-deselect-addtrust");
        listing.0.retain(|path, _| !path.starts_with("/etc/ca-certificates/"));
        listing
    };
    let before = listing();
    in_root(alpine.path(), &["fix", "--anchor", "AddTrust External CA Root", "--check"]).expect(3).says(&[".apk-new"]);
    let said = in_root(alpine.path(), &FIX).expect(0).says(&["update-ca-certificates (exit status 0)"]);
    assert_eq!(listing().difference(&golden()), UNCHANGED, "{said:?}");
    in_root(alpine.path(), &FIX).expect(0).says(&["nothing to do"]);
    assert_eq!(listing().difference(&golden()), UNCHANGED);
    in_root(alpine.path(), &["undo"]).expect(0);
    assert_eq!(listing().difference(&before), UNCHANGED);

    // Deeds count, not the exit status.
    let stub = alpine.path().join("usr/local/sbin/update-ca-certificates");
    fs::create_dir_all(stub.parent().expect("a folder")).expect("made");
    let put = |script: &str| {
        fs::write(&stub, format!("#!/bin/sh\n{script}\n")).expect("written");
        fs::set_permissions(&stub, fs::Permissions::from_mode(0o755)).expect("set");
    };
    for (script, words) in [
        ("exit 0", "is still trusted through"),
        (
            "/usr/sbin/update-ca-certificates; rm /etc/ssl/certs/ca-cert-ISRG_Root_X1.pem; c_rehash /etc/ssl/certs",
            "lost ISRG Root X1",
        ),
    ] {
        put(script);
        in_root(alpine.path(), &FIX).says(&["rolled back", words]).expect(1);
        assert_eq!(listing().difference(&before), UNCHANGED, "{script}");
    }
    // As when the power fails while the tool is at work.
    put("cd /etc/ssl/certs; : >bundleAbCdEf; : >ca-certificates.crt; rm ca-cert-ISRG_Root_X1.pem; : >/tmp/begun; sleep 60");
    let killed = Command::new("sh")
        .args([
            "-euc",
            "unshare --pid --fork --kill-child=KILL chroot \"$@\" >/dev/null & pid=$!
            until [ -e \"$1/tmp/begun\" ]; do sleep 0.05; done; kill -9 $pid; wait $pid || true; sleep 0.2",
            "sh",
        ])
        .arg(alpine.path())
        .arg("/certdoctor")
        .args(FIX)
        .status();
    assert!(killed.expect("sh runs").success());
    assert_ne!(listing().difference(&before), UNCHANGED);
    in_root(alpine.path(), &["undo"]).expect(0);
    assert_eq!(listing().difference(&before), UNCHANGED);
}
