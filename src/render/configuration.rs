//! What configuration managers read: the result of an Ansible module, and the return of a Salt state. Both from the same facts: would
//! it change, did it, did it fail, and the diff.
//!
//! Sources: docs.ansible.com, "Return Values" (`changed`, `failed`, `msg`, `diff.prepared`, `warnings`); docs.saltproject.io, "State
//! Modules" (`name`, `changes`, `result`, `comment`; `result` is null in test mode when there is something to do).

use serde_json::{Value, json};

use super::{conclusion::Conclusion, json as document};
use crate::{finding::Severity, report::Report};

/// What a manager wants to know.
struct Result<'a> {
    /// Whether something was changed, or without `--apply` would be.
    changed: bool,
    /// Whether it was only looked what would be changed.
    only_planned: bool,
    failed: bool,
    /// The answer, and what went wrong.
    message: String,
    /// What to know beside it.
    notes: Vec<String>,
    diff: &'a [u8],
}

impl<'a> Result<'a> {
    /// `failed`: whether the exit status says so.
    fn of(report: &'a Report, status: u8) -> Self {
        let diff = report.plan.as_ref().map(|plan| plan.diff.as_slice()).unwrap_or_default();
        let planned = report.plan.as_ref().is_some_and(|plan| !plan.steps.is_empty());
        let (changed, only_planned) = match &report.applied {
            Some(applied) => (!applied.changed.is_empty() && applied.rolled_back.is_none(), false),
            None => (planned, planned),
        };
        // A plan that was not carried out is no failure: it is what check mode asked for. What is planned cures what was found.
        let failed = !only_planned && !matches!(status, 0 | 3);
        let mut message = Conclusion::of(report).line();
        for trouble in report.troubles() {
            message.push_str(&format!("; {}: {}: {}", trouble.what, trouble.subject, trouble.why));
        }
        let notes = report.plan.iter().flat_map(|plan| plan.advice.iter().chain(&plan.notes)).cloned().collect();
        Result { changed, only_planned, failed, message, notes, diff }
    }
}

/// The result of an Ansible module.
#[must_use]
pub fn ansible(report: &Report, status: u8) -> String {
    let result = Result::of(report, status);
    let warnings: Vec<String> = report
        .findings
        .iter()
        .filter(|f| f.severity == Severity::Warning)
        .map(|f| format!("{}: {}", f.code, f.message))
        .chain(result.notes)
        .chain(report.facts.not_checked.iter().map(|(what, why)| format!("not checked: {what}: {why}")))
        .collect();
    let mut out = json!({
        "changed": result.changed,
        "failed": result.failed,
        "msg": result.message,
        "warnings": warnings,
    });
    if !result.diff.is_empty() {
        out["diff"] = json!({ "prepared": String::from_utf8_lossy(result.diff) });
    }
    let document = document::value(report);
    for key in ["findings", "applied", "verified", "restart", "lineages"] {
        if let Some(value) = document.get(key) {
            out[key] = value.clone();
        }
    }
    format!("{out:#}\n")
}

/// The result of an Ansible module that could not do what was asked.
#[must_use]
pub fn ansible_failure(why: &str) -> String {
    format!("{:#}\n", json!({ "changed": false, "failed": true, "msg": why }))
}

/// The return of a Salt state.
#[must_use]
pub fn salt(report: &Report, status: u8) -> String {
    let result = Result::of(report, status);
    let outcome = match (result.failed, result.only_planned) {
        (true, _) => Value::Bool(false),
        (false, true) => Value::Null,
        (false, false) => Value::Bool(true),
    };
    let changes = match result.changed {
        true => json!({ "diff": String::from_utf8_lossy(result.diff) }),
        false => json!({}),
    };
    let name = format!("certdoctor {}", report.command);
    let comment: Vec<String> = std::iter::once(result.message).chain(result.notes).collect();
    format!("{:#}\n", json!({ "name": name, "changes": changes, "result": outcome, "comment": comment.join("\n") }))
}

/// The return of a Salt state that could not do what was asked.
#[must_use]
pub fn salt_failure(why: &str) -> String {
    format!("{:#}\n", json!({ "name": "certdoctor", "changes": {}, "result": false, "comment": why }))
}
