//! The first screen: one line for each store and each target.

use super::{Style, plural, state};
use crate::{
    check::{ClientVerdict, of_endpoint},
    facts::{Protocol, Store, renewal::Lineage},
    finding::{Finding, Severity},
    path::Verdict,
    report::Report,
};

/// One line: how bad, what, where, and the state in words.
type Row = (Option<Severity>, String, String, String);

/// Writes the lines.
pub(super) fn lines(out: &mut String, report: &Report, style: Style) {
    let mut rows: Vec<Row> = Vec::new();
    let shows_stores = matches!(report.command, "scan" | "diagnose" | "fix" | "undo") || report.verbosity > 0;
    for store in report.facts.stores.iter().filter(|_| shows_stores) {
        rows.push((
            worst(&report.findings, |f| concerns(f, store)),
            store.title.clone(),
            store.location.to_string(),
            summary(report, store),
        ));
    }
    for redirect in report.facts.given.iter().flat_map(|g| &g.file) {
        let text = state(&redirect.state).unwrap_or_else(|| plural(redirect.certificates().count(), "root"));
        let severity = (!redirect.is_read()).then_some(Severity::Error);
        rows.push((severity, "CAfile".into(), redirect.path.to_string(), text));
    }
    for variable in &report.facts.environment.overrides {
        let severity = worst(&report.findings, |f| f.subject == variable.variable);
        if shows_stores || severity.is_some() {
            rows.push((severity, variable.variable.into(), variable.value.clone(), "redirects trust for some clients".into()));
        }
    }
    rows.extend(lineages(report));
    let single = report.facts.endpoints.iter().enumerate().filter(|_| !super::many::applies(report));
    for (index, endpoint) in single {
        let target = &endpoint.target.text;
        let (severity, text) = match &endpoint.outcome {
            Err(_) => (Some(Severity::Error), "no certificate seen".to_owned()),
            Ok(presented) => {
                let (severity, text) = refusals(of_endpoint(&report.verdicts, index).iter());
                match presented.protocol.filter(|p| *p <= Protocol::Tls11) {
                    Some(protocol) => (Some(Severity::Error), format!("{} only; the chain alone: {text}", protocol.name())),
                    None => (severity, text),
                }
            }
        };
        rows.push((severity, target.clone(), String::new(), text));
    }
    let width =
        |column: fn(&Row) -> &String| rows.iter().map(|r| column(r).chars().count()).filter(|n| *n <= 48).max().unwrap_or(0);
    let (first, second) = (width(|r| &r.1), width(|r| &r.2));
    for (severity, name, place, text) in &rows {
        let mark = match severity {
            Some(Severity::Error) => style.bad("[x] "),
            Some(Severity::Warning) => style.warn("[!] "),
            Some(Severity::Note) | None => style.good("[ok]"),
        };
        let place = if second == 0 { String::new() } else { format!("{place:<second$}  ") };
        out.push_str(format!("{mark} {name:<first$}  {place}{text}").trim_end());
        out.push('\n');
    }
}

/// One row for each certificate that this host keeps.
fn lineages(report: &Report) -> Vec<Row> {
    let lineages = report.facts.renewal.iter().flat_map(|renewal| &renewal.lineages);
    let row = |lineage: &Lineage| {
        let text = match lineage.leaf().and_then(|leaf| leaf.validity().not_after) {
            Some(end) if end < report.at => format!("expired {end}, {}", report.at.relative(end)),
            Some(end) => format!("valid until {end}, {}", report.at.relative(end)),
            None => "no certificate can be read".to_owned(),
        };
        let severity = worst(&report.findings, |f| f.is_about(lineage));
        (severity, lineage.name.clone(), lineage.manager.to_owned(), text)
    };
    lineages.map(row).collect()
}

/// The worst severity among the findings that `filter` takes.
fn worst(findings: &[Finding], filter: impl Fn(&Finding) -> bool) -> Option<Severity> {
    findings.iter().filter(|f| filter(f)).map(|f| f.severity).max()
}

/// Whether a finding lies in this store.
fn concerns(finding: &Finding, store: &Store) -> bool {
    let outputs = store.bundle.iter().map(|b| &b.path).chain(store.derived.iter().map(|d| &d.path));
    let conf = store.configuration.iter().map(|c| &c.path);
    let paths: Vec<_> = outputs.chain(conf).collect();
    finding.evidence.iter().filter_map(|e| e.path.as_ref()).any(|path| {
        paths.contains(&path)
            || store.directory.as_ref().is_some_and(|d| path.starts_with(&d.path))
            || store.sources.iter().any(|s| s.file.path == *path)
            || store.leftovers.contains(path)
    })
}

fn summary(report: &Report, store: &Store) -> String {
    if let Some(problem) = store.bundle.as_ref().and_then(|b| state(&b.state)) {
        return problem;
    }
    let anchors = store.anchors();
    let expired = anchors.iter().filter(|a| a.certificate.is_expired(report.at)).count();
    let mut text = plural(anchors.len(), "root");
    if expired > 0 {
        text.push_str(&format!(", {expired} expired"));
    }
    text
}

fn refusals<'a>(verdicts: impl Iterator<Item = &'a ClientVerdict>) -> (Option<Severity>, String) {
    let (mut refused, mut trusted, mut unknown) = (0, 0, 0);
    for verdict in verdicts {
        match verdict.verdict {
            Verdict::Trusted { .. } => trusted += 1,
            Verdict::Untrusted { .. } => refused += 1,
            Verdict::Unknown(_) => unknown += 1,
        }
    }
    let judged = refused + trusted;
    let tail = if unknown > 0 { format!(" ({unknown} can't be judged here)") } else { String::new() };
    match (refused, judged) {
        (_, 0) => (Some(Severity::Warning), format!("no client could be judged{tail}")),
        (0, n) => (None, format!("accepted by {}{tail}", plural(n, "client"))),
        (r, n) if r == n => (Some(Severity::Error), format!("refused by all {}{tail}", plural(n, "client"))),
        (r, n) => (Some(Severity::Error), format!("refused by {r} of {}{tail}", plural(n, "client"))),
    }
}
