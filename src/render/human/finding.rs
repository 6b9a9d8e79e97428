//! A finding in rustc's anatomy: message, place, facts, help.

use super::Style;
use crate::{
    base::shell,
    edit::Applicability,
    finding::{Evidence, Finding, Severity},
    report::Report,
};

/// Writes every finding that is to be shown, the causes first.
pub(super) fn all(out: &mut String, report: &Report, style: Style) {
    let causes: Vec<usize> = super::causes(report).collect();
    let mut order: Vec<usize> = Vec::new();
    for index in causes.iter().copied().chain(0..report.findings.len()) {
        if !order.contains(&index) {
            order.push(index);
        }
    }
    let many = super::many::applies(report);
    let (mut folded, mut also, mut elsewhere) = (Vec::new(), Vec::new(), 0);
    // Who asked about a target, or for a patch, is not told of clutter that has nothing to do with it.
    let asked_for_all = matches!(report.command, "scan" | "renewal") || report.verbosity > 0;
    for index in order {
        let Some(finding) = report.findings.get(index) else { continue };
        if many && !finding.targets.is_empty() {
            continue;
        }
        let is_cause = causes.contains(&index);
        if finding.severity < Severity::Error && finding.targets.is_empty() && !asked_for_all {
            elsewhere += 1;
            continue;
        }
        if !is_cause && report.verbosity < 1 && report.tells_already(finding) {
            continue;
        }
        if !is_cause && report.verbosity < 1 && is_beside_a_cause(index, report) {
            also.push(finding);
            continue;
        }
        // A healthy host prints fewer than ten lines: notes are folded into one line each.
        if finding.severity == Severity::Note && report.verbosity < 1 && !is_cause {
            folded.push(finding);
        } else {
            one(out, finding, is_cause, report, style);
        }
    }
    if !also.is_empty() {
        out.push_str(&format!("\n{}\n", style.bold("also seen, and no cause by itself (-v tells all about it)")));
    }
    for finding in also {
        let head = format!("{}[{}]", word(finding.severity), finding.code);
        let message = style.fold(&finding.message, head.len() + 2, head.len() + 2);
        out.push_str(&format!("{}: {message}\n", style.severity(finding.severity, &head)));
    }
    for finding in folded.iter().take(5) {
        let head = format!("note[{}]", finding.code);
        let message = style.fold(&finding.message, head.len() + 2, head.len() + 2);
        out.push_str(&format!("{}: {message}\n", style.severity(Severity::Note, &head)));
    }
    if elsewhere > 0 {
        let root = report.root.as_ref().map(|r| format!(" --root {}", shell(r))).unwrap_or_default();
        let words =
            format!("{} about the stores, not about this: certdoctor scan{root}", super::plural(elsewhere, "more finding"));
        out.push_str(&format!("\n{}\n", style.dim(&words)));
    }
    if folded.len() > 5 {
        out.push_str(&format!("{}\n", style.dim(&format!("      and {} more notes: -v shows them", folded.len() - 5))));
    }
}

/// Whether every lineage that it is about has another finding as its cause.
fn is_beside_a_cause(index: usize, report: &Report) -> bool {
    let mut about = report.headlines.iter().filter(|h| h.cause == Some(index) || h.also_seen.contains(&index)).peekable();
    about.peek().is_some() && about.all(|h| h.cause.is_some())
}

pub(super) fn word(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Note => "note",
    }
}

fn one(out: &mut String, finding: &Finding, is_cause: bool, report: &Report, style: Style) {
    let head = format!("{}[{}]", word(finding.severity), finding.code);
    let cause = if is_cause { "the cause: " } else { "" };
    let message = style.fold(&format!("{cause}{}", finding.message), head.len() + 2, head.len() + 2);
    out.push_str(&format!("\n{}: {}\n", style.severity(finding.severity, &head), style.bold(&message)));
    let shown = if report.verbosity > 0 { finding.evidence.len() } else { 6 };
    for (index, evidence) in finding.evidence.iter().take(shown).enumerate() {
        let arrow = if index == 0 { "-->" } else { ":::" };
        out.push_str(&format!("  {} {}\n", style.place(arrow), place(evidence)));
    }
    if finding.evidence.len() > shown {
        out.push_str(&format!("  {} {} more places: -v shows them\n", style.place(":::"), finding.evidence.len() - shown));
    }
    let width = finding.facts.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0).max(4);
    let bar = style.place("=");
    // Where values and advice begin: `   = NAME  `.
    let column = 5 + width + 2;
    for (name, value) in &finding.facts {
        out.push_str(&format!("   {bar} {name:<width$}  {}\n", style.fold(value, column, column)));
    }
    for remedy in &finding.remedies {
        let hand = if remedy.applicability == Applicability::Manual && remedy.command.is_none() { " (by hand)" } else { "" };
        let text = style.fold(&format!("{}{hand}", remedy.text), column, column);
        out.push_str(&format!("   {bar} {}  {text}\n", style.bold(&format!("{:<width$}", "help"))));
        if let Some(command) = &remedy.command {
            out.push_str(&format!("     {:<width$}  {}\n", "", style.bold(&format!("$ {command}"))));
        }
        for (word, clients) in [("helps", &remedy.helps), ("does not help", &remedy.does_not_help), ("breaks", &remedy.harms)] {
            if !clients.is_empty() {
                let clients = style.fold(&clients.join(", "), column + word.len() + 2, column + word.len() + 2);
                out.push_str(&format!("     {:<width$}  {word}: {clients}\n", ""));
            }
        }
    }
}

fn place(evidence: &Evidence) -> String {
    let place = match (&evidence.path, evidence.line) {
        (Some(path), Some(line)) => format!("{path}:{line}"),
        (Some(path), None) => path.to_string(),
        (None, _) => "on the wire".to_owned(),
    };
    if evidence.what.is_empty() { place } else { format!("{place} ({})", evidence.what) }
}
