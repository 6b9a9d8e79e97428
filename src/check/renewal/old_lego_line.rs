//! CD724.

use crate::{
    base::shell,
    check::Case,
    edit::Applicability,
    facts::renewal::lego::LegoLine,
    finding::{Evidence, Finding, Intent, Remedy, Severity},
};

rule! {
    /// **What it means.** lego 5 is installed, and what runs it is written for lego 4: the command `renew` is gone (`run` does both), global options
    /// stand after the command now, several have other names, and the store has to be migrated once. Such a line does nothing but fail.
    ///
    /// **How it is found.** The program's major version, by the import paths in it; the lines of cron and systemd that run it; and
    /// `.json` files in the store that have no `id`.
    ///
    /// **What to do.** `lego migrate` once, then the new line.
    ///
    /// **Sources.** lego's migration guide (`docs/content/migration/cli.md`), 2026-05-11. Debian (sid: 4.35.2), PyPI and npm had no lego 5 in November 2026: the check was compared with a
    /// real lego 4 only, whose lines it leaves alone (`tests/njet.rs`).
    "CD724" "old-lego-line" Warning "lego 5 is run as if it were lego 4"
}

/// Options that have another name.
const RENAMED: &[(&str, &str)] = &[
    ("--days", "--renew-days"),
    ("--http.port", "--http.address"),
    ("--renew-hook", "--deploy-hook"),
    ("--run-hook", "--deploy-hook"),
    ("--tls.port", "--tls.address"),
];

fn run(case: &Case<'_>, out: &mut Vec<Finding>) {
    let Some(renewal) = &case.facts.renewal else { return };
    let lego = &renewal.lego;
    let version = |line: &LegoLine| {
        let word = line.words.first()?;
        let named = lego.programs.iter().find(|(path, _)| path.to_string() == *word);
        named.or_else(|| lego.programs.first().filter(|_| !word.starts_with('/'))).map(|(_, version)| *version)
    };
    for line in &lego.lines {
        let changes = changes(&line.words);
        if version(line).is_none_or(|v| v < 5) || changes.is_empty() {
            continue;
        }
        let message = format!("{} runs lego as version 4 was run, and version 5 is installed", line.path);
        let mut finding = Finding::new(&CHECK, format!("{}:{}", line.path, line.line), message);
        finding.facts = changes.iter().map(|change| ("has changed", change.clone())).collect();
        finding.evidence.push(Evidence::file(&line.path, Some(line.line), line.words.join(" ")));
        let store = lego.stores.iter().find(|s| s.found_by.contains(&format!("{}, line {}", line.path, line.line)));
        let store = store.or(lego.stores.first());
        let own = renewal.lineages.iter().filter(|l| l.manager == "lego");
        let lineages: Vec<_> = own.filter(|l| store.is_none_or(|s| l.path.starts_with(&s.path))).collect();
        if !lineages.is_empty() && lineages.iter().any(|l| l.leaf().is_none_or(|leaf| leaf.is_expired(case.at))) {
            finding.severity = Severity::Error;
        }
        finding.lineages = lineages.iter().map(|l| (l.manager, l.name.clone())).collect();
        if let Some(store) = store.filter(|s| !s.old.is_empty()) {
            finding
                .evidence
                .extend(store.old.iter().take(5).map(|path| Evidence::file(path, None, "of the form of version 4: no `id`")));
            let text = format!("first bring the store {} to the form of version 5 (keep a copy)", store.path);
            let command = format!("lego migrate --path {}", shell(&store.path.to_string()));
            finding.remedies.push(Remedy::new(Intent::Manual, Applicability::Manual, text, Some(command)));
        }
        let text = "then put this in the line's place, once it has run well by hand";
        finding.remedies.push(Remedy::new(Intent::Manual, Applicability::Manual, text, Some(renewed(&line.words))));
        out.push(finding);
    }
}

/// What version 5 does not take, in words.
fn changes(words: &[String]) -> Vec<String> {
    let mut found = Vec::new();
    let command = words.iter().position(|w| matches!(w.as_str(), "renew" | "run"));
    if words.iter().any(|w| w == "renew") {
        found.push("the command `renew` is `run` now".to_owned());
    }
    if command.is_some_and(|at| at > 1) {
        found.push("options stand behind the command".to_owned());
    }
    for (old, new) in RENAMED {
        if words.iter().any(|w| w == old || w.strip_prefix(old).is_some_and(|rest| rest.starts_with('='))) {
            found.push(format!("`{old}` is `{new}` now"));
        }
    }
    found
}

/// The line as version 5 takes it.
fn renewed(words: &[String]) -> String {
    let mut line = vec![words.first().cloned().unwrap_or_default(), "run".to_owned()];
    // The first is the command; behind it such a word is somebody's argument.
    let command = words.iter().skip(1).position(|w| matches!(w.as_str(), "renew" | "run"));
    for (_, word) in words.iter().skip(1).enumerate().filter(|(n, _)| Some(*n) != command) {
        let (name, value) = word.split_once('=').map_or((word.as_str(), None), |(name, value)| (name, Some(value)));
        let name = RENAMED.iter().find(|(old, _)| *old == name).map_or(name, |(_, new)| new);
        line.push(value.map_or_else(|| name.to_owned(), |value| format!("{name}={value}")));
    }
    line.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{check::testing::*, facts::renewal::lego::LegoStore};

    const LINE: &str = "/usr/bin/lego --path /etc/lego --email a@b --domains a.test renew --days 30 --renew-hook x";

    fn world(version: u32, line: &str) -> World {
        World::at("2026-11-22").renewal(|renewal| {
            renewal.lego.programs.push(("/usr/bin/lego".into(), version));
            let words = line.split(' ').map(str::to_owned).collect();
            renewal.lego.lines.push(LegoLine { path: "/etc/cron.d/lego".into(), line: 3, words });
            let old = vec!["/etc/lego/certificates/a.test.json".into()];
            renewal.lego.stores.push(LegoStore { path: "/etc/lego".into(), found_by: "a usual place".into(), old, new: 0 });
        })
    }

    #[test]
    fn a_line_of_version_4_is_rewritten() {
        let found = world(5, LINE).one(&CHECK);
        assert_eq!(found.remedies[0].command.as_deref(), Some("lego migrate --path /etc/lego"));
        let line = "/usr/bin/lego run --path /etc/lego --email a@b --domains a.test --renew-days 30 --deploy-hook x";
        assert_eq!(found.remedies[1].command.as_deref(), Some(line));
        assert_eq!(found.evidence[0].line, Some(3));
        world(5, line).silent(&CHECK);
        let found = world(5, "/usr/bin/lego --path /etc/lego renew --renew-hook 'systemctl run x'").one(&CHECK);
        let kept = "/usr/bin/lego run --path /etc/lego --deploy-hook 'systemctl run x'";
        assert_eq!(found.remedies[1].command.as_deref(), Some(kept));
    }

    #[test]
    fn version_4_takes_its_own_lines() {
        world(4, LINE).silent(&CHECK);
    }
}
