//! Workflow commands of GitHub Actions: one annotation a finding, and the verdict as a notice.
//!
//! Source: docs.github.com, "Workflow commands for GitHub Actions" (`::error file=…,line=…,title=…::message`; `%`, CR and LF are
//! escaped in a message, and `:` and `,` too in a property).

use crate::{
    finding::{Finding, Severity},
    render::conclusion::Conclusion,
    report::Report,
};

/// The report as annotations.
#[must_use]
pub fn render(report: &Report) -> String {
    let mut out = String::new();
    for finding in &report.findings {
        out.push_str(&annotation(report, finding));
    }
    for trouble in report.troubles() {
        let title = property(&format!("{}: {}", trouble.what, trouble.subject));
        out.push_str(&format!("::error title={title}::{}\n", data(&trouble.why)));
    }
    let worst = report.findings.iter().map(|f| f.severity).max();
    let command = if report.is_failed() || worst == Some(Severity::Error) { "error" } else { "notice" };
    out.push_str(&format!("::{command} title=certdoctor {}::{}\n", report.command, data(&Conclusion::of(report).line())));
    out
}

fn annotation(report: &Report, finding: &Finding) -> String {
    let command = match finding.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Note => "notice",
    };
    let mut properties = Vec::new();
    if let Some((path, line)) = finding.evidence.iter().find_map(|e| Some((e.path.as_ref()?, e.line))) {
        properties.push(format!("file={}", property(&report.place(path))));
        properties.extend(line.map(|line| format!("line={line}")));
    }
    properties.push(format!("title={}", property(&format!("{} {}", finding.code, finding.slug))));
    let mut message = finding.message.clone();
    for remedy in finding.remedies.iter().take(1) {
        message.push_str(&format!("\nhelp: {}", remedy.text));
        message.extend(remedy.command.as_ref().map(|command| format!("\n$ {command}")));
    }
    format!("::{command} {}::{}\n", properties.join(","), data(&message))
}

fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_end_a_command_is_escaped() {
        assert_eq!(data("100 %\nno: a, b"), "100 %25%0Ano: a, b");
        assert_eq!(property("a:b,c\r"), "a%3Ab%2Cc%0D");
    }
}
