//! Many targets: what they have in common instead of one screen for each.

use std::collections::BTreeMap;

use super::{Style, finding, plural};
use crate::{
    check::{self, of_endpoint},
    facts::Endpoint,
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
        let head = format!("{}[{}]", finding::word(group.first().severity), group.first().code);
        let text = match group.earliest() {
            Some(due) => format!("{} of {} {due}", group.targets.len(), total(report)),
            None => format!("{} of {}: {}", group.targets.len(), total(report), group.text()),
        };
        let message = style.fold(&text, head.len() + 2, head.len() + 2);
        out.push_str(&format!("\n{}: {}\n", style.severity(group.first().severity, &head), style.bold(&message)));
        out.push_str(&format!("   {} targets  {}\n", style.place("="), style.fold(&list(&group.targets), 14, 14)));
        let Some(remedy) = group.first().remedies.first() else { continue };
        let help = |f: &&Finding| f.remedies.first().map(|r| without(&r.text, target(f)));
        let text = if group.all_same(help) { group.of_all(&remedy.text) } else { EACH_HELP.to_owned() };
        out.push_str(&format!("   {} {}     {}\n", style.place("="), style.bold("help"), style.fold(&text, 14, 14)));
        match &remedy.command {
            Some(command) if group.all_same(|f| f.remedies.first().and_then(|r| r.command.as_deref())) => {
                out.push_str(&format!("              {}\n", style.bold(&format!("$ {command}"))));
            }
            Some(_) if text != EACH_HELP => out.push_str("              -v shows the command of each\n"),
            _ => {}
        }
    }
}

/// What is said instead of a remedy that is another for each.
const EACH_HELP: &str = "not the same for all: -v shows it for each";

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

/// What findings of one group share: severity, code, and the SHA-256 of the certificate that they blame.
type Key = (Severity, &'static str, Option<String>);

/// Findings of one kind at several targets; never none.
struct Group<'a> {
    findings: Vec<&'a Finding>,
    targets: Vec<&'a str>,
}

impl<'a> Group<'a> {
    fn first(&self) -> &'a Finding {
        self.findings[0]
    }

    /// Whether this is the same of every finding.
    fn all_same<T: PartialEq>(&self, of: impl Fn(&&'a Finding) -> T) -> bool {
        let first = of(&self.findings[0]);
        self.findings.iter().all(|f| of(f) == first)
    }

    /// What every one says but for its target; where they differ, what they are about.
    fn text(&self) -> String {
        match check::find(self.first().code) {
            Some(check) if !self.all_same(|f| without(&f.message, target(f))) => check.title.to_owned(),
            _ => self.of_all(&self.first().message),
        }
    }

    /// A text of the first finding, as it holds for every one.
    fn of_all(&self, text: &str) -> String {
        if self.targets.len() == 1 { text.to_owned() } else { without(text, target(self.first())) }
    }

    /// For what is to come: when it begins, at which client, and what ends.
    fn earliest(&self) -> Option<String> {
        let first = self.findings.iter().filter(|f| f.due.is_some()).min_by_key(|f| f.due)?;
        let client = first.facts.iter().find(|(name, _)| *name == "clients")?.1.split(',').next()?;
        let because = first.message.split_once(&format!(" {}: ", target(first))).map(|(_, because)| because)?;
        let what = match because.strip_suffix(" ends") {
            Some(ends) if self.all_same(|f| blamed(f)) => format!("go through {ends}, first refused"),
            _ => format!("have a path that ends: first refused is {}", target(first)),
        };
        Some(format!("{what} on {} by {client}", first.due?))
    }
}

fn target(finding: &Finding) -> &str {
    finding.targets.first().map_or("", String::as_str)
}

/// A text that says `each` for this target. Where its name is only a part of another word it stays.
fn without(text: &str, target: &str) -> String {
    let in_word = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_');
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(target).filter(|_| !target.is_empty()) {
        let (before, after) = (&rest[..at], &rest[at + target.len()..]);
        out.push_str(before);
        let mut next = after.chars();
        let goes_on = match next.next() {
            Some('.') => next.next().is_some_and(in_word),
            c => c.is_some_and(in_word),
        };
        let begins = out.chars().next_back().is_none_or(|c| !in_word(c) && c != '.');
        out.push_str(if begins && !goes_on { "each" } else { target });
        rest = after;
    }
    out + rest
}

/// The certificate that a finding blames.
fn blamed(finding: &Finding) -> Option<String> {
    let seen = finding.evidence.iter().find_map(|e| e.fingerprint).map(|print| print.to_string());
    seen.or_else(|| finding.facts.iter().find(|(name, _)| *name == "sha256").map(|(_, print)| print.clone()))
}

/// The findings about targets, joined by code and by the certificate that they blame, unless that is the target's own.
fn groups(report: &Report) -> Vec<Group<'_>> {
    // Of several with the same text the first.
    let endpoints: BTreeMap<&str, &Endpoint> = report.facts.endpoints.iter().rev().map(|e| (e.target.text.as_str(), e)).collect();
    let leaf = |target: &str| Some(endpoints.get(target)?.outcome.as_ref().ok()?.certificates.first()?.fingerprint().to_string());
    let mut groups: Vec<(Key, Group<'_>)> = Vec::new();
    for finding in report.findings.iter().filter(|f| f.severity > Severity::Note && !report.tells_already(f)) {
        let Some(target) = finding.targets.first() else { continue };
        let key = (finding.severity, finding.code, blamed(finding).filter(|print| leaf(target).as_ref() != Some(print)));
        let targets = finding.targets.iter().map(String::as_str);
        match groups.iter_mut().find(|(known, _)| *known == key) {
            Some((_, group)) => {
                group.findings.push(finding);
                group.targets.extend(targets);
            }
            None => groups.push((key, Group { findings: vec![finding], targets: targets.collect() })),
        }
    }
    groups.into_iter().map(|(_, group)| group).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_each_only_where_its_name_stands_alone() {
        assert_eq!(without("a.test refuses a.test: see a.test.", "a.test"), "each refuses each: see each.");
        for other in ["data.test", "www.a.test", "a.test.example", "a.tests", "a.test-2"] {
            assert_eq!(without(&format!("{other} is not a.test"), "a.test"), format!("{other} is not each"));
        }
        assert_eq!(without("port 1 of 10.0.0.1:1", "1"), "port each of 10.0.0.1:each");
        assert_eq!(without("text", ""), "text");
    }
}
