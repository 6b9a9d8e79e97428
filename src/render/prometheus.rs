//! Metrics in Prometheus' text format, for the textfile collector of node_exporter.
//!
//! Expiry is told apart by what it is the expiry of: an anchor, a presented certificate, the earliest of a target, and the earliest on
//! the path that each client takes, which is what an outage depends on. What could not be read is a metric of its own: silence must not
//! look like health.
//!
//! Source: prometheus.io, "Exposition formats" (one `HELP` and `TYPE` a metric, its samples together; `\`, `"` and LF escaped in label
//! values).

use std::{collections::HashSet, fmt::Write as _};

use crate::{
    base::At,
    finding::Severity,
    path::Verdict,
    report::{Report, Verifier},
    x509::Certificate,
};

/// The report as metrics.
#[must_use]
pub fn render(report: &Report) -> String {
    let mut out = String::new();
    anchors(&mut out, report);
    targets(&mut out, report);
    clients(&mut out, report);
    verified(&mut out, report);
    lineages(&mut out, report);
    run(&mut out, report);
    out
}

/// One metric: its help, its type, and its samples.
struct Metric<'a> {
    out: &'a mut String,
    name: &'static str,
    /// The labels that have a sample: a second one would make the whole file unreadable.
    seen: HashSet<String>,
}

impl<'a> Metric<'a> {
    fn gauge(out: &'a mut String, name: &'static str, help: &str) -> Self {
        let _ = writeln!(out, "# HELP certdoctor_{name} {help}\n# TYPE certdoctor_{name} gauge");
        Metric { out, name, seen: HashSet::new() }
    }

    fn sample(&mut self, labels: &[(&str, &str)], value: i64) {
        let labels: Vec<String> = labels.iter().map(|(name, value)| format!("{name}=\"{}\"", escaped(value))).collect();
        let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
        if !self.seen.contains(&labels) {
            let _ = writeln!(self.out, "certdoctor_{}{labels} {value}", self.name);
            self.seen.insert(labels);
        }
    }
}

fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

fn end(certificate: &Certificate) -> Option<At> {
    certificate.validity().not_after
}

fn anchors(out: &mut String, report: &Report) {
    if report.facts.stores.is_empty() {
        return;
    }
    let mut metric = Metric::gauge(out, "anchor_not_after_seconds", "End of validity of a trust anchor, Unix time.");
    for store in &report.facts.stores {
        for anchor in store.anchors() {
            let (print, label) = (anchor.certificate.fingerprint().to_string(), anchor.certificate.label());
            let labels =
                [("store", store.kind), ("location", &store.location.to_string()), ("label", &label), ("sha256", &print)];
            if let Some(end) = end(&anchor.certificate) {
                metric.sample(&labels, end.0);
            }
        }
    }
    let mut metric = Metric::gauge(out, "store_anchors", "Trust anchors in a store.");
    for store in &report.facts.stores {
        let count = i64::try_from(store.anchors().len()).unwrap_or(i64::MAX);
        metric.sample(&[("store", store.kind), ("location", &store.location.to_string())], count);
    }
}

fn targets(out: &mut String, report: &Report) {
    let endpoints = &report.facts.endpoints;
    if endpoints.is_empty() {
        return;
    }
    let mut metric = Metric::gauge(out, "target_up", "Whether a target presented certificates.");
    for endpoint in endpoints {
        metric.sample(&[("target", &endpoint.target.text)], i64::from(endpoint.outcome.is_ok()));
    }
    let presented = || endpoints.iter().filter_map(|e| Some((e.target.text.as_str(), &e.outcome.as_ref().ok()?.certificates)));
    let mut metric = Metric::gauge(out, "presented_not_after_seconds", "End of validity of a presented certificate, Unix time.");
    for (target, certificates) in presented() {
        for (position, certificate) in certificates.iter().enumerate() {
            let (position, print) = (position.to_string(), certificate.fingerprint().to_string());
            let labels = [("target", target), ("position", &position), ("label", &certificate.label()), ("sha256", &print)];
            if let Some(end) = end(certificate) {
                metric.sample(&labels, end.0);
            }
        }
    }
    let help = "The earliest end of validity among everything that a target presents, Unix time.";
    let mut metric = Metric::gauge(out, "target_earliest_not_after_seconds", help);
    for (target, certificates) in presented() {
        if let Some(end) = certificates.iter().filter_map(end).min() {
            metric.sample(&[("target", target)], end.0);
        }
    }
}

fn clients(out: &mut String, report: &Report) {
    let endpoints = &report.facts.endpoints;
    if report.verdicts.is_empty() {
        return;
    }
    let mut metric = Metric::gauge(out, "client_accepts", "Whether a client accepts what a target presents, by its model.");
    for verdict in &report.verdicts {
        let accepts = match verdict.verdict {
            Verdict::Trusted { .. } => 1,
            Verdict::Untrusted { .. } => 0,
            // Neither: a sample would have to say one of the two.
            Verdict::Unknown(_) => continue,
        };
        metric.sample(&[("target", &endpoints[verdict.endpoint].target.text), ("client", &verdict.client)], accepts);
    }
    let help =
        "The earliest end of validity on the path that a client takes, Unix time; anchors whose dates it ignores left out.";
    let mut metric = Metric::gauge(out, "client_earliest_not_after_seconds", help);
    for verdict in &report.verdicts {
        let Verdict::Trusted { path } = &verdict.verdict else { continue };
        let ignored = usize::from(verdict.profile.ignores_anchor_dates && path.len() > 1);
        if let Some(end) = path[..path.len() - ignored].iter().filter_map(end).min() {
            metric.sample(&[("target", &endpoints[verdict.endpoint].target.text), ("client", &verdict.client)], end.0);
        }
    }
}

fn verified(out: &mut String, report: &Report) {
    if report.verified.is_empty() {
        return;
    }
    let help = "Whether a fresh handshake verified; targets that a client can't talk to left out.";
    let mut metric = Metric::gauge(out, "verified", help);
    for one in &report.verified {
        let Some(trusted) = one.trusted else { continue };
        let by = match one.verifier {
            Verifier::Model => "model",
            Verifier::Program => "program",
            Verifier::Rustls => "rustls",
        };
        let decides = if one.decides { "yes" } else { "no" };
        let labels = [("target", one.target.as_str()), ("client", &one.client), ("verifier", by), ("decides", decides)];
        metric.sample(&labels, i64::from(trusted));
    }
}

fn lineages(out: &mut String, report: &Report) {
    let Some(renewal) = &report.facts.renewal else { return };
    let help = "End of validity of the newest certificate that a manager keeps under a name, Unix time.";
    let mut metric = Metric::gauge(out, "lineage_not_after_seconds", help);
    for lineage in &renewal.lineages {
        if let Some(end) = lineage.leaf().and_then(end) {
            metric.sample(&[("manager", lineage.manager), ("name", &lineage.name)], end.0);
        }
    }
    let mut metric =
        Metric::gauge(out, "lineage_in_order", "Whether nothing was found that keeps it from being renewed or served.");
    for (index, lineage) in renewal.lineages.iter().enumerate() {
        let in_order = report.headlines.iter().all(|h| h.lineage != index || h.cause.is_none());
        metric.sample(&[("manager", lineage.manager), ("name", &lineage.name)], i64::from(in_order));
    }
}

fn run(out: &mut String, report: &Report) {
    let mut metric = Metric::gauge(out, "findings", "Findings of the last run.");
    for (word, severity) in [("error", Severity::Error), ("warning", Severity::Warning), ("note", Severity::Note)] {
        let mut codes: Vec<&str> = report.findings.iter().filter(|f| f.severity == severity).map(|f| f.code).collect();
        codes.sort_unstable();
        let all = codes.clone();
        codes.dedup();
        for code in codes {
            let count = all.iter().filter(|c| **c == code).count();
            metric.sample(&[("severity", word), ("code", code)], i64::try_from(count).unwrap_or(i64::MAX));
        }
    }
    let unchecked = i64::try_from(report.facts.not_checked.len()).unwrap_or(i64::MAX);
    Metric::gauge(out, "read_errors", "Places that could not be looked at.").sample(&[], unchecked);
    if unchecked > 0 {
        let mut metric = Metric::gauge(out, "read_error_info", "A place that could not be looked at, and why.");
        for (what, why) in &report.facts.not_checked {
            metric.sample(&[("what", what), ("why", why)], 1);
        }
    }
    let troubles = i64::try_from(report.troubles().len()).unwrap_or(i64::MAX);
    Metric::gauge(out, "troubles", "What could not be changed, was taken back, or did not verify.").sample(&[], troubles);
    Metric::gauge(out, "run_timestamp_seconds", "The instant of judgement, Unix time.").sample(&[], report.at.0);
    let labels = [("version", env!("CARGO_PKG_VERSION")), ("command", report.command)];
    Metric::gauge(out, "build_info", "This program.").sample(&labels, 1);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn label_values_are_escaped() {
        let mut out = String::new();
        Metric::gauge(&mut out, "x", "X.").sample(&[("a", "b\"\\\n")], 1);
        assert_eq!(out, "# HELP certdoctor_x X.\n# TYPE certdoctor_x gauge\ncertdoctor_x{a=\"b\\\"\\\\\\n\"} 1\n");
    }
}
