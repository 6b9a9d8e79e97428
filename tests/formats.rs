//! Every format that another program reads, against that program's own grammar: SARIF's and JUnit's schemas, Prometheus' parser, the
//! guidelines for monitoring plugins, Ansible's and Salt's results.

mod common;

use std::{fs, io::Write as _, path::Path, process::Stdio};

use common::{certdoctor, command, fixture, oracle, program, skip, tree};
use serde_json::Value;

/// What one run printed, and its exit status.
struct Ran {
    status: i32,
    out: String,
}

fn run(arguments: &[&str], format: &str) -> Ran {
    let output = certdoctor().args(arguments).args(["--format", format]).output().expect("the binary runs");
    let out = String::from_utf8(output.stdout).expect("UTF-8");
    Ran { status: output.status.code().expect("no signal"), out }
}

/// Runs that differ in what a report holds: clutter, a store that breaks, refusals, acceptance, a plan, hostile words, nothing.
fn runs(root: &Path, hostile: &Path) -> Vec<Vec<String>> {
    let dockerfile = hostile.join("Dockerfile").display().to_string();
    let policy = hostile.join("certdoctor.toml").display().to_string();
    let lab = |name: &str| fixture(format!("clients/{name}.pem")).display().to_string();
    let at = "2026-11-22T01:00:00Z";
    let words = |list: &[&str]| list.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>();
    let root = root.display().to_string();
    let hostile = hostile.display().to_string();
    vec![
        words(&["scan", "--root", &root, "--at", "2020-06-01"]),
        words(&["scan", "--root", &root, "--at", "2019-12-01"]),
        words(&["scan", "--root", &hostile, "--at", "2020-06-01"]),
        words(&[
            "diagnose",
            &lab("chains/addtrust"),
            "--CAfile",
            &lab("stores/A_U"),
            "--verify-hostname",
            "localhost",
            "--at",
            at,
        ]),
        words(&["inspect", &lab("chains/nocross"), "--CAfile", &lab("stores/U"), "--verify-hostname", "localhost", "--at", at]),
        words(&["fix", "--root", &root, "--anchor", "AddTrust External CA Root", "--at", "2020-06-01"]),
        words(&["renewal", "--root", &root, "--at", "2020-06-01"]),
        words(&["inspect", "127.0.0.1:1", "127.0.0.1:1", &lab("chains/nocross"), "--CAfile", &lab("stores/U")]),
        words(&["verify", "127.0.0.1:1", "--CAfile", &lab("stores/U")]),
        words(&["dockerfile", &dockerfile, "--anchor", "AddTrust External CA Root", "--at", "2020-06-01"]),
        words(&["fix", "--root", &root, "--policy", &policy, "--anchor", "AddTrust External CA Root", "--apply"]),
    ]
}

/// A root whose file names and labels hold what ends a string, an element or a line in one of the formats.
fn hostile() -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a directory");
    let local = dir.path().join("usr/local/share/ca-certificates");
    fs::create_dir_all(&local).expect("a directory");
    fs::create_dir_all(dir.path().join("etc/ssl/certs")).expect("a directory");
    fs::create_dir_all(dir.path().join("usr/share/ca-certificates/mozilla")).expect("a directory");
    let pem = fs::read(fixture("bundles/single/AddTrust_External_Root.crt")).expect("a fixture");
    for name in ["a\"b'c|d.crt", "<x>&amp;]]>.crt", "new\nline\tand\u{1}.crt", "100%,::error::.crt", "`*_[md](x)_*`.crt"] {
        fs::write(local.join(name), &pem).expect("written");
    }
    fs::write(dir.path().join("usr/share/ca-certificates/mozilla/A.crt"), &pem).expect("written");
    fs::write(dir.path().join("etc/ca-certificates.conf"), "mozilla/A.crt\n").expect("written");
    fs::write(dir.path().join("certdoctor.toml"), "protected = [\"AddTrust External CA Root\"]\n").expect("written");
    fs::write(dir.path().join("Dockerfile"), "FROM debian:10\n").expect("written");
    fs::write(dir.path().join("etc/debian_version"), "10.4\n").expect("written");
    dir
}

/// Each run in this format, and its name for messages.
fn each(format: &str, mut check: impl FnMut(&str, &Ran)) {
    let (root, hostile) = (tree("alpine-2019"), hostile());
    for arguments in runs(root.path(), hostile.path()) {
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        check(&arguments.join(" "), &run(&arguments, format));
    }
}

#[test]
fn sarif_is_valid_and_points_to_files_and_lines() {
    let Some(schema) = oracle("schemas/sarif-2.1.0.json") else { return };
    let schema: Value = serde_json::from_slice(&fs::read(schema).expect("the schema")).expect("JSON");
    let mut compiler = boon::Compiler::new();
    compiler.add_resource("sarif.json", schema).expect("a resource");
    let mut schemas = boon::Schemas::new();
    let compiled = compiler.compile("sarif.json", &mut schemas).expect("a valid schema");
    let mut lines = 0;
    each("sarif", |name, ran| {
        let log: Value = serde_json::from_str(&ran.out).expect("JSON");
        if let Err(error) = schemas.validate(&log, compiled) {
            panic!("{name}: {error:#}");
        }
        for result in log["runs"][0]["results"].as_array().expect("results") {
            let index = usize::try_from(result["ruleIndex"].as_u64().expect("an index")).expect("small");
            assert_eq!(log["runs"][0]["tool"]["driver"]["rules"][index]["id"], result["ruleId"], "{name}");
            let place = &result["locations"][0]["physicalLocation"];
            lines += usize::from(place["region"]["startLine"].is_u64() && place["artifactLocation"]["uri"].is_string());
        }
    });
    assert!(lines > 0, "no result has a line");
}

/// A reviewer's tool finds the line of a Dockerfile after which the instruction is missing, by the name that it has in the repository.
#[test]
fn a_dockerfile_is_annotated_at_its_line() {
    let dir = tempfile::tempdir().expect("a directory");
    let text = "FROM golang:1.13 AS build\nRUN make\n\nFROM debian:10\nCOPY --from=build /app /app\n";
    fs::create_dir(dir.path().join("web")).expect("a directory");
    fs::write(dir.path().join("web/Dockerfile"), text).expect("written");
    let run = |more: &[&str]| {
        let arguments = [&["dockerfile", "web/Dockerfile", "--anchor", "AddTrust External CA Root"], more].concat();
        let output = certdoctor().args(arguments).current_dir(dir.path()).output().expect("the binary runs");
        (output.status.code(), String::from_utf8(output.stdout).expect("UTF-8"))
    };
    let (status, log) = run(&["--format", "sarif", "--fail-on", "warning"]);
    assert_eq!(status, Some(1), "{log}");
    let log: Value = serde_json::from_str(&log).expect("JSON");
    let place = &log["runs"][0]["results"][0]["locations"][0]["physicalLocation"];
    assert_eq!(place["artifactLocation"]["uri"], "web/Dockerfile", "{log}");
    let line = place["region"]["startLine"].as_u64().expect("a line");
    let (_, annotations) = run(&["--format", "github"]);
    assert!(annotations.starts_with(&format!("::warning file=web/Dockerfile,line={line},title=CD419 ")), "{annotations}");
    let (_, diff) = run(&[]);
    let hunk: u64 = diff.split_once("@@ -").and_then(|(_, rest)| rest.split_once(',')?.0.parse().ok()).expect("a hunk");
    let kept = diff.lines().skip_while(|l| !l.starts_with("@@")).skip(1).take_while(|l| l.starts_with(' ')).count();
    assert_eq!(line, hunk + u64::try_from(kept).expect("few") - 1, "{diff}");

    assert_eq!(run(&["--write"]).0, Some(0));
    let (status, annotations) = run(&["--format", "github", "--fail-on", "warning"]);
    assert_eq!((status, annotations.lines().count()), (Some(0), 1), "{annotations}");
}

#[test]
fn junit_is_valid() {
    let (Some(schema), Some(xmllint)) = (oracle("schemas/junit-10.xsd"), program("xmllint")) else {
        skip("xmllint is not installed");
        return;
    };
    let mut failures = 0;
    each("junit", |name, ran| {
        let mut child = command(&xmllint)
            .args(["--noout", "--schema"])
            .arg(&schema)
            .arg("-")
            .stdin(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("xmllint");
        child.stdin.take().expect("a pipe").write_all(ran.out.as_bytes()).expect("written");
        let output = child.wait_with_output().expect("xmllint");
        assert!(output.status.success(), "{name}: {}\n{}", String::from_utf8_lossy(&output.stderr), ran.out);
        failures += ran.out.matches("<failure").count();
        assert_eq!(matches!(ran.status, 1 | 2), ran.out.contains("<failure"), "{name}: exit status {}\n{}", ran.status, ran.out);
        assert!(ran.out.contains("<testcase"), "{name}: nothing was tested\n{}", ran.out);
    });
    assert!(failures > 0);
}

#[test]
fn prometheus_reads_the_metrics() {
    let Some(library) = oracle("prometheus_client") else { return };
    let script = "import sys\n\
        from prometheus_client.parser import text_string_to_metric_families as read\n\
        seen = set()\n\
        for family in read(sys.stdin.read()):\n\
        \x20   assert family.documentation and family.type == 'gauge', family\n\
        \x20   assert family.name not in seen, family.name\n\
        \x20   seen.add(family.name)\n\
        \x20   labels = [tuple(sorted(s.labels.items())) for s in family.samples]\n\
        \x20   assert len(labels) == len(set(labels)), family.name\n\
        print(' '.join(sorted(seen)))\n";
    let mut seen = String::new();
    each("prometheus", |name, ran| {
        let mut child = command("python3")
            .args(["-c", script])
            .env("PYTHONPATH", &library)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("python3");
        child.stdin.take().expect("a pipe").write_all(ran.out.as_bytes()).expect("written");
        let output = child.wait_with_output().expect("python3");
        assert!(output.status.success(), "{name}: {}\n{}", String::from_utf8_lossy(&output.stderr), ran.out);
        seen.push_str(&String::from_utf8_lossy(&output.stdout));
    });
    for name in
        ["anchor_not_after_seconds", "client_earliest_not_after_seconds", "target_earliest_not_after_seconds", "read_errors"]
    {
        assert!(seen.contains(&format!("certdoctor_{name}")), "{name} is never told: {seen}");
    }
}

/// A target that is down is a metric: the service must not keep the old file because of it.
#[test]
fn a_target_that_is_down_is_written_as_a_metric() {
    let ran = run(&["inspect", "127.0.0.1:1", "127.0.0.1:1"], "prometheus");
    assert_eq!(ran.status, 1, "{}", ran.out);
    assert_eq!(ran.out.matches("certdoctor_target_up{target=\"127.0.0.1:1\"} 0\n").count(), 1, "{}", ran.out);
}

/// What could not be done is told in every form, and by the exit status of those that have one.
#[test]
fn what_was_not_done_is_told_in_every_form() {
    let (root, hostile) = (tree("alpine-2019"), hostile());
    let refused = runs(root.path(), hostile.path()).pop().expect("the last run");
    let refused: Vec<&str> = refused.iter().map(String::as_str).collect();
    for format in ["ansible", "github", "human", "json", "junit", "markdown", "nagios", "salt", "sarif"] {
        let ran = run(&refused, format);
        assert_eq!(ran.status, if format == "nagios" { 2 } else { 1 }, "{format}: {}", ran.out);
        assert!(ran.out.contains("protects it") && ran.out.contains("policy none"), "{format}: {}", ran.out);
    }
    assert!(run(&refused, "prometheus").out.contains("certdoctor_troubles 1\n"));
}

/// Monitoring Plugins Development Guidelines: one line of text, `|`, and `'label'=value[UOM];[warn];[crit];[min];[max]` between blanks.
#[test]
fn nagios_gets_a_line_and_a_status() {
    let is_number = |text: &str| text.is_empty() || text.parse::<f64>().is_ok();
    let mut seen = [false; 4];
    each("nagios", |name, ran| {
        let state = ["OK", "WARNING", "CRITICAL", "UNKNOWN"][usize::try_from(ran.status).expect("0 to 3")];
        seen[usize::try_from(ran.status).expect("0 to 3")] = true;
        let (first, rest) = ran.out.split_once('\n').expect("a line");
        assert!(first.starts_with(&format!("CERTDOCTOR {state} - ")), "{name}: {first}");
        let (_, data) = first.split_once(" | ").expect("performance data");
        assert!(!data.contains('|') && !rest.contains('|'), "{name}: {}", ran.out);
        for item in quoted_words(data) {
            let (label, values) = item.rsplit_once('=').expect("label=value");
            assert!(!label.trim_matches('\'').contains(['\'', '=']), "{name}: {item}");
            let values: Vec<&str> = values.split(';').collect();
            assert!(values.len() <= 5 && values.iter().all(|v| is_number(v)) && !values[0].is_empty(), "{name}: {item}");
        }
    });
    assert!(seen[0] && seen[1] | seen[2], "{seen:?}");
    let ran = run(&["scan", "--root", "/nonexistent"], "nagios");
    assert_eq!(ran.status, 3);
    assert!(ran.out.starts_with("CERTDOCTOR UNKNOWN - can't open /nonexistent"), "{}", ran.out);
}

/// A line that can't be understood, in the words of what reads the answer.
#[test]
fn a_usage_error_is_told_in_the_form_that_was_asked_for() {
    for (arguments, words) in [
        (&["scan", "--no-such-option"][..], "unexpected argument '--no-such-option' found"),
        (&["explain", "CD301"], "this command prints text only"),
        (&["list", "stores"], "this command has no report"),
        (&["fix", "--apply", "--image", "x.tar"], "an image is changed by building it anew"),
    ] {
        let ran = run(arguments, "nagios");
        assert_eq!(ran.status, 3, "{}", ran.out);
        assert!(ran.out.starts_with(&format!("CERTDOCTOR UNKNOWN - {words}")) && ran.out.lines().count() == 1, "{}", ran.out);
        let ran = run(arguments, "ansible");
        let result: Value = serde_json::from_str(&ran.out).unwrap_or_else(|e| panic!("{e}: {}", ran.out));
        assert_eq!((ran.status, &result["failed"]), (2, &Value::Bool(true)));
        assert!(result["msg"].as_str().expect("a message").starts_with(words), "{result}");
    }
    // The last one counts, in both spellings; after `--` nothing is an option.
    let status = |arguments: &[&str]| certdoctor().args(arguments).output().expect("the binary runs").status.code();
    assert_eq!(status(&["scan", "--format", "json", "--format=nagios", "--within=x"]), Some(3));
    assert_eq!(status(&["scan", "--no-such-option", "--", "--format=nagios"]), Some(2));
}

/// Words between blanks; a quoted label may hold some.
fn quoted_words(text: &str) -> Vec<String> {
    let (mut words, mut quoted) = (vec![String::new()], false);
    for c in text.chars() {
        quoted ^= c == '\'';
        match (c, quoted, words.last_mut()) {
            (' ', false, _) => words.push(String::new()),
            (c, _, Some(word)) => word.push(c),
            (_, _, None) => {}
        }
    }
    words
}

#[test]
fn github_gets_one_command_a_line() {
    each("github", |name, ran| {
        for line in ran.out.lines() {
            let command = line.strip_prefix("::").and_then(|l| l.split_once(' ')).map(|(c, _)| c);
            assert!(matches!(command, Some("error" | "warning" | "notice")), "{name}: {line}");
            let (properties, message) = line[2..].split_once("::").expect("a message");
            assert!(!message.is_empty() && properties.contains("title="), "{name}: {line}");
        }
        assert!(ran.out.lines().last().is_some_and(|l| l.contains("title=certdoctor ")), "{name}: {}", ran.out);
    });
}

#[test]
fn markdown_leaves_nothing_of_a_name_as_markup() {
    each("markdown", |name, ran| {
        let (outside, _) = ran.out.split_once("```").unwrap_or((&ran.out, ""));
        assert!(!outside.contains("<x>") && !outside.contains("\n::error"), "{name}: {outside}");
        assert!(ran.out.starts_with("### certdoctor "), "{name}: {}", ran.out);
        for row in outside.lines().filter(|l| l.starts_with('|')) {
            assert!(row.ends_with('|'), "{name}: {row}");
        }
    });
}

#[test]
fn ansible_and_salt_are_told_what_would_change_and_what_did() {
    let dir = tree("alpine-2019");
    let root = dir.path().to_str().expect("UTF-8");
    let fix = |more: &[&str], format: &str| {
        let arguments = [&["fix", "--root", root, "--anchor", "AddTrust External CA Root", "--at", "2020-06-01"], more].concat();
        let ran = run(&arguments, format);
        (ran.status, serde_json::from_str::<Value>(&ran.out).expect("one JSON object"))
    };
    let (status, check) = fix(&["--check"], "ansible");
    assert_eq!((status, &check["changed"], &check["failed"]), (3, &Value::Bool(true), &Value::Bool(false)), "{check}");
    assert!(check["diff"]["prepared"].as_str().expect("a diff").contains("+!mozilla/AddTrust_External_Root.crt"));
    let (status, check) = fix(&["--check"], "salt");
    assert_eq!((status, &check["result"]), (3, &Value::Null), "{check}");
    assert!(check["changes"]["diff"].is_string() && check["name"] == "certdoctor fix" && check["comment"].is_string());

    let (status, done) = fix(&["--apply"], "ansible");
    assert_eq!((status, &done["changed"], &done["failed"]), (0, &Value::Bool(true), &Value::Bool(false)), "{done}");
    let (status, again) = fix(&["--apply"], "ansible");
    assert_eq!((status, &again["changed"], &again["failed"]), (0, &Value::Bool(false), &Value::Bool(false)), "{again}");
    let (status, again) = fix(&["--apply"], "salt");
    assert_eq!((status, &again["result"], &again["changes"]), (0, &Value::Bool(true), &serde_json::json!({})), "{again}");

    // One of two: what can be done is done, and what not is told.
    let dir = tree("alpine-2019");
    let root = dir.path().to_str().expect("UTF-8");
    let policy = dir.path().join("certdoctor.toml");
    fs::write(&policy, "protected = [\"DST Root CA X3\"]\n").expect("written");
    let policy = policy.to_str().expect("UTF-8");
    let anchors = ["--anchor", "AddTrust External CA Root", "--anchor", "DST Root CA X3"];
    let arguments = [&["fix", "--root", root, "--policy", policy, "--apply"], &anchors[..]].concat();
    let ran = run(&arguments, "ansible");
    let part: Value = serde_json::from_str(&ran.out).expect("one JSON object");
    assert!(ran.status == 1 && part["changed"] == true && part["failed"] == true, "{part}");
    let message = part["msg"].as_str().expect("a message");
    assert!(message.starts_with("fixed in part: ") && message.contains("not done: DST Root CA X3: "), "{message}");

    let wrong = run(&["fix", "--root", root, "--anchor", "No Such Root"], "ansible");
    let wrong: Value = serde_json::from_str(&wrong.out).expect("one JSON object");
    assert!(wrong["failed"] == true && wrong["msg"].as_str().is_some_and(|m| m.contains("No Such Root")), "{wrong}");
}

#[test]
fn a_form_without_a_report_is_refused() {
    for arguments in [&["list", "clients"][..], &["undo", "--list"], &["explain", "CD301"]] {
        let output = certdoctor().args(arguments).args(["--format", "sarif"]).output().expect("the binary runs");
        assert_eq!(output.status.code(), Some(2));
        assert!(String::from_utf8_lossy(&output.stderr).contains("format"), "{arguments:?}");
    }
}

/// What `scripts/monitoring` installs runs: the shell line of the service writes a whole file, and keeps the old one when it can't look.
#[test]
fn the_line_of_the_service_writes_a_whole_file() {
    let unit =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/monitoring/certdoctor.service")).expect("a unit");
    let line = unit.lines().find_map(|l| l.strip_prefix("ExecStart=/bin/sh -c '")?.strip_suffix('\'')).expect("a line");
    let state = tempfile::tempdir().expect("a directory");
    let root = tree("debian-12");
    let run = |root: &Path| {
        let binary = assert_cmd::cargo::cargo_bin!("certdoctor").display().to_string();
        let line = line.replace("/usr/bin/certdoctor scan", &format!("{binary} scan --root {}", root.display()));
        command("/bin/sh").args(["-c", &line]).env("STATE", state.path()).output().expect("sh").status.code()
    };
    assert_eq!(run(root.path()), Some(0));
    let metrics = fs::read_to_string(state.path().join("certdoctor.prom")).expect("metrics");
    assert!(metrics.contains("certdoctor_anchor_not_after_seconds{"));
    assert_eq!(run(Path::new("/nonexistent")), Some(2));
    assert_eq!(fs::read_to_string(state.path().join("certdoctor.prom")).expect("metrics"), metrics);
    if let Some(analyze) = program("systemd-analyze") {
        for unit in ["certdoctor.service", "certdoctor.timer"] {
            let text =
                fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/monitoring").join(unit)).expect("a unit");
            let text = text.replace("/usr/bin/certdoctor", "/bin/true");
            fs::write(state.path().join(unit), text).expect("written");
        }
        let output = command(analyze).arg("verify").arg(state.path().join("certdoctor.timer")).output().expect("systemd-analyze");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}
