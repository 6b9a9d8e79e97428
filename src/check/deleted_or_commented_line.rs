//! CD408.

use crate::{
    edit::Applicability,
    facts::{Selection, Source, SourceOwner, Store},
    finding::{Evidence, Finding, Intent, Remedy, Severity},
};

use super::{Case, support};

rule! {
    /// **What it means.** A certificate of the package was taken out by deleting its line in the configuration or by putting `#`
    /// before it. On Debian that is half a removal: a plain refresh leaves the link in the hash directory, Java's keystore is
    /// never told, and the next package upgrade takes the certificate for a new one and enables it again. On Alpine it works at
    /// once, and is only worth knowing.
    ///
    /// **How it is found.** Files of the package that no line, or only a comment, names.
    ///
    /// **What to do.** Write `!name` instead and refresh; then `!` survives upgrades.
    ///
    /// **Sources.** Debian's ca-certificates config and postinst scripts; recorded runs `fixtures/roots/debian` 02, 04 and 62.
    "CD408" "deleted-or-commented-line" Warning "a certificate was taken out by deleting or commenting its line"
}

fn run(case: &Case<'_>, out: &mut Vec<Finding>) {
    for store in &case.facts.stores {
        let Some(configuration) = &store.configuration else { continue };
        // A last line that the tool never sees names its certificate in vain: that is told by another check.
        let taken_out = |s: &&Source| {
            let taken_out = s.selection == Selection::Commented || s.selection == Selection::Unlisted && s.line.is_none();
            s.owner == SourceOwner::Package && taken_out
        };
        let sources: Vec<&Source> = store.sources.iter().filter(taken_out).collect();
        // Names that the tool never sees for another reason are told there.
        let unseen = configuration.bytes.windows(2).any(|pair| pair == b"\r\n");
        if sources.is_empty() || unseen {
            continue;
        }
        let names: Vec<String> = sources.iter().map(|s| support::text(&s.name)).collect();
        let what = match &names[..] {
            [name] => format!("{name} was taken out by deleting or commenting its line"),
            _ => format!("{} were taken out by deleting or commenting their lines", support::count(names.len(), "certificate")),
        };
        let message = if store.kind == "alpine" { what } else { format!("{what}: the next upgrade enables it again") };
        let mut finding = Finding::new(&CHECK, configuration.path.to_string(), message);
        if store.kind == "alpine" {
            finding.severity = Severity::Note;
        }
        finding.facts.push(("certificates", support::list(&names, 8)));
        let place = |s: &&Source| match s.line {
            Some(line) => Evidence::file(&configuration.path, Some(line), "commented out"),
            None => Evidence::file(&s.file.path, None, "no line names it"),
        };
        finding.evidence = sources.iter().map(place).collect();
        finding.remedies.push(remedy(store, &sources));
        out.push(finding);
    }
}

fn remedy(store: &Store, sources: &[&Source]) -> Remedy {
    let conf = store.configuration.as_ref().map_or_else(String::new, |c| support::shell(&c.path.to_string()));
    let steps = sources.iter().take(4).map(|s| {
        let name = support::text(&s.name);
        match s.selection {
            Selection::Commented => {
                let pattern: String =
                    name.chars().flat_map(|c| if "\\.[]*^$|".contains(c) { vec!['\\', c] } else { vec![c] }).collect();
                format!("sed -i {} {conf}", support::shell(&format!("s|^#[ \\t]*{pattern}$|!{name}|")))
            }
            _ => format!("echo {} >> {conf}", support::shell(&format!("!{name}"))),
        }
    });
    let mut steps: Vec<String> = steps.collect();
    steps.extend(support::refresh(store, true));
    let command = (sources.len() <= 4).then(|| steps.join(" && "));
    let text = "deselect by `!name`, which survives upgrades, and refresh";
    Remedy::new(Intent::Repair(store.location.clone()), Applicability::Manual, text, command)
}

#[cfg(test)]
mod tests {
    use super::{super::testing::*, *};

    fn without(selection: Selection, conf: &str, line: Option<u32>) -> Store {
        let mut store = debian(&[("mozilla/U.crt", STORE_U), ("mozilla/A.crt", STORE_A)]);
        configure(&mut store, conf);
        store.sources[1].selection = selection;
        store.sources[1].line = line;
        store
    }

    #[test]
    fn catches_a_comment() {
        let store = without(Selection::Commented, "mozilla/U.crt\n#mozilla/A.crt\n", Some(2));
        let finding = World::at(LAB).store(store).one(&CHECK);
        assert_eq!(
            finding.message,
            "mozilla/A.crt was taken out by deleting or commenting its line: the next upgrade enables it again"
        );
        assert_eq!(finding.evidence[0].line, Some(2));
        let command = finding.remedies[0].command.as_deref().expect("a command");
        assert!(
            command.starts_with(r"sed -i 's|^#[ \t]*mozilla/A\.crt$|!mozilla/A.crt|' /etc/ca-certificates.conf && "),
            "{command}"
        );
    }

    #[test]
    fn catches_a_deleted_line() {
        let mut store = without(Selection::Unlisted, "mozilla/U.crt\n", None);
        let finding = World::at(LAB).store(store.clone()).one(&CHECK);
        assert!(finding.remedies[0].command.as_deref().is_some_and(|c| c.contains("echo '!mozilla/A.crt' >>")));
        store.kind = "alpine";
        assert_eq!(World::at(LAB).store(store).one(&CHECK).severity, Severity::Note);
    }

    #[test]
    fn is_silent_about_deselected_and_local_ones() {
        let store = without(Selection::Deselected, "mozilla/U.crt\n!mozilla/A.crt\n", Some(2));
        World::at(LAB).store(store).silent(&CHECK);
        World::at(LAB).store(debian(&[("corp.crt", STORE_U)])).silent(&CHECK);
    }
}
