//! CD402.

use crate::{
    edit::Applicability,
    facts::{FileState, Source, SourceOwner, Store, Upkeep},
    finding::{Evidence, Finding, Intent, Remedy},
};

use super::{
    Case,
    support::{self, Mended},
};

rule! {
    /// **What it means.** Links in the hash directory lead nowhere: a local certificate was deleted without `--fresh`, or a
    /// package took its file away. Most clients skip them; some loaders stop at the first unreadable file, and a dangling
    /// `hash.0` still takes the number from the certificates behind it. A link in the folder of local certificates that leads
    /// nowhere is a certificate that somebody wanted trusted and that is not.
    ///
    /// **How it is found.** Every link is followed inside the tree.
    ///
    /// **What to do.** Let the refresh tool make all links again. A local link is to lead to its certificate, or to go.
    ///
    /// **Sources.** Recorded runs `fixtures/roots/debian` 11, 30 and 32; rustls/rustls-native-certs issue 48.
    "CD402" "dangling-link" Warning "links in the hash directory lead nowhere"
}

fn run(case: &Case<'_>, out: &mut Vec<Finding>) {
    for store in &case.facts.stores {
        local(store, out);
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
        finding.remedies.push(if matches!(store.upkeep, Upkeep::Generated { .. }) {
            support::repair(store, &directory.path, "make all links again", None, true, &Mended::default())
        } else {
            let names: Vec<String> = dangling.iter().map(|e| support::shell(&e.file.path.to_string())).collect();
            let command = (names.len() <= 8).then(|| format!("rm {}", names.join(" ")));
            let intent = Intent::Repair(directory.path.clone());
            Remedy::new(intent, Applicability::Manual, "take the links away", command)
        });
        out.push(finding);
    }
}

/// Links in the folder of local certificates.
fn local(store: &Store, out: &mut Vec<Finding>) {
    let is_local = |s: &&Source| s.owner == SourceOwner::Local && !s.file.links.is_empty();
    for source in store.sources.iter().filter(is_local).filter(|s| s.file.state == FileState::Missing) {
        let file = &source.file;
        let message = format!("{} leads nowhere: {} is missing", file.path, file.real);
        let mut finding = Finding::new(&CHECK, file.path.to_string(), message);
        let target = file.links.last().map_or_else(String::new, |(_, target)| support::text(target));
        finding.evidence = vec![Evidence::file(&file.path, None, format!("link to {target}"))];
        let remove = format!("rm {}", support::shell(&file.path.to_string()));
        let text = format!("put the certificate at {}, or take the link away", file.real);
        finding.remedies.push(support::repair(store, &file.path, &text, Some(remove), true, &Mended::default()));
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
    fn catches_a_local_link() {
        let mut store = debian(&[("mozilla/U.crt", STORE_U)]);
        let mut link = source("evil.crt", "", crate::facts::Selection::Enabled);
        link.file = missing("/usr/local/share/ca-certificates/evil.crt");
        link.file.links = [(link.file.path.clone(), b"/etc/passwd".to_vec())].into();
        link.file.real = "/etc/passwd".into();
        store.sources.push(link);
        let finding = World::at(LAB).store(store).one(&CHECK);
        assert_eq!(finding.message, "/usr/local/share/ca-certificates/evil.crt leads nowhere: /etc/passwd is missing");
        let command = finding.remedies[0].command.as_deref();
        assert_eq!(command, Some("rm /usr/local/share/ca-certificates/evil.crt && update-ca-certificates --fresh"));
    }

    #[test]
    fn does_not_offer_a_refresh_that_takes_more_away() {
        // The file of the package is gone, its links dangle, and the bundle is the last to know it.
        let mut store = debian(&[("mozilla/U.crt", STORE_U), ("mozilla/A.crt", STORE_A)]);
        store.sources[1].file.state = FileState::Missing;
        store.sources[1].file.entries = [].into();
        for entry in &mut store.directory.as_mut().expect("a directory").entries {
            if entry.file.real.to_string().ends_with("A.crt") {
                entry.file.state = FileState::Missing;
                entry.file.entries = [].into();
            }
        }
        let finding = World::at(LAB).store(store).one(&CHECK);
        assert_eq!(finding.remedies[0].command, None);
        assert!(finding.remedies[0].text.contains("that takes Lab AddTrust"), "{}", finding.remedies[0].text);
    }

    #[test]
    fn is_silent_when_links_lead_somewhere() {
        World::at(LAB).store(debian(&[("corp.crt", STORE_U)])).silent(&CHECK);
    }
}
