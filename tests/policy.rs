//! `certdoctor.toml`: what it protects, guards, grades and names; and what is said of a mistake in it.

mod common;

use std::{fs, path::Path};

use common::{certdoctor, fixture, tree};

struct Ran {
    status: i32,
    out: String,
    err: String,
}

/// Runs with this policy in the working directory.
fn run(policy: &str, arguments: &[&str]) -> Ran {
    let dir = tempfile::tempdir().expect("a directory");
    fs::write(dir.path().join("certdoctor.toml"), policy).expect("written");
    let output = certdoctor().current_dir(dir.path()).args(arguments).output().expect("the binary runs");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
    Ran { status: output.status.code().expect("no signal"), out: text(output.stdout), err: text(output.stderr) }
}

fn bundle(root: &Path) -> Vec<u8> {
    fs::read(root.join("etc/ssl/certs/ca-certificates.crt")).expect("a bundle")
}

#[test]
fn a_protected_anchor_stays() {
    let dir = tree("alpine-2019");
    let root = dir.path().to_str().expect("UTF-8");
    let before = bundle(dir.path());
    let fix = ["fix", "--root", root, "--anchor", "AddTrust External CA Root", "--apply", "--at", "2020-06-01"];
    for name in [
        "AddTrust External CA Root",
        "AddTrust_External_Root.crt",
        "687fa451382278fff0c8b11f8d43d576671c6eb2bceab413fb83d965d06d2ff2",
    ] {
        let ran = run(&format!("protected = [\"{name}\"]"), &fix);
        assert_eq!(ran.status, 1, "{}{}", ran.out, ran.err);
        assert!(ran.out.contains("certdoctor.toml protects it"), "{}", ran.out);
        assert_eq!(bundle(dir.path()), before);
    }
    let ran = run("protected = [\"AddTrust External CA Root\"]", &[&fix[..], &["--policy", "none"]].concat());
    assert_eq!(ran.status, 0, "{}{}", ran.out, ran.err);
    assert_ne!(bundle(dir.path()), before);
}

/// A slip of the pen must not pass for protection.
#[test]
fn a_protected_name_that_no_store_holds_is_told() {
    let dir = tree("alpine-2019");
    let root = dir.path().to_str().expect("UTF-8");
    let fix = ["fix", "--root", root, "--anchor", "AddTrust External CA Root", "--at", "2020-06-01"];
    let ran = run("protected = [\"AddTrust Externel CA Root\"]", &fix);
    let words = "certdoctor.toml protects `AddTrust Externel CA Root`, and no store here holds such an anchor; did you mean `AddTrust \
                 External CA Root`?";
    assert!(ran.out.contains(words), "{}", ran.out);
}

#[test]
fn a_protected_anchor_stays_in_an_image_too() {
    let policy = "protected = [\"AddTrust_External_Root.crt\"]";
    let named =
        run(policy, &["dockerfile", "--base", "debian:10", "--anchor", "AddTrust External CA Root", "--at", "2021-10-01"]);
    assert_eq!(named.status, 2, "{}", named.out);
    assert!(named.err.contains("certdoctor.toml protects it"), "{}", named.err);
    let all = run(policy, &["dockerfile", "--base", "debian:10", "--at", "2021-10-01"]);
    assert_eq!(all.status, 0, "{}", all.err);
    assert!(all.err.contains("AddTrust External CA Root stays: certdoctor.toml protects it"), "{}", all.err);
    assert!(all.out.contains("DST_Root_CA_X3") && !all.out.contains("AddTrust"), "{}", all.out);
}

#[test]
fn a_guarded_target_keeps_its_only_path() {
    let dir = tempfile::tempdir().expect("a directory");
    fs::create_dir_all(dir.path().join("etc/ssl")).expect("a directory");
    let store = dir.path().join("etc/ssl/cert.pem");
    fs::copy(fixture("clients/stores/U.pem"), &store).expect("copied");
    let before = fs::read(&store).expect("a store");
    let root = dir.path().to_str().expect("UTF-8");
    let chain = fixture("clients/chains/nocross.pem").display().to_string();
    let policy = format!("targets = [\"{chain}\"]\n");
    let listed = run(&policy, &["scan", "--root", root, "--format", "json", "--at", "2026-11-22T01:00:00Z"]);
    let document: serde_json::Value = serde_json::from_str(&listed.out).expect("JSON");
    let label = document["stores"][0]["anchors"][0]["label"].as_str().expect("a label").to_owned();
    let fix = ["fix", "--root", root, "--anchor", &label, "--apply", "--at", "2026-11-22T01:00:00Z"];
    let ran = run(&policy, &fix);
    assert_eq!(ran.status, 1, "{}{}", ran.out, ran.err);
    assert!(ran.out.contains("without it no valid path to") && ran.out.contains("nocross.pem"), "{}", ran.out);
    assert_eq!(fs::read(&store).expect("a store"), before);
    let gone = run("targets = [\"/nonexistent/chain.pem\"]\n", &fix);
    assert_eq!(gone.status, 2, "{}{}", gone.out, gone.err);
    assert!(gone.err.contains("--policy none goes on without"), "{}", gone.err);
}

#[test]
fn targets_and_clients_of_the_policy_are_asked_where_none_is_named() {
    let chain = fixture("clients/chains/addtrust.pem").display().to_string();
    let store = fixture("clients/stores/A_U.pem").display().to_string();
    let options = ["--CAfile", &store, "--verify-hostname", "localhost", "--at", "2026-11-22T01:00:00Z", "--format", "json"];
    let policy = format!("targets = [\"{chain}\"]\nclients = [\"openssl-1.0.2\", \"openssl-3\"]\n");
    let ran = run(&policy, &[&["inspect"], &options[..]].concat());
    let document: serde_json::Value = serde_json::from_str(&ran.out).expect("JSON");
    let clients: Vec<&str> =
        document["verdicts"].as_array().expect("verdicts").iter().filter_map(|v| v["client"].as_str()).collect();
    assert_eq!(clients, ["openssl-1.0.2", "openssl-3"]);
    let ran = run(&policy, &[&["inspect", "--client", "go"], &options[..]].concat());
    let document: serde_json::Value = serde_json::from_str(&ran.out).expect("JSON");
    assert_eq!(document["verdicts"].as_array().map(Vec::len), Some(1));
    let ran = run("", &["diagnose"]);
    assert_eq!(ran.status, 2);
    assert!(ran.err.contains("no target") && ran.err.contains("certdoctor.toml"), "{}", ran.err);
}

#[test]
fn a_grade_holds_until_its_end_and_says_why() {
    let dir = tree("debian-12");
    let root = dir.path().to_str().expect("UTF-8");
    let policy = "[[regrade]]\ncode = \"CD301\"\nseverity = \"error\"\nreason = \"audit 7\"\nuntil = 2027-01-01\n";
    let ran = run(policy, &["scan", "--root", root, "--at", "2026-11-22"]);
    assert_eq!(ran.status, 1, "{}", ran.out);
    assert!(
        ran.out.contains("error[CD301]") && ran.out.contains("certdoctor.toml until 2027-01-01T00:00:00Z: audit 7"),
        "{}",
        ran.out
    );
    let ran = run(policy, &["scan", "--root", root, "--at", "2026-11-22", "--allow", "CD301"]);
    assert_eq!(ran.status, 0, "what is typed comes last: {}", ran.out);
    let ran = run(policy, &["scan", "--root", root, "--at", "2027-01-01"]);
    assert_eq!(ran.status, 0, "{}", ran.out);
    assert!(ran.err.contains("the grade of CD301 ended 2027-01-01T00:00:00Z") && ran.err.contains("audit 7"), "{}", ran.err);
}

#[test]
fn a_mistake_is_told_by_file_and_line_and_nothing_is_done() {
    for (policy, words) in [
        ("targts = []\n", "certdoctor.toml: line 1: unknown key `targts`; did you mean `targets`?"),
        (
            "[[regrade]]\ncode = \"CD999\"\nseverity = \"note\"\nreason = \"x\"\nuntil = 2030-01-01\n",
            "no finding is called `CD999`",
        ),
        ("targets = [\"gopher://a.test\"]\n", "gopher"),
    ] {
        let chain = fixture("clients/chains/addtrust.pem").display().to_string();
        let arguments: &[&str] = if policy.starts_with("targets") { &["diagnose"] } else { &["diagnose", &chain] };
        let ran = run(policy, arguments);
        assert_eq!((ran.status, ran.out.as_str()), (2, ""), "{policy}: {}", ran.err);
        assert!(ran.err.contains(words), "{policy}: {}", ran.err);
    }
    let ran = run("", &["scan", "--policy", "/nonexistent/policy.toml"]);
    assert_eq!(ran.status, 2);
    assert!(ran.err.contains("can't read the policy /nonexistent/policy.toml"), "{}", ran.err);
}
