//! CD414.

use crate::finding::{Evidence, Finding};

use super::{
    Case,
    support::{self, Mended},
};

rule! {
    /// **What it means.** The configuration was edited, so the package manager left it alone and put its new list beside it
    /// (`.apk-new`). CAs that were added since are not enabled, and those that were dropped are still named, until somebody
    /// merges the two.
    ///
    /// **How it is found.** The parked file's name beside the configuration.
    ///
    /// **What to do.** Take the new list and put your `!` lines into it, then refresh.
    ///
    /// **Sources.** apk-protected_paths(5); recorded run of Alpine 3.23 (upgrade after an edit).
    "CD414" "parked-configuration" Warning "the package's new list is parked and not in force"
}

fn run(case: &Case<'_>, out: &mut Vec<Finding>) {
    for store in &case.facts.stores {
        let Some((configuration, parked)) = store.configuration.as_ref().and_then(|c| Some((c, c.parked.as_ref()?))) else {
            continue;
        };
        let message = format!("{parked} is not in force: new certificates of the package are not enabled");
        let mut finding = Finding::new(&CHECK, parked.to_string(), message);
        let (old, new) = (&configuration.path, parked);
        finding.evidence = vec![Evidence::file(new, None, "parked list"), Evidence::file(old, None, "list in force")];
        let (old, new) = (support::shell(&old.to_string()), support::shell(&new.to_string()));
        let deselect = format!("grep '^!' {old} | while read -r l; do sed -i \"s|^${{l#!}}$|$l|\" {new}; done");
        let command = format!("{deselect}; mv {new} {old}");
        let text = "carry the deselected names over into the new list, put it in force";
        // The package's list names all that it brings.
        let mended = Mended { line_ends: true, last_line: true, lines_back: Some(true), ..Mended::default() };
        finding.remedies.push(support::repair(store, &configuration.path, text, Some(command), false, &mended));
        out.push(finding);
    }
}

#[cfg(test)]
mod tests {
    use super::{super::testing::*, *};

    #[test]
    fn catches() {
        let mut store = debian(&[("mozilla/U.crt", STORE_U)]);
        store.configuration.as_mut().expect("a list").parked = Some("/etc/ca-certificates.conf.apk-new".into());
        let finding = World::at(LAB).store(store).one(&CHECK);
        assert!(finding.message.starts_with("/etc/ca-certificates.conf.apk-new is not in force"));
    }

    #[test]
    fn is_silent_without() {
        World::at(LAB).store(debian(&[("mozilla/U.crt", STORE_U)])).silent(&CHECK);
    }
}
