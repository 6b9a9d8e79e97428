//! The clients: what each says about each target, and why.

use super::Style;
use crate::{
    check::{ClientVerdict, of_endpoint},
    facts::Protocol,
    path::Verdict,
    report::Report,
};

/// Clients that say the same.
struct Row<'a> {
    /// Refusals first, then consent, then silence.
    rank: u8,
    text: String,
    /// What would help them.
    help: Vec<String>,
    clients: Vec<&'a ClientVerdict>,
}

/// Writes the table of each target.
pub(super) fn all(out: &mut String, report: &Report, style: Style) {
    if !matches!(report.command, "inspect" | "diagnose" | "fix") {
        return;
    }
    for (index, endpoint) in report.facts.endpoints.iter().enumerate() {
        let verdicts: Vec<&ClientVerdict> = of_endpoint(&report.verdicts, index).iter().collect();
        if verdicts.is_empty() {
            continue;
        }
        let stores = match (&report.facts.given, &report.root) {
            (Some(_), _) => "the given CA file".to_owned(),
            (None, Some(root)) => format!("the stores of {root}"),
            (None, None) => "the stores of this host".to_owned(),
        };
        let old = endpoint.outcome.as_ref().is_ok_and(|p| p.protocol.is_some_and(|p| p <= Protocol::Tls11));
        let but = if old { " (its chain; what they say about its protocol is another matter)" } else { "" };
        let heading = format!("what clients with {stores} say about {}{but}", endpoint.target);
        out.push_str(&format!("\n{}\n", style.bold(&style.fold(&heading, 0, 2))));
        // Clients that say the same share a line; a refusal is shown before consent, consent before silence.
        let mut rows: Vec<Row<'_>> = Vec::new();
        for verdict in &verdicts {
            let (rank, text) = say(verdict, report.verbosity);
            let help = help(verdict, report.verbosity);
            match rows.iter_mut().find(|row| row.rank == rank && row.text == text && row.help == help) {
                Some(row) => row.clients.push(verdict),
                None => rows.push(Row { rank, text, help, clients: vec![verdict] }),
            }
        }
        rows.sort_by_key(|row| row.rank);
        for Row { rank, text, help, clients: row } in rows {
            let clients =
                if report.verbosity > 0 { row.iter().map(|v| v.client.clone()).collect() } else { names(&row, &verdicts) };
            let mark = match rank {
                0 => style.bad("[x] "),
                1 => style.good("[ok]"),
                _ => style.dim("[-] "),
            };
            let (clients, text) = (style.fold(&clients.join(", "), 5, 5), style.fold(&text, 5, 7));
            out.push_str(&format!("{mark} {clients}\n     {text}\n"));
            for line in help {
                out.push_str(&format!("     {}\n", style.fold(&line, 5, 7)));
            }
        }
    }
}

/// The clients of a row; a family that is there with every version that was asked is named once.
fn names(row: &[&ClientVerdict], all: &[&ClientVerdict]) -> Vec<String> {
    let of = |list: &[&ClientVerdict], family: &str| list.iter().filter(|v| v.profile.family == family).count();
    let mut names: Vec<String> = Vec::new();
    for verdict in row {
        let family = verdict.profile.family;
        let here = of(row, family);
        let name =
            if here > 1 && here == of(all, family) { format!("{family} ({here} versions)") } else { verdict.client.clone() };
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

/// For a refusal the smallest remedy that works, or that none of those tried does; with `-v` all that work.
fn help(verdict: &ClientVerdict, verbosity: i8) -> Vec<String> {
    if !matches!(verdict.verdict, Verdict::Untrusted { .. }) || verdict.would_help.is_empty() {
        return Vec::new();
    }
    let shown = if verbosity > 0 { usize::MAX } else { 1 };
    let lines: Vec<String> = verdict
        .would_help
        .iter()
        .filter(|trial| trial.trusts)
        .take(shown)
        .map(|trial| {
            let harms = if trial.harms.is_empty() { String::new() } else { format!(" (breaks: {})", trial.harms.join(", ")) };
            format!("accept if: {}{harms}", trial.words)
        })
        .collect();
    if lines.is_empty() { vec![format!("none of {} remedies that were tried helps", verdict.would_help.len())] } else { lines }
}

fn say(verdict: &ClientVerdict, verbosity: i8) -> (u8, String) {
    match &verdict.verdict {
        Verdict::Trusted { path } => {
            let anchor = path.last().map(|c| c.label()).unwrap_or_default();
            (1, if verbosity > 0 { format!("accept: {}", trail(path)) } else { format!("accept, by {anchor}") })
        }
        Verdict::Untrusted { path, errors } => {
            let text = match errors.first() {
                Some(first) => {
                    let depth = first.depth.map(|d| {
                        let who = path.get(d).map(|c| format!(", {}", c.label())).unwrap_or_default();
                        format!(" at depth {d}{who}")
                    });
                    let code = if !first.code.is_empty() && first.code.bytes().all(|c| c.is_ascii_digit()) {
                        format!("error {}: ", first.code)
                    } else {
                        String::new()
                    };
                    format!("refuse: {code}{}{}", first.text, depth.unwrap_or_default())
                }
                None => "refuse".to_owned(),
            };
            (0, if verbosity > 0 { format!("{text}; path: {}", trail(path)) } else { text })
        }
        Verdict::Unknown(why) => (2, format!("can't say: {why}")),
    }
}

fn trail(path: &[crate::x509::Certificate]) -> String {
    path.iter().map(|c| c.label()).collect::<Vec<_>>().join(" <- ")
}
