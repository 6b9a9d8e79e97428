//! SARIF 2.1.0, for code scanning.
//!
//! Each check is a rule with its whole explanation, each finding a result at the file and line of the anchor, configuration line or
//! Dockerfile line that it speaks of. What was seen on the wire only has no file: its place is a logical location, the target.
//!
//! Source: OASIS, "Static Analysis Results Interchange Format (SARIF) Version 2.1.0".

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::{
    check::{self, Check},
    finding::{Evidence, Finding, Severity},
    report::Report,
};

/// The report as one SARIF log.
#[must_use]
pub fn render(report: &Report) -> String {
    let codes: BTreeSet<&str> = report.findings.iter().map(|f| f.code).collect();
    let rules: Vec<&Check> = check::ALL.iter().copied().filter(|c| codes.contains(c.code)).collect();
    let results: Vec<Value> = report.findings.iter().map(|f| result(f, &rules)).collect();
    let notifications: Vec<Value> = report
        .facts
        .not_checked
        .iter()
        .map(|(what, why)| ("warning", format!("not checked: {what}: {why}")))
        .chain(report.troubles().into_iter().map(|t| ("error", format!("{}: {}: {}", t.what, t.subject, t.why))))
        .map(|(level, text)| json!({ "level": level, "message": { "text": text } }))
        .collect();
    // A root of its own is the base of every path: where it lies is the reader's affair.
    let base = match &report.root {
        Some(root) => json!({ "description": { "text": root } }),
        None => json!({ "uri": "file:///" }),
    };
    let run = json!({
        "tool": { "driver": {
            "name": env!("CARGO_PKG_NAME"),
            "semanticVersion": env!("CARGO_PKG_VERSION"),
            "rules": rules.iter().map(|c| rule(c)).collect::<Vec<_>>(),
        } },
        "invocations": [{
            "executionSuccessful": true,
            "endTimeUtc": report.at.to_string(),
            "toolExecutionNotifications": notifications,
        }],
        "originalUriBaseIds": { "ROOT": base },
        "results": results,
    });
    let log = json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [run],
    });
    format!("{log:#}\n")
}

fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Note => "note",
    }
}

fn rule(check: &Check) -> Value {
    let text = check.text();
    json!({
        "id": check.code,
        "name": check.slug,
        "shortDescription": { "text": check.title },
        "help": { "text": text, "markdown": text },
        "defaultConfiguration": { "level": level(check.severity) },
    })
}

fn result(finding: &Finding, rules: &[&Check]) -> Value {
    let mut text = finding.message.clone();
    for (name, value) in &finding.facts {
        text.push_str(&format!("\n{name}: {value}"));
    }
    for remedy in &finding.remedies {
        text.push_str(&format!("\nhelp: {}", remedy.text));
        text.extend(remedy.command.as_ref().map(|command| format!("\n$ {command}")));
    }
    let files: Vec<Value> = finding.evidence.iter().filter_map(location).collect();
    let mut result = json!({
        "ruleId": finding.code,
        "level": level(finding.severity),
        "message": { "text": text },
        // The same problem keeps its identity when lines move.
        "partialFingerprints": { "subject/v1": format!("{} {}", finding.code, finding.subject) },
    });
    if let Some(index) = rules.iter().position(|c| c.code == finding.code) {
        result["ruleIndex"] = json!(index);
    }
    let mut files = files.into_iter();
    let mut first = files.next().unwrap_or_else(|| json!({}));
    if !finding.targets.is_empty() {
        let names = finding.targets.iter().map(|t| json!({ "fullyQualifiedName": t, "kind": "resource" }));
        first["logicalLocations"] = json!(names.collect::<Vec<_>>());
    }
    if first != json!({}) {
        result["locations"] = json!([first]);
    }
    let related: Vec<Value> = files.collect();
    if !related.is_empty() {
        result["relatedLocations"] = json!(related);
    }
    result
}

fn location(evidence: &Evidence) -> Option<Value> {
    let path = evidence.path.as_ref()?;
    let mut physical = json!({ "artifactLocation": { "uri": uri(path.as_bytes()), "uriBaseId": "ROOT" } });
    if let Some(line) = evidence.line {
        physical["region"] = json!({ "startLine": line });
    }
    let mut location = json!({ "physicalLocation": physical });
    if !evidence.what.is_empty() {
        location["message"] = json!({ "text": evidence.what });
    }
    Some(location)
}

/// A path relative to the root, percent-encoded (RFC 3986, section 3.3).
fn uri(path: &[u8]) -> String {
    let mut out = String::new();
    for byte in path.strip_prefix(b"/").unwrap_or(path) {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'-' | b'.' | b'_' | b'~' | b'+' | b'@' => {
                out.push(char::from(*byte))
            }
            other => out.push_str(&format!("%{other:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_become_relative_references() {
        assert_eq!(uri(b"/usr/share/A (b).crt"), "usr/share/A%20%28b%29.crt");
    }
}
