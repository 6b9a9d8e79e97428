//! For people: one line an area, then each finding as rustc shows an error, then the clients, and the verdict in the last line.

mod areas;
mod chain;
mod compare;
mod finding;
mod fix;
mod many;
mod matrix;
mod style;

use super::conclusion::{Conclusion, plural};
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
    let many = many::applies(report);
    if report.compare {
        compare::table(out, report, style);
    } else if report.command == "inspect" && !many {
        chain::endpoints(out, report, style);
    }
    areas::lines(out, report, style);
    if many {
        many::all(out, report, style);
    }
    finding::all(out, report, style);
    if !many && (!report.compare || !compare::is_possible(report)) {
        matrix::all(out, report, style);
    }
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
    let verdict = Conclusion::of(report);
    let mut line = match verdict.worst {
        Some(Severity::Error) => style.bad(&verdict.counts),
        Some(Severity::Warning) => style.warn(&verdict.counts),
        _ => style.good(&verdict.counts),
    };
    if let Some(answer) = verdict.answer {
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

/// The findings that are the one cause of a target or of a certificate.
fn causes(report: &Report) -> impl Iterator<Item = usize> {
    report.causes.iter().copied().flatten().chain(report.headlines.iter().filter_map(|h| h.cause))
}

/// The command to type next.
fn next(report: &Report) -> Option<String> {
    let root = report.root.as_ref().map(|r| format!(" --root {}", shell(r))).unwrap_or_default();
    match report.command {
        "fix" | "renewal" => match (&report.applied, &report.plan) {
            (None, Some(plan)) if !plan.steps.is_empty() => {
                Some(plan.instead.clone().unwrap_or_else(|| "the same with --apply".to_owned()))
            }
            (Some(applied), _) if applied.rolled_back.is_none() => {
                applied.backup.as_ref().map(|id| format!("certdoctor undo {id}{root}{} takes it back", applied.undo))
            }
            (_, Some(plan)) if plan.steps.is_empty() => causes(report).find_map(|i| {
                let remedy = report.findings.get(i)?.remedies.first()?;
                Some(remedy.command.clone().unwrap_or_else(|| remedy.text.clone()))
            }),
            _ => None,
        },
        "inspect" if report.is_refused() => {
            let target = report.facts.endpoints.first()?;
            target.outcome.is_ok().then(|| format!("certdoctor diagnose {}{}", target.target, report.options))
        }
        "verify" if !report.is_failed() => None,
        "verify" => {
            let target = report.facts.endpoints.first()?;
            Some(format!("certdoctor diagnose {}{}", target.target, report.options))
        }
        _ => {
            let findings = || {
                let causes = causes(report).filter_map(|i| report.findings.get(i));
                causes.chain(report.findings.iter().filter(|f| f.severity >= Severity::Warning))
            };
            let anew = |command: &&String| command.starts_with("certdoctor dockerfile ");
            let best = findings().find_map(|f| f.remedies.first()?.command.clone());
            // Of an image the best may be a line of its Dockerfile, which is no command.
            best.or_else(|| findings().flat_map(|f| &f.remedies).find_map(|r| r.command.as_ref().filter(anew).cloned()))
        }
    }
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
