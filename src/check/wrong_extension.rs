//! CD406.

use crate::{
    base::TreePath,
    edit::Applicability,
    facts::{Selection, SourceOwner},
    finding::{Evidence, Finding, Intent, Remedy},
    x509::Certificate,
};

use super::{
    Case,
    support::{self, Mended},
};

rule! {
    /// **What it means.** A certificate lies in the local folder under a name that the refresh tool does not take: Debian and
    /// Ubuntu read only `*.crt` in lower case (`.pem`, `.cer` and `.CRT` are passed over in silence), Alpine reads every name but
    /// those with a leading dot. It looks installed and is not trusted.
    ///
    /// **How it is found.** Files with certificates in the local folder that the tool passes over.
    ///
    /// **What to do.** Rename it and refresh.
    ///
    /// **Sources.** update-ca-certificates(8); recorded runs `fixtures/roots/debian` 17 and `fixtures/roots/alpine` 17;
    /// gliderlabs/docker-alpine issue 260.
    "CD406" "wrong-extension" Warning "a local certificate is not read because of its name"
}

fn run(case: &Case<'_>, out: &mut Vec<Finding>) {
    for store in &case.facts.stores {
        let passed_over = |s: &&crate::facts::Source| s.selection == Selection::Ignored && s.owner == SourceOwner::Local;
        for source in store.sources.iter().filter(passed_over) {
            let path = &source.file.path;
            let Some((entry, certificate)) = source.file.certificates().next() else { continue };
            let rule = match store.kind {
                "alpine" if source.name.contains(&b'/') => "folders are not entered",
                "alpine" => "names with a leading dot are passed over",
                _ => "only names in *.crt are read",
            };
            let message = format!("{path} is not trusted: {rule}");
            let mut finding = Finding::new(&CHECK, path.to_string(), message);
            finding.facts = vec![("certificate", certificate.label()), ("store", store.title.clone())];
            finding.evidence = vec![Evidence {
                fingerprint: Some(certificate.fingerprint()),
                ..Evidence::file(path, Some(entry.line), "not read")
            }];
            let name = support::text(path.name());
            let stem = name.trim_start_matches('.').rsplit_once('.').map_or(name.as_str(), |(stem, _)| stem);
            let folder = TreePath::from("/usr/local/share/ca-certificates");
            let folder = if store.kind == "alpine" { folder } else { path.parent() };
            let right = folder.join(format!("{stem}.crt"));
            let rename = format!("mv {} {}", support::shell(&path.to_string()), support::shell(&right.to_string()));
            let intent = Intent::Trust(Some(certificate.clone()));
            finding.remedies.push(if support::has_key(&source.file) || support::is_broken(&source.file) {
                let text = "put the certificate alone into a file that ends in .crt, if it is to be trusted";
                Remedy::new(intent, Applicability::Manual, text, None)
            } else if store.sources.iter().any(|s| s.file.path == right) {
                let text = format!("give it another name in .crt if it is to be trusted: {right} is there already");
                Remedy::new(intent, Applicability::Manual, text, None)
            } else {
                let sourced: Vec<&Certificate> = source.file.certificates().map(|(_, c)| c).collect();
                let mended = Mended { sourced: &sourced, ..Mended::default() };
                let text = "rename it if it is to be trusted";
                Remedy { intent, ..support::repair(store, path, text, Some(rename), false, &mended) }
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
        let mut store = debian(&[]);
        store.sources.push(source("corp.pem", STORE_U, Selection::Ignored));
        let finding = World::at(LAB).store(store).one(&CHECK);
        assert_eq!(finding.message, "/usr/local/share/ca-certificates/corp.pem is not trusted: only names in *.crt are read");
        let command = finding.remedies[0].command.as_deref();
        let folder = "/usr/local/share/ca-certificates";
        assert_eq!(command, Some(&*format!("mv {folder}/corp.pem {folder}/corp.crt && update-ca-certificates")));
    }

    #[test]
    fn neither_leaks_a_key_nor_overwrites() {
        let framed = format!("{STORE_U}-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n");
        let mut store = debian(&[]);
        store.sources.push(source("corp.pem", &framed, Selection::Ignored));
        assert_eq!(World::at(LAB).store(store).one(&CHECK).remedies[0].command, None);
        let mut store = debian(&[("corp.crt", STORE_A)]);
        store.sources.push(source("corp.pem", STORE_U, Selection::Ignored));
        assert_eq!(World::at(LAB).store(store).one(&CHECK).remedies[0].command, None);
    }

    #[test]
    fn shows_no_command_that_can_not_be_typed() {
        let mut store = debian(&[]);
        store.sources.push(source("co\u{1b}[31mrp.pem", STORE_U, Selection::Ignored));
        let remedy = World::at(LAB).store(store).one(&CHECK).remedies.remove(0);
        assert!(remedy.command.is_none() && !remedy.text.contains('\u{1b}'), "{remedy:?}");
    }

    #[test]
    fn is_silent_about_other_files() {
        let mut store = debian(&[("corp.crt", STORE_U)]);
        store.sources.push(source("README", "read me\n", Selection::Ignored));
        World::at(LAB).store(store).silent(&CHECK);
    }
}
