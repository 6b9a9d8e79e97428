//! Debian systems that are not as released: odd names, bundles among sources, Java, another run at work, no room, no right.

use std::{fs, path::Path, process::Command};

use certdoctor::format::jks;

use crate::{
    common::{fixture, program, skip},
    host::Host,
    pki::expired_root,
};

const UNCHANGED: Vec<String> = Vec::new();
const BALTIMORE: &str = "Baltimore CyberTrust Root";

/// Everything that has expired, as a person types it who knows no names.
#[test]
fn without_names_all_expired_roots_go() {
    let Some(host) = Host::debian() else { return };
    let before = host.listing();
    let report = host.certdoctor(&["fix", "--apply", "--format", "json"]).expect(0).json();
    assert_eq!(report["applied"]["rolled_back"], serde_json::Value::Null);
    let bundle = host.read("etc/ssl/certs/ca-certificates.crt");
    assert_eq!(bundle.matches("-----BEGIN").count(), 142 - report["plan"]["steps"].as_array().map_or(0, |_| 4));
    host.certdoctor(&["fix", "--check"]).expect(0);
    host.certdoctor(&["undo"]).expect(0);
    assert_eq!(host.listing().difference(&before), UNCHANGED);
}

/// The tool maps such a name when it adds a link, and not when it removes one.
#[test]
fn a_name_with_blanks_and_parentheses() {
    let Some(host) = Host::debian() else { return };
    let clean = host.listing();
    host.write("usr/share/ca-certificates/mozilla/My Root (1), x.crt", &expired_root("My Root"));
    let conf = host.read("etc/ca-certificates.conf");
    host.write("etc/ca-certificates.conf", &format!("{conf}mozilla/My Root (1), x.crt\n"));
    host.sh("update-ca-certificates").expect(0);
    let before = host.listing();
    assert!(host.exists("etc/ssl/certs/My_Root_=1=__x.pem"));
    host.certdoctor(&["fix", "--anchor", "My Root", "--apply"]).expect(0);
    let mut after = host.listing();
    after.0.insert("/etc/ca-certificates.conf".into(), clean.0["/etc/ca-certificates.conf"].clone());
    assert_eq!(after.difference(&clean), UNCHANGED);
    host.certdoctor(&["undo"]).expect(0);
    assert_eq!(host.listing().difference(&before), UNCHANGED);
}

/// One of two roots in a local file goes, the other stays.
#[test]
fn a_root_is_cut_out_of_a_local_file() {
    let Some(host) = Host::debian() else { return };
    let living = host.read("usr/share/ca-certificates/mozilla/ISRG_Root_X1.crt");
    fs::create_dir(host.path("usr/local/share/ca-certificates/team")).expect("made");
    let file = "usr/local/share/ca-certificates/team/both.crt";
    host.write(file, &format!("{}{living}", expired_root("Old Corp Root")));
    host.sh("update-ca-certificates").expect(0);
    let before = host.listing();
    host.certdoctor(&["fix", "--anchor", "Old Corp Root", "--apply"]).expect(1);
    host.certdoctor(&["fix", "--anchor", "Old Corp Root", "--apply", "--yes", "Old Corp Root"]).expect(0);
    assert_eq!(host.read(file), living);
    host.certdoctor(&["undo"]).expect(0);
    assert_eq!(host.listing().difference(&before), UNCHANGED);
}

/// The hook of ca-certificates-java, run by the tool: it follows where the administrator lets it.
#[test]
fn java_forgets_it_too_and_remembers_after_undo() {
    let hook = "/etc/ca-certificates/update.d/jks-keystore";
    if !Path::new(hook).exists() || program("java").is_none() {
        return skip("no ca-certificates-java");
    }
    let Some(host) = Host::debian() else { return };
    for made in ["etc/default", "etc/ssl/certs/java", "var/lib/ca-certificates-java", "var/lib/dpkg/updates"] {
        fs::create_dir_all(host.path(made)).expect("made");
    }
    let keystore = host.path("etc/ssl/certs/java/cacerts");
    fs::copy(fixture("bundles/java/debian12-cacerts.jks"), &keystore).expect("copied");
    fs::copy(hook, host.path(hook)).expect("copied");
    // The hook leaves the work to a trigger of dpkg's, which wants its database.
    for part in ["status", "triggers", "info"] {
        let mut copy = Command::new("cp");
        let copied = copy.arg("-a").arg(Path::new("/var/lib/dpkg").join(part)).arg(host.path("var/lib/dpkg")).status();
        assert!(copied.expect("cp runs").success(), "{part}");
    }
    let aliases = || -> Vec<String> {
        let entries = jks::entries(&fs::read(&keystore).expect("read")).expect("a keystore");
        entries.into_iter().map(|e| e.alias).collect()
    };
    let (before, had) = (host.listing(), aliases());
    let baltimore = "debian:baltimore_cybertrust_root.pem".to_owned();
    assert!(had.contains(&baltimore));

    host.write("etc/default/cacerts", "cacerts_updates=yes\n");
    host.certdoctor(&["fix", "--anchor", BALTIMORE, "--apply"]).expect(0);
    assert!(!aliases().contains(&baltimore) && aliases().len() == had.len() - 1);
    host.certdoctor(&["undo"]).expect(0);
    assert_eq!(host.listing().difference(&before), UNCHANGED);

    host.write("etc/default/cacerts", "cacerts_updates=no\n");
    let words = format!("/etc/ssl/certs/java/cacerts holds {BALTIMORE} too");
    host.certdoctor(&["fix", "--anchor", BALTIMORE, "--apply"]).expect(0).says(&[&words]);
    assert_eq!(aliases(), had);
    assert!(!host.exists("etc/ssl/certs/Baltimore_CyberTrust_Root.pem"));
    host.certdoctor(&["undo"]).expect(0);
    // The hook has noted what it did not do, for the day it may.
    fs::remove_file(host.path("var/lib/ca-certificates-java/pending")).expect("the hook's note");
    assert_eq!(host.listing().difference(&before), UNCHANGED);
}

#[test]
fn two_runs_do_not_mix() {
    let Some(host) = Host::debian() else { return };
    host.stub("update-ca-certificates", ": >$TMPDIR/begun; sleep 3; exec /usr/sbin/update-ca-certificates");
    let said = host.sh(&format!(
        "certdoctor fix --anchor '{BALTIMORE}' --apply >/dev/null & first=$!
        until [ -e $TMPDIR/begun ]; do sleep 0.05; done
        status=0; certdoctor fix --anchor 'ISRG Root X2' --apply || status=$?
        undo=0; certdoctor undo || undo=$?
        wait $first; echo $? $status $undo"
    ));
    // The second sees a store between two states, and the lock if it could plan anything at all.
    let said = said.expect(0).says(&["another certdoctor is at work here"]);
    assert!(["0 1 2\n", "0 2 2\n"].iter().any(|end| said.out.ends_with(end)), "{said:?}");
    let conf = host.read("etc/ca-certificates.conf");
    assert!(conf.contains("!mozilla/Baltimore") && !conf.contains("!mozilla/ISRG"));
}

#[test]
fn who_is_not_root_is_told_so() {
    let Some(host) = Host::debian() else { return };
    let before = host.listing();
    let as_nobody = format!(
        "chmod 755 $COPY; setpriv --reuid=65534 --regid=65534 --clear-groups $COPY/certdoctor fix --anchor '{BALTIMORE}'"
    );
    host.sh(&format!("{as_nobody} --diff")).expect(0).says(&["+!mozilla/Baltimore"]);
    host.sh(&format!("{as_nobody} --apply")).expect(2).says(&["error: ", "run it as root (sudo)"]);
    assert_eq!(host.listing().difference(&before), UNCHANGED);
}

/// A small file system for the backups, and one for `/etc`: what can't be written whole is not written.
#[test]
fn a_full_disk_loses_nothing() {
    let Some(host) = Host::debian() else { return };
    let listed = "{ cd /etc; find ca-certificates.conf ssl -printf '%p %y %l %m\\n'; find ca-certificates.conf ssl -type f -exec sha256sum {} +; } \
        | sort | sha256sum";
    let small =
        "mkdir $COPY/small; mount -t tmpfs -o size=4m none $COPY/small; cp -a /etc/. $COPY/small; mount --bind $COPY/small /etc
        dd if=/dev/zero of=/etc/filler bs=1k 2>/dev/null || true; truncate -s -60k /etc/filler";
    for (mount, status, words) in [
        ("mount -t tmpfs -o size=64k none /var/lib", 2, "nothing is lost; free some space"),
        (small, 1, "No space left on device"),
    ] {
        let script = format!(
            "{mount}; before=$({listed}); status=0; certdoctor fix --anchor '{BALTIMORE}' --apply || status=$?
            [ \"$before\" = \"$({listed})\" ] && echo all as before; exit $status"
        );
        host.sh(&script).says(&[words, "all as before"]).expect(status);
    }
}
