//! CD417.

use crate::{
    base::{order, same},
    facts::{Source, SourceOwner},
    finding::{Evidence, Finding, Severity},
};

use super::{
    Case,
    deselect_name_mapped::link_name,
    support::{self, Mended},
};

rule! {
    /// **What it means.** Two sources have the same file name in different folders. Both get into the bundle, but there is only
    /// one link in the hash directory: Debian's tool lets the last one win (and reports "2 added" at every run), Alpine's the
    /// local one. The other is not found by hash.
    ///
    /// **How it is found.** Names of the enabled sources, mapped as the tool maps them.
    ///
    /// **What to do.** Rename the local file and refresh.
    ///
    /// **Sources.** Debian's update-ca-certificates, `add()`; recorded run `fixtures/roots/debian` 21.
    "CD417" "same-basename" Warning "two sources share one file name"
}

fn run(case: &Case<'_>, out: &mut Vec<Finding>) {
    for store in case.facts.stores.iter().filter(|s| s.directory.is_some()) {
        let mut by_link: Vec<(Vec<u8>, &Source)> = Vec::new();
        for source in support::enabled(store).filter(|s| s.file.is_read()) {
            by_link.push((link_name(source.file.path.name()), source));
        }
        by_link.sort_by(|(one, _), (other, _)| order(one, other));
        for group in by_link.chunk_by(|(one, _), (other, _)| same(one, other)).filter(|group| group.len() > 1) {
            let mut sources: Vec<&Source> = Vec::new();
            for (_, source) in group {
                // A line may stand there twice.
                if !sources.iter().any(|s| s.file.path == source.file.path) {
                    sources.push(source);
                }
            }
            if sources.len() < 2 {
                continue;
            }
            let link = support::text(&group[0].0);
            let message = format!(
                "{} give one link ({link}): the hash directory holds only one of them",
                support::count(sources.len(), "source")
            );
            let mut finding = Finding::new(&CHECK, &link, message);
            let first = sources[0].file.certificates().map(|(_, c)| c).next();
            if sources.iter().all(|s| s.file.certificates().map(|(_, c)| c).next() == first) {
                finding.severity = Severity::Note;
            }
            finding.evidence =
                sources.iter().map(|s| Evidence::file(&s.file.path, s.file.entries.first().map(|e| e.line), "source")).collect();
            finding.remedies.push(match sources.iter().rev().find(|s| s.owner == SourceOwner::Local) {
                Some(local) => {
                    let path = &local.file.path;
                    let renamed = path.parent().join(format!("local-{}", support::text(path.name())));
                    let rename = format!("mv {} {}", support::shell(&path.to_string()), support::shell(&renamed.to_string()));
                    support::repair(store, path, "rename the local one", Some(rename), true, &Mended::default())
                }
                // A file of the package keeps its name.
                None => support::by_hand("deselect one of them by `!`", None),
            });
            out.push(finding);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::testing::*, *};

    #[test]
    fn catches() {
        let finding = World::at(LAB).store(debian(&[("mozilla/X.crt", STORE_U), ("X.crt", STORE_A)])).one(&CHECK);
        assert_eq!(finding.message, "2 sources give one link (X.pem): the hash directory holds only one of them");
        let command = finding.remedies[0].command.as_deref().expect("a command");
        assert!(command.starts_with("mv /usr/local/share/ca-certificates/X.crt /usr/local/share/ca-certificates/local-X.crt"));
        let same = World::at(LAB).store(debian(&[("mozilla/X.crt", STORE_U), ("X.crt", STORE_U)])).one(&CHECK);
        assert_eq!(same.severity, Severity::Note);
    }

    #[test]
    fn is_silent_about_different_names() {
        World::at(LAB).store(debian(&[("mozilla/X.crt", STORE_U), ("Y.crt", STORE_A)])).silent(&CHECK);
    }
}
