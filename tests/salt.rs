//! With the real salt-call: the state in test mode, applied, and again; what depends on it by `onchanges`; the execution module.

mod common;

use std::{fs, path::Path};

use common::{clean, command, oracle, tree};
use serde_json::Value;
use tempfile::TempDir;

struct Minion {
    program: std::path::PathBuf,
    home: TempDir,
}

impl Minion {
    fn new(root: &Path) -> Option<Minion> {
        let program = oracle("salt/bin/salt-call")?;
        let home = tempfile::tempdir().expect("a directory");
        let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/salt");
        let states = home.path().join("states");
        for entry in walkdir::WalkDir::new(&here).into_iter().map(|e| e.expect("walked")) {
            let target = states.join(entry.path().strip_prefix(&here).expect("below"));
            if entry.file_type().is_dir() {
                fs::create_dir_all(target).expect("a directory");
            } else {
                fs::copy(entry.path(), target).expect("copied");
            }
        }
        let pillar = home.path().join("pillar");
        fs::create_dir_all(&pillar).expect("a directory");
        fs::write(pillar.join("top.sls"), "base:\n  '*':\n    - certdoctor\n").expect("written");
        let binary = assert_cmd::cargo::cargo_bin!("certdoctor").display().to_string();
        let text = format!(
            "certdoctor:\n  binary: {binary}\n  root: {}\n  at: \"2020-06-01\"\n  anchors:\n    - AddTrust External CA Root\n",
            root.display()
        );
        fs::write(pillar.join("certdoctor.sls"), text).expect("written");
        let depends = "include:\n  - certdoctor\n\nwhat depends on it:\n  test.succeed_with_changes:\n    - onchanges:\n      - certdoctor: \
                       certdoctor-config\n";
        fs::write(states.join("depends.sls"), depends).expect("written");
        let directory = |name: &str| home.path().join(name).display().to_string();
        let minion = format!(
            "id: host\nfile_client: local\nfile_roots:\n  base: [{}]\npillar_roots:\n  base: [{}]\nroot_dir: {}\nlog_file: {}\n",
            directory("states"),
            directory("pillar"),
            directory("var"),
            directory("log"),
        );
        fs::write(home.path().join("minion"), minion).expect("written");
        let minion = Minion { program, home };
        minion.call(&["saltutil.sync_all"]);
        Some(minion)
    }

    fn call(&self, arguments: &[&str]) -> Value {
        let mut command = command(&self.program);
        let output = clean(&mut command)
            .arg("--local")
            .arg("-c")
            .arg(self.home.path())
            .args(["--out=json", "--log-level=error"])
            .args(arguments)
            .env("HOME", self.home.path())
            .env("LC_ALL", "C.UTF-8")
            .output()
            .expect("salt-call runs");
        let said = String::from_utf8_lossy(&output.stdout);
        let json = said.find('{').map_or("", |at| &said[at..]);
        match serde_json::from_str::<Value>(json) {
            Ok(document) => document["local"].clone(),
            Err(e) => panic!("{e}: {said}{}", String::from_utf8_lossy(&output.stderr)),
        }
    }

    /// Applies the states and returns those of our own and of what depends on it.
    fn apply(&self, more: &[&str]) -> (Value, Value) {
        let all = self.call(&[&["state.apply", "depends"], more].concat());
        let all = all.as_object().unwrap_or_else(|| panic!("{all}"));
        let of = |part: &str| all.iter().find(|(id, _)| id.contains(part)).map(|(_, state)| state.clone()).expect("a state");
        (of("certdoctor-config"), of("what depends on it"))
    }
}

#[test]
fn a_state_is_planned_then_applied_then_in_order() {
    let dir = tree("alpine-2019");
    let Some(minion) = Minion::new(dir.path()) else { return };
    let bundle = || fs::read(dir.path().join("etc/ssl/certs/ca-certificates.crt")).expect("a bundle");
    let before = bundle();

    let (state, _) = minion.apply(&["test=True"]);
    assert_eq!(state["result"], Value::Null, "{state}");
    assert!(state["changes"]["diff"].as_str().is_some_and(|d| d.contains("+!mozilla/AddTrust_External_Root.crt")), "{state}");
    assert_eq!(bundle(), before, "test mode wrote");

    let (state, depends) = minion.apply(&[]);
    assert_eq!(state["result"], true, "{state}");
    assert!(
        state["changes"]["diff"].is_string() && depends["changes"].as_object().is_some_and(|c| !c.is_empty()),
        "{state} {depends}"
    );
    assert_ne!(bundle(), before);

    let (state, depends) = minion.apply(&[]);
    assert!(state["result"] == true && state["changes"] == serde_json::json!({}), "{state}");
    assert!(state["comment"].as_str().is_some_and(|c| c.starts_with("already in order: ")), "{state}");
    assert!(depends["changes"].as_object().is_some_and(serde_json::Map::is_empty), "{depends}");

    let binary = format!("binary={}", assert_cmd::cargo::cargo_bin!("certdoctor").display());
    let scan = minion.call(&["certdoctor.scan", &format!("root={}", dir.path().display()), "at=2020-06-01", &binary]);
    assert_eq!(scan["request"]["command"], "scan", "{scan}");
    assert_eq!(minion.call(&["certdoctor.version", &binary]), env!("CARGO_PKG_VERSION"));
    let wrong = minion.call(&["certdoctor.fix", "anchors=['No Such Root']", &format!("root={}", dir.path().display()), &binary]);
    assert!(wrong["result"] == false && wrong["comment"].as_str().is_some_and(|c| c.contains("No Such Root")), "{wrong}");
}
