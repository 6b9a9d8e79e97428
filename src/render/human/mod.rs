//! For people: one line an area, then each finding as rustc shows an error, then the clients, and the verdict in the last line.

mod areas;
mod chain;
mod finding;
mod fix;
mod matrix;
mod style;

use crate::{
    base::shell,
    facts::FileState,
    finding::Severity,
    report::{Report, Verification, Verifier},
};

pub use style::Style;

/// The report as text.
#[must_use]
pub fn render(report: &Report, style: Style) -> String {
    let mut out = String::new();
    if report.verbosity >= 0 {
        body(&mut out, report, style);
    }
    out.push_str(&verdict(report, style));
    out.push('\n');
    style.safe(&out)
}

fn body(out: &mut String, report: &Report, style: Style) {
    if report.command == "inspect" {
        chain::endpoints(out, report, style);
    }
    areas::lines(out, report, style);
    finding::all(out, report, style);
    matrix::all(out, report, style);
    fix::plan(out, report, style);
    verifications(out, &report.verified, style);
    fix::restart(out, report, style);
    if !out.is_empty() && !out.ends_with("\n\n") {
        out.push('\n');
    }
}

fn verifications(out: &mut String, verified: &[Verification], style: Style) {
    let mut target = None;
    for one in verified {
        if target != Some(&one.target) {
            out.push_str(&format!("\n{}\n", style.bold(&format!("fresh handshakes with {}", one.target))));
            target = Some(&one.target);
        }
        let mark = match one.trusted {
            Some(true) => style.good("[ok]"),
            Some(false) if one.decides => style.bad("[x] "),
            Some(false) => style.warn("[!] "),
            None => style.dim("[-] "),
        };
        let by = match one.verifier {
            Verifier::Model => "model",
            Verifier::Program => "real",
            Verifier::Rustls => "rustls",
        };
        let text = match (&one.trusted, one.text.is_empty()) {
            (Some(true), true) => "accepts",
            (Some(false), true) => "refuses",
            // What a client says after a good handshake is about something else: an empty reply, a protocol that is not HTTP.
            (Some(true), false) if one.verifier == Verifier::Program => "accepts",
            _ => &one.text,
        };
        let own =
            if one.trusted == Some(false) && !one.decides { " (it reads none of the stores that were looked at)" } else { "" };
        out.push_str(&format!("{mark} {by:<6}  {:<24}  {text}{own}\n", one.client));
    }
}

/// The last line: the answer, counts, what was not checked, and the next command.
fn verdict(report: &Report, style: Style) -> String {
    // What a cause tells already is not counted twice.
    let counted = |f: &&crate::finding::Finding| report.verbosity > 0 || !finding::is_told_by_a_cause(f, report);
    let count = |severity| report.findings.iter().filter(counted).filter(|f| f.severity == severity).count();
    let (errors, warnings, notes) = (count(Severity::Error), count(Severity::Warning), count(Severity::Note));
    let mut parts: Vec<String> = Vec::new();
    for (n, word) in [(errors, "error"), (warnings, "warning"), (notes, "note")] {
        if n > 0 {
            parts.push(plural(n, word));
        }
    }
    let mut line = match (parts.is_empty(), report.is_refused()) {
        (true, false) => "nothing to complain about".to_owned(),
        (true, true) => "refused, for a reason that no finding explains".to_owned(),
        (false, _) => parts.join(", "),
    };
    let anchors: usize = report.facts.stores.iter().map(|s| s.anchors().len()).sum();
    let mut looked = Vec::new();
    if !report.facts.stores.is_empty() {
        looked.push(format!("{} ({})", plural(report.facts.stores.len(), "store"), plural(anchors, "root")));
    }
    if let Some(given) = &report.facts.given {
        let held = given.file.iter().map(|f| f.certificates().count()).sum::<usize>()
            + given.directories.iter().map(|d| d.reachable().len()).sum::<usize>();
        looked.push(format!("what was given ({})", plural(held, "root")));
    }
    if let Some(renewal) = &report.facts.renewal {
        looked.push(plural(renewal.lineages.len(), "certificate"));
    }
    if !report.facts.endpoints.is_empty() {
        looked.push(plural(report.facts.endpoints.len(), "target"));
    }
    if !looked.is_empty() {
        line.push_str(&format!(" in {}", looked.join(", ")));
    }
    if report.facts.clock.injected {
        line.push_str(&format!(", as of {}", report.at));
    }
    let mut line = if errors > 0 || report.is_refused() {
        style.bad(&line)
    } else if warnings > 0 {
        style.warn(&line)
    } else {
        style.good(&line)
    };
    if let Some(answer) = answer(report) {
        line = format!("{answer}: {line}");
    }
    let unchecked = &report.facts.not_checked;
    if !unchecked.is_empty() {
        let shown: Vec<String> = unchecked.iter().take(3).map(|(what, why)| format!("{what} ({why})")).collect();
        let more = if unchecked.len() > 3 { format!(" and {} more", unchecked.len() - 3) } else { String::new() };
        line.push_str(&format!(". Not checked: {}{more}", shown.join(", ")));
    }
    if let Some(next) = next(report) {
        line.push_str(&format!(". Next: {}", style.bold(&next)));
    }
    line
}

/// The answer in a word or two, where the command asks a question.
fn answer(report: &Report) -> Option<&'static str> {
    match report.command {
        "verify" if report.verified.iter().any(|v| v.decides && v.trusted == Some(false)) => Some("refused"),
        "verify" if report.verified.iter().any(|v| v.trusted == Some(true)) => Some("verified"),
        "verify" => Some("not verified"),
        "fix" | "renewal" => match (&report.applied, &report.plan) {
            (Some(applied), _) if applied.rolled_back.is_some() => Some("rolled back, nothing is changed"),
            (_, Some(plan)) if plan.steps.is_empty() && !(plan.refusals.is_empty() && plan.needs_yes.is_empty()) => {
                Some("not fixed")
            }
            (Some(applied), _) if applied.changed.is_empty() && !report.is_refused() => Some("nothing to do"),
            (Some(applied), _) if !applied.refreshed => Some("written, not refreshed yet"),
            (Some(_), _) if report.is_refused() || report.has_failures() => Some("applied, but not well yet"),
            (Some(_), _) => Some("fixed"),
            (_, Some(plan)) if plan.steps.is_empty() && report.is_refused() => Some("can't be fixed in a store"),
            (None, Some(plan)) if plan.steps.is_empty() => Some("nothing to do"),
            (None, _) => Some("planned, nothing is changed"),
        },
        _ => None,
    }
}

/// The command to type next.
fn next(report: &Report) -> Option<String> {
    let root = report.root.as_ref().map(|r| format!(" --root {}", shell(r))).unwrap_or_default();
    match report.command {
        "fix" => match (&report.applied, &report.plan) {
            (None, Some(plan)) if !plan.steps.is_empty() => Some("the same with --apply".into()),
            (Some(applied), _) if applied.rolled_back.is_none() => {
                applied.backup.as_ref().map(|id| format!("certdoctor undo {id}{root}{} takes it back", applied.undo))
            }
            (_, Some(plan)) if plan.steps.is_empty() => report.causes.iter().flatten().find_map(|i| {
                let remedy = report.findings.get(*i)?.remedies.first()?;
                Some(remedy.command.clone().unwrap_or_else(|| remedy.text.clone()))
            }),
            _ => None,
        },
        "inspect" if report.is_refused() => {
            let target = report.facts.endpoints.first()?;
            target.outcome.is_ok().then(|| format!("certdoctor diagnose {}{}", target.target, report.options))
        }
        "verify"
            if report.verified.iter().any(|v| v.trusted == Some(true))
                && report.verified.iter().all(|v| v.trusted != Some(false) || !v.decides) =>
        {
            None
        }
        "verify" => {
            let target = report.facts.endpoints.first()?;
            Some(format!("certdoctor diagnose {}{}", target.target, report.options))
        }
        _ => report
            .causes
            .iter()
            .flatten()
            .filter_map(|i| report.findings.get(*i))
            .chain(report.findings.iter().filter(|f| f.severity >= Severity::Warning))
            .find_map(|f| f.remedies.first().and_then(|r| r.command.clone())),
    }
}

/// `1 root`, `2 roots`, `2 stores`.
fn plural(n: usize, word: &str) -> String {
    if n == 1 { format!("1 {word}") } else { format!("{n} {word}s") }
}

/// A file's state in a few words, when it was not read.
fn state(state: &FileState) -> Option<String> {
    match state {
        FileState::Read { .. } => None,
        FileState::Missing => Some("missing".into()),
        FileState::NotAFile(what) => Some(format!("is a {what}")),
        FileState::TooLarge(len) => Some(format!("{len} bytes, not read")),
        FileState::Unreadable(why) => Some(why.clone()),
    }
}
