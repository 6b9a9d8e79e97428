//! Many targets: what they have in common instead of one screen for each.

use std::collections::BTreeMap;

use super::{Style, finding, plural};
use crate::{
    base::Fingerprint,
    check::{self, of_endpoint},
    finding::{Finding, Severity},
    path::Verdict,
    render::words,
    report::Report,
};

/// More targets than this are told in groups.
const MANY: usize = 8;

/// Names in a list before the rest is counted.
const NAMED: usize = 5;

/// Whether this report is told in groups.
pub(super) fn applies(report: &Report) -> bool {
    report.facts.endpoints.len() > MANY && report.verbosity == 0
}

/// Writes one line for each outcome, the bad ones first, and each finding once for all its targets.
pub(super) fn all(out: &mut String, report: &Report, style: Style) {
    outcomes(out, report, style);
    for group in groups(report) {
        let head = format!("{}[{}]", finding::word(group.first.severity), group.first.code);
        let text = format!("{} of {}: {}", group.targets.len(), total(report), group.text(report));
        let message = style.fold(&text, head.len() + 2, head.len() + 2);
        out.push_str(&format!("\n{}: {}\n", style.severity(group.first.severity, &head), style.bold(&message)));
        out.push_str(&format!("   {} targets  {}\n", style.place("="), style.fold(&list(&group.targets), 14, 14)));
        for remedy in group.first.remedies.iter().take(1) {
            let text = group.without_target(&remedy.text);
            out.push_str(&format!("   {} {}     {}\n", style.place("="), style.bold("help"), style.fold(&text, 14, 14)));
            if let Some(command) = &remedy.command {
                out.push_str(&format!("              {}\n", style.bold(&format!("$ {command}"))));
            }
        }
    }
}

fn total(report: &Report) -> String {
    plural(report.facts.endpoints.len(), "target")
}

/// Targets that end alike share a line.
fn outcomes(out: &mut String, report: &Report, style: Style) {
    let mut rows: BTreeMap<(u8, String), Vec<&str>> = BTreeMap::new();
    for (index, endpoint) in report.facts.endpoints.iter().enumerate() {
        let key = match &endpoint.outcome {
            // The address differs from target to target; the class is what they share.
            Err(failure) => (0, words::class(failure).to_owned()),
            Ok(_) => clients(report, index),
        };
        rows.entry(key).or_default().push(&endpoint.target.text);
    }
    for ((rank, text), targets) in rows {
        let mark = match rank {
            0 | 1 => style.bad("[x] "),
            2 => style.dim("[-] "),
            _ => style.good("[ok]"),
        };
        let names = if rank < 2 { format!(": {}", list(&targets)) } else { String::new() };
        let line = format!("{} of {} {text}{names}", targets.len(), total(report));
        out.push_str(&format!("{mark} {}\n", style.fold(&line, 5, 5)));
    }
}

/// What the clients say about one target, and its rank.
fn clients(report: &Report, endpoint: usize) -> (u8, String) {
    let verdicts = of_endpoint(&report.verdicts, endpoint);
    let refusing: Vec<&str> =
        verdicts.iter().filter(|v| matches!(v.verdict, Verdict::Untrusted { .. })).map(|v| v.client.as_str()).collect();
    let judged = verdicts.iter().filter(|v| !matches!(v.verdict, Verdict::Unknown(_))).count();
    match refusing.len() {
        0 if judged == 0 => (2, "could be judged by no client".to_owned()),
        0 => (3, format!("accepted by all {judged} clients")),
        n if n == judged => (1, format!("refused by all {judged} clients")),
        n => (1, format!("refused by {n} of {judged} clients ({})", list(&refusing))),
    }
}

fn list(names: &[&str]) -> String {
    let mut shown = names.iter().take(NAMED).copied().collect::<Vec<_>>().join(", ");
    if names.len() > NAMED {
        shown.push_str(&format!(" and {} more (-v lists all)", names.len() - NAMED));
    }
    shown
}

/// What findings of one group share: severity, code, and the certificate that they blame.
type Key = (Severity, &'static str, Option<Fingerprint>);

/// One finding at several targets.
struct Group<'a> {
    first: &'a Finding,
    targets: Vec<&'a str>,
    /// Whether every one says the same but for its target.
    alike: bool,
}

impl Group<'_> {
    fn without_target(&self, text: &str) -> String {
        if self.targets.len() == 1 { text.to_owned() } else { text.replace(self.targets[0], "each") }
    }

    fn text(&self, report: &Report) -> String {
        match check::find(self.first.code) {
            Some(check) if !self.alike => check.title.to_owned(),
            _ if report.facts.endpoints.is_empty() => String::new(),
            _ => self.without_target(&self.first.message),
        }
    }
}

/// The findings about targets, joined by code and by the certificate that they blame, unless that is the target's own.
fn groups(report: &Report) -> Vec<Group<'_>> {
    let leaf = |target: &str| {
        let endpoint = report.facts.endpoints.iter().find(|e| e.target.text == target)?;
        Some(endpoint.outcome.as_ref().ok()?.certificates.first()?.fingerprint())
    };
    let mut groups: Vec<(Key, Group<'_>)> = Vec::new();
    for finding in report.findings.iter().filter(|f| f.severity > Severity::Note && !report.tells_already(f)) {
        let Some(target) = finding.targets.first() else { continue };
        let blamed = finding.evidence.iter().find_map(|e| e.fingerprint).filter(|print| leaf(target) != Some(*print));
        let key = (finding.severity, finding.code, blamed);
        match groups.iter_mut().find(|(known, _)| *known == key) {
            Some((_, group)) => {
                let same =
                    finding.message.replace(target.as_str(), "each") == group.first.message.replace(group.targets[0], "each");
                group.alike &= same;
                group.targets.extend(finding.targets.iter().map(String::as_str));
            }
            None => {
                let targets = finding.targets.iter().map(String::as_str).collect();
                groups.push((key, Group { first: finding, targets, alike: true }));
            }
        }
    }
    groups.into_iter().map(|(_, group)| group).collect()
}
