//! The command line as people and scripts use it: exit statuses, streams, JSON against its schema, documents against their source.

mod common;

use std::{fs, path::Path, process::Stdio};

use common::{certdoctor, command, fixture, tree};
use serde_json::Value;

/// What one run of the binary left.
struct Ran {
    status: i32,
    out: String,
    err: String,
}

fn run(arguments: &[&str]) -> Ran {
    let output = certdoctor().args(arguments).output().expect("the binary runs");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
    Ran { status: output.status.code().expect("no signal"), out: text(output.stdout), err: text(output.stderr) }
}

/// Runs with `--format json` and validates what comes against the published schema.
fn json(arguments: &[&str]) -> (i32, Value) {
    let ran = run(&[arguments, &["--format", "json"]].concat());
    assert!(ran.err.is_empty(), "{}", ran.err);
    let document: Value = serde_json::from_str(&ran.out).expect("one JSON document");
    let schema: Value = serde_json::from_str(&run(&["generate", "schema"]).out).expect("a schema");
    let mut compiler = boon::Compiler::new();
    compiler.add_resource("certdoctor.json", schema).expect("a resource");
    let mut schemas = boon::Schemas::new();
    let compiled = compiler.compile("certdoctor.json", &mut schemas).expect("a valid schema");
    if let Err(error) = schemas.validate(&document, compiled) {
        panic!("{error:#}");
    }
    (ran.status, document)
}

fn codes(document: &Value) -> Vec<&str> {
    document["findings"].as_array().expect("findings").iter().map(|f| f["code"].as_str().expect("a code")).collect()
}

fn chain(name: &str) -> String {
    fixture(format!("clients/chains/{name}.pem")).display().to_string()
}

fn store(name: &str) -> String {
    fixture(format!("clients/stores/{name}.pem")).display().to_string()
}

/// The arguments that judge one of the lab's cases offline, at its instant.
fn case<'a>(command: &'a str, chain: &'a str, store: &'a str) -> Vec<&'a str> {
    vec![command, chain, "--CAfile", store, "--verify-hostname", "localhost", "--at", "2026-11-22T01:00:00Z"]
}

#[test]
fn debian_12_as_released_does_not_cry_wolf() {
    let tree = tree("debian-12");
    let root = tree.path().to_str().expect("UTF-8");
    let (status, document) = json(&["scan", "--root", root, "--at", "2026-11-22"]);
    assert_eq!(status, 0);
    assert_eq!(codes(&document).iter().filter(|c| **c == "CD301").count(), 4);
    for finding in document["findings"].as_array().expect("findings") {
        assert_eq!(finding["severity"], "note", "{finding}");
    }
    assert_eq!(document["stores"][0]["anchors"].as_array().map(Vec::len), Some(142));
    let ran = run(&["scan", "--root", root, "--at", "2026-11-22"]);
    assert!(ran.out.lines().count() < 10, "{}", ran.out);
}

#[test]
fn a_fix_is_shown_then_made_then_nothing_is_left_to_do_then_undone() {
    let tree = tree("alpine-2019");
    let root = tree.path().to_str().expect("UTF-8");
    let bundle = || fs::read(tree.path().join("etc/ssl/certs/ca-certificates.crt")).expect("a bundle");
    let before = bundle();
    let fix = |more: &[&str]| run(&[&["fix", "--root", root, "--anchor", "AddTrust External CA Root"], more].concat());

    assert_eq!(fix(&["--check"]).status, 3);
    let diff = fix(&["--diff"]);
    assert_eq!(diff.status, 0);
    assert!(diff.out.contains("\n-mozilla/AddTrust_External_Root.crt\n+!mozilla/AddTrust_External_Root.crt\n"), "{}", diff.out);
    assert_eq!(bundle(), before, "nothing is written before --apply");

    let (status, document) = json(&["fix", "--root", root, "--anchor", "AddTrust External CA Root", "--apply"]);
    assert_eq!(status, 0, "{document:#}");
    assert_eq!(document["applied"]["changed"], true);
    assert_ne!(bundle(), before);
    assert_eq!(fix(&["--check"]).status, 0);
    let (status, document) = json(&["fix", "--root", root, "--anchor", "AddTrust External CA Root", "--apply"]);
    assert_eq!((status, &document["applied"]["changed"]), (0, &Value::Bool(false)));

    assert_eq!(run(&["undo", "--root", root]).status, 0);
    assert_eq!(bundle(), before);

    // Other anchors that have expired, which nobody asked about, make a fix that holds no failure.
    assert_eq!(run(&["scan", "--root", root, "--fail-on", "warning"]).status, 1);
    let held = fix(&["--apply", "--fail-on", "warning"]);
    assert!(held.status == 0 && held.out.contains("fixed: "), "{}", held.out);
    assert_eq!(run(&["scan", "--root", root, "--fail-on", "warning"]).status, 1);
}

#[test]
fn fixes_are_undone_in_the_order_of_time() {
    let tree = tree("debian-12");
    let root = tree.path().to_str().expect("UTF-8");
    for anchor in ["Baltimore CyberTrust Root", "Hongkong Post Root CA 1"] {
        assert_eq!(run(&["fix", "--root", root, "--anchor", anchor, "--apply"]).status, 0, "{anchor}");
    }
    let ids = json_list(root);
    assert_eq!(ids.len(), 2);
    let older = run(&["undo", &ids[0], "--root", root]);
    assert_eq!(older.status, 2);
    assert!(older.err.contains(&format!("undo that one first: certdoctor undo {} --root {root}", ids[1])), "{}", older.err);
    assert_eq!(run(&["undo", &ids[1], "--root", root]).status, 0);
    assert_eq!(run(&["undo", &ids[0], "--root", root]).status, 0);
}

/// The identifiers of the backups, oldest first.
fn json_list(root: &str) -> Vec<String> {
    let document: Value = serde_json::from_str(&run(&["undo", "--list", "--root", root, "--format", "json"]).out).expect("JSON");
    let backups = document["backups"].as_array().expect("backups");
    backups.iter().map(|b| b["id"].as_str().expect("an id").to_owned()).collect()
}

#[test]
fn the_night_is_diagnosed_with_cause_and_remedies() {
    let (chain, store) = (chain("addtrust"), store("A_U"));
    let (status, document) = json(&case("diagnose", &chain, &store));
    assert_eq!(status, 1);
    assert_eq!(document["causes"][0], "CD501");
    let cause = document["findings"].as_array().expect("findings").iter().find(|f| f["code"] == "CD501").expect("the cause");
    assert!(cause["message"].as_str().expect("a message").contains("Lab AddTrust External CA Root"), "{cause:#}");
    let of = |client: &str| {
        document["verdicts"].as_array().expect("verdicts").iter().find(|v| v["client"] == client).map(|v| v["verdict"].clone())
    };
    assert_eq!(of("openssl-1.0.2"), Some("untrusted".into()));
    assert_eq!(of("openssl-1.1.1"), Some("trusted".into()));
    let helps = |remedy: &Value| remedy["helps"].as_array().is_some_and(|h| h.iter().any(|c| c == "openssl-1.0.2"));
    assert!(cause["remedies"].as_array().expect("remedies").iter().any(helps), "{cause:#}");
}

#[test]
fn every_case_of_the_lab_gives_a_valid_document() {
    for entry in fs::read_dir(fixture("clients/chains")).expect("chains") {
        let chain = entry.expect("an entry").path().display().to_string();
        for name in ["A_U", "U", "A"] {
            let (status, document) = json(&case("inspect", &chain, &store(name)));
            let refused = document["verdicts"].as_array().expect("verdicts").iter().any(|v| v["verdict"] == "untrusted");
            assert_eq!(status == 1, refused || document["summary"]["errors"] != 0, "{chain} {name}");
        }
    }
}

#[test]
fn all_clients_are_asked_once_and_agreeing_families_named_once() {
    let (chain, store) = (chain("addtrust"), store("A_U"));
    let arguments =
        [case("inspect", &chain, &store), vec!["--client", "all", "--client", "go-1.18", "--client", "openssl-3.0"]].concat();
    let (_, document) = json(&arguments);
    let asked: Vec<&str> =
        document["verdicts"].as_array().expect("verdicts").iter().map(|v| v["client"].as_str().expect("an id")).collect();
    let every: Vec<&str> = certdoctor::client::ALL.iter().map(|profile| profile.id).collect();
    assert_eq!(asked, every);
    let text = run(&arguments).out;
    assert!(text.contains("go (4 versions)") && text.contains("libressl-2.5.1"), "{text}");
    assert!(!text.contains("go-1.18") && !text.contains("libressl ("), "{text}");
    let wordy = run(&[arguments, vec!["-v"]].concat()).out;
    assert!(wordy.contains("go-1.18"), "{wordy}");
}

#[test]
fn s_client_words_and_an_honest_exit_status() {
    let (chain, dead, living) = (chain("addtrust"), store("A"), store("U"));
    let mut arguments = case("inspect", &chain, &dead);
    arguments.extend(["--format", "s_client"]);
    let ran = run(&arguments);
    assert_eq!(ran.status, 1);
    assert!(ran.out.contains("verify error:num=10:certificate has expired"), "{}", ran.out);
    let mut arguments = case("inspect", &chain, &living);
    arguments.extend(["--format", "s_client"]);
    assert_eq!(run(&arguments).status, 0);
    assert_eq!(run(&["scan", "--format", "s_client"]).status, 2);
}

#[test]
fn usage_and_missing_things_are_2_and_say_what_to_do() {
    for (arguments, words) in [
        (&["inspect"][..], "no target: name one"),
        (&["inspect", "http://x"], "write https://"),
        (&["scan", "--root", "/nonexistent"], "/nonexistent"),
        (&["scan", "--client", "opensll-3.0"], "did you mean `openssl-3.0`?"),
        (&["scan", "--client", "netscape-4"], "certdoctor list clients"),
        (&["explain", "CD000"], "certdoctor explain lists them"),
        (&["scan", "--deny", "nonsense"], "certdoctor list findings"),
        (&["inspect", "no-such-file.pem"], ""),
        (&["verify", "--at", "2020-06-01", "localhost"], "--at"),
        (&["dockerfile"], "--base"),
        (&["dockerfile", "--base", "debian:12", "--anchor", "Nobody's Root"], "known here"),
        (&["undo", "--root", "/nonexistent"], "/nonexistent"),
    ] {
        let ran = run(arguments);
        assert_eq!(ran.status, 2, "{arguments:?}: {}{}", ran.out, ran.err);
        assert!(ran.err.contains(words) || ran.out.contains(words), "{arguments:?}: {}", ran.err);
    }
}

/// Checks compare what is sent in pairs, so that it has a bound.
#[test]
fn a_chain_of_thousands_is_refused_in_words() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("many.pem");
    fs::write(&path, fs::read_to_string(chain("self-signed")).expect("a fixture").repeat(1_001)).expect("a file");
    let ran = run(&["inspect", path.to_str().expect("UTF-8")]);
    assert_eq!(ran.status, 2, "{}{}", ran.out, ran.err);
    assert!(ran.out.contains("it holds 1001 certificates, which no server sends; at most 1000 are read"), "{}", ran.out);
}

#[test]
fn a_server_that_does_not_answer_can_not_be_verified() {
    // Nobody listens on port 1 (tcpmux), and the programs of this host are asked too.
    let ran = run(&["verify", "127.0.0.1:1", "--CAfile", &store("U")]);
    assert_eq!(ran.status, 2, "{}{}", ran.out, ran.err);
    assert!(ran.out.contains("refused"), "{}", ran.out);
}

#[test]
fn a_client_certificate_with_another_key_is_told_before_any_connection() {
    let folder = tempfile::tempdir().expect("a folder");
    let pair = rcgen::generate_simple_self_signed(["client".to_owned()]).expect("a certificate");
    let other = rcgen::KeyPair::generate().expect("a key");
    let write = |name: &str, text: String| {
        let path = folder.path().join(name);
        fs::write(&path, text).expect("written");
        path.display().to_string()
    };
    let (cert, key) = (write("cert.pem", pair.cert.pem()), write("key.pem", other.serialize_pem()));
    let ran = run(&["inspect", "127.0.0.1:1", "--cert", &cert, "--key", &key]);
    assert_eq!(ran.status, 2);
    assert!(ran.out.contains("it is not the certificate's"), "{}", ran.out);
}

#[test]
fn a_closed_pipe_is_success() {
    let mut child = command(env!("CARGO_BIN_EXE_certdoctor"))
        .args(["generate", "schema"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary runs");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("it ends");
    assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), &b""[..]));
}

#[test]
fn colour_is_for_terminals_and_for_those_who_ask() {
    let tree = tree("debian-12");
    let root = tree.path().to_str().expect("UTF-8");
    assert!(!run(&["scan", "--root", root]).out.contains('\x1b'));
    assert!(run(&["scan", "--root", root, "--color", "always"]).out.contains('\x1b'));
}

#[test]
fn the_same_input_and_instant_give_the_same_bytes() {
    let tree = tree("debian-13");
    let arguments = ["scan", "--root", tree.path().to_str().expect("UTF-8"), "--at", "2026-11-22", "--format", "json", "-v"];
    assert_eq!(run(&arguments).out, run(&arguments).out);
}

#[test]
fn the_demos_end_well_and_leave_nothing_behind() {
    let scratch = tempfile::tempdir().expect("a folder");
    for scenario in ["addtrust", "dst-root-x3"] {
        let output = certdoctor().env("TMPDIR", scratch.path()).args(["demo", scenario]).output().expect("the binary runs");
        let text = String::from_utf8(output.stdout).expect("UTF-8");
        assert_eq!(output.status.code(), Some(0), "{text}");
        for words in ["error[CD501]", "\n+!mozilla/Demo_", "fixed", "certdoctor:begin", "verified"] {
            assert!(text.contains(words), "{scenario}: no `{words}` in\n{text}");
        }
        assert_eq!(fs::read_dir(scratch.path()).expect("the folder").count(), 0);
    }
}

#[test]
fn generated_documents_are_up_to_date() {
    for name in ["clients", "findings", "managers", "stores"] {
        let made = run(&["generate", "docs", name]).out;
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("docs/{name}.md"));
        let kept = fs::read_to_string(&path).unwrap_or_default();
        assert_eq!(made, kept, "run: certdoctor generate docs {name} > docs/{name}.md");
    }
    let page = run(&["generate", "man"]).out;
    let kept = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/certdoctor.1")).unwrap_or_default();
    assert_eq!(page, kept, "run: certdoctor generate man > docs/certdoctor.1");
    for shell in ["bash", "zsh", "fish"] {
        assert!(run(&["generate", "completions", shell]).out.contains("certdoctor"));
    }
}

#[test]
fn every_command_of_the_readme_is_understood() {
    let readme = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).expect("a README");
    let commands: Vec<&str> = readme
        .lines()
        .filter_map(|l| l.trim().strip_prefix("$ "))
        .map(|l| l.trim_start_matches("sudo "))
        .filter(|l| l.starts_with("certdoctor "))
        .collect();
    assert!(commands.len() >= 6, "{commands:?}");
    for line in commands {
        let line =
            line.split(" # ").next().and_then(|l| l.split(" | ").next()).and_then(|l| l.split(" >").next()).unwrap_or(line);
        // Quotes only go around names with blanks.
        let words: Vec<String> = line
            .split('"')
            .enumerate()
            .flat_map(|(i, part)| match i % 2 {
                1 => vec![part.to_owned()],
                _ => part.split_whitespace().map(str::to_owned).collect(),
            })
            .collect();
        use clap::Parser as _;
        if let Err(error) = certdoctor::cli::Cli::try_parse_from(&words) {
            panic!("{line}: {error}");
        }
    }
}
