//! CD412.

use crate::{
    edit::Applicability,
    facts::Content,
    finding::{Evidence, Finding, Intent, Remedy},
};

use super::{Case, support};

rule! {
    /// **What it means.** A file of the store holds a private key. Store files are readable for everybody and are copied into the
    /// bundle, into images and backups: the key must be taken for known.
    ///
    /// **How it is found.** A PEM block of a private key in a source, the bundle or the hash directory.
    ///
    /// **What to do.** Move the key out, refresh, and replace the key and its certificate.
    ///
    /// **Sources.** RFC 7468, sections 10 and 11; RFC 5280, section 8 (the security of the whole rests on the private keys).
    "CD412" "private-key-in-store" Warning "a private key lies in the store"
}

fn run(case: &Case<'_>, out: &mut Vec<Finding>) {
    for store in &case.facts.stores {
        let passed_over = store.sources.iter().filter(|s| s.selection != crate::facts::Selection::Enabled);
        for (part, file) in support::files(store).chain(passed_over.map(|s| ("source", &s.file))) {
            let Some(entry) = file.entries.iter().find(|e| e.content == Content::PrivateKey) else { continue };
            let mut finding = Finding::new(&CHECK, file.path.to_string(), format!("{} holds a private key", file.path));
            finding.facts.push(("store", store.title.clone()));
            finding.evidence =
                vec![Evidence { span: Some(entry.block.clone()), ..Evidence::file(&file.path, Some(entry.line), part) }];
            let text = "move the key out, and replace key and certificate: the key is known to all users of this host";
            let command = support::refresh(store, false).filter(|_| part == "bundle");
            finding.remedies.push(Remedy::new(Intent::Repair(file.path.clone()), Applicability::Manual, text, command));
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
        assert_eq!(finding.message, "/usr/local/share/ca-certificates/server.crt holds a private key");
        assert!(finding.evidence[0].line.is_some_and(|line| line > 1));
    }

    #[test]
    fn is_silent_about_certificates() {
        World::at(LAB).store(debian(&[("mozilla/U.crt", STORE_U)])).silent(&CHECK);
    }
}
