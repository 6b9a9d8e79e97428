//! JUnit's XML, for the test panes of CI systems: what was looked at is a suite of tests, and each finding at or above `--fail-on` a
//! failed one.
//!
//! Source: the schema that the Jenkins xUnit plugin publishes (`junit-10.xsd`), which is the common ground of those that read it.

use std::collections::BTreeSet;

use crate::{facts::Endpoint, finding::Finding, report::Report};

/// The report as XML.
#[must_use]
pub fn render(report: &Report) -> String {
    let fails = |f: &&Finding| f.severity >= report.fail_on;
    let (failed, passed): (Vec<&Finding>, Vec<&Finding>) = report.findings.iter().partition(fails);
    let sound = sound(report, &failed);
    let unexplained: Vec<&str> = unexplained(report, &failed);
    let troubles = report.troubles();
    let tests = failed.len() + passed.len() + sound.len() + unexplained.len() + troubles.len() + report.facts.not_checked.len();
    let failures = failed.len() + unexplained.len() + troubles.len();
    let name = format!("certdoctor {}", report.command);
    let mut out = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n  <testsuite name=\"{}\" tests=\"{tests}\" failures=\"{failures}\" \
         errors=\"0\" skipped=\"{}\" timestamp=\"{}\">\n",
        escaped(&name),
        report.facts.not_checked.len(),
        report.at.to_string().trim_end_matches('Z'),
    );
    for finding in failed {
        let kind = format!("{} {}", finding.code, finding.slug);
        out.push_str(&format!(
            "    <testcase classname=\"{}\" name=\"{}\">\n      <failure type=\"{}\" message=\"{}\">{}</failure>\n    </testcase>\n",
            escaped(&format!("certdoctor.{}", finding.code)),
            escaped(&finding.subject),
            escaped(&kind),
            escaped(&finding.message),
            escaped(&details(report, finding)),
        ));
    }
    for target in unexplained {
        out.push_str(&format!(
            "    <testcase classname=\"certdoctor.target\" name=\"{}\">\n      <failure type=\"refused\" message=\"refused\"></failure>\n    \
             </testcase>\n",
            escaped(target)
        ));
    }
    for trouble in &troubles {
        out.push_str(&format!(
            "    <testcase classname=\"certdoctor.{}\" name=\"{}\">\n      <failure type=\"{}\" message=\"{}\"></failure>\n    \
             </testcase>\n",
            trouble.what.replace(' ', "-"),
            escaped(&trouble.subject),
            trouble.what,
            escaped(&trouble.why)
        ));
    }
    for finding in passed {
        out.push_str(&format!(
            "    <testcase classname=\"{}\" name=\"{}\">\n      <system-out>{}</system-out>\n    </testcase>\n",
            escaped(&format!("certdoctor.{}", finding.code)),
            escaped(&finding.subject),
            escaped(&format!("{}\n{}", finding.message, details(report, finding))),
        ));
    }
    for (class, name) in sound {
        out.push_str(&format!("    <testcase classname=\"certdoctor.{class}\" name=\"{}\"/>\n", escaped(&name)));
    }
    for (what, why) in &report.facts.not_checked {
        out.push_str(&format!(
            "    <testcase classname=\"certdoctor.not-checked\" name=\"{}\">\n      <skipped message=\"{}\"/>\n    </testcase>\n",
            escaped(what),
            escaped(why)
        ));
    }
    out.push_str("  </testsuite>\n</testsuites>\n");
    out
}

/// What was looked at and is well: a report without a passed test looks as if nothing had run.
fn sound(report: &Report, failed: &[&Finding]) -> Vec<(&'static str, String)> {
    // A run that found nothing to look at must not look as if it had not been made.
    let mut out = vec![("run", report.command.to_owned())];
    for store in &report.facts.stores {
        let place = store.location.to_string();
        let touched = |f: &&Finding| f.evidence.iter().filter_map(|e| e.path.as_ref()).any(|p| p.starts_with(&store.location));
        if !failed.iter().any(touched) {
            out.push(("store", format!("{} {place}", store.title)));
        }
    }
    let told = targets(failed);
    for (index, endpoint) in report.facts.endpoints.iter().enumerate() {
        let text = &endpoint.target.text;
        if !report.refuses(index) && !told.contains(text.as_str()) {
            out.push(("target", text.clone()));
        }
    }
    for verified in report.verified.iter().filter(|v| v.trusted == Some(true)) {
        out.push(("verified", format!("{} {}", verified.target, verified.client)));
    }
    for lineage in report.facts.renewal.iter().flat_map(|r| &r.lineages) {
        if !failed.iter().any(|f| f.is_about(lineage)) {
            out.push(("certificate", format!("{} {}", lineage.manager, lineage.name)));
        }
    }
    out
}

/// The targets that are refused although no finding fails because of it.
fn unexplained<'a>(report: &'a Report, failed: &[&Finding]) -> Vec<&'a str> {
    let endpoints = report.facts.endpoints.iter().enumerate();
    let told = targets(failed);
    let untold = |(i, e): &(usize, &Endpoint)| report.refuses(*i) && !told.contains(e.target.text.as_str());
    endpoints.filter(untold).map(|(_, e)| e.target.text.as_str()).collect()
}

/// The targets that these findings name.
fn targets<'a>(findings: &[&'a Finding]) -> BTreeSet<&'a str> {
    findings.iter().flat_map(|f| &f.targets).map(String::as_str).collect()
}

fn details(report: &Report, finding: &Finding) -> String {
    let mut out = String::new();
    for evidence in &finding.evidence {
        let line = evidence.line.map(|line| format!(":{line}")).unwrap_or_default();
        out.extend(evidence.path.as_ref().map(|path| format!("{}{line} {}\n", report.place(path), evidence.what)));
    }
    for (name, value) in &finding.facts {
        out.push_str(&format!("{name}: {value}\n"));
    }
    for remedy in &finding.remedies {
        out.push_str(&format!("help: {}\n", remedy.text));
        out.extend(remedy.command.as_ref().map(|command| format!("$ {command}\n")));
    }
    out
}

/// Text for an element or attribute; characters that XML 1.0 forbids (section 2.2) become U+FFFD.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' => out.push_str("&#10;"),
            '\t' => out.push_str("&#9;"),
            c if (c < ' ') || matches!(c, '\u{fffe}' | '\u{ffff}') => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}
