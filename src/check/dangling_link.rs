//! CD402.

use crate::{
    edit::Applicability,
    facts::FileState,
    finding::{Evidence, Finding, Intent, Remedy},
};

use super::{Case, support};

rule! {
    /// **What it means.** Links in the hash directory lead nowhere: a local certificate was deleted without `--fresh`, or a
    /// package took its file away. Most clients skip them; some loaders stop at the first unreadable file, and a dangling
    /// `hash.0` still takes the number from the certificates behind it.
    ///
    /// **How it is found.** Every link is followed inside the tree.
    ///
    /// **What to do.** Let the refresh tool make all links again.
    ///
    /// **Sources.** Recorded runs `fixtures/roots/debian` 11, 30 and 32; rustls/rustls-native-certs issue 48.
    "CD402" "dangling-link" Warning "links in the hash directory lead nowhere"
}

fn run(case: &Case<'_>, out: &mut Vec<Finding>) {
    for store in &case.facts.stores {
        let Some(directory) = &store.directory else { continue };
        let dangling: Vec<_> =
            directory.entries.iter().filter(|e| e.link.is_some() && e.file.state == FileState::Missing).collect();
        if dangling.is_empty() {
            continue;
        }
        let message = match dangling[..] {
            [only] => format!("{} leads nowhere: {} is missing", only.file.path, only.file.real),
            _ => format!("{} in {} lead nowhere", support::count(dangling.len(), "link"), directory.path),
        };
        let mut finding = Finding::new(&CHECK, directory.path.to_string(), message);
        let place = |e: &&crate::facts::DirectoryEntry| {
            let target = support::text(e.link.as_deref().unwrap_or_default());
            Evidence::file(&e.file.path, None, format!("link to {target}"))
        };
        finding.evidence = dangling.iter().map(place).collect();
        let intent = Intent::Repair(directory.path.clone());
        let command = support::refresh(store, true).or_else(|| {
            let names: Vec<String> = dangling.iter().map(|e| support::shell(&e.file.path.to_string())).collect();
            (names.len() <= 8).then(|| format!("rm {}", names.join(" ")))
        });
        finding.remedies.push(Remedy::new(intent, Applicability::Manual, "make all links again", command));
        out.push(finding);
    }
}

#[cfg(test)]
mod tests {
    use super::{super::testing::*, *};

    #[test]
    fn catches() {
        let mut store = debian(&[("corp.crt", STORE_U)]);
        for entry in &mut store.directory.as_mut().expect("a directory").entries {
            entry.file.state = FileState::Missing;
        }
        let finding = World::at(LAB).store(store).one(&CHECK);
        assert_eq!(finding.message, "2 links in /etc/ssl/certs lead nowhere");
        assert_eq!(finding.evidence.len(), 2);
        assert_eq!(finding.remedies[0].command.as_deref(), Some("update-ca-certificates --fresh"));
    }

    #[test]
    fn is_silent_when_links_lead_somewhere() {
        World::at(LAB).store(debian(&[("corp.crt", STORE_U)])).silent(&CHECK);
    }
}
