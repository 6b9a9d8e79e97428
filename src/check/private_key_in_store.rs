//! CD412.

use crate::{
    edit::Applicability,
    facts::{Content, Upkeep},
    finding::{Evidence, Finding, Intent, Remedy},
};

use super::{
    Case,
    support::{self, Mended},
};

rule! {
    /// **What it means.** A file of the store holds a private key. Store files are readable for everybody and are copied into the
    /// bundle, into images and backups: the key must be taken for known.
    ///
    /// **How it is found.** A PEM block of a private key in a source, the bundle or the hash directory.
    ///
    /// **What to do.** Move the key out *before* any refresh or package upgrade, which copies it into the bundle; then refresh,
    /// and replace the key and its certificate.
    ///
    /// **Sources.** RFC 7468, sections 10 and 11; RFC 5280, section 8 (the security of the whole rests on the private keys).
    "CD412" "private-key-in-store" Error "a private key lies in the store"
}

fn run(case: &Case<'_>, out: &mut Vec<Finding>) {
    for store in &case.facts.stores {
        let passed_over = store.sources.iter().filter(|s| s.selection != crate::facts::Selection::Enabled);
        for (part, file) in support::files(store).chain(passed_over.map(|s| ("source", &s.file))) {
            let Some(entry) = file.entries.iter().find(|e| e.content == Content::PrivateKey) else { continue };
            let shown = support::shell(&file.path.to_string());
            let copied = part == "source" && support::enabled(store).any(|s| s.file.path == file.path);
            let effect = if copied && matches!(store.upkeep, Upkeep::Generated { .. }) {
                ", and the next refresh copies it into the bundle"
            } else {
                ""
            };
            let message = format!("{} holds a private key{effect}", file.path);
            let mut finding = Finding::new(&CHECK, file.path.to_string(), message);
            finding.facts.push(("store", store.title.clone()));
            finding.evidence =
                vec![Evidence { span: Some(entry.block.clone()), ..Evidence::file(&file.path, Some(entry.line), part) }];
            finding.remedies.push(if part == "bundle" && matches!(store.upkeep, Upkeep::Generated { .. }) {
                let text = "make the bundle without the key, and replace key and certificate";
                // Only sources without a key give such a bundle: otherwise there is no command here.
                support::repair(store, &file.path, text, None, false, &Mended::default())
            } else {
                let keep = "/-----BEGIN CERTIFICATE-----/ {p=1} p {print} /-----END CERTIFICATE-----/ {p=0}";
                let aside = support::shell(&format!("/root/{}.with-key", support::text(file.path.name())));
                let rest = match file.certificates().next() {
                    Some(_) => format!("awk '{keep}' {aside} > {shown}"),
                    None => format!("rm {shown}"),
                };
                let command = Some(format!("install -m 600 {shown} {aside} && {rest}"));
                let text = "move the key out before anything refreshes the store, and replace key and certificate: who can log \
                            in here may know it";
                Remedy::new(Intent::Repair(file.path.clone()), Applicability::Manual, text, command)
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
        // Only the frame: there is no key in it.
        let framed = format!("{STORE_U}-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n");
        let mut store = debian(&[("mozilla/U.crt", STORE_U)]);
        store.sources.push(source("server.crt", &framed, crate::facts::Selection::Enabled));
        let finding = World::at(LAB).store(store).one(&CHECK);
        assert_eq!(
            finding.message,
            "/usr/local/share/ca-certificates/server.crt holds a private key, and the next refresh copies it into the bundle"
        );
        assert!(finding.evidence[0].line.is_some_and(|line| line > 1));
        let command = finding.remedies[0].command.as_deref().expect("a command");
        assert!(command.starts_with("install -m 600 ") && !command.contains("update-ca-certificates"), "{command}");
    }

    #[test]
    fn makes_the_bundle_again_only_when_the_key_is_out_of_the_sources() {
        let framed = format!("{STORE_U}-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n");
        let mut store = debian(&[("mozilla/U.crt", STORE_U)]);
        store.bundle = Some(cert_file("/etc/ssl/certs/ca-certificates.crt", &framed));
        let finding = World::at(LAB).store(store.clone()).one(&CHECK);
        assert_eq!(finding.remedies[0].command.as_deref(), Some("update-ca-certificates"));
        store.sources.push(source("server.crt", &framed, crate::facts::Selection::Enabled));
        let found = World::at(LAB).store(store).find(&CHECK);
        let commands: String = found.iter().flat_map(|f| &f.remedies).filter_map(|r| r.command.clone()).collect();
        assert!(found.len() == 2 && !commands.contains("update-ca-certificates"), "{commands}");
    }

    #[test]
    fn is_silent_about_certificates() {
        World::at(LAB).store(debian(&[("mozilla/U.crt", STORE_U)])).silent(&CHECK);
    }
}
