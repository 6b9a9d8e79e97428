//! Markdown, for a comment under a pull request or a ticket.

use crate::{
    finding::{Finding, Severity},
    path::Verdict,
    render::conclusion::Conclusion,
    report::Report,
};

/// The report as Markdown.
#[must_use]
pub fn render(report: &Report) -> String {
    let mut out = format!("### certdoctor {}: {}\n", report.command, inline(&Conclusion::of(report).line()));
    targets(&mut out, report);
    if !report.findings.is_empty() {
        out.push_str("\n| | finding | what | where |\n|---|---|---|---|\n");
        for finding in &report.findings {
            out.push_str(&row(report, finding));
        }
    }
    let causes = report.causes.iter().flatten().chain(report.headlines.iter().filter_map(|h| h.cause.as_ref()));
    let mut told: Vec<usize> = causes.copied().collect();
    told.sort_unstable();
    told.dedup();
    for finding in told.iter().filter_map(|i| report.findings.get(*i)) {
        out.push_str(&format!("\n**{}: {}**\n\n", finding.code, inline(&finding.message)));
        for (name, value) in &finding.facts {
            out.push_str(&format!("* {}: {}\n", inline(name), inline(value)));
        }
        for remedy in &finding.remedies {
            out.push_str(&format!("* help: {}\n", inline(&remedy.text)));
            out.extend(remedy.command.as_ref().map(|command| format!("  {}\n", code(command))));
        }
    }
    let troubles = report.troubles();
    if !troubles.is_empty() {
        out.push('\n');
        for trouble in troubles {
            out.push_str(&format!("* **{}**: {}: {}\n", trouble.what, inline(&trouble.subject), inline(&trouble.why)));
        }
    }
    if let Some(plan) = report.plan.as_ref().filter(|plan| !plan.diff.is_empty()) {
        let diff = String::from_utf8_lossy(&plan.diff);
        let fence = fence(&diff);
        out.push_str(&format!("\n{fence}diff\n{diff}{fence}\n"));
    }
    if !report.facts.not_checked.is_empty() {
        out.push_str("\nNot checked:\n\n");
        for (what, why) in &report.facts.not_checked {
            out.push_str(&format!("* {}: {}\n", inline(what), inline(why)));
        }
    }
    out
}

fn targets(out: &mut String, report: &Report) {
    let endpoints = &report.facts.endpoints;
    if endpoints.is_empty() {
        return;
    }
    out.push_str("\n| target | accepted by | refused by |\n|---|---|---|\n");
    for (index, endpoint) in endpoints.iter().enumerate() {
        let verdicts = || crate::check::of_endpoint(&report.verdicts, index).iter();
        let refusing: Vec<&str> =
            verdicts().filter(|v| matches!(v.verdict, Verdict::Untrusted { .. })).map(|v| v.client.as_str()).collect();
        let accepting = verdicts().filter(|v| v.verdict.is_trusted()).count();
        let refusing = match &endpoint.outcome {
            Err(failure) => inline(&failure.to_string()),
            Ok(_) if refusing.is_empty() => "–".to_owned(),
            Ok(_) => inline(&refusing.join(", ")),
        };
        out.push_str(&format!("| {} | {accepting} clients | {refusing} |\n", cell(&endpoint.target.text)));
    }
}

fn row(report: &Report, finding: &Finding) -> String {
    let mark = match finding.severity {
        Severity::Error => "❌",
        Severity::Warning => "⚠️",
        Severity::Note => "ℹ️",
    };
    let place = finding.evidence.iter().find_map(|e| {
        let line = e.line.map(|line| format!(":{line}")).unwrap_or_default();
        Some(code(&format!("{}{line}", report.place(e.path.as_ref()?))))
    });
    let place = place.unwrap_or_else(|| finding.targets.iter().map(|t| code(t)).collect::<Vec<_>>().join(", "));
    format!("| {mark} | {} {} | {} | {} |\n", finding.code, finding.slug, cell(&finding.message), place.replace('|', "\\|"))
}

/// Text in which nothing is markup: what a server or a file says must not become a link or HTML.
fn inline(text: &str) -> String {
    let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let mut out = String::with_capacity(text.len());
    for word in text.split_inclusive(char::is_whitespace) {
        let bare = word.trim_end();
        let lower = bare.to_ascii_lowercase();
        // GFM makes links of bare addresses (section 6.9): in a code span they stay text.
        if lower.contains("://") || lower.contains("www.") {
            out.push_str(&code(bare));
            out.push_str(&word[bare.len()..]);
            continue;
        }
        for c in word.chars() {
            if matches!(c, '\\' | '`' | '*' | '_' | '[' | ']' | '<' | '>' | '#' | '~' | '@' | '&') {
                out.push('\\');
            }
            out.push(c);
        }
    }
    out
}

fn cell(text: &str) -> String {
    inline(text).replace('|', "\\|")
}

/// A code span that holds any text (CommonMark, section 6.1).
fn code(text: &str) -> String {
    let text = text.replace(['\n', '\r'], " ");
    let ticks = "`".repeat(longest_run(&text, '`') + 1);
    if text.contains('`') { format!("{ticks} {text} {ticks}") } else { format!("{ticks}{text}{ticks}") }
}

/// A fence that the text can't close.
fn fence(text: &str) -> String {
    "`".repeat(longest_run(text, '`').max(2) + 1)
}

fn longest_run(text: &str, of: char) -> usize {
    text.split(|c| c != of).map(str::len).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_words_stay_words() {
        assert_eq!(inline("<b>[x](y)\n@all"), "\\<b\\>\\[x\\](y) \\@all");
        assert_eq!(inline("AT&T &lt;b&gt;"), "AT\\&T \\&lt;b\\&gt;");
        assert_eq!(inline("see https://x.test/_a, or WWW.x.test now"), "see `https://x.test/_a,` or `WWW.x.test` now");
        assert_eq!(cell("x://`|` y"), "`` x://`\\|` `` y");
        assert_eq!(code("a`b"), "`` a`b ``");
        assert_eq!(code("plain"), "`plain`");
        assert_eq!(fence("x ```` y"), "`````");
    }
}
