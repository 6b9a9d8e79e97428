//! CertMagic's storage: recorded cases, and a real Caddy with each fault injected, named, cured by the patch, and serving again.

mod balancer;
#[path = "../common/mod.rs"]
mod common;
mod owner;
mod replaced;
#[path = "../support/score.rs"]
mod score;
mod world;

use std::{fs, path::Path};

use score::{Score, Step};
use serde_json::Value;
use world::{Caddy, DOMAIN, Pebble, make_old, until};

/// Runs `renewal` on a tree: the exit status, and the report.
fn renewal(root: &Path, arguments: &[&str]) -> (i32, Value) {
    renewal_by(common::certdoctor(), root, arguments)
}

/// The same by a command that ends with the program.
fn renewal_by(mut command: assert_cmd::Command, root: &Path, arguments: &[&str]) -> (i32, Value) {
    command.args(["--root"]).arg(root).args(["--format", "json", "renewal"]).args(arguments);
    let output = command.output().expect("run");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let report = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text}{}", String::from_utf8_lossy(&output.stderr)));
    (output.status.code().expect("a status"), report)
}

fn codes(report: &Value) -> Vec<&str> {
    report["findings"].as_array().expect("findings").iter().filter_map(|f| f["code"].as_str()).collect()
}

/// A fault: its name, the finding that it must give, and how it is made in the storage.
type Fault = (&'static str, Option<&'static str>, fn(&Caddy));

fn of_site(caddy: &Caddy, extension: &str) -> std::path::PathBuf {
    caddy.site().join(format!("{DOMAIN}.{extension}"))
}

fn lock(caddy: &Caddy, content: &[u8]) {
    // Renewal is only tried where there is something to obtain.
    fs::remove_dir_all(caddy.site()).expect("removed");
    let path = caddy.storage().join(format!("locks/issue_cert_{DOMAIN}.lock"));
    fs::create_dir_all(caddy.storage().join("locks")).expect("made");
    fs::write(&path, content).expect("written");
    make_old(&path);
}

fn account_key(caddy: &Caddy) -> std::path::PathBuf {
    let acme = fs::read_dir(caddy.storage().join("acme")).expect("acme").next().expect("a CA").expect("read").path();
    acme.join("users/ops@example.test/ops.key")
}

const FAULTS: &[Fault] = &[
    ("nothing", None, |_| {}),
    ("metadata empty", Some("CD747"), |c| fs::write(of_site(c, "json"), "").expect("written")),
    ("metadata cut off", Some("CD747"), |c| fs::write(of_site(c, "json"), "{\"sans\":[\"app.exam").expect("written")),
    ("metadata of NUL bytes", Some("CD747"), |c| fs::write(of_site(c, "json"), [0; 300]).expect("written")),
    ("certificate empty", Some("CD747"), |c| fs::write(of_site(c, "crt"), "").expect("written")),
    ("key empty", Some("CD747"), |c| fs::write(of_site(c, "key"), "").expect("written")),
    ("key of another", Some("CD747"), |c| {
        fs::write(of_site(c, "key"), rcgen::KeyPair::generate().expect("a key").serialize_pem()).expect("written");
    }),
    ("key missing", None, |c| fs::remove_file(of_site(c, "key")).expect("removed")),
    ("metadata missing", None, |c| fs::remove_file(of_site(c, "json")).expect("removed")),
    ("account key empty", Some("CD747"), |c| {
        fs::remove_dir_all(c.site()).expect("removed");
        fs::write(account_key(c), "").expect("written");
    }),
    ("lock empty", None, |c| lock(c, b"")),
    ("lock of yesterday", None, |c| lock(c, br#"{"created":"2026-01-01T00:00:00Z","updated":"2026-01-01T00:00:00Z"}"#)),
    ("lock cut off", Some("CD746"), |c| lock(c, br#"{"created":"2026-01-01T00:0"#)),
    ("lock of NUL bytes", Some("CD746"), |c| lock(c, &[0; 88])),
    ("lock of the future", Some("CD746"), |c| {
        lock(c, br#"{"created":"2098-01-01T00:00:00Z","updated":"2098-01-01T00:00:00Z"}"#);
    }),
];

/// What the finding claims: this Caddy does not start, or starts and has no certificate for the domain, and says why.
fn does_not_serve(name: &str, caddy: &mut Caddy) {
    let starts = caddy.start();
    until(&format!("{name}: Caddy says why"), || caddy.said().contains("caching certificate"));
    assert!(!starts || !caddy.presents(), "{name}: {}", caddy.said());
}

fn each_fault(binary: &str) {
    let Some(binary) = common::oracle(binary) else { return };
    let mut score = Score::new("caddy");
    for (name, code, make) in FAULTS {
        let folder = tempfile::tempdir().expect("a folder");
        let Some(pebble) = Pebble::start(folder.path()) else { return };
        let mut caddy = Caddy::new(binary.clone(), folder.path(), &pebble);
        assert!(caddy.start(), "{name}: {}", caddy.said());
        caddy.obtains();
        caddy.stop();
        make(&caddy);

        let (_, report) = renewal(&caddy.tree, &[]);
        assert_eq!(codes(&report), code.iter().copied().collect::<Vec<_>>(), "{name}: {report:#}");
        if let Some(code) = code {
            if caddy.site().exists() {
                does_not_serve(name, &mut caddy);
            } else {
                // What it says about the lock or the account is seen by the next look.
                assert!(caddy.start(), "{name}: {}", caddy.said());
            }
            caddy.stop();
            assert_eq!(codes(&renewal(&caddy.tree, &[]).1), [*code], "{name}: it does not heal");
            let (status, report) = renewal(&caddy.tree, &["--apply"]);
            assert_eq!(codes(&report), Vec::<&str>::new(), "{name}: {code} is cured: {report:#}");
            assert_eq!(status, 0, "{name}: {report:#}");
        }
        assert!(caddy.start(), "{name}: {}", caddy.said());
        caddy.obtains();
        until(&format!("{name}: served again"), || caddy.presents());
        caddy.stop();
        assert_eq!(codes(&renewal(&caddy.tree, &[]).1), Vec::<&str>::new(), "{name}: in order again");
        if let Some(code) = code {
            score.done(code, &[Step::Injected, Step::Named, Step::Patched, Step::Healthy, Step::Silent]);
        }
    }
    score.finish();
}

#[test]
fn each_fault_of_a_current_caddy_is_named_and_cured() {
    each_fault("caddy/current/caddy");
}

#[test]
fn each_fault_of_debians_caddy_is_named_and_cured() {
    each_fault("caddy/debian/caddy");
}

#[test]
fn no_key_is_copied_when_a_damaged_folder_is_set_aside() {
    let Some(binary) = common::oracle("caddy/current/caddy") else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let Some(pebble) = Pebble::start(folder.path()) else { return };
    let mut caddy = Caddy::new(binary, folder.path(), &pebble);
    assert!(caddy.start(), "{}", caddy.said());
    caddy.obtains();
    caddy.stop();
    fs::write(of_site(&caddy, "json"), "{").expect("written");
    does_not_serve("cut off", &mut caddy);
    caddy.stop();
    let key = fs::read(of_site(&caddy, "key")).expect("a key");
    let (status, report) = renewal(&caddy.tree, &["--apply"]);
    assert_eq!(status, 0, "{report:#}");
    let text = String::from_utf8(key).expect("text");
    let body = text.lines().nth(1).expect("a line");
    for entry in
        walkdir::WalkDir::new(caddy.tree.join("var/lib/certdoctor")).into_iter().flatten().filter(|e| e.file_type().is_file())
    {
        let copy = fs::read(entry.path()).expect("read");
        assert!(!String::from_utf8_lossy(&copy).contains(body), "{} holds the key", entry.path().display());
    }
    assert!(!report.to_string().contains(body), "the report holds the key");
    assert!(caddy.start(), "{}", caddy.said());
}

/// The tree of a recorded storage at the home of `caddy`, with a certificate and key made now: recorded keys are not kept.
fn recorded(name: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let storage = folder.path().join("var/lib/caddy/.local/share/caddy");
    let from = common::fixture("renewal/certmagic").join(name);
    for entry in walkdir::WalkDir::new(&from).into_iter().map(|e| e.expect("walked")) {
        let to = storage.join(entry.path().strip_prefix(&from).expect("below"));
        if entry.file_type().is_dir() {
            fs::create_dir_all(to).expect("made");
        } else {
            fs::copy(entry.path(), &to).expect("copied");
            make_old(&to);
        }
    }
    fs::create_dir_all(folder.path().join("etc")).expect("made");
    fs::write(folder.path().join("etc/passwd"), "caddy:x:998:998::/var/lib/caddy:/bin/sh\n").expect("written");
    folder
}

fn add_log(tree: &Path, name: &str) {
    let directory = tree.join("var/log/caddy");
    fs::create_dir_all(&directory).expect("made");
    fs::copy(common::fixture("renewal/certmagic/logs").join(name), directory.join(name)).expect("copied");
}

/// Where the recorded certificate lies.
fn site_of(tree: &Path) -> std::path::PathBuf {
    let certificates = tree.join("var/lib/caddy/.local/share/caddy/certificates");
    fs::read_dir(certificates).expect("certificates").next().expect("a CA").expect("read").path().join(DOMAIN)
}

const AT: &str = "2026-11-22T01:10:00Z";

#[test]
fn recorded_storages_in_order_give_no_finding() {
    // That of Caddy 2.6.2 has lived for minutes: two later it has expired, and nothing there tells why.
    for (name, at) in [("good", AT), ("caddy-2.6.2", "2026-11-22T01:07:00Z")] {
        let tree = recorded(name);
        let (status, report) = renewal(tree.path(), &["--at", at]);
        assert_eq!((codes(&report), status), (vec![], 0), "{name}: {report:#}");
    }
    let (status, report) = renewal(recorded("caddy-2.6.2").path(), &["--at", AT]);
    assert_eq!((codes(&report), status), (vec!["CD766"], 1), "{report:#}");
}

#[test]
fn recorded_locks_are_named() {
    for (name, word) in [("lock-future", "is dated in 362 days"), ("lock-truncated", "is cut off in the middle")] {
        let tree = recorded(name);
        let (status, report) = renewal(tree.path(), &["--at", AT]);
        assert_eq!((codes(&report), status), (vec!["CD746"], 1), "{name}: {report:#}");
        let message = report["findings"][0]["message"].as_str().expect("a message");
        assert!(message.contains(word), "{message}");
    }
}

#[test]
fn recorded_damage_is_named_once_there_is_a_key() {
    let tree = recorded("badjson");
    assert_eq!(codes(&renewal(tree.path(), &["--at", AT]).1), Vec::<&str>::new(), "without a key it heals");
    let key = rcgen::KeyPair::generate().expect("a key");
    fs::write(site_of(tree.path()).join(format!("{DOMAIN}.key")), key.serialize_pem()).expect("written");
    let (status, report) = renewal(tree.path(), &["--at", AT]);
    assert_eq!((codes(&report), status), (vec!["CD747"], 1), "{report:#}");
    let evidence = report["findings"][0]["evidence"].as_array().expect("evidence");
    assert_eq!(evidence.len(), 2, "the metadata, and the key that is another's: {evidence:#?}");
}

#[test]
fn the_recorded_deadlock_is_named_and_its_patch_is_the_one_that_cured_it() {
    let tree = recorded("certmagic-409-stuck");
    assert_eq!(codes(&renewal(tree.path(), &["--at", AT]).1), Vec::<&str>::new(), "nothing tells without the log");
    add_log(tree.path(), "ari-409-deadlock.certmagic.jsonl");
    let (_, report) = renewal(tree.path(), &["--at", AT]);
    assert_eq!(codes(&report), ["CD745"], "{report:#}");
    let mut command = common::certdoctor();
    let output = command.arg("--root").arg(tree.path()).args(["renewal", "--at", AT, "--diff"]).output().expect("run");
    let diff = String::from_utf8(output.stdout).expect("text");
    let known = fs::read_to_string(common::fixture("renewal/certmagic/ari-409-unstick.diff")).expect("read");
    let hunk = |diff: &str| diff.split_once("@@").map(|(_, hunk)| hunk.trim_end().to_owned());
    assert_eq!(hunk(&diff), hunk(&known), "{diff}");
    let (_, report) = renewal(tree.path(), &["--at", AT, "--apply"]);
    assert_eq!(codes(&report), Vec::<&str>::new(), "{report:#}");
}

#[test]
fn recorded_refusals_by_a_terminator_and_by_another_instance_are_told() {
    for (log, code, word) in [
        ("lb-terminates-haproxy.caddy.jsonl", "CD737", "something before this server ends TLS on port 443"),
        ("unshared-storage-other-instance.caddy.jsonl", "CD738", "their storages are not one"),
    ] {
        // Nothing was ever obtained there.
        let tree = tempfile::tempdir().expect("a folder");
        add_log(tree.path(), log);
        let (_, report) = renewal(tree.path(), &["--at", AT]);
        assert_eq!(codes(&report), [code], "{log}: {report:#}");
        let message = report["findings"][0]["message"].as_str().expect("a message");
        assert!(message.contains(word), "{message}");
        assert_eq!(codes(&renewal(tree.path(), &["--at", "2027-01-22"]).1), Vec::<&str>::new(), "{log}: history");
        // Issued since.
        let tree = recorded("good");
        add_log(tree.path(), log);
        assert_eq!(codes(&renewal(tree.path(), &["--at", AT]).1), Vec::<&str>::new(), "{log}: issued since");
    }
    let tree = tempfile::tempdir().expect("a folder");
    add_log(tree.path(), "unshared-storage-alert80.caddy.jsonl");
    assert_eq!(codes(&renewal(tree.path(), &["--at", AT]).1), Vec::<&str>::new(), "alert 80 tells of no terminator");
}

#[test]
fn a_hostile_storage_is_bounded() {
    let tree = recorded("good");
    let storage = tree.path().join("var/lib/caddy/.local/share/caddy");
    let site = site_of(tree.path());
    rustix::fs::mkfifoat(rustix::fs::CWD, site.join(format!("{DOMAIN}.key")), rustix::fs::Mode::RUSR).expect("a FIFO");
    fs::create_dir_all(storage.join("locks")).expect("made");
    std::os::unix::fs::symlink("/etc/shadow", storage.join("locks/a.lock")).expect("linked");
    std::os::unix::fs::symlink(".", storage.join("certificates/loop")).expect("linked");
    fs::write(storage.join("acme/x.json"), vec![b'['; 100_000]).expect("written");
    fs::write(site.join(format!("{DOMAIN}.json")), vec![b'['; 100_000]).expect("written");
    let (status, report) = renewal(tree.path(), &["--at", AT]);
    assert!(status <= 1, "{report:#}");
}
