//! CD408.

use crate::{
    facts::{Configuration, Selection, Source, SourceOwner, Store},
    finding::{Evidence, Finding, Remedy, Severity},
};

use super::{
    Case,
    support::{self, Mended},
};

rule! {
    /// **What it means.** A certificate of the package was taken out by deleting its line in the configuration or by putting `#`
    /// before it. On Debian that is half a removal: a plain refresh leaves the link in the hash directory, Java's keystore is
    /// never told, and the next package upgrade takes the certificate for a new one and enables it again. On Alpine it works at
    /// once, and is only worth knowing. Where most lines are gone nobody meant that: the list was emptied or cut, and the next
    /// refresh takes the certificates of all the others out (an error).
    ///
    /// **How it is found.** Files of the package that no line, or only a comment, names. The list counts as lost when it names
    /// less than half of the package's certificates and the store still has the others, or when it names none.
    ///
    /// **What to do.** Put the line back; or, if the certificate is not to be trusted, write `!name` instead, which survives
    /// upgrades; then refresh. A lost list is filled again from the package's folder.
    ///
    /// **Sources.** Debian's ca-certificates config and postinst scripts; recorded runs `fixtures/roots/debian` 02, 04 and 62.
    "CD408" "deleted-or-commented-line" Warning "a certificate was taken out by deleting or commenting its line"
}

fn run(case: &Case<'_>, out: &mut Vec<Finding>) {
    for store in &case.facts.stores {
        let Some(configuration) = &store.configuration else { continue };
        let sources: Vec<&Source> = support::taken_out(store);
        if sources.is_empty() {
            continue;
        }
        let path = &configuration.path;
        let names: Vec<String> = sources.iter().map(|s| support::text(&s.name)).collect();
        let lost = support::is_list_lost(store);
        let what = match &names[..] {
            _ if lost && support::selected(store, &Mended::default()).all(|s| s.owner == SourceOwner::Local) => {
                format!(
                    "{path} names none of the {} of the package: the list is lost",
                    support::count(names.len(), "certificate")
                )
            }
            _ if lost => {
                format!("{path} does not name {} of the package: the list is cut", support::count(names.len(), "certificate"))
            }
            [name] => format!("{name} was taken out by deleting or commenting its line"),
            _ => format!("{} were taken out by deleting or commenting their lines", support::count(names.len(), "certificate")),
        };
        let message = if lost || store.kind == "alpine" { what } else { format!("{what}: the next upgrade enables it again") };
        let mut finding = Finding::new(&CHECK, path.to_string(), message);
        finding.severity = match (lost, store.kind) {
            (true, _) => Severity::Error,
            (false, "alpine") => Severity::Note,
            (false, _) => Severity::Warning,
        };
        finding.facts.push(("certificates", support::list(&names, 8)));
        let harm = support::refresh_effect(store, true, &Mended::default()).harm();
        finding.facts.extend(harm.map(|harm| ("the next refresh", harm)));
        let place = |s: &&Source| match s.line {
            Some(line) => Evidence::file(path, Some(line), "commented out"),
            None => Evidence::file(&s.file.path, None, "no line names it"),
        };
        finding.evidence = sources.iter().map(place).collect();
        finding.remedies = remedies(case, store, configuration, &sources, lost);
        out.push(finding);
    }
}

/// Putting the lines back and deselecting. What clients trust today is kept first, unless the administrator's will is plain.
fn remedies(case: &Case<'_>, store: &Store, configuration: &Configuration, sources: &[&Source], lost: bool) -> Vec<Remedy> {
    let command = |back: bool| match sources.len() {
        ..=4 => Some(edit(configuration, sources, back)),
        // Whoever deselects many has an editor.
        _ => back.then(|| restore(configuration)),
    };
    let repair = |text: &str, back: bool| {
        let mended = Mended { lines_back: Some(back), last_line: back, ..Mended::default() };
        support::repair(store, &configuration.path, text, command(back), true, &mended)
    };
    let mut remedies = vec![repair("put what was taken out back into the list", true)];
    if lost {
        if store.kind == "debian" {
            let text = "or have the package ask again which certificates to take";
            remedies.push(support::by_hand(text, Some("dpkg-reconfigure ca-certificates".into())));
        }
        return remedies;
    }
    let deselect = repair("deselect by `!name`, which survives upgrades", false);
    let meant = |s: &&Source| {
        let held = |c| store.bundle.as_ref().is_some_and(|b| support::holds(b, c));
        s.selection == Selection::Commented || s.file.certificates().all(|(_, c)| c.is_expired(case.at) || !held(c))
    };
    remedies.insert(if sources.iter().all(meant) { 0 } else { 1 }, deselect);
    remedies
}

/// The lines of a few sources, back as they were or behind `!`.
fn edit(configuration: &Configuration, sources: &[&Source], back: bool) -> String {
    let conf = support::shell(&configuration.path.to_string());
    let mark = if back { "" } else { "!" };
    let steps = sources.iter().map(|s| {
        let name = support::text(&s.name);
        match s.selection {
            Selection::Commented => {
                let pattern: String =
                    name.chars().flat_map(|c| if "\\.[]*^$|".contains(c) { vec!['\\', c] } else { vec![c] }).collect();
                format!("sed -i {} {conf}", support::shell(&format!("s|^#[ \\t]*{pattern}$|{mark}{name}|")))
            }
            _ => format!("echo {} >> {conf}", support::shell(&format!("{mark}{name}"))),
        }
    });
    let steps: Vec<String> = newline(configuration).into_iter().chain(steps).collect();
    steps.join(" && ")
}

/// Every certificate of the package that the list neither takes nor deselects, back into it.
fn restore(configuration: &Configuration) -> String {
    let conf = support::shell(&configuration.path.to_string());
    let names = "(cd /usr/share/ca-certificates && find -L . -type f -name '*.crt') | sed 's|^\\./||' | sort";
    let add = format!("while read -r c; do grep -qxF -e \"$c\" -e \"!$c\" {conf} || echo \"$c\" >> {conf}; done");
    let steps: Vec<String> = newline(configuration).into_iter().chain([format!("{names} | {add}")]).collect();
    steps.join(" && ")
}

/// What is appended must not continue the last line.
fn newline(configuration: &Configuration) -> Option<String> {
    let open = configuration.bytes.last().is_some_and(|b| *b != b'\n');
    open.then(|| format!("echo >> {}", support::shell(&configuration.path.to_string())))
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
        let commands = |store: &Store| {
            let finding = World::at("2019-01-01").store(store.clone()).one(&CHECK);
            finding.remedies.into_iter().filter_map(|r| r.command).collect::<Vec<_>>()
        };
        let back = "echo mozilla/A.crt >> /etc/ca-certificates.conf && update-ca-certificates --fresh";
        let deselect = "echo '!mozilla/A.crt' >> /etc/ca-certificates.conf && update-ca-certificates --fresh";
        assert_eq!(commands(&store), [back, deselect]);
        // Once it is out of the bundle, that was meant.
        let directory = store.directory.clone();
        refresh(&mut store);
        store.directory = directory;
        assert_eq!(commands(&store), [deselect, back]);
        store.kind = "alpine";
        assert_eq!(World::at(LAB).store(store).one(&CHECK).severity, Severity::Note);
    }

    #[test]
    fn catches_a_lost_list() {
        let mut store = without(Selection::Unlisted, "# nothing", None);
        store.sources[0].selection = Selection::Unlisted;
        let finding = World::at(LAB).store(store).one(&CHECK);
        assert_eq!(finding.severity, Severity::Error);
        assert!(finding.message.ends_with("names none of the 2 certificates of the package: the list is lost"), "{finding:?}");
        let commands: Vec<_> = finding.remedies.iter().filter_map(|r| r.command.as_deref()).collect();
        assert!(commands[0].starts_with("echo >> /etc/ca-certificates.conf && echo mozilla/U.crt >> "), "{commands:?}");
        assert_eq!(commands[1], "dpkg-reconfigure ca-certificates");
    }

    #[test]
    fn is_silent_about_deselected_and_local_ones() {
        let store = without(Selection::Deselected, "mozilla/U.crt\n!mozilla/A.crt\n", Some(2));
        World::at(LAB).store(store).silent(&CHECK);
        World::at(LAB).store(debian(&[("corp.crt", STORE_U)])).silent(&CHECK);
    }
}
