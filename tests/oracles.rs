//! The real clients say today what was recorded about them, and the tests' own support is right about trees.

mod common;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use serde_json::Value;

use common::{
    case::Case,
    fixture,
    listing::{Listing, SCOPE},
    real,
};

/// The cases that this tool was made for: both outages, and the chain that a server should send.
const FOUNDING: [(&str, &[&str]); 3] =
    [("addtrust", &["AU", "UA", "U", "A"]), ("dst", &["AU", "U", "A"]), ("nocross", &["AU", "U", "A"])];

#[test]
fn clients_that_judge_a_list_agree_with_the_matrix() {
    let Some(ask) = ask() else { return };
    let scenarios = fixture("clients/scenarios.json");
    for client in clients(&ask, "list") {
        compare(&client, ask.command(&client).arg("--scenarios").arg(&scenarios));
    }
}

#[test]
fn clients_that_shake_hands_agree_with_the_matrix() {
    let Some(ask) = ask() else { return };
    let pki = tempfile::tempdir().expect("a temporary folder");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/oracles/make-pki");
    // Debian's own Python, because newer `cryptography` packages don't sign with SHA-1.
    let mut make = common::command("/usr/bin/python3");
    make.arg(&script).arg("--out").arg(pki.path()).arg("--spec").arg(script.with_file_name("pki.json"));
    make.arg("--scenarios").arg(fixture("clients/scenarios.json"));
    for (scenario, _) in FOUNDING {
        make.args(["--scenario", scenario]);
    }
    match make.output() {
        Ok(made) if made.status.success() => {}
        Ok(made) => return common::skip(&format!("no live clients: {}", String::from_utf8_lossy(&made.stderr).trim())),
        Err(e) => return common::skip(&format!("no live clients: /usr/bin/python3: {e}")),
    }
    for client in clients(&ask, "live") {
        compare(&client, ask.command(&client).arg("--pki").arg(pki.path()));
    }
}

#[test]
fn the_real_tools_make_the_recorded_trees() {
    let root = common::tree("debian-12");
    deselect(root.path(), "debian", "debian/01-deselect-bang", || real::debian_refresh(root.path(), &[]));
    if let Some(root) = real::alpine() {
        deselect(root.path(), "alpine", "alpine/01-deselect-bang", || Some(real::alpine_refresh(root.path())));
    }
}

#[test]
fn unpacked_trees_are_the_listed_ones() {
    for (tree, base) in
        [("debian-12", "debian"), ("debian-13", "debian13"), ("alpine-3.23", "alpine"), ("alpine-2019", "alpine2019")]
    {
        let root = common::tree(tree);
        let difference = Listing::base(base).difference(&Listing::of(root.path(), &SCOPE));
        assert!(difference.is_empty(), "{tree}: {difference:#?}");
    }
}

#[test]
fn recorded_cases_read_back() {
    let mut count = 0;
    for (system, base) in [
        ("debian", "debian"),
        ("debian13", "debian13"),
        ("alpine", "alpine"),
        ("alpine2019", "alpine2019"),
        ("debjava", "debjava"),
    ] {
        let base = Listing::base(base);
        for case in Case::all(system) {
            let before = case.before(&base);
            assert_eq!(case.after(&before) == before, case.sections["listing.diff"] == "(none)\n", "{}", case.name);
            assert!((0..=2).contains(&case.status), "{}", case.name);
            count += 1;
        }
    }
    assert!(count > 40, "{count} cases");
}

/// Deselects an anchor in `root` as the case did, runs the tool, and compares with what it changed then.
fn deselect(root: &Path, system: &str, case: &str, refresh: impl FnOnce() -> Option<Output>) {
    let base = Listing::base(system);
    let case = Case::read(&fixture(format!("roots/{case}.case")));
    let before = case.before(&base);
    let line = case.sections["setup.conf.diff"].lines().find_map(|l| l.strip_prefix("+!")).expect("a deselected line").to_owned();
    let file = root.join("etc/ca-certificates.conf");
    let text = fs::read_to_string(&file).expect("the configuration");
    fs::write(&file, text.replace(&format!("\n{line}\n"), &format!("\n!{line}\n"))).expect("written");
    // A real root holds more than what was recorded: compared is what the tool changes.
    let real_before = Listing::of(root, &SCOPE);
    let Some(output) = refresh() else { return };
    assert!(output.status.success(), "{}: {}", case.name, String::from_utf8_lossy(&output.stderr));
    assert_eq!(real_before.difference(&Listing::of(root, &SCOPE)), before.difference(&case.after(&before)), "{}", case.name);
}

/// `scripts/oracles/ask` with the folder of the clients.
struct Ask {
    script: PathBuf,
    folder: PathBuf,
}

impl Ask {
    fn command(&self, client: &str) -> Command {
        let mut command = common::command(&self.script);
        command.arg("--dir").arg(&self.folder).args(["--client", client]);
        for (scenario, _) in FOUNDING {
            command.args(["--case", scenario]);
        }
        command
    }
}

fn ask() -> Option<Ask> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/oracles/ask");
    let Some(folder) = common::oracles() else {
        common::skip("real clients: CERTDOCTOR_ORACLES is not set; run scripts/test, or scripts/oracles/install DIR");
        return None;
    };
    common::oracle("python3").map(|_| Ask { script, folder })
}

/// The installed clients of a kind; each missing one is told.
fn clients(ask: &Ask, kind: &str) -> Vec<String> {
    let output = common::command(&ask.script).arg("--list").arg("--dir").arg(&ask.folder).output().expect("ask --list runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut ready = Vec::new();
    for line in String::from_utf8(output.stdout).expect("UTF-8").lines() {
        let fields: Vec<&str> = line.split_whitespace().collect();
        match fields[..] {
            [client, k, _, "ready"] if k == kind => ready.push(client.to_owned()),
            [client, k, _, "missing:", what] if k == kind => common::skip(&format!("{client}: {what} is not installed")),
            _ => assert_ne!(fields.get(1), Some(&kind), "{line}"),
        }
    }
    ready
}

/// Asks one client and compares verdict and code with what was recorded, for every founding case.
fn compare(client: &str, command: &mut Command) {
    let output = command.output().expect("ask runs");
    assert!(output.status.success(), "{client}: {}", String::from_utf8_lossy(&output.stderr));
    let matrix: Value = serde_json::from_slice(&fs::read(fixture("clients/matrix.json")).expect("the matrix")).expect("JSON");
    let mut answers = BTreeMap::new();
    for line in String::from_utf8(output.stdout).expect("UTF-8").lines() {
        let row: Value = serde_json::from_str(line).expect("a line of JSON");
        answers.insert(row["case"].as_str().expect("a case").to_owned(), row);
    }
    for (scenario, stores) in FOUNDING {
        for store in stores {
            let case = format!("{scenario}|{store}");
            let answer = answers.get(&case).unwrap_or_else(|| panic!("{client} doesn't answer {case}"));
            let recorded = matrix["results"].as_array().expect("results");
            let want = recorded
                .iter()
                .find(|r| r["client"] == answer["expect"] && r["case"] == case.as_str())
                .unwrap_or_else(|| panic!("the matrix has no {case} for {}", answer["expect"]));
            assert_eq!(answer["verdict"], want["verdict"], "{client} {case}: {answer}");
            if want["verdict"] == "refuse" {
                assert_eq!(answer["code"], want["code"], "{client} {case}: {answer}");
            }
        }
    }
}
