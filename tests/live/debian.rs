//! Debian's `update-ca-certificates`, obeying, failing, lying, missing, interrupted.

use certdoctor::base::Fingerprint;
use rustls_pki_types::{CertificateDer, pem::PemObject};

use crate::{
    common::{case::Case, listing::Listing},
    host::Host,
};

const BALTIMORE: &str = "Baltimore CyberTrust Root";
const FIX: [&str; 4] = ["fix", "--anchor", BALTIMORE, "--apply"];
const UNCHANGED: Vec<String> = Vec::new();

/// The tree that the real tool left after a person wrote the `!`.
fn golden() -> Listing {
    let case = Case::all("debian").into_iter().find(|c| c.name == "debian/01-deselect-bang").expect("the case");
    case.after(&case.before(&Listing::base("debian")))
}

/// The states of the backups, oldest first.
fn states(host: &Host) -> Vec<String> {
    let list = host.certdoctor(&["undo", "--list", "--format", "json"]).expect(0).json();
    list["backups"].as_array().expect("a list").iter().map(|b| b["state"].as_str().expect("a state").to_owned()).collect()
}

#[test]
fn the_documented_way_from_diff_to_undo() {
    let Some(host) = Host::debian() else { return };
    let before = host.listing();
    assert_eq!(before.difference(&Listing::base("debian")), UNCHANGED);

    host.sh(&format!("certdoctor fix --anchor '{BALTIMORE}' --diff | patch -p0 --dry-run -d /"))
        .expect(0)
        .says(&["checking file ./etc/ca-certificates.conf\n"]);
    host.certdoctor(&["fix", "--anchor", BALTIMORE, "--check"]).expect(3).says(&["nothing is changed"]);
    assert_eq!(host.listing().difference(&before), UNCHANGED);
    assert!(!host.exists("var/lib/certdoctor"), "a look leaves nothing behind");

    host.certdoctor(&FIX).expect(0).says(&["done: deselect Baltimore", "refresh: update-ca-certificates (exit status 0)\n"]);
    assert_eq!(host.listing().difference(&golden()), UNCHANGED);
    assert_eq!(states(&host), ["complete"]);

    host.certdoctor(&FIX).expect(0).says(&["nothing to do"]);
    host.certdoctor(&["fix", "--anchor", BALTIMORE, "--check"]).expect(0);
    assert_eq!(host.listing().difference(&golden()), UNCHANGED);
    assert_eq!(states(&host), ["complete"], "a second run has nothing to take back");

    host.certdoctor(&["undo"]).expect(0).says(&["4 paths are as they were before"]);
    assert_eq!(host.listing().difference(&before), UNCHANGED);
    assert_eq!(states(&host), ["undone"]);
}

/// The diff is the whole source edit: with it and the tool, a person arrives at the same tree.
#[test]
fn the_diff_and_the_tool_do_the_same() {
    let Some(host) = Host::debian() else { return };
    host.sh(&format!("certdoctor fix --anchor '{BALTIMORE}' --diff | patch -p0 -d / && update-ca-certificates")).expect(0);
    assert_eq!(host.listing().difference(&golden()), UNCHANGED);
    host.certdoctor(&["fix", "--anchor", BALTIMORE, "--check"]).expect(0);
}

/// Sources first, outputs later by whoever comes: then the tool has to do it.
#[test]
fn without_refresh_the_tool_does_the_rest() {
    let Some(host) = Host::debian() else { return };
    host.certdoctor(&["fix", "--anchor", BALTIMORE, "--apply", "--no-refresh"]).expect(0);
    let bundle = "/etc/ssl/certs/ca-certificates.crt";
    assert_eq!(host.listing().0[bundle], Listing::base("debian").0[bundle]);
    host.sh("update-ca-certificates").expect(0);
    assert_eq!(host.listing().difference(&golden()), UNCHANGED);
}

#[test]
fn backups_lie_where_they_are_wanted() {
    let Some(host) = Host::debian() else { return };
    let before = host.listing();
    for directory in ["/usr/local/backups", "backups"] {
        let script = |command: &str| format!("cd /usr/local; certdoctor {command} --backup-dir {directory}");
        host.sh(&script(&format!("fix --anchor '{BALTIMORE}' --apply"))).expect(0);
        assert!(host.exists("usr/local/backups") && !host.exists("var/lib/certdoctor"));
        host.certdoctor(&["undo"]).expect(2).says(&["nothing to undo"]);
        host.sh(&script("undo --list")).expect(0).says(&["complete", "deselect Baltimore"]);
        host.sh(&script("undo")).expect(0);
        assert_eq!(host.listing().difference(&before), UNCHANGED);
    }
}

/// Containers mount single files: no other file can be renamed over such a one.
#[test]
fn a_configuration_that_is_a_mount_is_written_in_place() {
    let Some(host) = Host::debian() else { return };
    let before = host.listing();
    let mount = "mount --bind /etc/ca-certificates.conf /etc/ca-certificates.conf; certdoctor";
    host.sh(&format!("{mount} fix --anchor '{BALTIMORE}' --apply")).expect(0);
    assert_eq!(host.listing().difference(&golden()), UNCHANGED);
    host.sh(&format!("{mount} undo")).expect(0);
    assert_eq!(host.listing().difference(&before), UNCHANGED);
}

#[test]
fn a_process_that_read_the_old_store_is_listed() {
    let Some(host) = Host::debian() else { return };
    // The kernel counts starts in hundredths of a second, and the list in seconds.
    let said = host.sh(&format!(
        "/usr/bin/python3 -c 'import ssl, time; ssl.create_default_context(); time.sleep(60)' & python=$!
        sleep 2
        status=0; certdoctor fix --anchor '{BALTIMORE}' --apply --restart-list --format json || status=$?
        kill $python; echo $python >&2; exit $status"
    ));
    let (report, python) = (said.json(), said.err.trim().parse::<u64>().expect("a number"));
    let listed = report["restart"].as_array().expect("a list");
    let entry = listed.iter().find(|p| p["pid"] == python).unwrap_or_else(|| panic!("{python} in {listed:?}"));
    assert!(entry["command"].as_str().expect("a command").contains("import ssl"), "{entry}");
    assert!(entry["why"].as_str().expect("a reason").contains("OpenSSL"), "{entry}");
    said.expect(0);
}

/// What a tool may do wrong, and what is said about it.
const WRONG: [(&str, &str, &str); 8] = [
    ("nothing", "exit 0", "Baltimore CyberTrust Root (16af57a9f676b0ab) is still trusted through"),
    ("fails", "echo oops >&2; exit 1", "Baltimore CyberTrust Root (16af57a9f676b0ab) is still trusted through"),
    ("killed", "kill -9 $$", "Baltimore CyberTrust Root (16af57a9f676b0ab) is still trusted through"),
    (
        "too much",
        "/usr/sbin/update-ca-certificates
        cd /etc/ssl/certs && rm ISRG_Root_X1.pem && openssl rehash .
        cat *.pem >ca-certificates.crt",
        "lost",
    ),
    ("empties", "/usr/sbin/update-ca-certificates; : >/etc/ssl/certs/ca-certificates.crt", "instead of 141 certificates"),
    ("sweeps", "rm -rf /etc/ssl/certs", "lost"),
    (
        "adds",
        "/usr/sbin/update-ca-certificates; cd /etc/ssl/certs
        cat /usr/local/share/mallory >>ca-certificates.crt; cp /usr/local/share/mallory mallory.pem; openssl rehash .",
        "now trusts Mallory",
    ),
    (
        "enables again",
        "sed -i 's/^!mozilla.Balt/mozilla\\/Balt/' /etc/ca-certificates.conf; /usr/sbin/update-ca-certificates",
        "is still trusted through",
    ),
];

#[test]
fn whatever_a_tool_does_wrong_is_rolled_back() {
    let Some(host) = Host::debian() else { return };
    // A file that no source accounts for: somebody's own root, put there by hand.
    let own = host.read("usr/share/ca-certificates/mozilla/GlobalSign_Root_CA.crt");
    host.write("etc/ssl/certs/by-hand.pem", &own);
    host.sh("cd /etc/ssl/certs && openssl rehash .").expect(0);
    host.write("usr/local/share/mallory", &crate::pki::expired_root("Mallory"));
    let before = host.listing();
    for (name, script, words) in WRONG {
        eprintln!("{name}");
        host.stub("update-ca-certificates", script);
        host.certdoctor(&FIX).says(&["rolled back", words]).expect(1);
        assert_eq!(host.listing().difference(&before), UNCHANGED, "{name}");
        let report = host.certdoctor(&[&FIX[..], &["--format", "json"]].concat()).expect(1).json();
        assert!(report["applied"]["rolled_back"].as_str().expect("why").contains(words), "{name}: {}", report["applied"]);
        assert_eq!(host.listing().difference(&before), UNCHANGED, "{name}");
        assert!(states(&host).iter().all(|state| state == "rolledback"), "{name}: {:?}", states(&host));
    }
}

/// The exit status of a tool that did what it should says nothing.
#[test]
fn a_tool_that_complains_and_obeys_is_believed_by_its_deeds() {
    let Some(host) = Host::debian() else { return };
    host.stub("update-ca-certificates", "/usr/sbin/update-ca-certificates; exit 1");
    host.certdoctor(&FIX).expect(0).says(&["exit status 1"]);
    assert_eq!(host.listing().difference(&golden()), UNCHANGED);
}

/// `undo` without a name means the last fix that is in force, not one that was rolled back.
#[test]
fn undo_passes_over_what_was_rolled_back() {
    let Some(host) = Host::debian() else { return };
    let before = host.listing();
    host.certdoctor(&FIX).expect(0);
    host.stub("update-ca-certificates", "exit 0");
    host.certdoctor(&["fix", "--anchor", "ISRG Root X2", "--apply"]).expect(1);
    host.certdoctor(&["undo"]).expect(0).says(&["4 paths are as they were before"]);
    assert_eq!(host.listing().difference(&before), UNCHANGED);
    assert_eq!(states(&host), ["undone", "rolledback"]);
}

/// A small image may have the store and not the tool.
#[test]
fn without_the_tool_the_same_is_done() {
    let Some(host) = Host::debian() else { return };
    let before = host.listing();
    let hidden = "mount -t tmpfs none /usr/sbin; certdoctor";
    host.sh(&format!("{hidden} fix --anchor '{BALTIMORE}' --apply")).expect(0);
    assert_eq!(host.listing().difference(&golden()), UNCHANGED);
    host.sh(&format!("{hidden} undo")).expect(0);
    assert_eq!(host.listing().difference(&before), UNCHANGED);
}

#[test]
fn a_read_only_system_is_left_as_it_is() {
    let Some(host) = Host::debian() else { return };
    let before = host.listing();
    for (mount, words) in [
        ("/etc", "the file system is read-only: remount it"),
        ("/var/lib", "nothing was changed; name a writable place with --backup-dir"),
        ("/run", "can"),
    ] {
        let script = format!("mount -o remount,bind,ro {mount}; certdoctor fix --anchor '{BALTIMORE}' --apply");
        host.sh(&script).expect(2).says(&["error: ", words, mount]);
        assert_eq!(host.listing().difference(&before), UNCHANGED, "{mount}");
    }
    // The configuration can be written, and what the tool is to write can't.
    let script = format!(
        "mount --bind /etc/ssl /etc/ssl; mount -o remount,bind,ro /etc/ssl; certdoctor fix --anchor '{BALTIMORE}' --apply"
    );
    host.sh(&script).expect(1).says(&["rolled back"]);
    assert_eq!(host.listing().difference(&before), UNCHANGED);
}

/// As when the power fails: everything dies at once, in the middle of the real tool.
#[test]
fn what_was_killed_in_the_middle_can_be_undone() {
    let Some(host) = Host::debian() else { return };
    let before = host.listing();
    let mut interrupted = 0;
    for pause in ["0", "0.2", "0.4", "0.7", "1"] {
        host.sh(&format!(
            "unshare --pid --fork --kill-child=KILL \"$COPY/certdoctor\" fix --anchor '{BALTIMORE}' --apply >/dev/null & pid=$!
            until [ -e /etc/ssl/certs/ca-certificates.crt.new ]; do sleep 0.01; done
            sleep {pause}; kill -9 $pid || true; wait $pid || true; sleep 0.2"
        ))
        .expect(0);
        let state = states(&host).pop().expect("a backup");
        if state == "refreshing" {
            interrupted += 1;
            assert_ne!(host.listing().difference(&before), UNCHANGED, "{pause}");
        }
        host.certdoctor(&["undo"]).expect(0).says(&["as they were before"]);
        assert_eq!(host.listing().difference(&before), UNCHANGED, "after {pause} s, {state}");
    }
    assert!(interrupted > 0, "every run was too fast");
    // Nothing of it stands in the way.
    host.certdoctor(&FIX).expect(0);
    assert_eq!(host.listing().difference(&golden()), UNCHANGED);
}

/// Only our own process dies; the tool goes on and ends as it would have.
#[test]
fn what_the_tool_finished_alone_can_be_undone() {
    let Some(host) = Host::debian() else { return };
    let before = host.listing();
    host.stub("update-ca-certificates", "/usr/sbin/update-ca-certificates; : >$TMPDIR/ended");
    host.sh(&format!(
        "\"$COPY/certdoctor\" fix --anchor '{BALTIMORE}' --apply >/dev/null & pid=$!
        until [ -e /etc/ssl/certs/ca-certificates.crt.new ]; do sleep 0.01; done
        kill -9 $pid; wait $pid || true
        until [ -e $TMPDIR/ended ]; do sleep 0.05; done"
    ))
    .expect(0);
    assert_eq!(host.listing().difference(&golden()), UNCHANGED);
    assert_eq!(states(&host), ["refreshing"]);
    host.certdoctor(&["undo"]).expect(0);
    assert_eq!(host.listing().difference(&before), UNCHANGED);
}

#[test]
fn a_local_anchor_goes_only_by_name() {
    let Some(host) = Host::debian() else { return };
    let pem = crate::pki::expired_root("Example Corp Root");
    host.write("usr/local/share/ca-certificates/corp.crt", &pem);
    host.sh("update-ca-certificates").expect(0);
    let before = host.listing();
    assert!(host.exists("etc/ssl/certs/corp.pem"));

    host.certdoctor(&["fix", "--anchor", "Example Corp Root", "--apply"]).expect(1).says(&["--yes 'Example Corp Root'"]);
    host.certdoctor(&["fix", "--anchor", "Example Corp Root", "--apply", "--yes", "Another"]).expect(1);
    assert_eq!(host.listing().difference(&before), UNCHANGED);

    let yes = ["fix", "--anchor", "Example Corp Root", "--apply", "--yes", "Example Corp Root"];
    host.certdoctor(&yes).expect(0).says(&["remove the local file of Example Corp Root"]);
    // Nothing of it is left, and nothing else is gone.
    assert_eq!(host.listing().difference(&Listing::base("debian")), UNCHANGED);
    // Nobody knows the name any more; the fingerprint still says what is meant.
    host.certdoctor(&yes).expect(2).says(&["no store knows an anchor called"]);
    let print = Fingerprint::of(&CertificateDer::from_pem_slice(pem.as_bytes()).expect("a certificate")).to_string();
    host.certdoctor(&["fix", "--anchor", &print, "--apply", "--yes", &print]).expect(0).says(&["nothing to do"]);

    host.certdoctor(&["undo"]).expect(0);
    assert_eq!(host.listing().difference(&before), UNCHANGED);
    assert_eq!(host.read("usr/local/share/ca-certificates/corp.crt"), pem);
}
