//! This binary as an Ansible module, for hosts without Python: called with one argument, a file of JSON that holds the task's
//! parameters and Ansible's own `_ansible_*` keys; one JSON object comes back.
//!
//! Parameters become the command line that a person would type, so that both mean the same. Check mode is not enforced by Ansible for
//! binary modules: it is kept here.
//!
//! Source: docs.ansible.com, "Ansible module architecture" (binary modules, internal arguments), and `AnsibleModule` of ansible-core 2.19
//! for the words about unknown parameters and the values of a boolean.

use serde_json::{Map, Value};

use super::{Failure, Machine, Outcome, run_line};
use crate::{
    base::Limits,
    cli::Format,
    host::{DirTree, Tree as _, on_this_host},
    render::configuration,
};

/// What a parameter holds, and the flag that it becomes.
enum Kind {
    /// A word, from these if any are named.
    Word(&'static [&'static str]),
    /// Words, each with the flag.
    List,
    /// The flag alone, if true.
    Switch,
    /// Not a flag: handled by itself.
    Own,
}

/// A parameter, its flag, the actions that know it (all, if none is named), and what it holds.
struct Parameter(&'static str, &'static str, &'static [&'static str], Kind);

/// The actions, the first of which is the default.
pub const ACTIONS: &[&str] = &["fix", "diagnose", "renewal", "scan", "verify"];

/// The actions that may write.
const WRITING: &[&str] = &["fix", "renewal"];

/// Every parameter, sorted.
const PARAMETERS: &[Parameter] = &[
    Parameter("action", "", &[], Kind::Own),
    Parameter("allow", "--allow", &[], Kind::List),
    Parameter("anchors", "--anchor", &["fix"], Kind::List),
    Parameter("at", "--at", &[], Kind::Word(&[])),
    Parameter("backup_dir", "--backup-dir", WRITING, Kind::Word(&[])),
    Parameter("ca_file", "--CAfile", &["diagnose", "fix", "verify"], Kind::Word(&[])),
    Parameter("clients", "--client", &[], Kind::List),
    Parameter("comment_out", "--comment-out", &["fix"], Kind::Switch),
    // `yes` would be a boolean in YAML.
    Parameter("confirm", "--yes", &["fix"], Kind::List),
    Parameter("connect", "--connect", &["diagnose", "fix", "verify"], Kind::Word(&[])),
    Parameter("deny", "--deny", &[], Kind::List),
    Parameter("fail_on", "--fail-on", &[], Kind::Word(&["note", "warning", "error"])),
    Parameter("force", "--force", &["fix"], Kind::Switch),
    Parameter("no_refresh", "--no-refresh", &["fix"], Kind::Switch),
    Parameter("only", "--only", &["fix"], Kind::List),
    Parameter("restart_list", "--restart-list", &["fix"], Kind::Switch),
    Parameter("root", "--root", &[], Kind::Word(&[])),
    Parameter("targets", "", &["diagnose", "fix", "renewal", "verify"], Kind::Own),
    Parameter("timeout", "--timeout", &[], Kind::Word(&[])),
    Parameter("warn", "--warn", &[], Kind::List),
];

/// The names of the parameters, sorted: the shim's documentation is compared with them.
pub fn parameters() -> impl Iterator<Item = &'static str> {
    PARAMETERS.iter().map(|p| p.0)
}

/// Runs as a module if that is how it was called: with one word, the path of such a file.
pub(super) fn run<T: AsRef<std::ffi::OsStr>>(machine: &Machine<'_>, line: &[T]) -> Option<Outcome> {
    let [program, file] = line else { return None };
    let path = std::path::Path::new(file.as_ref());
    // No command holds a slash, and no person types one there.
    if !path.has_root() {
        return None;
    }
    let parameters = read(path)?;
    let words = match command_line(&parameters) {
        Ok(words) => words,
        Err(Failure(why)) => {
            return Some(Outcome { out: configuration::ansible_failure(&why).into_bytes(), err: String::new(), status: 1 });
        }
    };
    let mut typed = vec![program.as_ref().to_owned()];
    typed.extend(words.into_iter().map(Into::into));
    let outcome = run_line(machine, &typed, false);
    let Ok(Value::Object(mut result)) = serde_json::from_slice(&outcome.out) else {
        // What clap refuses is told on standard error, which Ansible does not read.
        let out = configuration::ansible_failure(outcome.err.trim()).into_bytes();
        return Some(Outcome { out, err: outcome.err, status: 1 });
    };
    if !switch(&parameters, "_ansible_diff") {
        result.remove("diff");
    }
    // Ansible reads the object; the status only says whether it failed.
    let failed = result.get("failed") == Some(&Value::Bool(true));
    let out = format!("{:#}\n", Value::Object(result)).into_bytes();
    Some(Outcome { out, err: outcome.err, status: u8::from(failed) })
}

/// The parameters in the file, if it is one of Ansible's.
fn read(path: &std::path::Path) -> Option<Map<String, Value>> {
    let tree = DirTree::new(std::path::Path::new("/")).ok()?;
    let (bytes, _) = tree.read(&on_this_host(path).ok()?, Limits::DEFAULT.file).ok()?;
    let Ok(Value::Object(parameters)) = serde_json::from_slice(&bytes) else { return None };
    parameters.keys().any(|key| key.starts_with("_ansible_")).then_some(parameters)
}

/// What a person would type.
fn command_line(parameters: &Map<String, Value>) -> Result<Vec<String>, Failure> {
    let unknown: Vec<&str> = parameters
        .keys()
        .map(String::as_str)
        .filter(|key| !key.starts_with("_ansible_") && PARAMETERS.iter().all(|p| p.0 != *key))
        .collect();
    if !unknown.is_empty() {
        let name = parameters.get("_ansible_module_name").and_then(Value::as_str).unwrap_or("certdoctor");
        let known: Vec<&str> = self::parameters().collect();
        return Err(Failure(format!(
            "Unsupported parameters for ({name}) module: {}. Supported parameters include: {}.",
            unknown.join(", "),
            known.join(", ")
        )));
    }
    let action = match parameters.get("action").filter(|v| !v.is_null()) {
        None => ACTIONS[0].to_owned(),
        Some(value) => word("action", value, ACTIONS)?,
    };
    let mut words = vec![action.clone(), "--format".to_owned(), Format::ANSIBLE.to_owned()];
    if WRITING.contains(&action.as_str()) {
        words.push(if switch(parameters, "_ansible_check_mode") { "--check" } else { "--apply" }.to_owned());
    }
    let mut targets = Vec::new();
    for Parameter(name, flag, actions, kind) in PARAMETERS {
        let Some(value) = parameters.get(*name).filter(|v| !v.is_null()) else { continue };
        if !actions.is_empty() && !actions.contains(&action.as_str()) {
            // A list or switch that is empty or off says nothing.
            if matches!(value, Value::Array(list) if list.is_empty()) || *value == Value::Bool(false) {
                continue;
            }
            return Err(Failure(format!("{name} means nothing to action={action}; it is for {}", actions.join(", "))));
        }
        match kind {
            Kind::Own if *name == "targets" => targets = list(name, value)?,
            Kind::Own => {}
            Kind::Word(choices) => words.extend([(*flag).to_owned(), word(name, value, choices)?]),
            Kind::List => words.extend(list(name, value)?.into_iter().flat_map(|word| [(*flag).to_owned(), word])),
            Kind::Switch => words.extend(boolean(name, value)?.then(|| (*flag).to_owned())),
        }
    }
    if !targets.is_empty() {
        words.push("--".to_owned());
        words.extend(targets);
    }
    Ok(words)
}

fn word(name: &str, value: &Value, choices: &[&str]) -> Result<String, Failure> {
    let word = match value {
        Value::String(word) => word.clone(),
        Value::Number(number) => number.to_string(),
        _ => return Err(Failure(format!("argument '{name}' is of the wrong type: a string is wanted"))),
    };
    if !choices.is_empty() && !choices.contains(&word.as_str()) {
        return Err(Failure(format!("value of {name} must be one of: {}, got: {word}", choices.join(", "))));
    }
    Ok(word)
}

/// A list, or a string with commas, as Ansible takes it.
fn list(name: &str, value: &Value) -> Result<Vec<String>, Failure> {
    match value {
        Value::Array(items) => items.iter().map(|item| word(name, item, &[])).collect(),
        Value::String(text) => Ok(text.split(',').map(str::trim).filter(|w| !w.is_empty()).map(str::to_owned).collect()),
        _ => Err(Failure(format!("argument '{name}' is of the wrong type: a list is wanted"))),
    }
}

fn boolean(name: &str, value: &Value) -> Result<bool, Failure> {
    let text = match value {
        Value::Bool(value) => return Ok(*value),
        Value::Number(number) => number.to_string(),
        Value::String(text) => text.to_ascii_lowercase(),
        _ => String::new(),
    };
    match text.as_str() {
        "y" | "yes" | "on" | "1" | "true" | "t" | "1.0" => Ok(true),
        "n" | "no" | "off" | "0" | "false" | "f" | "0.0" => Ok(false),
        _ => Err(Failure(format!("The value '{text}' of '{name}' is not a valid boolean."))),
    }
}

fn switch(parameters: &Map<String, Value>, name: &str) -> bool {
    parameters.get(name) == Some(&Value::Bool(true))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn line(parameters: &Value) -> Result<String, String> {
        command_line(parameters.as_object().expect("an object")).map(|words| words.join(" ")).map_err(|Failure(why)| why)
    }

    #[test]
    fn parameters_become_what_a_person_would_type() {
        let parameters = json!({
            "_ansible_check_mode": false, "anchors": ["AddTrust External CA Root"], "root": "/srv/x", "force": "no", "confirm": "a, b",
            "targets": ["example.com"],
        });
        assert_eq!(
            line(&parameters).expect("a line"),
            "fix --format ansible --apply --anchor AddTrust External CA Root --yes a --yes b --root /srv/x -- example.com"
        );
        assert_eq!(line(&json!({ "_ansible_check_mode": true })).expect("a line"), "fix --format ansible --check");
        assert_eq!(line(&json!({ "action": "scan", "anchors": [], "force": false })).expect("a line"), "scan --format ansible");
    }

    #[test]
    fn what_is_wrong_is_told_in_ansibles_words() {
        let why = line(&json!({ "ancors": [], "_ansible_module_name": "trust_store" })).expect_err("unknown");
        assert!(
            why.starts_with("Unsupported parameters for (trust_store) module: ancors. Supported parameters include: action, "),
            "{why}"
        );
        assert!(
            line(&json!({ "fail_on": "never" }))
                .expect_err("a choice")
                .contains("must be one of: note, warning, error, got: never")
        );
        assert!(line(&json!({ "force": "maybe" })).expect_err("no boolean").contains("not a valid boolean"));
        assert!(line(&json!({ "action": "scan", "anchors": ["x"] })).expect_err("nothing").contains("means nothing"));
    }

    #[test]
    fn parameters_are_sorted() {
        assert!(parameters().is_sorted());
    }
}
