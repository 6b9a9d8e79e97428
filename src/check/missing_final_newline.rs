//! CD404.

use crate::{
    edit::Applicability,
    facts::{Quirk, Upkeep},
    finding::{Evidence, Finding, Intent, Remedy, Severity},
};

use super::{
    Case,
    support::{self, Mended},
};

rule! {
    /// **What it means.** A certificate file ends without a newline. When such a file is put before another, `-----END
    /// CERTIFICATE----------BEGIN CERTIFICATE-----` arises, and OpenSSL refuses the *whole* bundle: every client of it trusts
    /// nothing. The refresh tools of Debian and of Alpine 3.23 add the newline (a note); `cat *.pem > bundle`, image builds and
    /// other tools don't. Two blocks that are glued already are an error in a bundle.
    ///
    /// **How it is found.** The last byte of each source and of a bundle kept by hand; END and BEGIN on one line.
    ///
    /// **What to do.** Add the newline before the next refresh. A bundle that is glued already is made again from its sources.
    ///
    /// **Sources.** RFC 7468, section 3; PEM_read_bio in OpenSSL's crypto/pem/pem_lib.c; recorded runs `fixtures/roots/debian` 14
    /// and `fixtures/roots/alpine` 14.
    "CD404" "missing-final-newline" Note "a certificate file ends without a newline"
}

fn run(case: &Case<'_>, out: &mut Vec<Finding>) {
    for store in &case.facts.stores {
        let generated = matches!(store.upkeep, Upkeep::Generated { .. });
        for (part, file) in support::files(store) {
            let glued = file.quirks.contains(&Quirk::JoinedBlocks);
            let open = file.quirks.contains(&Quirk::NoFinalNewline) && (part == "source" || !generated);
            if !glued && !open {
                continue;
            }
            let shown = support::shell(&file.path.to_string());
            let split =
                || format!("sed -i 's/-----END CERTIFICATE----------BEGIN/-----END CERTIFICATE-----\\n-----BEGIN/g' {shown}");
            let between = "put a newline between the blocks";
            let mended = Mended { file: Some(&file.path), ..Mended::default() };
            let (message, severity, remedy) = if glued && part == "bundle" {
                let message = format!("{} has two blocks on one line: OpenSSL refuses the whole file", file.path);
                (message, Severity::Error, support::repair(store, &file.path, between, Some(split()), false, &mended))
            } else if glued {
                let message = format!("{} has two blocks on one line: it spoils every file that it is put into", file.path);
                (message, Severity::Warning, support::repair(store, &file.path, between, Some(split()), false, &mended))
            } else {
                let message = format!("{} ends without a newline", file.path);
                let text = "add the newline, before somebody appends to it";
                let command = Some(format!("printf '\\n' >> {shown}"));
                let intent = Intent::Repair(file.path.clone());
                (message, Severity::Note, Remedy::new(intent, Applicability::Manual, text, command))
            };
            let mut finding = Finding::new(&CHECK, file.path.to_string(), message);
            finding.severity = severity;
            finding.facts.push(("store", store.title.clone()));
            if !glued {
                let effect = "`cat` and refresh tools that don't add the newline join it with the next file, and OpenSSL then \
                              refuses the whole bundle; the tools of Debian and of Alpine 3.23 add it";
                finding.facts.push(("effect", effect.into()));
            }
            finding.evidence = vec![Evidence::file(&file.path, file.entries.last().map(|e| e.line), part)];
            finding.remedies.push(remedy);
            out.push(finding);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::testing::*, *};

    #[test]
    fn catches() {
        let mut store = debian(&[("nonl.crt", include_str!("../../fixtures/roots/inputs/nonl.crt"))]);
        store.sources[0].file.quirks.insert(Quirk::NoFinalNewline);
        let finding = World::at(LAB).store(store).one(&CHECK);
        assert_eq!(finding.message, "/usr/local/share/ca-certificates/nonl.crt ends without a newline");
        assert_eq!(finding.severity, Severity::Note);
        assert_eq!(finding.remedies[0].command.as_deref(), Some("printf '\\n' >> /usr/local/share/ca-certificates/nonl.crt"));
    }

    #[test]
    fn is_an_error_once_blocks_are_glued() {
        let mut store = debian(&[("a.crt", STORE_U)]);
        store.bundle.as_mut().expect("a bundle").quirks.insert(Quirk::JoinedBlocks);
        let finding = World::at(LAB).store(store).one(&CHECK);
        let command = finding.remedies[0].command.as_deref().expect("a command");
        assert!(command.starts_with("sed -i ") && command.ends_with(" && update-ca-certificates"), "{command}");
        assert_eq!(finding.severity, Severity::Error);
    }

    #[test]
    fn is_silent_about_whole_files() {
        World::at(LAB).store(debian(&[("a.crt", STORE_U)])).silent(&CHECK);
    }
}
