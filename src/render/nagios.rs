//! One line of a monitoring plugin, with performance data, and its exit status 0, 1, 2 or 3.
//!
//! Source: Monitoring Plugins Development Guidelines, "Plugin Output" and "Performance data" (`'label'=value[UOM];[warn];[crit]`; `|`
//! begins the data, so that none may stand in the text).

use crate::{finding::Severity, render::conclusion::Conclusion, report::Report};

/// The line, and what else is to be said below it.
#[must_use]
pub fn render(report: &Report) -> String {
    let state = ["OK", "WARNING", "CRITICAL", "UNKNOWN"][usize::from(status(report))];
    let mut out = format!("CERTDOCTOR {state} - {} | {}\n", plain(&Conclusion::of(report).line()), data(report).join(" "));
    for finding in report.findings.iter().filter(|f| f.severity > Severity::Note) {
        out.push_str(&format!("{}: {}\n", finding.code, plain(&finding.message)));
    }
    for trouble in report.troubles() {
        out.push_str(&format!("{}: {}: {}\n", trouble.what, plain(&trouble.subject), plain(&trouble.why)));
    }
    out
}

/// A plugin that could not look.
#[must_use]
pub fn unknown(why: &str) -> String {
    format!("CERTDOCTOR UNKNOWN - {}\n", plain(why))
}

/// 0 in order, 1 a warning, 2 an error or a refusal, 3 when nothing could be looked at.
#[must_use]
pub fn status(report: &Report) -> u8 {
    let endpoints = &report.facts.endpoints;
    if report.is_failed() {
        // A target that does not answer is down, whatever the reason: that is what monitoring asks.
        return 2;
    }
    match report.findings.iter().map(|f| f.severity).max() {
        Some(Severity::Error) => 2,
        Some(Severity::Warning) => 1,
        _ if endpoints.is_empty()
            && report.facts.stores.is_empty()
            && report.facts.renewal.is_none()
            && report.facts.dockerfile.is_none()
            && report.facts.given.is_none() =>
        {
            3
        }
        _ => 0,
    }
}

/// Counts, and the days that are left to each target and lineage.
fn data(report: &Report) -> Vec<String> {
    let count = |severity| report.findings.iter().filter(|f| f.severity == severity).count();
    let mut out = vec![
        format!("errors={};;0;0", count(Severity::Error)),
        format!("warnings={};0;;0", count(Severity::Warning)),
        format!("unchecked={};;;0", report.facts.not_checked.len()),
    ];
    let mut days = |name: &str, end: Option<crate::base::At>| {
        out.extend(end.map(|end| format!("'{}_days'={}", name.replace(['\'', '=', '|'], "_"), report.at.days_until(end))));
    };
    for endpoint in &report.facts.endpoints {
        let sent = endpoint.outcome.as_ref().map(|p| p.certificates.as_slice()).unwrap_or_default();
        days(&endpoint.target.text, sent.iter().filter_map(|c| c.validity().not_after).min());
    }
    for lineage in report.facts.renewal.iter().flat_map(|r| &r.lineages) {
        days(&lineage.name, lineage.leaf().and_then(|leaf| leaf.validity().not_after));
    }
    out
}

/// Text without what has a meaning in a plugin's output.
fn plain(text: &str) -> String {
    text.replace('|', "/").replace(['\n', '\r'], " ")
}
