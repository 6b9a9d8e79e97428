//! The answer of a run in one line, for every format that has room for one.

use crate::{
    finding::Severity,
    report::{Report, Verification},
};

/// The line, in its parts.
pub(super) struct Conclusion {
    /// The answer in a word or two, where the command asks a question.
    pub(super) answer: Option<&'static str>,
    /// How many findings of which severity, in what.
    pub(super) counts: String,
    /// How bad.
    pub(super) worst: Option<Severity>,
}

impl Conclusion {
    /// What the report comes to.
    pub(super) fn of(report: &Report) -> Conclusion {
        // What a cause tells already is not counted twice.
        let counted = |f: &&crate::finding::Finding| report.verbosity > 0 || !report.tells_already(f);
        let count = |severity| report.findings.iter().filter(counted).filter(|f| f.severity == severity).count();
        let (errors, warnings, notes) = (count(Severity::Error), count(Severity::Warning), count(Severity::Note));
        let mut parts: Vec<String> = Vec::new();
        for (n, word) in [(errors, "error"), (warnings, "warning"), (notes, "note")] {
            if n > 0 {
                parts.push(plural(n, word));
            }
        }
        let mut counts = match (parts.is_empty(), report.is_refused()) {
            (true, false) if !report.troubles().is_empty() => "nothing found".to_owned(),
            (true, false) => "nothing to complain about".to_owned(),
            (true, true) => "refused, for a reason that no finding explains".to_owned(),
            (false, _) => parts.join(", "),
        };
        let looked = looked_at(report);
        if !looked.is_empty() {
            counts.push_str(&format!(" in {}", looked.join(", ")));
        }
        if report.facts.clock.injected {
            counts.push_str(&format!(", as of {}", report.at));
        }
        let worst = match (errors > 0 || report.is_failed(), warnings > 0, notes > 0) {
            (true, ..) => Some(Severity::Error),
            (_, true, _) => Some(Severity::Warning),
            (_, _, true) => Some(Severity::Note),
            _ => None,
        };
        Conclusion { answer: answer(report), counts, worst }
    }

    /// The answer and the counts.
    pub(super) fn line(&self) -> String {
        self.answer.map_or_else(|| self.counts.clone(), |answer| format!("{answer}: {}", self.counts))
    }
}

fn looked_at(report: &Report) -> Vec<String> {
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
    if report.facts.dockerfile.is_some() {
        looked.push("1 Dockerfile".to_owned());
    }
    if !report.facts.endpoints.is_empty() {
        looked.push(plural(report.facts.endpoints.len(), "target"));
    }
    looked
}

/// The answer in a word or two, where the command asks a question.
fn answer(report: &Report) -> Option<&'static str> {
    let complains = report.findings.iter().any(|f| f.severity > Severity::Note);
    match report.command {
        "verify" if report.verified.iter().any(Verification::is_refused) => Some("refused"),
        "verify" if !report.is_failed() => Some("verified"),
        "verify" => Some("not verified"),
        "fix" | "renewal" => match (&report.applied, &report.plan) {
            (Some(applied), _) if applied.rolled_back.is_some() => Some("rolled back, nothing is changed"),
            (_, Some(plan)) if plan.steps.is_empty() && plan.leaves_undone() => Some("not fixed"),
            (Some(applied), Some(plan)) if !applied.changed.is_empty() && plan.leaves_undone() => Some("fixed in part"),
            // What is wrong on the server side is more often a command's or a person's to mend than a file's.
            (_, Some(plan)) if report.command == "renewal" && plan.steps.is_empty() && complains => Some("no patch cures it"),
            (Some(applied), _) if applied.changed.is_empty() && !report.is_refused() => Some("nothing to do"),
            (Some(applied), _) if !applied.refreshed => Some("written, not refreshed yet"),
            (Some(applied), _) if report.is_failed() || applied.unwell => Some("applied, but not well yet"),
            (Some(_), _) => Some("fixed"),
            (_, Some(plan)) if plan.steps.is_empty() && report.is_refused() => Some("can't be fixed in a store"),
            (None, Some(plan)) if plan.steps.is_empty() => Some("nothing to do"),
            (None, _) => Some("planned, nothing is changed"),
        },
        _ => None,
    }
}

/// `1 root`, `2 roots`, `2 stores`.
pub(super) fn plural(n: usize, word: &str) -> String {
    if n == 1 { format!("1 {word}") } else { format!("{n} {word}s") }
}
